"""Specs driven through solving and building, with real uv, against the loopback index.

The catalog is the one that is shipped, but for one row: PyTorch's own index is asked by plain
HTTP, because the loopback index speaks no TLS. Every test has caches of its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from typing import TYPE_CHECKING

from mlenv.build.job import Order, Outcome, build
from mlenv.catalog.load import load
from mlenv.host.http import Web
from mlenv.host.login import login
from mlenv.plan.decide import Wish
from mlenv.solve.asking import Desk
from mlenv.solve.loop import solve
from mlenv.spec.parse import parse_spec
from mlenv.spec.stack import stacks

from facts import PYTORCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mlenv.catalog.load import Catalog
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
    cache: Path, *, offline: bool = False, tell: Callable[[str], None] = str
) -> Iterator[Desk]:
    """Yield what a solve works with; nothing is shown."""
    with Web(offline=offline, credentials=lambda url: login(url, os.environ)) as web:
        yield Desk(web=web, cache=cache, offline=offline, say=str, tell=tell)


def solved(spec: str, cache: Path, *, today: str = TODAY) -> Solution:
    """Solve the first target of ``spec``."""
    (stack, *_) = stacks(parse_spec(spec, origin="spec.toml").spec)
    with desk(cache) as at:
        return solve(stack, catalog(), Wish(exclude_newer=today), at)


def built(
    spec: str, out: Path, cache: Path, *, offline: bool = False, **order: object
) -> tuple[Outcome, ...]:
    """Build ``spec`` into folders below ``out``."""
    asked = dataclasses.replace(Order(out=out, today=TODAY), **order)  # type: ignore[arg-type]
    with desk(cache, offline=offline) as at:
        return build(parse_spec(spec, origin="spec.toml"), catalog(), at, asked)
