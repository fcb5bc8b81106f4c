"""``smoke.json``: what ``mlenv verify`` demands of an image.

Here stands what is expected, never how it is found out: which probes are asked follows from the
lock (``report/probes.toml``).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from mlenv.files import File
from mlenv.layers import DEV

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlenv.cuda import Gpu
    from mlenv.lock import Lock
    from mlenv.spec.model import Smoke

SMOKE_NAME = "smoke.json"
SMOKE_SCHEMA = 1


def smoke(lock: Lock, *, gpus: Iterable[Gpu], checks: Iterable[Smoke]) -> File:
    """Return ``smoke.json`` as canonical JSON.

    Args:
        lock: what is installed, and for which machine.
        gpus: the GPUs of the target.
        checks: the user's own ``[[smoke]]``.
    """
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
        "distributions": _versions(lock, dev=False),
        "dev-distributions": _versions(lock, dev=True),
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
