"""``mlenv check``: can this run? Answered from the catalog, in milliseconds."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (click reads it)

import click

from mlenv.cli import options


@click.command(
    epilog="Example: mlenv check specs/*.toml",
)
@options.SPECS
@options.TARGET
@options.JSON
@options.STRICT
def command(specs: tuple[Path, ...], target: str | None, *, as_json: bool, strict: bool) -> int:
    """Say whether specs can run, from published facts alone.

    Nothing is solved, fetched or written. `unknown` is said where no fact settles it.
    """
    from mlenv.cli import opening  # noqa: PLC0415 (loaded when used)

    with opening.swift():
        return _checked(specs, target, as_json=as_json, strict=strict)


def _checked(specs: tuple[Path, ...], target: str | None, *, as_json: bool, strict: bool) -> int:
    from mlenv.build.verdict import Order, check  # noqa: PLC0415 (loaded when used)
    from mlenv.cli import opening, words  # noqa: PLC0415
    from mlenv.errors import Exit, MlenvError  # noqa: PLC0415

    documents, status = [], Exit.DONE
    for path in specs:
        try:
            spec = opening.spec_file(path)
            order = Order(out=path.parent, today=opening.today(), target=target)
            found = check(spec, opening.catalog(), order)
        except MlenvError as error:
            words.show_reasons(error.reasons, "error")
            documents.append(words.failure(str(path), error.reasons))
            status = max(status, error.exit_status)
            continue
        for each in found:
            words.show(each, quiet=as_json)
        documents.append(words.document(spec, found))
        status = max(status, words.worst(found, strict=strict))
    if as_json:
        words.emit(words.several(documents))
    return status
