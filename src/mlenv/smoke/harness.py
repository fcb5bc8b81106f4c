"""Run each probe in a process of its own, and keep a report whatever that process does.

A probe may crash, hang, flood its output, leave processes behind or be killed: that costs one
probe. Compiler caches are fresh for each, since a warm one hides a missing compiler. Nothing here
knows what a probe is about; the one exception is ``driver``, which the probes of a GPU wait for, so
that one broken driver has one cause and not a dozen.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import time

from mlenv.smoke import register, reins

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mlenv.smoke.register import Probe

REPORT_SCHEMA = "mlenv.report/1"
DRIVER = "driver"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""What ``import mlenv.smoke`` is found in: the one file that was shipped, or a source folder."""
_START = "import sys; sys.path.insert(0, sys.argv[1]); from mlenv.smoke import child; child.main()"
"""The folder that ``sys.argv[0]`` lies in never comes into ``sys.path``: it is not the target's."""
CACHES = (
    "CUPY_CACHE_DIR",
    "JAX_COMPILATION_CACHE_DIR",
    "NUMBA_CACHE_DIR",
    "TORCHINDUCTOR_CACHE_DIR",
    "TORCH_EXTENSIONS_DIR",
    "TRITON_CACHE_DIR",
)
_HABITS = {
    "CUDA_CACHE_DISABLE": "1",
    "PYTHONFAULTHANDLER": "1",
    "PYTHONUNBUFFERED": "1",
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}
_ENDINGS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGXCPU)
_DEFAULT_SECONDS = 60.0


