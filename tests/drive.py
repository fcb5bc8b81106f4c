"""Specs driven through solving and building, with real uv, against the loopback index.

The catalog is the one that is shipped, but for one row: PyTorch's own index is asked by plain
HTTP, because the loopback index speaks no TLS. Every test has caches of its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
from types import MappingProxyType
from typing import TYPE_CHECKING

from facts import PYTORCH
from mlenv.build.job import build
from mlenv.build.verdict import Order, Outcome
from mlenv.catalog.load import load
from mlenv.host.http import Web
from mlenv.host.login import from_environment
from mlenv.image.pins import unasked
from mlenv.plan.decide import Wish
from mlenv.solve.asking import Desk
from mlenv.solve.loop import solve
from mlenv.spec.parse import parse_spec
from mlenv.spec.stack import stacks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from mlenv.build.verdict import Outcome
    from mlenv.catalog.load import Catalog
    from mlenv.image.pins import Pinning
    from mlenv.solve.solution import Solution

TODAY = "2025-12-01T00:00:00Z"
"""After the last upload of ``facts``."""


def catalog() -> Catalog:
    """Return the shipped catalog, with PyTorch's index by HTTP."""
    shipped = load()
    found = dataclasses.replace(shipped, _made={})
    torch = shipped.frameworks["torch"].model_copy(update={"index": PYTORCH + "/{tag}"})
    found.__dict__["frameworks"] = {**shipped.frameworks, "torch": torch}
    return found


@contextlib.contextmanager
def desk(
    cache: Path,
    *,
    offline: bool = False,
    indexes: Mapping[str, str] = MappingProxyType({}),
    say: Callable[[str], None] = lambda _: None,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[Desk]:
    """Yield what a solve works with; nothing is shown."""
    with Web(offline=offline, credentials=from_environment(indexes)) as web:
        yield Desk(web=web, cache=cache, offline=offline, say=say, tell=tell)


def solved(spec: str, cache: Path, *, today: str = TODAY) -> Solution:
    """Solve the first target of ``spec``."""
    (stack, *_) = stacks(parse_spec(spec, origin="spec.toml").spec)
    with desk(cache) as at:
        return solve(stack, catalog(), Wish(exclude_newer=today), at)


def built(
    spec: str,
    out: Path,
    cache: Path,
    *,
    offline: bool = False,
    pinning: Pinning = unasked,
    facts: Catalog | None = None,
    **order: object,
) -> tuple[Outcome, ...]:
    """Build ``spec`` into folders below ``out``."""
    asked = dataclasses.replace(Order(out=out, today=TODAY), **order)  # type: ignore[arg-type]
    parsed = parse_spec(spec, origin="spec.toml")
    indexes = {alias: each.url for alias, each in parsed.spec.indexes.items()}
    with desk(cache, offline=offline, indexes=indexes) as at:
        return build(parsed, facts or catalog(), at, asked, pinning)


def texts(folder: Path) -> dict[str, str]:
    """Return path -> text of every file below ``folder``."""
    found = sorted(each for each in folder.rglob("*") if each.is_file())
    return {each.relative_to(folder).as_posix(): each.read_text("utf-8") for each in found}


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Return path -> inode and time of change of all that lies below ``folder``."""
    every = [folder, *folder.rglob("*")]
    return {str(each): (each.stat().st_ino, each.stat().st_mtime_ns) for each in every}
