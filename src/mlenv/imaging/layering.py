"""Packages to layers, side by side; what the store has is not made again."""

from __future__ import annotations

from concurrent.futures import as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from mlenv.host import disk, tools
from mlenv.host.crew import Crew
from mlenv.host.merging import merge
from mlenv.host.unpacking import unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlenv.host.blobs import Blobs, Layer, LayerWriter
    from mlenv.host.bytecode import Bytecode
    from mlenv.image.pieces import Piece, Place
    from mlenv.imaging.conda_stage import CondaFiles
    from mlenv.imaging.fetching import Wheels
    from mlenv.lock import Package

THREADS = 4
"""Wheels at a time: two compress on a small machine while two are fetched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What an assembly works with."""

    wheels: Wheels
    """Fetches what is not in the store yet."""
    conda: CondaFiles | None
    """Likewise, of what conda channels serve; None where the lock has nothing of it."""
    blobs: Blobs
    """The store."""
    say: Callable[[str], None]
    """Shows one line of progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How packages become layers."""

    place: Place
    bytecode: Bytecode | None

    def key(self, package: Package) -> str:
        """Return the key of a layer with one package."""
        return self.place.key([package.sha256])


def layers_of(
    found: Sequence[Piece], python: str, how: How, bench: Bench
) -> list[tuple[Piece, Layer, bool]]:
    """Return each piece with its layer, and whether that is new; the heaviest is begun first.

    A piece of many packages is put together from layers of one each: where one of them moves, the
    others are neither fetched nor compiled again.
    """
    blobs = bench.blobs
    known = {each.key: layer for each in found if (layer := blobs.layer(each.key)) is not None}
    missing = [each for each in found if each.key not in known]
    packages = {how.key(one): one for each in missing for one in each.packages}
    alone = sorted(
        ((key, one) for key, one in packages.items() if blobs.layer(key) is None),
        key=lambda each: -each[1].size,
    )

    def make(key: str, package: Package) -> Layer:
        if stage is not None and package.subdir is not None:
            return blobs.keep(key, partial(stage.write, package))
        with tools.scratch() as folder:
            path = bench.wheels.fetch(package, folder, crew.go_on)
            prefix, code = how.place.prefix, how.bytecode
            return blobs.keep(
                key, lambda out: unpack(path, out, prefix=prefix, python=python, bytecode=code)
            )

    with ExitStack() as stack, Crew(THREADS) as crew:
        conda = [one for _, one in alone if one.subdir is not None]
        stage = None
        argv = how.bytecode.argv if how.bytecode else ()
        if conda and bench.conda is not None:
            stage = stack.enter_context(bench.conda.staged(conda, argv, bench.say))
        running = {crew.submit(partial(make, *each)): each[1] for each in alone}
        for number, done in enumerate(as_completed(running), start=1):
            done.result()
            bench.say(f"package {number} of {len(alone)}: {running[done].name}")
    made = {each.key: _merged(each, how, blobs) for each in missing}
    return [(each, known.get(each.key) or made[each.key], each.key in made) for each in found]


def _merged(piece: Piece, how: How, blobs: Blobs) -> Layer:
    """Return the layer of a piece whose packages all have a layer of their own."""

    def write(writer: LayerWriter) -> None:
        for each in piece.packages:
            part = blobs.layer(how.key(each))
            if part is None:  # swept away meanwhile
                raise disk.refused(blobs.path(each.sha256), "a layer is gone", "try again")
            merge(blobs.path(part.digest), writer)

    return blobs.keep(piece.key, write)
