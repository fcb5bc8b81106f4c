"""Images, in words: what ``build --image`` and ``image`` have in common."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from mlenv import memory
from mlenv.cli import opening, words

if TYPE_CHECKING:
    from pathlib import Path

    from mlenv.errors import MlenvError
    from mlenv.host.engine_port import Network
    from mlenv.imaging.order import Made

_FEW = 12
"""Layers shown one by one; the lightest of more are summed up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """How images are to be made, in the words of a command line."""

    offline: bool
    verbose: bool
    engine: str | None
    push: str | None
    output: Path | None
    tag: str | None
    variant: str
    oci: bool
    ca_cert: Path | None
    registry_cache: str | None
    build_args: tuple[str, ...]
    network: Network | None
    imports: bool

    def image(self, folder: Path) -> Made:
        """Make the image of a locked folder.

        Raises:
            MlenvError: as ``mlenv.imaging.job.make``.
        """
        from mlenv.imaging.job import make  # noqa: PLC0415 (loaded when used)
        from mlenv.imaging.locked import locked  # noqa: PLC0415
        from mlenv.imaging.order import Desk, Order  # noqa: PLC0415

        found = locked(folder)
        order = Order(
            engine=self.engine,
            push=self.push,
            output=self.output,
            tag=self.tag,
            variant=self.variant,
            oci=self.oci,
            ca_cert=self.ca_cert,
            cache=self.registry_cache,
            arguments=dict(_pair(each) for each in self.build_args),
            network=self.network,
            imports=self.imports,
        )
        with opening.desk(
            offline=self.offline, verbose=self.verbose, indexes=found.indexes
        ) as desk:
            own = Desk(
                web=desk.web,
                cache=desk.cache,
                offline=self.offline,
                say=desk.say,
                tell=desk.tell,
                prove=lambda name, image: self._proven(folder, name, image),
            )
            made = make(found, order, own)
            where = made.pushed or str(made.written or made.tag or made.digest or made.name)
            artefacts = found.lock.artefacts_sha256
            at = opening.today()[:10]
            memory.remember(desk.cache, artefacts, "image", where=where, at=at)
            return made

    def _proven(self, folder: Path, engine: str, image: str) -> None:
        """Hold what is in an image against the lock of the folder."""
        from mlenv.host.sandbox import find_sandbox  # noqa: PLC0415 (loaded when used)
        from mlenv.runners.container import Container  # noqa: PLC0415
        from mlenv.verify.image import prove_static  # noqa: PLC0415

        inside = Container(sandbox=find_sandbox(engine), image=image)
        prove_static(folder, inside, self.variant)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (equals and name.isidentifier()):
        raise click.UsageError(f"--build-arg is NAME=VALUE, and not '{text}'")
    return name, value


def document(made: Made) -> dict[str, Any]:
    """Return an image as JSON has it."""
    found = asdict(made)
    found["written"] = str(made.written) if made.written else None
    return found


def failure(folder: Path, error: MlenvError) -> dict[str, Any]:
    """Return why there is no image, as JSON has it."""
    reasons = [words.reason(each) for each in error.reasons]
    return {"folder": str(folder), "digest": None, "reasons": reasons}


def show(made: Made) -> None:
    """Print what came: where it is to stdout, all else to stderr."""
    for note in made.notes:
        words.say(f"note: {note}")
    words.say(f"{made.name}: {made.route} on {words.short(made.base)} in {made.seconds:.1f} s")
    _show_layers(made)
    for each in made.proofs:
        told = [one for one in each.imports if one.status == "driver"]
        more = f" ({len(told)} of them want a GPU's driver)" if told else ""
        words.say(f"imported as user {each.user}: {len(each.imports)} packages{more}")
    if made.proofs:
        words.say("verified without a GPU: what is in it is as locked (`mlenv verify` does more)")
    if not made.proofs:
        words.say("not proven: no package was imported in it")
    if made.sent is not None:
        words.say(f"uploaded {words.megabytes(made.sent)} of {words.megabytes(made.size)}")
    if made.pushed:
        click.echo(made.pushed)
    if made.written:
        click.echo(str(made.written))
    if made.loaded and made.tag:
        words.say(f"loaded into {made.loaded}")
        click.echo(made.tag)


def _show_layers(made: Made) -> None:
    rows = sorted(made.layers, key=lambda each: -(each.size or each.unpacked or 0))
    for each in rows[:_FEW]:
        bytes_ = each.size if each.size is not None else each.unpacked
        kept = "" if each.new is not False else "  kept"
        size = words.megabytes(bytes_) if bytes_ is not None else "?"
        words.say(f"  {size:>8}  {each.text[:60]}{kept}")
    rest = rows[_FEW:]
    if rest:
        total = sum(each.size or each.unpacked or 0 for each in rest)
        words.say(f"  {words.megabytes(total):>8}  in {len(rest)} more layers")
