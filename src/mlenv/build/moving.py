"""One package moved, and the rest of a lock kept: by dates, so that it solves again to the same.

A lock has one date, before which all of it was published. A package that is moved alone gets a
date of its own, which the lock keeps until an upgrade: nothing is pinned by hand, and the solver
still answers for the whole. A framework moves with what it pins: its family and CUDA libraries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from mlenv.changes import HEAVY
from mlenv.errors import Reason, UsageError
from mlenv.plan.decide import Wish
from mlenv.plan.model import Preferred

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlenv.build.verdict import Order
    from mlenv.catalog.load import Catalog
    from mlenv.lock import Lock
    from mlenv.spec.parse import SpecFile
    from mlenv.spec.stack import Stack


def wish(  # noqa: PLR0913, PLR0917 (what a target is solved with)
    spec: SpecFile, stack: Stack, former: Lock | None, order: Order, catalog: Catalog, date: str
) -> Wish:
    """Return what is asked of planning: the date of the lock, and those of what was moved alone.

    Raises:
        UsageError: ``not-movable``: nothing is locked, the package is not in the lock, or its date
            is fixed otherwise.
    """
    kept = former.moved if former and not order.upgrade and former.exclude_newer == date else None
    moved = dict(kept or {})
    if order.only is not None:
        _check(spec, stack, former, order.only)
        moved |= dict.fromkeys(_with(order.only, former, catalog), order.today)
    frameworks = [when for name, when in moved.items() if catalog.framework(name)]
    return Wish(
        exclude_newer=date,
        moved=tuple(sorted(moved.items())),
        releases_until=max([date, *frameworks]) if frameworks else None,
        pins=order.pins,
        preferred=_preferred(spec, former, order, date, moved),
    )


def _preferred(
    spec: SpecFile, former: Lock | None, order: Order, date: str, moved: Mapping[str, str]
) -> tuple[Preferred, ...]:
    """Return the packages of a lock that answered the same question.

    An index may show tomorrow what was uploaded before the date of a lock: a mirror lags, a release
    is no longer yanked. What is locked stays, while the index still serves it.
    """
    if former is None or order.upgrade or order.only is not None:
        return ()
    same = (former.spec_sha256, former.exclude_newer, former.moved or {})
    if same != (spec.sha256, date, moved):
        return ()
    return tuple(
        Preferred(name=each.name, version=each.version, index=each.index)
        for each in former.package
        if each.subdir is None
    )


def _with(name: str, former: Lock | None, catalog: Catalog) -> tuple[str, ...]:
    """Return what moves with a package: for a framework what it pins, else itself."""
    own = str(canonicalize_name(name))
    if catalog.framework(name) is None or former is None:
        return (own,)
    heavy = (each.name for each in former.package if each.layer in HEAVY)
    return tuple(dict.fromkeys((own, *heavy)))


def _check(spec: SpecFile, stack: Stack, former: Lock | None, name: str) -> None:
    what = f"{name} of {stack.folder} cannot be moved alone"
    if former is None:
        raise _refused(what, "nothing is locked there", "run `mlenv lock` on the spec first")
    if stack.backend == "conda":
        cause = "conda solvers take one date for a whole channel"
        raise _refused(what, cause, "move all of it: leave --only out")
    if spec.spec.lock.exclude_newer is not None:
        cause = "the spec fixes the date of all packages"
        raise _refused(what, cause, "take `exclude-newer` out of [lock], or set it to a later day")
    if canonicalize_name(name) not in {each.name for each in former.package}:
        raise _refused(what, "the lock has no such package", "`mlenv add` adds one")


def _refused(what: str, cause: str, fix: str) -> UsageError:
    return UsageError(Reason(code="not-movable", what=what, cause=cause, fix=fix))
