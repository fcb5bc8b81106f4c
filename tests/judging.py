"""Locks, plans and reports for the tests of verdicts: small, and whole."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from mlenv.lock import Lock
from mlenv.report.plan import Asked, Plan, plan
from mlenv.report.probed import ProbeReport

NONCE = "0123456789abcdef"
PROBE = "ab" * 32

_HEAD = """
schema = 1
name = "train"
backend = "uv"
verdict = "ok"
spec-sha256 = "{zero}"
artefacts-sha256 = "{zero}"
exclude-newer = "2026-11-22T00:00:00Z"
tools = {{ mlenv = "0.1.0", uv = "0.13.9", catalog = "2026-11-22T00:00:00Z" }}
stack = {{ toolkit = "{toolkit}", channel = "default" }}
image = {{ compile = "{compile}" }}

[target]
name = "default"
platform = "linux/amd64"
python = "{python}"
gpus = ["H100"]
driver = ">=570"
"""
_PACKAGE = """
[[package]]
name = "{name}"
version = "{version}"
layer = "{layer}"
index = "default"
filename = "{name}.whl"
sha256 = "{zero}"
size = 1
"""
TORCH = {
    "torch": "2.11.0",
    "triton": "3.6.0",
    "nvidia-cuda-nvrtc": "13.0.88",
    "nvidia-cudnn-cu13": "9.19.0.56",
    "numpy": "2.4.6",
}
SMOKE = {"schema": 1, "target": {"gpus": ["sm_90"]}, "checks": []}


def lock(
    packages: dict[str, str] = TORCH,
    *,
    toolkit: str = "13.0",
    compile_: str = "cc",
    python: str = "3.12",
    dev: tuple[str, ...] = (),
) -> Lock:
    """Return a lock of those packages."""
    zero = "0" * 64
    text = _HEAD.format(zero=zero, toolkit=toolkit, compile=compile_, python=python)
    for name, version in packages.items():
        layer = "dev" if name in dev else "rest"
        text += _PACKAGE.format(name=name, version=version, zero=zero, layer=layer)
    return Lock.model_validate(tomllib.loads(text))


def asked(found: Lock | None = None, smoke: dict[str, Any] = SMOKE, **words: Any) -> Plan:  # noqa: ANN401 (JSON)
    """Return a plan of a lock."""
    return plan(found or lock(), smoke, Asked(nonce=NONCE, probe_sha256=PROBE, **words))


def row(name: str, status: str = "pass", **words: Any) -> dict[str, Any]:  # noqa: ANN401 (JSON)
    """Return what a probe says."""
    level = 0 if name.startswith(("host", "desk", "dist")) else 3
    return {"name": name, "level": level, "status": status, "seconds": 0.1, **words}


def good(plan_: Plan) -> dict[str, dict[str, Any]]:
    """Return a row for each probe of a plan, all good, with the facts of a sound H100."""
    rows = {name: row(name) for name in plan_.probes}
    facts: dict[str, dict[str, Any]] = {
        "distributions": {"distributions": dict(plan_.distributions)},
        "driver": {"driver_cuda": "13.0", "devices": [{"name": "H100", "sm": "sm_90"}]},
        "nvml": {"driver": "580.95.05", "devices": [{"name": "H100", "mig": False}]},
        "mapped:torch": {
            "libraries": [
                library("libcudnn.so.9", "nvidia-cudnn-cu13", "9.19.0.56", says="9.19.0"),
                {"path": "/usr/lib/libcuda.so.1", "soname": "libcuda.so.1", "owner": None},
            ]
        },
    }
    for name, found in facts.items():
        if name in rows:
            rows[name]["facts"] = found
    return rows


def library(
    soname: str,
    owner: str | None,
    version: str | None,
    *,
    says: str = "",
    **words: Any,  # noqa: ANN401 (JSON)
) -> dict[str, Any]:
    """Return a library that is mapped."""
    path = f"/venv/lib/{owner}/{soname}"
    return {
        "path": path,
        "soname": soname,
        "owner": owner,
        "owner_version": version,
        "record_ok": True,
        "says": says or None,
        **words,
    }


def document(plan_: Plan, rows: dict[str, dict[str, Any]], **words: Any) -> dict[str, Any]:  # noqa: ANN401 (JSON)
    """Return a report as a probe writes it."""
    return {
        "schema": "mlenv.report/1",
        "nonce": plan_.nonce,
        "lock_digest": plan_.lock_digest,
        "probe_sha256": plan_.probe_sha256,
        "started": "2026-11-22T12:00:00Z",
        "seconds": 1.5,
        "complete": True,
        "host": {"python": f"{plan_.python.removesuffix('t')}.3"},
        "probes": [
            {"reason": None, "message": "", "facts": {}, "stdout": "", "stderr": "", **each}
            for each in rows.values()
        ],
        **words,
    }


def report(plan_: Plan, rows: dict[str, dict[str, Any]], **words: Any) -> ProbeReport:  # noqa: ANN401 (JSON)
    """Return a report, parsed."""
    return ProbeReport.model_validate(document(plan_, rows, **words))


ROOT = Path(__file__).parent.parent
