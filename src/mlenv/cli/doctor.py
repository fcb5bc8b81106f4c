"""``mlenv doctor``: what this machine can build and run, and how to mend it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlenv.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlenv.catalog.load import Catalog
    from mlenv.doctor import Finding
    from mlenv.fits import Fit
    from mlenv.host.this import Machine

_MARKS = {"good": ("ok", "green"), "note": ("note", "yellow"), "mend": ("mend", "red")}
_RUNS = {"yes": ("runs", "green"), "unknown": ("unknown", "yellow"), "no": ("not here", "red")}


@click.command(epilog="Example: mlenv doctor specs/torch.toml")
@click.argument("specs", type=click.Path(path_type=Path, dir_okay=False), nargs=-1, metavar="SPEC")
@options.JSON
def command(specs: tuple[Path, ...], *, as_json: bool) -> int:
    """Say what this machine can build and run, and how to mend what it cannot.

    Driver, GPUs, disk, container engines, the age of the facts; then which of the SPECs (those of
    specs/ where none is named) it can run. Findings are no errors: the exit status is 0.
    """
    from datetime import UTC, datetime  # noqa: PLC0415 (loaded when used)

    from mlenv.cli import opening, words  # noqa: PLC0415
    from mlenv.doctor import findings  # noqa: PLC0415
    from mlenv.host.this import Senses, look  # noqa: PLC0415

    catalog = opening.catalog()
    machine = look(Senses())
    found = findings(machine, catalog, datetime.now(UTC).date())
    named = specs or tuple(sorted(Path("specs").glob("*.toml")))
    fits = [_fit(path, machine, catalog) for path in named]
    if as_json:
        words.emit(
            {
                "machine": asdict(machine),
                "findings": [asdict(each) for each in found],
                "specs": [asdict(each) for each in fits],
            }
        )
        return 0
    _show(found, fits)
    return 0


def _fit(path: Path, machine: Machine, catalog: Catalog) -> Fit:
    from mlenv.cli import opening  # noqa: PLC0415 (loaded when used)
    from mlenv.errors import UsageError  # noqa: PLC0415
    from mlenv.fits import fit, wrong  # noqa: PLC0415
    from mlenv.plan.decide import Wish  # noqa: PLC0415

    try:
        spec = opening.spec_file(path)
    except UsageError as error:
        return wrong(str(path), error)
    wish = Wish(exclude_newer=spec.spec.lock.exclude_newer or opening.today())
    return fit(spec, machine, catalog, wish)


def _show(found: Sequence[Finding], fits: Sequence[Fit]) -> None:
    for each in found:
        word, color = _MARKS[each.state]
        click.echo(f"{click.style(f'{word:<5}', fg=color)} {each.topic:<10} {each.says}")
        if each.fix:
            click.echo(f"      {'':<10} fix: {each.fix}")
    if fits:
        click.echo("\nspecs on this machine:")
    width = max((len(each.spec) for each in fits), default=0)
    for fit in fits:
        word, color = _RUNS[fit.runs]
        as_target = f" as target {fit.with_lines_of}" if fit.with_lines_of else ""
        because = f": {fit.because}" if fit.because else ""
        shown = click.style(word, fg=color, bold=True)
        click.echo(f"  {fit.spec:<{width}}  {shown}{as_target}{because}")
        if fit.fix:
            click.echo(f"  {'':<{width}}  fix: {fit.fix}")
