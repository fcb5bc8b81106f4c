"""``mlenv init --from``: a file, a folder or an environment to the tables of a spec."""

from __future__ import annotations

import codecs
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlenv.cli import words
from mlenv.host import disk
from mlenv.intake import readers, requirements_txt
from mlenv.intake.draft import Draft, Said, Source, unreadable
from mlenv.intake.settling import settle, spec_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlenv.catalog.load import Catalog
    from mlenv.intake.draft import Note
    from mlenv.intake.settling import Settled

_ENVIRONMENT = "env"
_BINDER = ("binder", ".binder")
_SECONDS = 120.0
_COLUMNS = 80
_MOST_BYTES = 32 << 20


def settled(
    where: str,
    catalog: Catalog,
    *,
    name: str | None,
    extras: frozenset[str],
    python: str | None,
) -> Settled:
    """Return what ``where`` says, as the tables of a spec.

    Args:
        where: a file, a folder, or ``env`` for an environment that is installed.
        catalog: knows the frameworks.
        name: of the spec; None for the file's own.
        extras: extras, groups and features to take.
        python: the interpreter or venv of ``env``.

    Raises:
        UsageError: ``intake-unreadable``.
        HostError: ``disk-failed``, ``runner-failed``.
    """
    path = Path(where)
    if where == _ENVIRONMENT and not _is_venv(path):
        draft = _environment(python)
    elif _is_venv(path):
        draft = _environment(str(path))
    elif path.is_dir():
        draft = _folder(path, extras)
    elif path.is_file():
        draft = _read(path, extras)
    else:
        raise unreadable(
            where,
            "there is no such file or folder",
            f"name a file, a folder, or `{_ENVIRONMENT}` for what is installed",
        )
    own = path if path.is_dir() and not _is_venv(path) else path.parent
    return settle(draft, catalog, name=name or spec_name(draft.name or own.resolve().name))


def _is_venv(path: Path) -> bool:
    return (path / "pyvenv.cfg").is_file()


def _source(path: Path, top: Path, extras: frozenset[str]) -> Source:
    """Return a file; those that it names are looked for below ``top``, and nowhere else."""

    def near(name: str) -> Source | None:
        found = path.parent / name
        inside = found.resolve().is_relative_to(top) and found.is_file()
        return _source(found, top, extras) if inside else None

    shown = path.resolve()
    named = shown.relative_to(top).as_posix() if shown.is_relative_to(top) else path.name
    return Source(name=named, text=_text(path), near=near, extras=extras)


def _text(path: Path) -> str:
    """Return the text of a file; PowerShell's `>` writes UTF-16, and editors a byte order mark.

    Raises:
        UsageError: ``intake-unreadable``.
        HostError: ``disk-failed``.
    """
    fix = "save it as UTF-8, or name another file with --from"
    with disk.spoken(path):
        if path.stat().st_size > _MOST_BYTES:
            raise unreadable(str(path), "it is larger than any such file", fix)
    data = disk.contents(path)
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise unreadable(str(path), f"it is no text in UTF-8 (byte {error.start})", fix) from None


def _read(path: Path, extras: frozenset[str]) -> Draft:
    # `-r ../base.txt` is usual: what lies below the folder that one works in may be named too
    here, own = Path.cwd().resolve(), path.resolve().parent
    source = _source(path, here if own.is_relative_to(here) else own, extras)
    kind = readers.kind_of(path.name, source.text)
    if kind is None:
        raise unreadable(
            str(path),
            "neither its name nor its content is of a kind that is known",
            f"name one of {', '.join(each for each in readers.READERS if each != _ENVIRONMENT)}",
        )
    return readers.READERS[kind](source)


def _folder(path: Path, extras: frozenset[str]) -> Draft:
    """Read the file of a folder that says most, and the small ones beside it."""
    path = next((path / each for each in _BINDER if (path / each).is_dir()), path)
    found = readers.of_folder([each.name for each in path.iterdir() if each.is_file()])
    drafts = ((path / name, _read(path / name, extras)) for name in found)
    taken, draft = next(
        ((file, each) for file, each in drafts if readers.says_enough(file.name, each, found)),
        (None, None),
    )
    if taken is None or draft is None:
        raise unreadable(
            str(path),
            f"no file of it says what a stack is made of; looked at: {', '.join(found) or 'none'}",
            "name the file that says most",
        )
    known = {Path(each).name for each in draft.files}
    for name in found:
        if name not in known:
            why = f"{taken.name} was read; `--from {path / name}` reads this one"
            draft.leave(None, name, why)
    _beside(draft, path)
    return draft


def _beside(draft: Draft, path: Path) -> None:
    """Read the one-word files of a folder: which Python, which Debian packages."""
    for name in (".python-version", "runtime.txt"):
        file = path / name
        if file.is_file() and not draft.pythons:
            draft.pythons += requirements_txt.python_file(
                _source(file, path.resolve(), frozenset())
            )
    apt = path / "apt.txt"
    if apt.is_file():
        for number, line in enumerate(_text(apt).splitlines(), start=1):
            if line.strip() and not line.lstrip().startswith("#"):
                draft.apt.append(Said(text=line.strip(), at=f"apt.txt:{number}"))


def _environment(python: str | None) -> Draft:
    from mlenv.runners.local import interpreter  # noqa: PLC0415 (only for an environment)

    found = interpreter(Path(python)) if python else _active()
    return readers.READERS[_ENVIRONMENT](
        Source(name=_ENVIRONMENT, text=_inventory(found), near=lambda _: None)
    )


def _active() -> str:
    from mlenv.host.this import active_python  # noqa: PLC0415 (only for an environment)

    return active_python()


def _inventory(python: str) -> str:
    from mlenv.host import process  # noqa: PLC0415 (only for an environment)
    from mlenv.smoke import inventory  # noqa: PLC0415

    argv = [python, "-I", str(Path(inventory.__file__))]
    return process.run(argv, cwd=Path("/"), seconds=_SECONDS).stdout


def told(found: Settled, where: str) -> None:
    """Say what was understood, and what was left and why."""
    words.say(click.style(f"understood from {where}", bold=True))
    _rows((each.at, each.what) for each in found.understood)
    if found.packages:
        count = f"{found.packages} package{'s' if found.packages > 1 else ''}"
        words.say(f"  and {count}, as they stand")
    if found.left:
        words.say(click.style("left out", bold=True))
        _rows((each.at, f"{each.what}: {each.why}") for each in found.left)


def _rows(rows: Iterable[tuple[str, str]]) -> None:
    listed = list(rows)
    width = min(max((len(at) for at, _ in listed), default=0), 28)
    for at, what in listed:
        words.say(_wrapped(f"  {at:<{width}}  ", what))


def _wrapped(head: str, text: str) -> str:
    """Return a line; on a terminal in its columns, with what follows below where it began."""
    if not sys.stderr.isatty():
        return head + text
    return click.wrap_text(
        text, width=_COLUMNS, initial_indent=head, subsequent_indent=" " * min(len(head), 24)
    )


def document(notes: Iterable[Note]) -> list[dict[str, Any]]:
    """Return notes as JSON has them."""
    return [{"at": each.at, "what": each.what, "why": each.why or None} for each in notes]
