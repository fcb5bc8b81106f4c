"""What the compiled files of a published wheel need and hold, without downloading the wheel.

Two questions: which libraries a shared object asks the loader for, and which GPU code it has. A
member is read no further than the answer lies, and never more than the limits here. What was
found is kept for ever under the wheel's SHA-256. Which members are worth reading, and what the
answers mean, is the audit's to say.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlenv import elf
from mlenv.fatbin import Fatbins, Flags
from mlenv.host import archive, disk, members, wheels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from mlenv.host.http import Web

SCHEMA = 1
"""Of the cache; an entry of another is read anew."""
MEMBERS = 40
"""How many files of a wheel are asked for what they need."""
MEMBER_BYTES = 300 << 20
"""The longest file, unpacked, that is asked for what it needs."""
NEEDS_BYTES = 128 << 20
"""What is read of a wheel to learn what it needs; once one file has told, a sixteenth of it."""
CODE_BYTES = 800_000_000
"""What is read of a wheel to learn what GPU code it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A published wheel whose directory was read before."""

    name: str
    """As a person calls it."""
    url: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """GPU code that was found."""

    code: frozenset[str]
    """``sm_90``, ``compute_80`` …"""
    whole: bool
    """Whether all files that were named were read to their ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where binaries are read, and who is told."""

    web: Web
    cache: Path
    offline: bool
    say: Callable[[str], None]


def needs(
    place: Place, wheel: Wheel, files: Sequence[str], *, tells: Callable[[str], bool]
) -> Mapping[str, tuple[str, ...]] | None:
    """Return file -> what it needs; None where nothing is kept and nothing may be read.

    Args:
        place: the network and the cache.
        wheel: which.
        files: the shared objects to ask, best first; the limits decide how many are.
        tells: whether a needed name is of interest: after one that is, less is read.

    Raises:
        HostError: ``wheel-unreadable``, ``network-failed``, ``disk-failed``.
    """
    path = wheels.beside(place.cache, wheel.sha256, "needs.json")
    kept = _kept(path)
    wanted = [each for each in files[:MEMBERS] if each not in kept]
    found = {name: tuple(each) for name, each in kept.items() if name in files}
    if not wanted or _told(found, tells) or place.offline:
        return found if kept or not wanted else None
    place.say(f"reading what {wheel.name} needs")
    read = 0
    entries = wheels.entries(place.cache, wheel.sha256)
    try:
        for name in wanted:
            entry = entries.get(name)
            limit = NEEDS_BYTES >> 4 if _told(found, tells) else NEEDS_BYTES
            if entry is None or entry.size > MEMBER_BYTES or read + entry.packed > limit:
                continue
            read += entry.packed
            found[name] = _needed(place, wheel, name, entry)
    finally:
        place.web.forget(wheel.url)
    _keep(path, {**kept, **found})
    return found


def _told(found: Mapping[str, tuple[str, ...]], tells: Callable[[str], bool]) -> bool:
    return any(tells(each) for names in found.values() for each in names)


def _needed(place: Place, wheel: Wheel, name: str, entry: archive.Entry) -> tuple[str, ...]:
    content = members.chunks(place.web, members.Member(wheel.url, wheel.size, name, entry))
    try:
        with members.Reader(content, MEMBER_BYTES) as reader:
            linked = elf.linked(reader.read)
    except archive.BrokenError as error:
        raise wheels.unreadable(wheel.url, error) from error
    except elf.DamagedError:
        return ()  # no loader maps it either, so it needs nothing
    return linked.needed if linked else ()


def code(
    place: Place,
    wheel: Wheel,
    files: Sequence[str],
    *,
    flags: bool,
    enough: Callable[[frozenset[str]], bool],
) -> Held | None:
    """Return the GPU code of files; None where nothing is kept and nothing may be read.

    Args:
        place: the network and the cache.
        wheel: which.
        files: the shared objects to look into, best first.
        flags: look for the string that lists the architectures, not for the code itself.
        enough: whether what was found answers the question, so that no more need be read.

    Raises:
        HostError: ``wheel-unreadable``, ``network-failed``, ``disk-failed``.
    """
    path = wheels.beside(place.cache, wheel.sha256, "flags.json" if flags else "code.json")
    kept = _kept(path)
    found = _held(kept, files)
    if found.whole or enough(found.code) or place.offline:
        return found if found.whole or found.code or not place.offline else None
    left = CODE_BYTES
    entries = wheels.entries(place.cache, wheel.sha256)
    try:
        for name in files:
            entry = entries.get(name)
            if entry is None or entry.packed > left or name in _whole(kept):
                continue
            left -= entry.packed
            member = members.Member(wheel.url, wheel.size, name, entry)
            seen, whole = _scanned(place, wheel, member, Flags() if flags else Fatbins(), enough)
            kept[name] = [*sorted(seen), *(() if whole else ("...",))]
            found = _held(kept, files)
            if enough(found.code):
                break
    finally:
        place.web.forget(wheel.url)
    _keep(path, kept)
    return found


def _scanned(
    place: Place,
    wheel: Wheel,
    member: members.Member,
    reader: Fatbins | Flags,
    enough: Callable[[frozenset[str]], bool],
) -> tuple[set[str], bool]:
    """Return the code of one file, and whether it was read to its end."""
    came = 0

    def got(size: int) -> None:
        nonlocal came
        came += size
        of = f"{came // 10**6} of {member.entry.packed // 10**6} MB"
        place.say(f"reading GPU code of {wheel.name}: {of}")

    number = 0
    try:
        for chunk in members.chunks(place.web, member, got=got):
            reader.feed(chunk)
            if len(reader.found) > number and enough(frozenset(reader.found)):
                return reader.found, False
            number = len(reader.found)
    except archive.BrokenError as error:
        raise wheels.unreadable(wheel.url, error) from error
    return reader.found, True


def _held(kept: Mapping[str, Sequence[str]], files: Sequence[str]) -> Held:
    names = {each for name in files for each in kept.get(name, ())} - {"..."}
    return Held(code=frozenset(names), whole=set(files) <= _whole(kept))


def _whole(kept: Mapping[str, Sequence[str]]) -> set[str]:
    return {name for name, names in kept.items() if "..." not in names}


def _kept(path: Path) -> dict[str, list[str]]:
    """Return what the cache keeps; nothing where that is not whole."""
    try:
        data: dict[str, Any] = json.loads(path.read_bytes())
        if data["schema"] != SCHEMA:
            return {}
        return {str(name): [str(each) for each in names] for name, names in data["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _keep(path: Path, found: Mapping[str, Sequence[str]]) -> None:
    data = {"schema": SCHEMA, "files": {name: list(found[name]) for name in sorted(found)}}
    disk.write(path, json.dumps(data, separators=(",", ":")).encode(), durable=False)
