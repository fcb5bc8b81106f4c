"""An image out of a base and packages, without an engine: route 1.

Each layer is a pure function of its packages, the interpreter and the builder, and is kept by
that: what was made once, for any image, is not made again. Nothing is run but an interpreter, to
compile; nothing else of a package is. Debian packages, compilers and source packages need an
engine.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlenv.files import digest
from mlenv.host.bytecode import Bytecode
from mlenv.host.manifests import digest_of
from mlenv.host.rootfs import unusable
from mlenv.host.venv import skeleton
from mlenv.image.manifest import Added, image_config, image_manifest, needs_oci
from mlenv.image.pieces import BUILDER, Place, needs_engine, pieces
from mlenv.image.settings import HOME, OWNER, PASSWD, PREFIXES, settings
from mlenv.imaging.conda_stage import history
from mlenv.imaging.layering import How, layers_of

if TYPE_CHECKING:
    from mlenv.host.blobs import Blobs, Layer, LayerWriter
    from mlenv.image.pieces import Piece
    from mlenv.image.recipe import Recipe
    from mlenv.imaging.ground import Ground
    from mlenv.imaging.layering import Bench
    from mlenv.lock import Lock


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
        "a Python that the base image has not": not (recipe.brings_python or recipe.conda),
    }
    for what, asked in wanted.items():
        if asked:
            raise needs_engine(
                f"{recipe.name} asks for {what}, and it", "it is no package that mlenv unpacks"
            )


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
    found = _pieces(lock, ground, variant)
    first = _first(lock, ground, bench.blobs)
    with ExitStack() as stack:
        compiled = None
        if ground.compiler:
            compiled = stack.enter_context(
                Bytecode(python=ground.version, argv=tuple(ground.compiler))
            )
        how = How(place=_place(lock, ground), bytecode=compiled)
        layers = layers_of(found, lock.target.python, how, bench)
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


def missing_bytes(lock: Lock, ground: Ground, blobs: Blobs, *, variant: str) -> int:
    """Return the bytes of the wheels whose layers are not in the store.

    Raises:
        UsageError: ``needs-engine``.
    """
    found = (each for each in _pieces(lock, ground, variant) if blobs.layer(each.key) is None)
    return -sum(map(_weight, found))


def _pieces(lock: Lock, ground: Ground, variant: str) -> tuple[Piece, ...]:
    return pieces(
        lock,
        variant=variant,
        place=_place(lock, ground),
    )


def _place(lock: Lock, ground: Ground) -> Place:
    return Place(
        backend=lock.backend,
        python_full=ground.version + ("t" if lock.target.python.endswith("t") else ""),
        bytecode=ground.compiler is not None,
    )


def _first(lock: Lock, ground: Ground, blobs: Blobs) -> Part:
    """Return the layer below all packages: the user, a home and the empty environment."""
    passwd = ground.facts.passwd or ""
    own = any(line.split(":")[2:3] == [str(OWNER[0])] for line in passwd.splitlines())

    def write(writer: LayerWriter) -> None:
        if not own:
            line = "" if not passwd or passwd.endswith("\n") else "\n"
            writer.add_bytes("/etc/passwd", f"{passwd}{line}{PASSWD}\n".encode())
        writer.add_folder(HOME, 0o775, *OWNER)
        if lock.backend == "conda":
            history(writer, PREFIXES[lock.backend])
        else:
            skeleton(writer, interpreter=ground.python, version=ground.version, uv=lock.tools.uv)

    made_of = [BUILDER, passwd, PASSWD, ground.python, ground.version, lock.tools.uv, lock.backend]
    key = digest(made_of)
    new = blobs.layer(key) is None
    layer = blobs.keep(key, write)
    return Part(text="mlenv: the user and an empty environment", layer=layer, new=new)


def _weight(piece: Piece) -> int:
    return -sum(each.size for each in piece.packages)
