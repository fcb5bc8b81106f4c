"""Which wheels of a lock share a layer, where no engine builds the image.

A heavy wheel is a layer of its own, so that every image of a matrix shares it and a registry has
it once; light ones go together by the layers of the lock. What decides the bytes of a piece is in
its key, and nothing else is: no name of a spec, no machine. Nothing is unpacked here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlenv.errors import Reason, UsageError
from mlenv.files import digest
from mlenv.image.settings import PREFIXES
from mlenv.layers import DEV, LAYERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlenv.lock import Lock, Package

BUILDER = "mlenv layer 1, isal 1.9.1 level 2"
"""What writes a layer. To be changed with every change of what the same wheels give."""
HEAVY_BYTES = 8_000_000
"""From this size on, a wheel is a layer of its own."""
LIMIT = 110
"""The most pieces. Docker mounts 127 layers, and the base image has its own."""

_WHEEL = ".whl"
_INIT = "init"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """The wheels of one layer."""

    name: str
    """For people: the package, or the layer of the lock that they are of."""
    layer: str
    packages: tuple[Package, ...]
    """In the order in which they are unpacked."""
    key: str
    """The SHA-256, in hexadecimal, of all that decides the bytes."""

    @property
    def text(self) -> str:
        """What the history of an image says of it."""
        named = ", ".join(f"{each.name} {each.version}" for each in self.packages)
        return f"mlenv: {named}" if len(named) < 200 else f"mlenv: {self._count}"

    @property
    def _count(self) -> str:
        return f"{len(self.packages)} packages of layer {self.layer}"


def pieces(
    lock: Lock,
    *,
    variant: str,
    place: Place,
    limit: int = LIMIT,
) -> tuple[Piece, ...]:
    """Return the pieces of an image, the lowest first: in the order of the lock's layers.

    Args:
        lock: its packages and its first process.
        variant: ``runtime``, or ``dev`` for all.
        place: what they are unpacked for.
        limit: the most pieces; where there would be more, the lightest go together.

    Raises:
        UsageError: ``needs-engine``: a package has to be built.
    """
    found = [each for each in lock.package if variant == "dev" or each.layer not in DEV]
    found += [lock.init] if lock.init else []
    if sources := [each.name for each in found if not _unpacks(each)]:
        raise needs_engine(
            f"{', '.join(sorted(sources))} of {lock.name}", "only an installation builds them"
        )
    alone = _alone(found, limit)
    groups: dict[tuple[int, str, str], list[Package]] = {}
    for each in found:
        name = each.name if each.sha256 in alone else ""
        groups.setdefault((_place(each.layer), each.layer, name), []).append(each)
    return tuple(
        _piece(layer, tuple(sorted(members, key=_order)), place)
        for (_, layer, _), members in sorted(groups.items())
    )


def needs_engine(what: str, cause: str) -> UsageError:
    """Return the ``needs-engine`` about ``what`` the image is to hold."""
    return UsageError(
        Reason(
            code="needs-engine",
            what=f"{what} cannot be assembled without a container engine",
            cause=cause,
            fix="give one: `--engine docker` (or podman, buildah)",
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a package is unpacked for: with its own bytes, that decides those of its layer."""

    backend: str
    python_full: str
    """The version of the image's interpreter: ``3.12.12``; it ends in ``t`` where free-threaded."""
    bytecode: bool = True
    """Whether the modules are compiled."""

    @property
    def prefix(self) -> str:
        """Where the environment lies in the image."""
        return PREFIXES[self.backend]

    def key(self, sha256s: Iterable[str]) -> str:
        """Return what names the bytes of a layer of these files, unpacked in this order."""
        return digest([BUILDER, self.prefix, self.python_full, self.bytecode, list(sha256s)])


def _alone(packages: Iterable[Package], limit: int) -> frozenset[str]:
    """Return the hashes of the wheels that get a layer of their own: the heaviest that may."""
    found = tuple(packages)
    groups = len({each.layer for each in found})
    heavy = sorted((each for each in found if each.size >= HEAVY_BYTES), key=_weight)
    return frozenset(each.sha256 for each in heavy[: max(0, limit - groups)])


def _unpacks(package: Package) -> bool:
    """Tell whether a package is files in an archive, and nothing that has to be built."""
    return package.subdir is not None or package.filename.endswith(_WHEEL)


def _piece(layer: str, members: tuple[Package, ...], place: Place) -> Piece:
    return Piece(
        name=members[0].name if len(members) == 1 else layer,
        layer=layer,
        packages=members,
        key=place.key(each.sha256 for each in members),
    )


def _place(layer: str) -> int:
    """Return where a layer stands; the first process, which hardly ever moves, is below all."""
    return -1 if layer == _INIT else list(LAYERS).index(layer)


def _order(package: Package) -> tuple[str, str]:
    return package.name, package.sha256


def _weight(package: Package) -> tuple[int, str]:
    return -package.size, package.name
