"""The base image under an assembled one: what it holds, and the Python over it, ready to compile.

Read once by the digest of its manifest, and kept. Where its Python cannot run on this machine
(another architecture), one of the same version on PATH may stand in; else there is no bytecode,
and that is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlenv.host import rootfs, tools
from mlenv.host.interpreter import interpreter, is_kept
from mlenv.host.rootfs import unusable
from mlenv.host.this import said
from mlenv.image.manifest import triggers
from mlenv.imaging.base_documents import documents
from mlenv.machine import Glibc
from mlenv.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlenv.host.blobs import Blobs
    from mlenv.host.manifests import Descriptor, Manifest
    from mlenv.host.registry import Registry
    from mlenv.host.rootfs import RootFacts
    from mlenv.lock import Lock
    from mlenv.reference import Reference

_SAYS = "import sys; print(sys.version.split()[0])"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A base image, as far as an image on top of it must know it."""

    reference: Reference
    """By digest."""
    named: str
    """The digest that its name leads to, of an index perhaps."""
    manifest: Manifest
    config: bytes
    facts: RootFacts
    python: str
    """The path of the interpreter."""
    version: str
    """Of the interpreter, in full."""
    compiler: tuple[str, ...] | None
    """What runs an interpreter of that version here; None where nothing does."""
    why_not: str = ""
    """Why there is no ``compiler``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """An interpreter that does not come with the base image."""

    python: str
    """Its path in the image."""
    version: str
    compiler: tuple[str, ...] | None
    why_not: str = ""


class Layers:
    """The blobs of a base image: fetched where they are needed, kept by their digest."""

    def __init__(self, registry: Registry, blobs: Blobs, progress: Callable[[int], None]) -> None:
        """Fetch nothing yet."""
        self._registry = registry
        self._blobs = blobs
        self._progress = progress

    def path(self, reference: Reference, layer: Descriptor) -> Path:
        """Return where a layer lies, fetched if need be."""
        found = self._blobs.path(layer.digest)
        if not found.is_file() or found.stat().st_size != layer.size:
            self._registry.download(reference, layer, found, self._progress)
        return found


def ground(
    lock: Lock, registry: Registry, layers: Layers, cache: Path, brought: Brought | None = None
) -> Ground:
    """Return the base image of ``lock``, checked for what an image on top of it needs.

    Args:
        lock: whose base it is.
        registry: where it lies.
        layers: its blobs.
        cache: the folder of mlenv's caches.
        brought: the interpreter, where the base is not to bring it.

    Raises:
        HostError: ``base-unusable``, ``registry-failed``, ``registry-denied``, ``network-off``,
            ``disk-failed``.
    """
    if lock.base is None:
        raise unusable("no image", "the lock names no base", "run `mlenv build` on its spec again")
    platform, name = lock.target.platform, lock.base.reference
    reference = parse_reference(name)
    if lock.base.digest:
        reference = reference.pinned(lock.base.digest)
    found_there = documents(reference, platform, registry, cache)
    manifest, config = found_there.manifest, found_there.config
    reference = reference.pinned(manifest.digest)
    if triggers(config):
        raise unusable(name, "it has ONBUILD triggers, which only an engine runs", "give --engine")

    def fetched() -> list[Path]:
        return [layers.path(reference, each) for each in manifest.layers]

    facts = rootfs.known_facts(manifest.digest, fetched, folder=cache, image=name)
    _check_glibc(lock, facts, name)
    if brought is None:
        brought = _of_base(lock, facts, fetched, cache, manifest.digest)
    return Ground(
        reference=reference,
        named=found_there.named,
        manifest=manifest,
        config=config,
        facts=facts,
        python=brought.python,
        version=brought.version,
        compiler=brought.compiler,
        why_not="" if brought.compiler else brought.why_not,
    )


def _of_base(
    lock: Lock, facts: RootFacts, fetched: Callable[[], list[Path]], cache: Path, digest: str
) -> Brought:
    """Return the interpreter of the base image with the manifest ``digest``."""
    name = lock.base.reference if lock.base else ""
    python, version = _python(lock, facts, name)
    place = cache / "interpreters" / digest.removeprefix("sha256:") / lock.target.python
    layers_of = () if is_kept(place) else tuple(fetched())
    found = interpreter(layers_of, lock.target.python, place, image=name)
    version = version or found.version
    if version is None:
        raise unusable(name, f"nothing says which release its Python {lock.target.python} is")
    compiler = found.argv if found.version == version else like(version)
    return Brought(python=python, version=version, compiler=compiler, why_not=found.why_not)


def _python(lock: Lock, facts: RootFacts, name: str) -> tuple[str, str | None]:
    wanted = lock.target.python
    if wanted not in facts.python:
        there = ", ".join(facts.python) or "none"
        raise unusable(
            name,
            f"the lock is for Python {wanted}, and its Pythons are: {there}",
            f"name a base image that brings Python {wanted}, or build with `--engine docker`",
        )
    return facts.python[wanted]


def _check_glibc(lock: Lock, facts: RootFacts, name: str) -> None:
    if facts.musl or facts.glibc is None:
        raise unusable(name, "it has no glibc, and no wheel of a framework runs without")
    needed = lock.target.glibc
    if needed and Glibc.parse(facts.glibc) < Glibc.parse(needed):
        raise unusable(
            name,
            f"the lock is for glibc {needed}, and its glibc is {facts.glibc}",
            f"name a base image with glibc {needed}, or lock for {facts.glibc}",
        )


def like(version: str) -> tuple[str, ...] | None:
    """Return an interpreter of this machine with exactly that version."""
    minor = ".".join(version.split(".")[:2])
    for program in (tools.python(), f"python{minor}"):
        if (said([program, "-I", "-c", _SAYS]) or "").strip() == version:
            return (program,)
    return None
