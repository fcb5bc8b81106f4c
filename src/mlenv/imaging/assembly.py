"""An image out of a base and wheels, without an engine: route 1.

Each layer is a pure function of its wheels, the interpreter and the builder, and is kept by that:
what was made once, for any image, is not made again. Nothing is run but the base's interpreter, to
compile; nothing of a wheel is. Debian packages, compilers and source packages need an engine.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlenv.files import digest
from mlenv.host import tools
from mlenv.host.bytecode import Bytecode
from mlenv.host.manifests import digest_of
from mlenv.host.rootfs import unusable
from mlenv.host.unpacking import unpack
from mlenv.host.venv import skeleton
from mlenv.image.manifest import Added, image_config, image_manifest, needs_oci
from mlenv.image.pieces import BUILDER, needs_engine, pieces
from mlenv.image.settings import HOME, OWNER, PASSWD, settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlenv.host.blobs import Blobs, Layer, LayerWriter
    from mlenv.image.pieces import Piece
    from mlenv.image.recipe import Recipe
    from mlenv.imaging.fetching import Wheels
    from mlenv.imaging.ground import Ground
    from mlenv.lock import Lock

THREADS = 4
"""Pieces at a time: two compress on a small machine while two are fetched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What an assembly works with."""

    wheels: Wheels
    """Fetches what is not in the store yet."""
    blobs: Blobs
    """The store."""
    say: Callable[[str], None]
    """Shows one line of progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A layer of an image, and what it holds."""

    text: str
    layer: Layer
    new: bool
    """Whether it was made just now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """An image: its documents, and its layers in the store."""

    ground: Ground
    platform: str
    manifest: bytes
    config: bytes
    parts: tuple[Part, ...]

    @property
    def digest(self) -> str:
        """The digest of the manifest."""
        return digest_of(self.manifest)

    @property
    def size(self) -> int:
        """The bytes of all blobs, the base's too, as a registry has them."""
        below = sum(each.size for each in self.ground.manifest.layers)
        return below + sum(each.layer.size for each in self.parts) + len(self.config)


def check(recipe: Recipe) -> None:
    """Refuse what only an engine can put into an image.

    Raises:
        UsageError: ``needs-engine``.
    """
    wanted = {
        "the Debian packages of `image.apt`": bool(recipe.apt),
        "the compiler of `image.compile`": recipe.compile,
        "a Python that the base image has not": not recipe.brings_python,
    }
    for what, asked in wanted.items():
        if asked:
            raise needs_engine(f"{recipe.name} asks for {what}, and it", "it is no wheel")


def assemble(  # noqa: PLR0913 (what is made, and of what)
    lock: Lock, recipe: Recipe, ground: Ground, bench: Bench, *, variant: str, docker: bool
) -> Assembled:
    """Return the image of a lock; its layers lie in the store.

    Args:
        lock: what it holds.
        recipe: how it is started.
        ground: the base.
        bench: where wheels come from, and layers go.
        variant: ``runtime`` or ``dev``.
        docker: by Docker's media types, where the base lets it; else by OCI's.

    Raises:
        UsageError: ``needs-engine``.
        HostError: ``network-off``, ``network-failed``, ``hash-differs``, ``wheel-unreadable``,
            ``disk-failed``, ``base-unusable``.
        ImageError: ``bytecode-failed``.
    """
    check(recipe)
    tag = "t" if lock.target.python.endswith("t") else ""
    found = pieces(
        lock,
        variant=variant,
        python_full=ground.version + tag,
        bytecode=ground.compiler is not None,
    )
    first = _first(lock, ground, bench.blobs)
    with ExitStack() as stack:
        compiled = None
        if ground.compiler:
            compiled = stack.enter_context(
                Bytecode(python=ground.version, argv=tuple(ground.compiler))
            )
        layers = _layers(found, lock.target.python, compiled, bench)
    parts = (first, *(Part(text=p.text, layer=each, new=new) for p, each, new in layers))
    config, manifest = _documents(lock, recipe, ground, parts, variant=variant, docker=docker)
    return Assembled(
        ground=ground,
        platform=lock.target.platform,
        manifest=manifest,
        config=config,
        parts=parts,
    )


def _documents(  # noqa: PLR0913 (what they tell)
    lock: Lock,
    recipe: Recipe,
    ground: Ground,
    parts: tuple[Part, ...],
    *,
    variant: str,
    docker: bool,
) -> tuple[bytes, bytes]:
    """Return the config and the manifest."""
    below = ground.manifest.layers
    try:
        config = image_config(
            ground.config,
            platform=lock.target.platform,
            settings=settings(recipe, lock, variant),
            added=[Added(layer=each.layer, text=each.text) for each in parts],
        )
        manifest = image_manifest(
            config,
            base_layers=below,
            added=[each.layer for each in parts],
            docker=docker and not needs_oci(below),
        )
    except ValueError as error:
        raise unusable(str(ground.reference), str(error)) from error
    return config, manifest


def _first(lock: Lock, ground: Ground, blobs: Blobs) -> Part:
    """Return the layer below all wheels: the user, a home and the empty environment."""
    passwd = ground.facts.passwd or ""
    own = any(line.split(":")[2:3] == [str(OWNER[0])] for line in passwd.splitlines())

    def write(writer: LayerWriter) -> None:
        if not own:
            line = "" if not passwd or passwd.endswith("\n") else "\n"
            writer.add_bytes("/etc/passwd", f"{passwd}{line}{PASSWD}\n".encode())
        writer.add_folder(HOME, 0o775, *OWNER)
        skeleton(writer, interpreter=ground.python, version=ground.version, uv=lock.tools.uv)

    made_of = [BUILDER, passwd, PASSWD, ground.python, ground.version, lock.tools.uv]
    key = digest(made_of)
    new = blobs.layer(key) is None
    layer = blobs.keep(key, write)
    return Part(text="mlenv: the user and an empty environment", layer=layer, new=new)


def _layers(
    found: tuple[Piece, ...], python: str, bytecode: Bytecode | None, bench: Bench
) -> list[tuple[Piece, Layer, bool]]:
    """Return each piece with its layer, and whether that is new; the heaviest is begun first."""
    blobs = bench.blobs
    known = {each.key: layer for each in found if (layer := blobs.layer(each.key)) is not None}
    missing = sorted((each for each in found if each.key not in known), key=_weight)

    def make(piece: Piece) -> Layer:
        with tools.scratch() as folder:
            paths = [bench.wheels.fetch(each, folder) for each in piece.packages]

            def write(writer: LayerWriter) -> None:
                for path in paths:
                    unpack(path, writer, python=python, bytecode=bytecode)

            return blobs.keep(piece.key, write)

    made: dict[str, Layer] = {}
    with ThreadPoolExecutor(THREADS) as pool:
        running = {pool.submit(make, each): each for each in missing}
        try:
            for number, done in enumerate(as_completed(running), start=1):
                piece = running[done]
                made[piece.key] = done.result()
                bench.say(f"layer {number} of {len(missing)}: {piece.name}")
        finally:  # what has not begun need not, where one has failed
            pool.shutdown(wait=False, cancel_futures=True)
    return [(each, known.get(each.key) or made[each.key], each.key in made) for each in found]


def _weight(piece: Piece) -> int:
    return -sum(each.size for each in piece.packages)
