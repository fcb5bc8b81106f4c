"""What an image weighs: its layers, its largest files, and what of it nobody may need.

All of it is told by the directories of the wheels, before anything is downloaded. What leaves an
image is for a person to decide: nothing is removed here.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlenv.layers import LAYERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mlenv.lock import Package

    Files = Mapping[str, tuple[int, int]]
    """Path as installed -> (bytes, CRC-32)."""

LARGEST = 12
"""So many of the largest files are told."""
WORTH_BYTES = 1_000_000
"""Less than that is not worth a word."""

_LEAVING: tuple[tuple[str, str, re.Pattern[str]], ...] = (
    ("static libraries", "only a linker reads them", re.compile(r"\.a$")),
    ("tests", "the packages' own tests", re.compile(r"(^|/)tests?/")),
    (
        "headers",
        "needed to compile in the image (torch.compile, Triton, nvcc)",
        re.compile(r"\.(h|hpp|hxx|cuh|inl|inc)$"),
    ),
    ("debug information", "only a debugger reads it", re.compile(r"\.(debug|dbg|pdb)$")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A layer of the lock."""

    layer: str
    packages: int
    download: int
    """Bytes of its wheels and source packages."""
    unpacked: int
    """Bytes of the files in its wheels; without bytecode, about a tenth of Python code more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Large:
    """A large file."""

    path: str
    package: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaver:
    """Files that an image may do without."""

    what: str
    why: str
    bytes: int
    files: int
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """What an image weighs beside its base."""

    parts: tuple[Part, ...]
    largest: tuple[Large, ...]
    leavers: tuple[Leaver, ...]
    unread: tuple[str, ...]
    """Packages whose contents nobody has read: their unpacked bytes count as none."""


def weighed(packages: Sequence[Package], contents: Mapping[str, Files]) -> Weighed:
    """Return what ``packages`` weigh.

    Args:
        packages: of a lock.
        contents: SHA-256 -> the files of a wheel, of those that were read.
    """
    known = [(each, contents[each.sha256]) for each in packages if each.sha256 in contents]
    rows = [
        Large(path=path, package=each.name, bytes=size)
        for each, files in known
        for path, (size, _) in files.items()
    ]
    rows.sort(key=lambda row: (-row.bytes, row.package, row.path))
    return Weighed(
        parts=tuple(_parts(packages, contents)),
        largest=tuple(rows[:LARGEST]),
        leavers=tuple(_leavers(rows, _twice(known))),
        unread=tuple(each.name for each in packages if each.sha256 not in contents),
    )


def _parts(packages: Sequence[Package], contents: Mapping[str, Files]) -> Iterator[Part]:
    for name in LAYERS:
        members = [each for each in packages if each.layer == name]
        if members:
            files = [contents.get(each.sha256, {}) for each in members]
            yield Part(
                layer=name,
                packages=len(members),
                download=sum(each.size for each in members),
                unpacked=sum(size for each in files for size, _ in each.values()),
            )


def _leavers(rows: Iterable[Large], twice: Sequence[Large]) -> Iterator[Leaver]:
    groups: dict[int, list[Large]] = defaultdict(list)
    for row in rows:
        place = next((n for n, (*_, rule) in enumerate(_LEAVING) if rule.search(row.path)), None)
        if place is not None:
            groups[place].append(row)
    found = [(*_LEAVING[place][:2], members) for place, members in groups.items()]
    found.append(("the same file twice", "two packages bring it", list(twice)))
    leavers = [_leaver(*each) for each in found if sum(row.bytes for row in each[2]) >= WORTH_BYTES]
    yield from sorted(leavers, key=lambda each: -each.bytes)


def _leaver(what: str, why: str, rows: Sequence[Large]) -> Leaver:
    largest = max(rows, key=lambda row: row.bytes)
    return Leaver(
        what=what,
        why=why,
        bytes=sum(row.bytes for row in rows),
        files=len(rows),
        example=f"{largest.package}: {largest.path}",
    )


def _twice(known: Sequence[tuple[Package, Files]]) -> list[Large]:
    """Return the files beyond the first of those that are alike in size and checksum."""
    seen: set[tuple[int, int]] = set()
    found = []
    for package, files in known:
        for path, print_ in files.items():
            if print_[0] >= WORTH_BYTES and print_ in seen:
                found.append(Large(path=path, package=package.name, bytes=print_[0]))
            seen.add(print_)
    return found
