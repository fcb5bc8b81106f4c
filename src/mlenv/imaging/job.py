"""A locked folder to an image: by our own assembly, or by an engine; then where it shall go."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from mlenv.errors import HostError, Reason, UsageError
from mlenv.host import image_archive, tools
from mlenv.host.blobs import Blobs
from mlenv.host.engine import find_engine
from mlenv.host.registry import Registry
from mlenv.host.room import check_room
from mlenv.image.pieces import Place, needs_engine, pieces
from mlenv.imaging import assembly, delivery, records
from mlenv.imaging.conda_stage import CondaFiles
from mlenv.imaging.fetching import Wheels
from mlenv.imaging.ground import Layers, ground
from mlenv.imaging.layering import Bench
from mlenv.imaging.order import NO_ENGINE, Made, Weight
from mlenv.reference import parse_reference

if TYPE_CHECKING:
    from pathlib import Path

    from mlenv.host.engine_port import Engine
    from mlenv.imaging.assembly import Assembled
    from mlenv.imaging.locked import Locked
    from mlenv.imaging.order import Desk, Order
    from mlenv.imaging.proof import Proof
    from mlenv.reference import Reference


def make(found: Locked, order: Order, desk: Desk) -> Made:
    """Make the image of a folder, and bring it where it shall go.

    Raises:
        UsageError: ``needs-engine``, ``usage``.
        HostError: ``engine-missing``, ``engine-failed``, ``registry-failed``, ``registry-denied``,
            ``disk-full``, ``disk-failed``, ``network-failed``, ``network-off``, ``hash-differs``.
        ImageError: ``image-failed``, ``import-failed``, ``base-unusable``.
    """
    target = _target(order.push)
    _check_tag(order.tag)
    how = _assembled if _assembles(found, order) else _engine_built
    made = how(found, order, desk, target)
    records.remember(desk.cache, made, order.variant)
    return made


def _target(push: str | None) -> Reference | None:
    if push is None:
        return None
    try:
        found = parse_reference(push)
    except ValueError as error:
        raise _usage(f"`--push {push}` names no image", str(error)) from error
    if found.digest:
        raise _usage(f"`--push {push}` names a digest", "what is pushed has its own digest")
    return found


def _check_tag(tag: str | None) -> None:
    try:
        found = parse_reference(tag) if tag is not None else None
    except ValueError as error:
        raise _usage(
            f"`--tag {tag}` names no image", str(error), "write it like `train:1`"
        ) from error
    if found and found.digest:
        raise _usage(f"`--tag {tag}` names a digest", "an engine gives it", "write `train:1`")


def _usage(what: str, cause: str, fix: str = "write it like `ghcr.io/me/train:1`") -> UsageError:
    return UsageError(Reason(code="image-order", what=what, cause=cause, fix=fix))


def _assembles(found: Locked, order: Order) -> bool:
    """Tell whether the image is assembled.

    Raises:
        UsageError: ``needs-engine``: no engine is to be used, and one is needed.
    """
    if order.engine not in {None, NO_ENGINE}:
        return False
    try:
        if "Dockerfile" in found.edited:
            raise needs_engine(
                f"{found.folder / 'Dockerfile'} was edited, and it", "an assembly does not read it"
            )
        assembly.check(found.recipe)
        place = Place(backend=found.lock.backend, python_full=found.lock.target.python)
        pieces(found.lock, variant=order.variant, place=place)
    except UsageError:
        if order.engine == NO_ENGINE:
            raise
        return False
    return True


def _assembled(found: Locked, order: Order, desk: Desk, target: Reference | None) -> Made:
    begun = time.monotonic()
    engine = _loader(order)
    with ExitStack() as stack:
        registry = stack.enter_context(Registry.from_environment(offline=desk.offline))
        blobs = Blobs(desk.cache / "images")
        yard = delivery.Yard(blobs=blobs, layers=Layers(registry, blobs, lambda _: None))
        desk.say("reading the base image")
        conda = CondaFiles.of(found.lock, found.artefacts, desk.web, desk.cache)
        brought = conda.interpreter() if conda else None
        below = ground(found.lock, registry, yard.layers, desk.cache, brought)
        missing = assembly.missing_bytes(found.lock, below, blobs, variant=order.variant)
        growth = _growth(found, missing, archived=bool(order.output or engine))
        check_room(desk.cache / "images", growth, f"the layers of {found.lock.title}")
        wheels = Wheels(desk.web, urls=found.urls, indexes=found.indexes, name=found.lock.name)
        image = assembly.assemble(
            found.lock,
            found.recipe,
            below,
            Bench(wheels=wheels, conda=conda, blobs=blobs, say=desk.say),
            variant=order.variant,
            docker=not order.oci,
        )
        sent = None
        if target is not None:
            desk.say(f"pushing to {target}")
            sent = delivery.push(image, target, registry, yard, say=desk.say)
        tag = _tag(found, order)
        written = _written(image, order, yard, tag)
        identity = _loaded(engine, image, yard, tag, desk) if engine else None
    proofs = _proofs(engine, identity, found, order, desk) if engine and identity else ()
    notes = (f"no bytecode: {below.why_not}",) if below.compiler is None else ()
    return Made(
        name=found.lock.title,
        route="assembled",
        base=str(below.reference),
        digest=image.digest,
        size=image.size,
        layers=tuple(_weight(each) for each in image.parts),
        reproducible=below.compiler is not None,
        seconds=time.monotonic() - begun,
        pushed=f"{target}@{image.digest}" if target else None,
        sent=sent,
        written=written,
        loaded=f"{engine.name} {engine.version}" if engine else None,
        tag=tag if engine else None,
        proofs=proofs,
        notes=notes,
    )


def _weight(part: assembly.Part) -> Weight:
    return Weight(
        text=part.text,
        digest=part.layer.digest,
        size=part.layer.size,
        unpacked=part.layer.unpacked,
        new=part.new,
    )


def _loader(order: Order) -> Engine | None:
    """Return the engine that the image is loaded into; None where it goes elsewhere only."""
    # Before the work: where it shall go must be there.
    if order.output is not None:
        image_archive.check_place(order.output, archive=_is_archive(order.output))
    if order.tag is None and (order.push or order.output):
        return None
    try:
        return find_engine()
    except HostError as error:
        raise _usage(
            "the image has nowhere to go",
            f"no engine is here to load it into: {error.reasons[0].cause}",
            "give `--push REF` or `--output FILE.tar`, or start an engine",
        ) from error


def _tag(found: Locked, order: Order) -> str:
    if order.tag:
        return order.tag if ":" in order.tag.rpartition("/")[2] else f"{order.tag}:latest"
    name, _, target = found.lock.title.partition(":")
    suffix = [target] if target else []
    suffix += [order.variant] if order.variant != "runtime" else []
    return f"{name}:{'-'.join(suffix) or 'latest'}"


def _is_archive(output: Path) -> bool:
    return output.suffix == ".tar"


def _written(image: Assembled, order: Order, yard: delivery.Yard, tag: str) -> Path | None:
    if order.output is None:
        return None
    members = delivery.members(image, yard, tags=(tag,))
    if _is_archive(order.output):
        image_archive.write_archive(order.output, members)
    else:
        image_archive.write_layout(order.output, members)
    return order.output


def _loaded(engine: Engine, image: Assembled, yard: delivery.Yard, tag: str, desk: Desk) -> str:
    desk.say(f"loading into {engine.name}")
    with tools.scratch() as folder:
        archive = folder / "image.tar"
        image_archive.write_archive(archive, delivery.members(image, yard, tags=(tag,)))
        return engine.load(archive)


def _proofs(
    engine: Engine, image: str, found: Locked, order: Order, desk: Desk
) -> tuple[Proof, ...]:
    if not order.imports or engine.name == "buildah":
        return ()
    from mlenv.imaging import proof  # noqa: PLC0415 (an engine is needed for it)

    desk.say("importing every package in it")
    proofs = proof.prove(engine, image, proof.locked(found.lock, order.variant))
    if desk.prove is not None:
        desk.say("holding what is in it against the lock")
        desk.prove(engine.name, image)
    return proofs


def _engine_built(found: Locked, order: Order, desk: Desk, target: Reference | None) -> Made:
    if order.output is not None:
        raise _usage(
            "`--output` is for what mlenv assembles itself",
            "this image is built by an engine, which keeps it",
            "leave `--output` out, and save it with the engine (`docker save`)",
        )
    from mlenv.imaging import engine_build  # noqa: PLC0415 (0.2 s that an assembly need not pay)

    begun = time.monotonic()
    engine = find_engine(order.engine)
    tag = _tag(found, order)
    wish = engine_build.EngineWish(
        folder=found.folder,
        platform=found.lock.target.platform,
        variant=order.variant,
        tags=(tag, *((str(target),) if target else ())),
        ca_cert=order.ca_cert,
        indexes=found.indexes,
        channels=tuple(sorted({each.channel for each in found.artefacts.values()})),
        arguments=order.arguments,
        network=order.network,
        cache=order.cache,
    )
    built = engine_build.build(
        engine, wish, progress=lambda step: desk.say(str(step)), log=desk.tell
    )
    proofs = _proofs(engine, built.image, found, order, desk)
    digest = engine.push(str(target), desk.say) if target else None
    base = found.lock.base
    return Made(
        name=found.lock.title,
        route=built.engine,
        base=f"{base.reference}@{base.digest}" if base and base.digest else found.recipe.base,
        digest=digest,
        size=built.size,
        layers=tuple(
            Weight(text=e.made_by, digest=e.diff_id, size=None, unpacked=e.size, new=None)
            for e in built.layers
        ),
        reproducible=built.reproducible,
        seconds=time.monotonic() - begun,
        pushed=f"{target}@{digest}" if target else None,
        loaded=built.engine,
        tag=tag,
        proofs=proofs,
    )


def _growth(found: Locked, missing: int, *, archived: bool) -> int:
    """Return the most bytes that are needed for a while, where ``missing`` of wheels have no layer.

    Wheels, layers and an archive of them lie side by side, each about as large as the wheels.
    """
    return 2 * missing + archived * sum(each.size for each in found.lock.package)
