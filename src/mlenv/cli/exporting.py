"""Exports, in words: what lies in a locked folder, the files of each format, and where they go."""

from __future__ import annotations

import posixpath
import shlex
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from mlenv.cli import opening, words
from mlenv.errors import Exit, Reason, UsageError
from mlenv.export.formats import FORMATS
from mlenv.export.source import NOTE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mlenv.export.formats import Format
    from mlenv.export.source import Source
    from mlenv.files import File
    from mlenv.host.http import Web
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
        made = self._made(folder, {name: FORMATS[name] for name in dict.fromkeys(self.names)})
        if self.output == STDOUT:
            self._show([file for files in made.values() for file in files])
            return Exit.DONE
        placed = {name: _placed(files, self.output) for name, files in made.items()}
        _write([pair for pairs in placed.values() for pair in pairs])
        if as_json:
            rows = [_row(name, *pair) for name in placed for pair in placed[name]]
            words.emit({"files": rows, "reasons": []})
            return Exit.DONE
        for name, pairs in placed.items():
            for path, _ in pairs:
                click.echo(str(path))
            words.say(f"next: {FORMATS[name].use.format(shlex.quote(str(pairs[0][0])))}")
        return Exit.DONE

    def _made(self, folder: Path, chosen: Mapping[str, Format]) -> dict[str, tuple[File, ...]]:
        try:
            source = self._gathered(folder, chosen)
            self._check(folder, source.lock, chosen)
            asked = replace(
                source,
                folder=_relative(folder, self.output),
                image=self.image,
                gpus=self.gpus,
                command=self.words,
            )
            return {
                name: each.files(replace(asked, variant=self.variant or each.variant))
                for name, each in chosen.items()
            }
        except ValueError as error:
            names = ", ".join(chosen)
            raise refused(
                f"{folder} cannot be written as {names}", str(error), "mend that, or name another"
            ) from None

    def _gathered(self, folder: Path, chosen: Mapping[str, Format]) -> Source:
        from mlenv.imaging.gathering import gathered  # noqa: PLC0415 (loaded when used)

        @contextmanager
        def web(indexes: Mapping[str, str]) -> Iterator[tuple[Web, Path]]:
            with opening.desk(offline=self.offline, verbose=False, indexes=indexes) as desk:
                desk.say("reading what the packages say of themselves")
                yield desk.web, desk.cache

        needs = {need for each in chosen.values() for need in each.needs}
        return gathered(folder, opening.catalog, web, needs)

    def _check(self, folder: Path, lock: Lock, chosen: Mapping[str, Format]) -> None:
        for name, each in chosen.items():
            if lock.backend not in each.backends:
                raise refused(
                    f"{folder} cannot be written as {name}",
                    f"its lock is of {lock.backend}, and {name} speaks of {each.backends[0]} alone",
                    f"give another --to: {', '.join(_fitting(lock))}",
                )
            if "image" in each.needs and self.image is None:
                raise refused(
                    f"{name} needs to know where the image lies",
                    "whoever starts it takes it from a registry",
                    "push it with `mlenv image`, and give its name: --image ghcr.io/me/train:1",
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


def _relative(folder: Path, output: Path | None) -> str:
    """Return the locked folder as it is seen from where the files are written."""
    place = Path() if output is None or output == STDOUT else output
    return posixpath.relpath(folder.resolve(), place.resolve())


def _placed(files: Iterable[File], output: Path | None) -> tuple[tuple[Path, File], ...]:
    """Return where each file goes: below a folder, or one file under the name that was asked.

    What tools look for in a folder of its own goes below one, whatever that is called.
    """
    found = tuple(files)
    if output is None:
        return tuple((Path(each.path), each) for each in found)
    if len(found) == 1 and "/" not in found[0].path and output.suffix and not output.is_dir():
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
