"""Exports, in words: what lies in a locked folder, the files of each format, and where they go."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from mlenv.cli import words
from mlenv.errors import Exit, Reason, UsageError
from mlenv.export.formats import FORMATS
from mlenv.export.source import NOTE, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlenv.export.formats import Format
    from mlenv.files import File
    from mlenv.lock import Lock

STDOUT = Path("-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exporting:
    """What was asked for, in the words of a command line."""

    names: tuple[str, ...]
    output: Path | None
    words: tuple[str, ...]
    image: str | None
    variant: Literal["runtime", "dev"] | None
    gpus: int
    offline: bool

    def run(self, folder: Path, *, as_json: bool) -> int:
        """Write what was asked for; say where it is, and the next command.

        Raises:
            UsageError: ``export-order``, ``not-locked``, ``lock-unreadable``.
            HostError: ``disk-failed``.
        """
        _check_image(self.image)
        made = {name: self._files(folder, name) for name in dict.fromkeys(self.names)}
        if self.output == STDOUT:
            self._show([file for files in made.values() for file in files])
            return Exit.DONE
        placed = {name: _placed(files, self.output) for name, files in made.items()}
        _write([pair for pairs in placed.values() for pair in pairs])
        if as_json:
            words.emit({"files": [_row(name, *pair) for name in placed for pair in placed[name]]})
            return Exit.DONE
        for name, pairs in placed.items():
            for path, _ in pairs:
                click.echo(str(path))
            words.say(f"next: {FORMATS[name].use.format(shlex.quote(str(pairs[0][0])))}")
        return Exit.DONE

    def _files(self, folder: Path, name: str) -> tuple[File, ...]:
        from mlenv.imaging.locked import lock_in  # noqa: PLC0415 (pydantic, for the work alone)

        chosen = FORMATS[name]
        lock = lock_in(folder)
        if lock.backend not in chosen.backends:
            raise refused(
                f"{folder} cannot be written as {name}",
                f"its lock is of {lock.backend}, and {name} speaks of {chosen.backends[0]} alone",
                f"give another --to: {', '.join(_fitting(lock))}",
            )
        try:
            return chosen.files(self._source(folder, lock, chosen))
        except ValueError as error:
            raise refused(
                f"{folder} cannot be written as {name}",
                str(error),
                "build its spec again: mlenv itself writes no such lock",
            ) from None

    def _source(self, folder: Path, lock: Lock, chosen: Format) -> Source:
        from mlenv.backends import uv  # noqa: PLC0415 (loaded when used)
        from mlenv.host import disk  # noqa: PLC0415

        found = disk.read(folder, [uv.PROJECT, uv.ANSWER])
        return Source(
            lock=lock,
            variant=self.variant or chosen.variant,
            indexes=uv.indexes(found.get(uv.PROJECT, "")),
            image=self.image,
            gpus=self.gpus,
            command=self.words,
        )

    def _show(self, files: list[File]) -> None:
        if len(files) != 1:
            raise refused(
                f"{len(files)} files do not fit into one stream",
                f"{', '.join(each.path for each in files)} would run into each other",
                "name a folder with --output, or one format with one file",
            )
        click.echo(files[0].text, nl=False)


def _check_image(image: str | None) -> None:
    from mlenv.reference import parse_reference  # noqa: PLC0415 (loaded when used)

    try:
        parse_reference(image if image is not None else "a")
    except ValueError as error:
        what = f"`--image {image}` names no image"
        raise refused(what, str(error), "write it like `ghcr.io/me/train:1`") from None


def refused(what: str, cause: str, fix: str) -> UsageError:
    """Return the error of an export that cannot be written as it was asked."""
    return UsageError(Reason(code="export-order", what=what, cause=cause, fix=fix))


def _fitting(lock: Lock) -> Iterable[str]:
    return (name for name, each in FORMATS.items() if lock.backend in each.backends)


def _placed(files: Iterable[File], output: Path | None) -> tuple[tuple[Path, File], ...]:
    """Return where each file goes: below a folder, or one file under the name that was asked."""
    found = tuple(files)
    if output is None:
        return tuple((Path(each.path), each) for each in found)
    if len(found) == 1 and output.suffix and not output.is_dir():
        return ((output, found[0]),)
    return tuple((output / each.path, each) for each in found)


def _write(placed: list[tuple[Path, File]]) -> None:
    """Write all, or nothing where one of them would overwrite what is not mlenv's."""
    from mlenv.host import disk  # noqa: PLC0415 (loaded when used)

    paths = [path for path, _ in placed]
    if twice := sorted({str(each) for each in paths if paths.count(each) > 1}):
        raise refused(
            f"two formats would be written to {', '.join(twice)}",
            "--output names one file, and each format is a file of its own",
            "name a folder with --output",
        )
    for path, file in placed:
        if not path.exists():
            continue
        there = disk.text(path) if path.is_file() else ""
        if there != file.text and NOTE not in there:
            raise refused(
                f"{path} is there already, and is not mlenv's",
                f"the words `{NOTE}` do not stand in it",
                "move it away, or name another place with --output",
            )
    for path, file in placed:
        disk.write(path, file.text)


def _row(name: str, path: Path, file: File) -> Mapping[str, Any]:
    return {"format": name, "path": str(path), "sha256": file.sha256}