def run(plan: dict[str, Any], out: str | None) -> int:
    """Run the probes of a plan in order and write the report.

    Args:
        plan: a ``mlenv.plan/1``.
        out: where the report goes after every probe; without it, to the standard output at the
            end.

    Returns:
        0, or 1 if a signal ended the run early.
    """
    begun = time.monotonic()
    report = _begun(plan)
    ending = reins.Ending(_ENDINGS)
    reins.adopt_orphans()
    work = reins.work_folder()
    try:
        for name in _order(plan):
            if ending.asked:
                break
            row = _row(name, plan, report, work, ending)
            report["probes"].append(row)
            report["seconds"] = round(time.monotonic() - begun, 3)
            if out:
                _write(report, out)
        report["complete"] = not ending.asked
        _write(report, out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 0 if report["complete"] else 1


def _begun(plan: dict[str, Any]) -> dict[str, Any]:
    return {
        "schema": REPORT_SCHEMA,
        "nonce": plan.get("nonce"),
        "lock_digest": plan.get("lock_digest"),
        "probe_sha256": _digest(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": 0.0,
        "complete": False,
        "host": {
            "python": sys.version.split()[0],
            "implementation": platform.python_implementation(),
            "executable": sys.executable,
            "machine": platform.machine(),
            "kernel": platform.release(),
            "node": platform.node(),
        },
        "probes": [],
    }


def _digest() -> str | None:
    """Return the digest of the file that was shipped; a source folder has none."""
    if not os.path.isfile(ROOT):
        return None
    with open(ROOT, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def _order(plan: dict[str, Any]) -> list[str]:
    """Put ``driver`` before the first probe that waits for it."""
    names = list(plan["probes"])
    rows = [register.find(name, plan["params"].get(name)) for name in names]
    waiting = [index for index, row in enumerate(rows) if row is not None and row.gpu]
    if not waiting:
        return names
    rest = [name for name in names if name != DRIVER]
    at = min(waiting[0], names.index(DRIVER)) if DRIVER in names else waiting[0]
    return [*rest[:at], DRIVER, *rest[at:]]


def _row(
    name: str, plan: dict[str, Any], report: dict[str, Any], work: str, ending: reins.Ending
) -> dict[str, Any]:
    found = register.find(name, plan["params"].get(name))
    if found is None:
        text = f"this probe file has no probe {name}"
        return _said(name, None, {"status": "error", "reason": "unknown-probe", "message": text})
    held = _held(found, report)
    if held is not None:
        return _said(name, found.level, held)
    limit = float(plan["limits"].get(name, found.seconds or _DEFAULT_SECONDS))
    given = {
        "name": name,
        "params": plan["params"].get(name, {}),
        "expect": plan["expect"],
        "quick": bool(plan.get("quick")),
    }
    folder = tempfile.mkdtemp(dir=work)
    try:
        return _said(name, found.level, _child(given, limit, folder, ending))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _held(found: Probe, report: dict[str, Any]) -> dict[str, Any] | None:
    """Tell why a probe of a GPU need not be tried."""
    driver = [each for each in report["probes"] if each["name"] == DRIVER]
    if not found.gpu or (driver and driver[-1]["status"] == "pass"):
        return None
    status = driver[-1]["status"] if driver else "error"
    if status == "skip":
        text = "not run: there is no GPU here"
        return {"status": "skip", "reason": driver[-1]["reason"], "message": text}
    return {"status": "blocked", "reason": DRIVER, "message": "not run: `driver` has not passed"}


def _child(
    given: dict[str, Any], limit: float, folder: str, ending: reins.Ending
) -> dict[str, Any]:
    asked, result = os.path.join(folder, "given.json"), os.path.join(folder, "result.json")
    with open(asked, "w", encoding="utf-8") as file:
        json.dump(given, file)
    begun = time.monotonic()
    ended = reins.drive(
        [sys.executable, "-c", _START, ROOT, asked, result],
        environment=_environment(folder),
        folder=folder,
        limit=limit,
        ending=ending,
    )
    said = _result(result, ended, limit)
    said["seconds"] = round(time.monotonic() - begun, 3)
    said["stdout"], said["stderr"] = ended.stdout, ended.stderr
    if ended.left:
        said.setdefault("facts", {})["left_running"] = ended.left
    if ended.unkillable:
        said.setdefault("facts", {})["unkillable"] = True
    return said


def _environment(folder: str) -> dict[str, str]:
    fresh = {}
    for name in CACHES:
        fresh[name] = os.path.join(folder, "cache", name.lower())
        os.makedirs(fresh[name])
    return {**os.environ, **_HABITS, **fresh}


def _result(path: str, ended: reins.Ended, limit: float) -> dict[str, Any]:
    """Return what the child said; what it could not say, its end does."""
    try:
        with open(path, encoding="utf-8") as file:
            said: dict[str, Any] = json.load(file)
    except (OSError, ValueError):
        pass
    else:
        return said
    if ended.why == "interrupted":
        text = "the run was ended while this probe ran"
        return {"status": "error", "reason": "interrupted", "message": text}
    if ended.why == "start":
        return {"status": "error", "reason": "no-start", "message": ended.stderr}
    if ended.why == "limit":
        return {"status": "timeout", "reason": "timeout", "message": f"no result in {limit:g} s"}
    if ended.status < 0:
        name = reins.signal_name(-ended.status)
        return {
            "status": "crash",
            "reason": "signal",
            "message": f"killed by {name}",
            "facts": {"signal": name},
        }
    text = f"it ended with status {ended.status} and no result"
    return {"status": "crash", "reason": "exit", "message": text, "facts": {"status": ended.status}}


def _said(name: str, level: int | None, said: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "level": level,
        "status": said["status"],
        "reason": said.get("reason"),
        "message": said.get("message", ""),
        "seconds": said.get("seconds", 0.0),
        "facts": said.get("facts", {}),
        "stdout": said.get("stdout", ""),
        "stderr": said.get("stderr", ""),
    }


def _write(report: dict[str, Any], out: str | None) -> None:
    text = json.dumps(report, default=str) + "\n"
    if out is None:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    beside = f"{out}.{os.getpid()}"
    with open(beside, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(beside, out)
