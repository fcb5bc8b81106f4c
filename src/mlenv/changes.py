"""Two locks in words: which CUDA library moved, what else, and how many bytes go over the wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mlenv.layers import weights

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlenv.lock import Lock

HEAVY = ("cuda", "cudnn", "comm", "framework")
"""The layers that are told first: what kernels run on."""


class Held(Protocol):
    """A package of a lock, in whatever file it is kept."""

    @property
    def name(self) -> str: ...  # noqa: D102 (as in ``lock.Package``)
    @property
    def version(self) -> str: ...  # noqa: D102
    @property
    def layer(self) -> str: ...  # noqa: D102
    @property
    def sha256(self) -> str: ...  # noqa: D102
    @property
    def size(self) -> int: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A package that differs between two locks."""

    name: str
    layer: str
    before: str | None
    after: str | None
    bytes: int
    """Of the file that is new; 0 where the package went."""
    same_file: bool = False
    """Whether only its layer is another."""

    @property
    def text(self) -> str:
        """The move in words: ``torch 2.9.1 -> 2.10.0``."""
        if self.before is None:
            return f"{self.name} {self.after} is new"
        if self.after is None:
            return f"{self.name} {self.before} is gone"
        if self.same_file:
            return f"{self.name} {self.after} is in another layer"
        if self.before == self.after:
            return f"{self.name} {self.after} has another file"
        return f"{self.name} {self.before} -> {self.after}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What differs between two locks."""

    facts: tuple[str, ...]
    """Toolkit, Python, platform and the like, in words."""
    moves: tuple[Move, ...]
    """Packages, CUDA libraries first."""
    repush: Mapping[str, int]
    """Layer -> bytes that a registry does not have yet."""

    def __bool__(self) -> bool:
        """Tell whether anything differs."""
        return bool(self.facts or self.moves)


def changes(before: Lock, after: Lock) -> Changes:
    """Return what differs from one lock to another."""
    found = moves(before.package, after.package)
    touched = {each.layer for each in found}
    return Changes(
        facts=tuple(_facts(before, after)),
        moves=found,
        repush={each.layer: each.bytes for each in weights(after.package) if each.layer in touched},
    )


def moves(before: Iterable[Held], after: Iterable[Held]) -> tuple[Move, ...]:
    """Return the packages that differ, CUDA libraries first."""
    old = {each.name: each for each in before}
    new = {each.name: each for each in after}
    found = [
        _move(old.get(name), new.get(name))
        for name in old.keys() | new.keys()
        if _file(old.get(name)) != _file(new.get(name))
    ]
    return tuple(sorted(found, key=lambda each: (each.layer not in HEAVY, each.layer, each.name)))


def _file(package: Held | None) -> tuple[str, str, str] | None:
    return (package.version, package.sha256, package.layer) if package else None


def _move(old: Held | None, new: Held | None) -> Move:
    known = new or old
    if known is None:
        raise ValueError("a move is of a package")
    return Move(
        name=known.name,
        layer=known.layer,
        before=old.version if old else None,
        after=new.version if new else None,
        bytes=new.size if new else 0,
        same_file=old is not None and new is not None and old.sha256 == new.sha256,
    )


def _facts(before: Lock, after: Lock) -> list[str]:
    pairs = {
        "toolkit": (before.stack.toolkit, after.stack.toolkit),
        "cuDNN": (before.stack.cudnn, after.stack.cudnn),
        "NCCL": (before.stack.nccl, after.stack.nccl),
        "index": (before.stack.channel, after.stack.channel),
        "Python": (before.target.python, after.target.python),
        "platform": (before.target.platform, after.target.platform),
        "glibc": (before.target.glibc, after.target.glibc),
        "base": (_base(before), _base(after)),
        "exclude-newer": (before.exclude_newer, after.exclude_newer),
        "uv": (before.tools.uv, after.tools.uv),
    }
    return [f"{word} {a or 'none'} -> {b or 'none'}" for word, (a, b) in pairs.items() if a != b]


def _base(lock: Lock) -> str | None:
    if lock.base is None:
        return None
    return lock.base.reference + (f"@{lock.base.digest}" if lock.base.digest else "")
