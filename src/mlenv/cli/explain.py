"""``mlenv explain``: every decision with its reason and source, and what the layers weigh."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path  # noqa: TC003 (click reads it)
from typing import TYPE_CHECKING, Any

import click

from mlenv.cli import options

if TYPE_CHECKING:
    from mlenv.build.verdict import Order, Outcome
    from mlenv.catalog.load import Catalog
    from mlenv.lock import Lock
    from mlenv.plan.model import Plan
    from mlenv.spec.parse import SpecFile


@click.command(epilog="Example: mlenv explain specs/torch.toml --change numpy")
@options.SPEC
@options.OUT
@options.TARGET
@options.JSON
@click.option("--change", metavar="PACKAGE", help="What a new version of PACKAGE would push again.")
@click.option("--image", is_flag=True, help="Weigh its image: layers, files, what could leave.")
def command(  # noqa: PLR0913 (an option each)
    spec: Path,
    out: Path,
    target: str | None,
    *,
    as_json: bool,
    change: str | None,
    image: bool,
) -> int:
    """Say what was decided for a spec, why, and from which source; or prove that it cannot be.

    Where a lock of it lies in --out, the megabytes of its layers are shown too.
    """
    from mlenv.build.verdict import Order, check, locked  # noqa: PLC0415 (loaded when used)
    from mlenv.cli import opening, words  # noqa: PLC0415

    catalog = opening.catalog()
    parsed = opening.spec_file(spec)
    order = Order(out=out, today=opening.today(), target=target)
    found = check(parsed, catalog, order)
    document = words.document(parsed, found)
    for each, row in zip(found, document["targets"], strict=True):
        lock = locked(parsed, each.stack, order)
        row["layers"] = _layers(lock, change) if lock else None
        row["tree"] = _tree(each.plan) if each.plan else None
        row["proof"] = _proof(parsed, each, catalog, order)
        words.show(each, quiet=as_json)
        if image and lock:
            row["image"] = _weight(lock)
        if not as_json:
            _show(each, row, change)
            if image and lock:
                _show_weight(lock)
    if as_json:
        words.emit(document)
    return words.worst(found, strict=False)


def _weight(lock: Lock) -> dict[str, Any]:
    from mlenv.cli import weight  # noqa: PLC0415 (loaded when used)

    return weight.weight(lock)


def _show_weight(lock: Lock) -> None:
    from mlenv.cli import weight  # noqa: PLC0415 (loaded when used)

    weight.show(lock)


def _tree(plan: Plan) -> list[dict[str, Any]]:
    from mlenv.plan.tree import tree  # noqa: PLC0415 (loaded when used)

    return [asdict(each) for each in tree(plan)]


def _proof(
    spec: SpecFile, outcome: Outcome, catalog: Catalog, order: Order
) -> dict[str, Any] | None:
    from mlenv.plan.decide import Wish  # noqa: PLC0415 (loaded when used)
    from mlenv.plan.proof import proof  # noqa: PLC0415

    if outcome.verdict != "impossible":
        return None
    wish = Wish(exclude_newer=spec.spec.lock.exclude_newer or order.today)
    found = proof(outcome.stack, catalog, wish)
    if found is None:
        return None
    lines = [{**asdict(each), "line": spec.line(each.key)} for each in found.lines]
    return {"lines": lines, "therefore": asdict(spec.places(found.therefore))}


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


def _show(outcome: Outcome, row: dict[str, Any], change: str | None) -> None:
    from mlenv.cli.words import megabytes  # noqa: PLC0415 (loaded when used)
    from mlenv.plan.tree import drawn, tree  # noqa: PLC0415

    if row["proof"] is not None:
        _show_proof(row["proof"])
    if outcome.plan is None:
        return
    for line in drawn(tree(outcome.plan)):
        click.echo(line)
    layers = row["layers"]
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


def _show_proof(proof: dict[str, Any]) -> None:
    several = len(proof["lines"]) > 1
    click.echo("\nthese lines cannot be together:" if several else "\nthis line cannot be:")
    for number, each in enumerate(proof["lines"], start=1):
        at = f"line {each['line']}, " if each["line"] else ""
        click.echo(f"{number}. {at}{each['key']}: {click.style(each['says'], bold=True)}")
        click.echo(f"     {each['fact']}")
        click.echo(f"     source  {each['source']}")
    last = proof["therefore"]
    click.echo(f"therefore: {click.style(last['what'], bold=True)}")
    click.echo(f"     {last['cause']}")
    click.echo(f"     source  {last['source']}")
