"""Failures that no probe can name by itself: seen over the facts of several.

Each function is a row of the catalogue without patterns, and has its id for a name; the words of
cause and fix are the row's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mlenv.report.causes import failures
from mlenv.report.libraries import mapped
from mlenv.report.verdict import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlenv.report.libraries import Mapped
    from mlenv.report.plan import Plan
    from mlenv.report.probed import ProbeReport

_HIDING = {
    "CUDA_VISIBLE_DEVICES": frozenset(("", "-1", "NoDevFiles")),
    "NVIDIA_VISIBLE_DEVICES": frozenset(("", "void", "none")),
}
_TOOLKIT = re.compile(r"^/usr/local/cuda[^/]*/")
_CUDNN = re.compile(r"^libcudnn")


def structure(plan: Plan, report: ProbeReport) -> Iterator[Finding]:
    """Yield what the facts of several probes show together."""
    yield from _without_gpu(report)
    yield from _kernel_module(report)
    yield from _cudnn(report)
    yield from _foreign(plan, report)
    yield from _mig(plan, report)
    yield from _without_compiler(plan)


def _finding(name: str, probe: str, what: str, seen: str = "") -> Finding:
    row = failures()[name]
    return Finding(
        id=name,
        weight=row.weight,
        probe=probe,
        what=what,
        cause=row.cause,
        fix=row.fix,
        seen=seen,
    )


def _without_gpu(report: ProbeReport) -> Iterator[Finding]:
    """Say why there is no GPU: of the reasons that look alike to a framework, which it is."""
    driver = report.named("driver")
    if driver is None or driver.status not in {"skip", "fail"}:
        return
    if driver.reason not in {"no-driver", "no-device"}:
        return
    facts = {**report.host, **report.facts("host")}
    environment = _mapping(facts, "environment") | _mapping(driver.facts or {}, "visible")
    hidden = [
        f"{name}={environment[name]!r}"
        for name, texts in _HIDING.items()
        if name in environment and environment[name] in texts
    ]
    nodes = [str(each) for each in facts.get("devices") or () if "nvidia" in str(each)]
    what = "no GPU can be seen"
    if hidden:
        yield _finding("gpu-hidden", "driver", f"{what}: {', '.join(hidden)}", hidden[0])
    elif nodes and driver.reason == "no-driver":
        yield _finding("driver-library-hidden", "driver", f"{what}: libcuda.so.1 is not here")
    elif facts.get("container"):
        yield _finding("container-without-gpu", "driver", what, _first(facts["container"]))
    else:
        yield _finding("no-gpu", "driver", what, driver.message or "")


def _first(found: object) -> str:
    return str(found[0] if isinstance(found, list) else found)


def _mapping(facts: dict[str, Any], name: str) -> dict[str, Any]:
    found = facts.get(name)
    return dict(found) if isinstance(found, dict) else {}


def _kernel_module(report: ProbeReport) -> Iterator[Finding]:
    """Compare the version of the kernel module with that of the driver's libraries."""
    facts = {**report.host, **report.facts("host")}
    module = str(facts.get("driver_module") or "")
    found = re.search(r"\b\d{3}\.\d+(\.\d+)?", module)
    library = report.facts("nvml").get("driver") or report.facts("driver").get("library_version")
    if found and library and found[0] != library:
        what = f"the kernel module is {found[0]}, the driver's libraries are {library}"
        yield _finding("driver-mismatch", "nvml", what, module)


def _foreign(plan: Plan, report: ProbeReport) -> Iterator[Finding]:
    """Name libraries that no package owns: they were found outside the environment."""
    if not plan.cuda:
        return
    for probe, each in mapped(report):
        if (each.owner is not None and not each.system) or each.driver:
            continue
        name = "toolkit-of-the-host" if _TOOLKIT.match(each.path) else "library-shadowed"
        yield _finding(name, probe, f"{each.name} was loaded from {each.path}", each.path)


def _cudnn(report: ProbeReport) -> Iterator[Finding]:
    folders: dict[str, dict[str, Mapped]] = {}
    for probe, each in mapped(report):
        if _CUDNN.match(each.name):
            folders.setdefault(probe, {}).setdefault(each.folder, each)
    for probe, found in folders.items():
        if len(found) > 1:
            what = f"cuDNN's parts come from {', '.join(sorted(found))}"
            yield _finding("cudnn-mixed", probe, what)


def _mig(plan: Plan, report: ProbeReport) -> Iterator[Finding]:
    devices = report.facts("nvml").get("devices")
    sliced = [each for each in devices or () if isinstance(each, dict) and each.get("mig")]
    seen = report.facts("driver").get("devices")
    if sliced and isinstance(seen, list) and len(seen) < plan.min_gpus:
        yield _finding("mig", "nvml", f"MIG is on for {len(sliced)} GPUs, and {len(seen)} is seen")


def _without_compiler(plan: Plan) -> Iterator[Finding]:
    """Say what a verdict is silent about, which most users of torch would take for proven."""
    if plan.without_compiler:
        names = ", ".join(plan.without_compiler)
        yield _finding(
            "no-compiler-locked", "", f"torch.compile and Triton were not tried ({names})"
        )
