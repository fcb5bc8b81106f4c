"""``mlenv explain``: every decision with its reason and source, and what the layers weigh."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (click reads it)
from typing import TYPE_CHECKING, Any

import click

from mlenv.cli import options

if TYPE_CHECKING:
    from mlenv.build.verdict import Outcome
    from mlenv.lock import Lock


@click.command(epilog="Example: mlenv explain specs/torch.toml --change numpy")
@options.SPEC
@options.OUT
@options.TARGET
@options.JSON
@click.option("--change", metavar="PACKAGE", help="What a new version of PACKAGE would push again.")
def command(spec: Path, out: Path, target: str | None, *, as_json: bool, change: str | None) -> int:
    """Say what was decided for a spec, why, and from which source.

    Where a lock of it lies in --out, the megabytes of its layers are shown too.
    """
    from mlenv.build.verdict import Order, check, locked  # noqa: PLC0415 (loaded when used)
    from mlenv.catalog.load import load  # noqa: PLC0415
    from mlenv.cli import opening, words  # noqa: PLC0415

    parsed = opening.spec_file(spec)
    order = Order(out=out, today=opening.today(), target=target)
    found = check(parsed, load(), order)
    document = words.document(parsed, found)
    for each, row in zip(found, document["targets"], strict=True):
        lock = locked(parsed, each.stack, order)
        row["layers"] = _layers(lock, change) if lock else None
        words.show(each, quiet=as_json)
        if not as_json:
            _show(each, row["layers"], change)
    if as_json:
        words.emit(document)
    return words.worst(found, strict=False)


def _layers(lock: Lock, change: str | None) -> dict[str, Any]:
    from mlenv.layers import repush, weights  # noqa: PLC0415 (loaded when used)

    found: dict[str, Any] = {
        "weights": {each.layer: each.bytes for each in weights(lock.package)},
        "packages": {each.layer: each.packages for each in weights(lock.package)},
    }
    if change is not None:
        try:
            found["repush"] = repush(lock.package, change)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
    return found


def _show(outcome: Outcome, layers: dict[str, Any] | None, change: str | None) -> None:
    from mlenv.cli.words import megabytes  # noqa: PLC0415 (loaded when used)

    for each in outcome.plan.decisions if outcome.plan else ():
        click.echo(f"\n{click.style(each.topic, bold=True)}: {each.choice}")
        click.echo(f"  because  {each.why}")
        click.echo(f"  source   {each.source}")
        for other in each.alternatives:
            click.echo(f"  not      {other}")
    if outcome.plan is None:
        return
    if layers is None:
        click.echo("\nlayers: not known before `mlenv lock`")
        return
    total = sum(layers["weights"].values())
    click.echo(f"\n{click.style('layers', bold=True)}: {megabytes(total)} of wheels")
    for name, size in layers["weights"].items():
        count = layers["packages"][name]
        click.echo(
            f"  {name:<11} {megabytes(size):>8}   {count:>3} package{'s' if count > 1 else ' '}"
            f"   {size / total:6.1%}"
        )
    click.echo("  a new version of one package pushes its layer again, and no other")
    if change is not None:
        click.echo(f"  {change}: {megabytes(layers['repush'])} of {megabytes(total)}")
