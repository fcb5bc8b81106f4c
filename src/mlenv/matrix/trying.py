"""One mix of two locks, for real: solved, installed and verified, and gone afterwards."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlenv.build.job import build
from mlenv.build.verdict import Order
from mlenv.errors import HostError
from mlenv.host import disk, sweeping, tools
from mlenv.matrix.outcome import Found
from mlenv.runners.local import Local
from mlenv.runners.venv import synced
from mlenv.verify.job import Wish, verify
from mlenv.verify.subject import subject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlenv.build.verdict import Outcome
    from mlenv.catalog.load import Catalog
    from mlenv.matrix.mixing import Mixer
    from mlenv.solve.asking import Desk


@dataclass(frozen=True, slots=True, kw_only=True)
class Real:
    """Tries mixes on this machine."""

    catalog: Catalog
    desk: Desk
    today: str
    """The date of the bad lock, RFC 3339: what came later is not looked at."""

    def __call__(self, mixer: Mixer, new: frozenset[str], level: str) -> Found | None:
        """Lock and verify a mix; None where no solver takes it.

        Raises:
            HostError: nothing is known: network, disk, a tool.
        """
        with tools.scratch() as folder, self._cache() as cache:
            order = Order(out=folder, today=self.today, near=False, pins=mixer.pins(new))
            (made,) = build(mixer.spec(new), self.catalog, self.desk, order)
            if made.lock is None or made.folder is None:
                _check_refused(made)
                return None
            if _strayed(made, mixer, new):
                return None
            if level == "none":
                return Found(verdict="ok", phase="lock")
            found = subject(made.folder)
            python = synced(found.lock, made.folder, cache, variant="runtime", say=self.desk.say)
            wish = Wish(scope="gpu" if level == "gpu" else "static", quick=True)
            self.desk.say(f"running the probes of {found.lock.title}")
            done = verify(found, Local(python=python), wish)
            return Found.of_verdict(done.verdict, where=done.where)

    @contextmanager
    def _cache(self) -> Iterator[Path]:
        """Yield a place for an environment beside uv's cache, so that its files can be linked."""
        cache = disk.cache_folder() / "matrix" / "bisect"
        try:
            yield cache
        finally:
            sweeping.remove_tree(cache)


def _check_refused(made: Outcome) -> None:
    """Raise what kept a mix from being locked, unless it is that the mix cannot be."""
    if made.verdict != "impossible":
        raise HostError(*made.reasons)


def _strayed(made: Outcome, mixer: Mixer, new: frozenset[str]) -> bool:
    """Tell whether a lock holds another version than was asked of a package that can be chosen."""
    held = {each.name: each.version for each in made.lock.package} if made.lock else {}
    wanted = mixer.versions(new)
    return any(held.get(name, wanted[name]) != wanted[name] for name in mixer.items)
