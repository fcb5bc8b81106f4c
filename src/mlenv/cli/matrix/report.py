"""``mlenv matrix report``: what the nights say, as a page, Markdown, JUnit, JSON or a badge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlenv.cli import options

if TYPE_CHECKING:
    from mlenv.matrix.report.gathered import Report

PAGE = "matrix.html"


@click.command(
    epilog="Examples: mlenv matrix report results;  "
    "mlenv matrix report results --to markdown >> $GITHUB_STEP_SUMMARY"
)
@click.argument("results", type=click.Path(path_type=Path), default=Path("results"))
@click.option(
    "--to",
    "form",
    type=click.Choice(["html", "markdown", "junit", "json", "badge", "shields"]),
    default="html",
    show_default=True,
    help="`badge` is an SVG, `shields` what shields.io reads.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help=f"Where to.  [default: {PAGE} for html, else stdout]",
)
@click.option(
    "--link", default="", metavar="URL", help="Where the page will lie: cells are linked there."
)
@click.option("--title", default="mlenv matrix", show_default=True, help="The page's title.")
@options.JSON
def command(  # noqa: PLR0913 (the options)
    results: Path, *, form: str, out: Path | None, link: str, title: str, as_json: bool
) -> int:
    """Report what the runs in a results folder say: which cells work, what broke, what moved.

    The page is one file without anything from elsewhere. Each cell has its verdict and why, its
    nights, what moved since the run before and since it was last good, and the first suspect. A
    cell whose one lock was good and failed is flaky and stands apart. `PAGE#CELL` opens a cell.
    """
    from mlenv.cli import opening, words  # noqa: PLC0415 (loaded when used)
    from mlenv.host import disk  # noqa: PLC0415
    from mlenv.matrix.report.gathered import gathered  # noqa: PLC0415
    from mlenv.matrix.report.page import headline  # noqa: PLC0415
    from mlenv.matrix.results import Results  # noqa: PLC0415

    with opening.swift(), opening.progress() as say:
        say(f"reading {results}")
        found = gathered(Results(folder=results))
        text = _text(found, "json" if as_json else form, link, title)
    if out is None and form == "html" and not as_json:
        out = Path(PAGE)
    if out is None:
        click.echo(text, nl=False)
        return 0
    disk.write(out, text)
    click.echo(str(out))
    words.say(headline(found))
    return 0


def _text(report: Report, form: str, link: str, title: str) -> str:
    import json  # noqa: PLC0415 (loaded when used)

    from mlenv.matrix.report import badge, document, junit, markdown, page  # noqa: PLC0415

    match form:
        case "html":
            return page.page(report, title=title)
        case "markdown":
            return markdown.markdown(report, link=link)
        case "junit":
            return junit.junit(report, link=link)
        case "badge":
            return badge.badge(report)
        case _:
            content = badge.shields(report) if form == "shields" else document.document(report)
            return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
