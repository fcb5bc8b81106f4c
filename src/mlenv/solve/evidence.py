"""What the audit stands on: the insides of the wheels that a target installs, read in parallel.

This is the only part of locking that reads wheels. A wheel never changes, so each is read once
and kept by its hash, for all specs and cells.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from mlenv.audit import Inside
from mlenv.host import wheels
from mlenv.host.http import THREADS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from mlenv.backends.uv_lock import Artefact
    from mlenv.catalog.load import Catalog
    from mlenv.host.http import Web


def gather(
    picked: Sequence[tuple[str, Artefact]],
    *,
    web: Web,
    cache: Path,
    catalog: Catalog,
    say: Callable[[str], None],
) -> Mapping[str, tuple[int, Inside]]:
    """Return package -> (bytes of its file, what is inside) for wheels.

    Raises:
        HostError: ``network-failed``, ``network-off`` or ``wheel-unreadable``.
    """
    wanted = {
        row.proof.package: (row.proof.file,) for row in catalog.frameworks.values() if row.proof
    }

    def read(each: tuple[str, Artefact]) -> tuple[str, tuple[int, Inside]]:
        name, artefact = each
        found = wheels.read(
            web, cache, url=artefact.url, sha256=artefact.sha256, want=wanted.get(name, ())
        )
        inside = Inside(
            files=found.files,
            requires_python=found.requires_python,
            texts=found.members,
            requires=found.requires,
        )
        return name, (found.size, inside)

    results: dict[str, tuple[int, Inside]] = {}
    with ThreadPoolExecutor(THREADS) as pool:
        for done, (name, result) in enumerate(pool.map(read, picked), start=1):
            results[name] = result
            say(f"looking into wheels: {done} of {len(picked)}")
    return results
