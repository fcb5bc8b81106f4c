"""Which one file of a package a target installs: tags of its interpreter, platform and glibc.

A universal lock lists every wheel and leaves the choice to the machine that installs; a change of
base image then changes the file in silence. Here the choice is made once, for the target.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from packaging.tags import Tag

    from mlenv.machine import Glibc, Python

_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_OLDEST = {"x86_64": 5, "aarch64": 17}
_NEWEST = 60

Why = Literal["platform", "glibc", "abi", "python"]
"""What a target lacks for every wheel of a package."""


@dataclass(frozen=True, slots=True)
class Target:
    """What decides about a wheel."""

    python: Python
    architecture: str
    """``x86_64`` or ``aarch64``."""
    glibc: Glibc


def select(filenames: Iterable[str], target: Target) -> str | None:
    """Return the wheel that ``target`` installs, by the order of PEP 425; None for none."""
    ranks = _ranks(target)
    best: tuple[tuple[int, tuple[object, ...]], str] | None = None
    for filename in filenames:
        try:
            _, _, build, tags = parse_wheel_filename(filename)
        except InvalidWheelFilename:
            continue
        usable = [ranks[tag] for tag in tags if tag in ranks]
        if not usable:
            continue
        # the lowest rank is the most specific tag; of equal tags the highest build number wins;
        # then the name decides, so that the order of an index's page does not
        place = (min(usable), build)
        first = best is None or _better(place, best[0])
        if first or (best and place == best[0] and filename < best[1]):
            best = (place, filename)
    return best[1] if best else None


def _better(one: tuple[int, tuple[object, ...]], two: tuple[int, tuple[object, ...]]) -> bool:
    return one[0] < two[0] or (one[0] == two[0] and _build(one[1]) > _build(two[1]))


def _build(tag: tuple[object, ...]) -> tuple[int, str]:
    return (int(str(tag[0])), str(tag[1])) if tag else (-1, "")


def why_none(filenames: Iterable[str], target: Target) -> tuple[Why, str]:
    """Return what ``target`` lacks for every one of these wheels, and what they are for.

    The word is the one thing that, were it different, would let some wheel in; looked at in the
    order of what is changed most easily.
    """
    from mlenv.machine import Glibc, Python  # noqa: PLC0415 (values for the questions below)

    names = tuple(filenames)
    newer = Target(target.python, target.architecture, Glibc(2, _NEWEST))
    if select(names, newer):
        return "glibc", _lowest_glibc(names, target)
    plain = Target(Python(target.python.minor), target.architecture, newer.glibc)
    if target.python.free_threaded and select(names, plain):
        return "abi", _pythons(names)
    if any(_on_platform(each, target.architecture) for each in names):
        return "python", _pythons(names)
    return "platform", _platforms(names)


def _lowest_glibc(filenames: tuple[str, ...], target: Target) -> str:
    from mlenv.machine import Glibc  # noqa: PLC0415 (values for the question below)

    for minor in range(target.glibc.minor + 1, _NEWEST + 1):
        wider = Target(target.python, target.architecture, Glibc(2, minor))
        if select(filenames, wider):
            return f"2.{minor}"
    return f"2.{_NEWEST}"


def _on_platform(filename: str, architecture: str) -> bool:
    return any(
        tag.platform == "any"
        or tag.platform.endswith(f"linux_{architecture}")
        or ("manylinux" in tag.platform and tag.platform.endswith(architecture))
        for tag in _tags(filename)
    )


def _pythons(filenames: tuple[str, ...]) -> str:
    found = {
        tag.abi if tag.abi.startswith("cp") else f"{tag.interpreter} {tag.abi}"
        for each in filenames
        for tag in _tags(each)
    }
    return ", ".join(sorted(found, key=lambda each: (len(each), each)))


def _platforms(filenames: tuple[str, ...]) -> str:
    found = {tag.platform for each in filenames for tag in _tags(each)}
    return ", ".join(sorted(found)) or "no platform"


def _tags(filename: str) -> frozenset[Tag]:
    try:
        return parse_wheel_filename(filename)[3]
    except InvalidWheelFilename:
        return frozenset()


@cache
def _ranks(target: Target) -> Mapping[Tag, int]:
    platforms = list(_platform_tags(target))
    version = (3, target.python.minor)
    ordered = [
        *cpython_tags(version, abis=[target.python.abi], platforms=platforms),
        *compatible_tags(version, interpreter=f"cp3{target.python.minor}", platforms=platforms),
    ]
    return {tag: rank for rank, tag in reversed(list(enumerate(ordered)))}


def _platform_tags(target: Target) -> Iterator[str]:
    architecture = target.architecture
    for minor in range(target.glibc.minor, _OLDEST[architecture] - 1, -1):
        yield f"manylinux_2_{minor}_{architecture}"
        if minor in _LEGACY:
            yield f"{_LEGACY[minor]}_{architecture}"
    yield f"linux_{architecture}"
