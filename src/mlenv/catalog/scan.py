"""The page of a package as rows of the catalog (tier A), and which wheel stands for a release.

Pure: the page comes as values, and what it does not say is filled in from the former row.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlenv import simple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from packaging.version import Version

    from mlenv.simple import Published

Row = dict[str, Any]
"""A release as it stands in the file of rows."""

ARCHITECTURES = ("x86_64", "aarch64")
NO_REASON = "no reason given"

_GLIBC_OF = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
"""Source: PEP 513, 571 and 599."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A wheel that Linux can use, with what its name says."""

    file: Published
    architecture: str
    """``x86_64``, ``aarch64`` or ``any``."""
    pythons: tuple[str, ...]
    abis: tuple[str, ...]
    glibc: tuple[int, int] | None

    @property
    def tags(self) -> set[str]:
        """``cp312``, ``cp313t``, ``py3`` or ``abi3>=cp38``."""
        return {_tag(python, abi) for python in self.pythons for abi in self.abis}

    @property
    def rank(self) -> tuple[int, tuple[int, int]]:
        """How well it stands for a release: CPython 3.12 first, then the newest before it."""
        known = (re.fullmatch(r"cp(\d)(\d{0,4})", each, re.ASCII) for each in self.pythons)
        newest = max(((int(e[1]), int(e[2] or 0)) for e in known if e), default=(3, 0))
        if self.architecture == "any":
            return 0, (0, 0)
        if any(abi.endswith("t") for abi in self.abis):
            return 1, newest
        return (3 if newest == (3, 12) else 2), (newest if newest <= (3, 12) else (0, 0))


def releases(
    files: Iterable[Published], lowest: Version | None
) -> Mapping[Version, tuple[Published, ...]]:
    """Return the final releases of a page from ``lowest`` on, ascending, each with its files."""
    found: dict[Version, list[Published]] = defaultdict(list)
    for each in sorted(files, key=lambda each: each.filename):
        if not each.version.is_prerelease and _reaches(each.version, lowest):
            found[each.version].append(each)
    return {version: tuple(found[version]) for version in sorted(found)}


def wheels(files: Iterable[Published]) -> tuple[Wheel, ...]:
    """Return the wheels among ``files`` that Linux on one of the architectures can use."""
    return tuple(found for each in files if each.wheel and (found := _wheel(each)) is not None)


def representatives(found: Iterable[Wheel]) -> Mapping[str, Wheel]:
    """Return architecture -> the wheel whose metadata is read for it; ``any`` where one serves."""
    chosen: dict[str, Wheel] = {}
    for each in found:  # of equals the first in the order of names
        key = each.architecture
        if key not in chosen or each.rank > chosen[key].rank:
            chosen[key] = each
    if all(each in chosen for each in ARCHITECTURES):
        chosen.pop("any", None)  # none of them would be given it
    return chosen


def page_row(files: tuple[Published, ...], former: Row | None, today: str) -> Row:
    """Return the row of a release as far as the page says it; sizes are not in it.

    Args:
        files: all of the release.
        former: the row of an earlier scan.
        today: the day that a release is dated where the page has no dates and it was not known.
    """
    days = sorted(at[:10] for each in files if (at := simple.moment(each.uploaded)))
    row: Row = {"date": days[0] if days else (former or {}).get("date", today)}
    if all(each.yanked for each in files):
        row["yanked"] = next((e.reason for e in files if e.reason.strip()), NO_REASON)
    python = next((each.requires_python for each in files if each.requires_python), None)
    if python:
        row["requires-python"] = python
    if any(not each.wheel for each in files):
        row["sdist"] = True
    by: dict[str, list[Wheel]] = defaultdict(list)
    for each in wheels(files):
        by[each.architecture].append(each)
    if by:
        row["wheels"] = {key: _wheels_row(by[key]) for key in sorted(by)}
    return row


def newest_upload(files: Iterable[Published], now: str) -> str:
    """Return when the latest final release came that is not after ``now``; empty for unknown."""
    said = (simple.moment(e.uploaded) for e in files if not e.version.is_prerelease)
    return max((each for each in said if each and each <= now), default="")


def _wheels_row(found: list[Wheel]) -> Row:
    floors = sorted({each.glibc for each in found if each.glibc})
    tags = {tag for each in found for tag in each.tags}
    row: Row = {"python": sorted(tags, key=_order)}
    if floors:
        row["glibc"] = [f"{major}.{minor}" for major, minor in floors]
    return row


def _reaches(version: Version, lowest: Version | None) -> bool:
    if lowest is None or version >= lowest:
        return True
    return version.release[: len(lowest.release)] == lowest.release


def _wheel(file: Published) -> Wheel | None:
    pythons, abis, platforms = (
        tuple(part.split(".")) for part in file.filename.removesuffix(".whl").split("-")[-3:]
    )
    known = [_platform(each) for each in platforms]
    if known[0] is None:
        return None
    floors = [each[1] for each in known if each and each[1]]
    return Wheel(
        file=file,
        architecture=known[0][0],
        pythons=pythons,
        abis=abis,
        glibc=min(floors, default=None),
    )


def _platform(tag: str) -> tuple[str, tuple[int, int] | None] | None:
    """Return the architecture and the glibc of a platform tag; None for what is not catalogued."""
    if tag == "any":
        return "any", None
    if found := re.fullmatch(r"manylinux_(\d{1,3})_(\d{1,3})_(.+)", tag, re.ASCII):
        architecture, glibc = found[3], (int(found[1]), int(found[2]))
    elif found := re.fullmatch(r"(manylinux(?:1|2010|2014))_(.+)", tag):
        architecture, glibc = found[2], _GLIBC_OF[found[1]]
    elif found := re.fullmatch(r"linux_(.+)", tag):
        return (found[1], None) if found[1] in ARCHITECTURES else None
    else:
        return None
    return (architecture, glibc) if architecture in ARCHITECTURES else None


def _tag(python: str, abi: str) -> str:
    if abi == "abi3":
        return f"abi3>={python}"
    return python if abi in {python, "none", f"{python}m"} else abi


def _order(tag: str) -> list[tuple[int, int, str]]:
    words = re.findall(r"\d{1,9}|\D+", tag.replace("cp3", "cp3."))
    return [(0, int(each), "") if each.isdecimal() else (1, 0, each) for each in words]
