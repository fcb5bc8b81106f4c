"""``mlenv matrix bisect``: which of the packages that moved broke a cell."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlenv.cli import options

if TYPE_CHECKING:
    from mlenv.matrix.bisect import Case, Culprits

_BLAMELESS = {
    "good-fails": "the last good lock fails here today as well: it is not the packages. "
    "Look at the machine, its driver, and what else is not locked",
    "bad-passes": "the first bad lock passes here today: it is not the packages alone. "
    "Look at the machine of that night, or at flakiness",
}


@click.command(epilog="Example: mlenv matrix bisect train-py3.12-cu12.8-1f3a9c20")
@click.argument("cell")
@click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results"),
    show_default=True,
    help="The folder of the runs that found it good, and bad.",
)
@options.OFFLINE
@options.VERBOSE
@options.JSON
def command(cell: str, *, results: Path, offline: bool, verbose: bool, as_json: bool) -> int:
    """Find out which package broke CELL, by locking between its last good and first bad lock.

    Each mix of the two locks is solved and verified here. One package among n takes about
    log2(n) + 1 mixes; packages that only together do harm, about that for each. What no solver
    takes one without the other is named together. Exit 6: it is not the packages, or not here.
    """
    from mlenv.cli import opening, words  # noqa: PLC0415 (loaded when used)
    from mlenv.errors import Exit  # noqa: PLC0415
    from mlenv.matrix.bisect import bisect, case_of  # noqa: PLC0415
    from mlenv.matrix.results import Results  # noqa: PLC0415
    from mlenv.matrix.trying import Real  # noqa: PLC0415

    case = case_of(cell, Results(folder=results))
    words.say(_opening(case))
    indexes = {alias: each.url for alias, each in case.mixer.file.spec.indexes.items()}
    with opening.desk(offline=offline, verbose=verbose, indexes=indexes) as desk:
        trial = Real(catalog=opening.catalog(), desk=desk, today=f"{case.bad.night}T00:00:00Z")
        found = bisect(case, trial, words.say)
    if as_json:
        words.emit(_document(found))
    else:
        click.echo(_told(found))
    return Exit.DONE if found.found.kind == "found" else Exit.UNPROVEN


def _opening(case: Case) -> str:
    count = len(case.mixer.items)
    return (
        f"{count} {'package' if count == 1 else 'packages'} moved between {case.good.night} (good) "
        f"and {case.bad.night} (bad)"
    )


def _told(found: Culprits) -> str:
    kind, steps = found.found.kind, _steps(found)
    if kind != "found":
        return f"{_BLAMELESS[kind]} ({steps})"
    names = [each.text for each in found.moves]
    if len(names) == 1:
        return f"{names[0]} broke it: alone it makes it fail ({steps})"
    how = (
        "no solver takes one without the other" if found.found.together else "not one of them less"
    )
    return "\n".join((f"these broke it together, {how} ({steps}):", *(f"  {n}" for n in names)))


def _steps(found: Culprits) -> str:
    refused = f", {found.found.refused} said nothing" if found.found.refused else ""
    return f"{found.found.tries} locked and verified{refused}"


def _document(found: Culprits) -> dict[str, Any]:
    case, told = found.case, found.found
    return {
        "schema": "mlenv.bisect/1",
        "cell": case.bad.cell,
        "good": {"run": case.good.run, "night": case.good.night, "lock": case.good.lock},
        "bad": {"run": case.bad.run, "night": case.bad.night, "lock": case.bad.lock},
        "moved": len(case.mixer.items),
        "kind": told.kind,
        "packages": [asdict(each) for each in found.moves],
        "together": list(told.together),
        "tries": told.tries,
        "refused": told.refused,
    }
