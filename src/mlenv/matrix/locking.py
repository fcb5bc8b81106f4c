"""The first phase of a cell: what ``mlenv build`` does, into a folder of the run's own."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from mlenv.build.job import build
from mlenv.build.verdict import Order
from mlenv.catalog.load import load
from mlenv.host import disk
from mlenv.host.http import Web
from mlenv.host.login import from_environment
from mlenv.image.pins import unasked
from mlenv.solve.asking import Desk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlenv.build.verdict import Outcome
    from mlenv.catalog.load import Catalog
    from mlenv.matrix.task import Member, Terms


@cache
def facts() -> Catalog:
    """Return the facts in use, read once in each worker."""
    return load()


def outcome_of(terms: Terms, member: Member, out: Path, say: Callable[[str], None]) -> Outcome:
    """Lock a cell, and write its recipe.

    Raises:
        UsageError: its spec asks for what this mlenv cannot do.
        HostError: nothing is known.
    """
    spec = member.file()
    indexes = {alias: each.url for alias, each in spec.spec.indexes.items()}
    order = Order(out=out, today=terms.today, recipe=True, near=False)
    with Web(offline=terms.offline, credentials=from_environment(indexes)) as web:
        desk = Desk(
            web=web, cache=disk.cache_folder(), offline=terms.offline, say=say, tell=_silent
        )
        if not terms.image:
            (found,) = build(spec, facts(), desk, order, unasked)
        else:
            from mlenv.imaging import pinning  # noqa: PLC0415 (only where an image is made)

            with pinning.from_environment(offline=terms.offline, engine=_engine(terms)) as asks:
                (found,) = build(spec, facts(), desk, order, asks)
    return found


def _engine(terms: Terms) -> Callable[[str], str | None]:
    def digest(reference: str) -> str | None:
        from mlenv.host.engine import find_engine  # noqa: PLC0415 (where no registry answers)

        return None if terms.offline else find_engine(terms.engine).digest(reference)

    return digest


def _silent(_: str) -> None:
    """Show nothing."""
