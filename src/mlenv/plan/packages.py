"""Packages of a spec that are no framework: what the catalog alone proves against them.

Only what a solve could not find otherwise: every release in the range is catalogued, and each of
them refuses the Python by its Requires-Python. Where anything is open, the solver decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import Version

from mlenv.plan import refusals
from mlenv.plan.bounds import named_index

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from packaging.specifiers import SpecifierSet

    from mlenv.catalog.rows import VersionedRelease
    from mlenv.errors import Reason
    from mlenv.plan.ground import Ground
    from mlenv.spec.stack import Asked


def unfit(ground: Ground) -> Iterator[Reason]:
    """Say of each package that none of its releases takes the target's Python, where none does."""
    for asked in ground.stack.packages:
        if asked.requirement.marker is None and asked.requirement.specifier:
            yield from _unfit(asked, ground)


def _unfit(asked: Asked, ground: Ground) -> Iterator[Reason]:
    name = canonicalize_name(asked.requirement.name)
    every = ground.catalog.releases(name)
    if not every or ground.catalog.framework(name) or named_index(ground.stack, name):
        return
    wanted = asked.requirement.specifier
    found = [each for each in every if wanted.contains(each.version, prereleases=True)]
    if not found or _is_open(wanted, every) or any(_takes(each, ground) for each in found):
        return
    newest = found[-1]
    span = f"{name} {found[0].text}" + (f" to {newest.text}" if len(found) > 1 else "")
    yield refusals.python_unsupported(
        span,
        ground.stack.python,
        f"its Requires-Python is {newest.release.requires_python}",
        ground.keys(asked, "python"),
        ground.catalog.cited,
    )


def _takes(release: VersionedRelease, ground: Ground) -> bool:
    python = ground.stack.python
    return any(release.python.contains(f"{python.short}.{patch}") for patch in (0, 99))


def _is_open(wanted: SpecifierSet, every: Sequence[VersionedRelease]) -> bool:
    """Tell whether a range admits versions that are older or newer than all that is catalogued."""
    major, minor, patch = (*every[-1].version.release, 0, 0)[:3]
    newer = (f"{major}.{minor}.{patch + 1}", f"{major}.{minor + 1}", f"{major + 1}", "9999")
    if any(wanted.contains(version) for version in newer):
        return True
    bounds = [each for each in wanted if each.operator in {"==", ">=", "~=", ">"}]
    oldest = every[0].version
    return not any(Version(each.version.removesuffix(".*")) >= oldest for each in bounds)
