"""``smoke.json``: what ``mlenv verify`` demands of an image.

Here stands what is expected, never how it is found out: a probe is named only where the room
``mlenv.smoke`` has it for what the lock holds.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from mlenv.files import File
from mlenv.layers import DEV

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlenv.cuda import Gpu
    from mlenv.lock import Lock
    from mlenv.spec.model import Smoke

SMOKE_NAME = "smoke.json"
SMOKE_SCHEMA = 1

GPU_PROBES = ("driver", "mapped-libraries")
"""What applies to every CUDA stack, with or without a framework."""


def smoke(
    lock: Lock, *, gpus: Iterable[Gpu], frameworks: Mapping[str, str], checks: Iterable[Smoke]
) -> File:
    """Return ``smoke.json`` as canonical JSON.

    Args:
        lock: what is installed, and for which machine.
        gpus: the GPUs of the target.
        frameworks: catalog name -> installed package of the stack's frameworks; one that the
            lock does not hold is left out.
        checks: the user's own ``[[smoke]]``.
    """
    runtime = _versions(lock, dev=False)
    cuda = lock.stack.toolkit not in {"cpu", "none"}
    kernels = sorted(
        {
            f"kernel:{name}"
            for name, package in frameworks.items()
            if canonicalize_name(package) in runtime
        }
    )
    content = {
        "schema": SMOKE_SCHEMA,
        "name": lock.name,
        "target": {
            "name": lock.target.name,
            "platform": lock.target.platform,
            "python": lock.target.python,
            "gpus": [each.sm for each in sorted({gpu.arch for gpu in gpus})],
            "driver": lock.target.driver,
        },
        "toolkit": lock.stack.toolkit,
        "cudnn": lock.stack.cudnn,
        "nccl": lock.stack.nccl,
        "distributions": runtime,
        "dev-distributions": _versions(lock, dev=True),
        "probes": [*GPU_PROBES, *kernels] if cuda else [],
        "checks": [
            {"name": each.name, "run": list(each.run), "gpus": each.gpus} for each in checks
        ],
    }
    return File(SMOKE_NAME, json.dumps(content, sort_keys=True, indent=2) + "\n")


def _versions(lock: Lock, *, dev: bool) -> dict[str, str]:
    return {
        canonicalize_name(each.name): each.version
        for each in lock.package
        if (each.layer in DEV) is dev
    }
