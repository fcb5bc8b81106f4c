"""What is asked of an environment: which probes, which of them must pass, and what must be found.

A pure function of the lock, of ``smoke.json`` and of the scope that was asked for.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from packaging.utils import canonicalize_name

from mlenv.files import sha256
from mlenv.layers import DEV
from mlenv.lock import lock_text
from mlenv.machine import ARCHITECTURES
from mlenv.report.wanted import Stack, wanted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlenv.lock import Lock
    from mlenv.report.wanted import Wanted

PLAN_SCHEMA = "mlenv.plan/1"
CHECK = "check:"
"""What the name of a check of the user's own begins with."""

Scope = Literal["gpu", "static"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How much is to be proven, and by which probe."""

    nonce: str
    """Whatever was never used before: an old report cannot answer a new plan."""
    probe_sha256: str
    scope: Scope = "gpu"
    quick: bool = False
    variant: str = "runtime"
    min_gpus: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked of one environment."""

    title: str
    """What it is of: ``train:h100``."""
    nonce: str
    lock_digest: str
    probe_sha256: str
    scope: Scope
    quick: bool
    probes: tuple[str, ...]
    required: frozenset[str]
    distributions: Mapping[str, str]
    conda: Mapping[str, str]
    """Package -> the name of its file, which tells version and build."""
    python: str
    machine: str
    """``x86_64``: what ``uname -m`` says there."""
    cuda: bool
    without_compiler: tuple[str, ...] = ()
    """What would be asked if the image had a C compiler."""
    driver_cuda_min: str | None = None
    """The oldest CUDA that the driver must run."""
    driver: str | None = None
    """A specifier over versions of the driver."""
    gpus: tuple[str, ...] = ()
    """``sm_90``: what the target names; none: any."""
    min_gpus: int = 1
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)

    def version(self, package: str) -> str | None:
        """Return the version of a package that the lock has; None where it has not that package."""
        file = self.conda.get(package)
        # The name of a conda package's file: NAME-VERSION-BUILD, and no version has a hyphen.
        return file.rsplit("-", 2)[1] if file else self.distributions.get(package)


def plan(lock: Lock, smoke: Mapping[str, Any], asked: Asked) -> Plan:
    """Return what is to be asked of an environment that shall be what ``lock`` says.

    Args:
        lock: what it must hold.
        smoke: the content of its ``smoke.json``.
        asked: how much is to be proven.
    """
    distributions, conda = _held(lock, asked.variant)
    cuda = lock.stack.toolkit not in {"cpu", "none"}
    stack = Stack(
        packages=distributions.keys() | conda.keys(),
        cuda=cuda,
        compiler=lock.image.compile if lock.image else "none",
        free=lock.target.python.endswith("t"),
    )
    rows = [each for each in wanted() if each.applies(stack) and _asks(each, asked)]
    checks = [each for each in smoke.get("checks", ()) if _runs(each, asked, cuda=cuda)]
    names = [each.name for each in rows] + [CHECK + each["name"] for each in checks]
    gpus = tuple(smoke.get("target", {}).get("gpus", ()))
    return Plan(
        title=lock.title,
        nonce=asked.nonce,
        lock_digest="sha256:" + sha256(lock_text(lock)),
        probe_sha256=asked.probe_sha256,
        scope=asked.scope,
        quick=asked.quick,
        probes=tuple(names),
        required=frozenset(names) - {each.name for each in rows if not each.required},
        distributions=distributions,
        conda=conda,
        python=lock.target.python,
        machine=ARCHITECTURES[lock.target.platform],
        cuda=cuda,
        without_compiler=tuple(
            each.name
            for each in wanted()
            if each.compiler == "cc"
            and not each.has_compiler(stack)
            and each.lacks_nothing_but_a_compiler(stack)
            and _asks(each, asked)
        ),
        driver_cuda_min=f"{lock.stack.toolkit.split('.')[0]}.0" if cuda else None,
        driver=lock.target.driver,
        gpus=gpus,
        min_gpus=asked.min_gpus if cuda else 0,
        params=_params(rows, checks, gpus),
    )


def _held(lock: Lock, variant: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return distribution -> version of the wheels, and name -> file of the conda packages."""
    held = [each for each in lock.package if variant == "dev" or each.layer not in DEV]
    wheels = [each for each in held if each.subdir is None]
    return (
        {canonicalize_name(each.name): each.version for each in wheels},
        {each.name: each.filename for each in held if each.subdir is not None},
    )


def _asks(row: Wanted, asked: Asked) -> bool:
    return (row.quick or not asked.quick) and (asked.scope == "gpu" or not row.gpu)


def _runs(check: Mapping[str, Any], asked: Asked, *, cuda: bool) -> bool:
    """Tell whether a check of the user's can run here: one that wants GPUs is no static check."""
    return not check.get("gpus") or (cuda and asked.scope == "gpu")


def _params(
    rows: Sequence[Wanted],
    checks: Sequence[Mapping[str, Any]],
    gpus: tuple[str, ...],
) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for each in rows:
        if each.name.startswith("compile:") and gpus:
            found[each.name] = {"archs": list(gpus)}
    for check in checks:
        found[CHECK + check["name"]] = {"run": list(check["run"]), "gpus": check.get("gpus", 0)}
    return found


def plan_text(asked: Plan) -> str:
    """Return a plan as the JSON that a probe reads."""
    content = {
        "schema": PLAN_SCHEMA,
        "scope": asked.scope,
        "nonce": asked.nonce,
        "lock_digest": asked.lock_digest,
        "probe_sha256": asked.probe_sha256,
        "probes": list(asked.probes),
        "required": sorted(asked.required),
        "params": asked.params,
        "expect": {
            "distributions": asked.distributions,
            "conda": asked.conda,
            "driver_cuda_min": asked.driver_cuda_min,
            "gpus": list(asked.gpus),
            "min_gpus": asked.min_gpus,
            "python": asked.python,
        },
        "limits": asked.limits,
        "quick": asked.quick,
    }
    return json.dumps(content, sort_keys=True, indent=1) + "\n"
