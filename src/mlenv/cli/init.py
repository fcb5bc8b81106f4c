"""``mlenv init``: a first spec, from flags, or read off what a team has today."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlenv.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlenv.build.verdict import Outcome
    from mlenv.intake.settling import Settled
    from mlenv.spec.parse import SpecFile

_PYTHON = "3.12"


@click.command(
    epilog="Example: mlenv init train --framework torch --gpu H100 --driver '>=570' "
    "--package transformers, or mlenv init --from requirements.txt"
)
@click.argument("name", required=False)
@click.option(
    "--from",
    "origin",
    metavar="FILE|DIR|env",
    help="Read it off requirements.txt, pyproject.toml, environment.yml, conda-lock.yml, "
    "pixi.toml, cog.yaml, a Dockerfile, a folder of these; or `env`: what is installed.",
)
@click.option(
    "--extra",
    "extras",
    multiple=True,
    help="With --from: an extra, group or feature to take too; repeat.",
)
@click.option(
    "--python",
    help="The interpreter, such as 3.12; with `--from env` the path of one, or of a venv.  "
    "[default: 3.12; of a file, what it says]",
)
@click.option(
    "--framework", "frameworks", multiple=True, help="torch, jax, tensorflow, cupy; repeat."
)
@click.option(
    "--backend",
    type=click.Choice(["uv", "conda"]),
    help="The solver.  [default: uv; for files of conda's packages, conda]",
)
@click.option("--cuda", help="A toolkit such as 12.8, or cpu.  [default: the newest that can run]")
@click.option("--package", "packages", multiple=True, help="A further requirement; repeat.")
@click.option("--gpu", "gpus", multiple=True, help="A GPU it must run on, such as H100; repeat.")
@click.option("--driver", help="The drivers of those machines, such as '>=570'.")
@click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write.  [default: NAME.toml]",
)
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
@options.JSON
def command(name: str | None, *, as_json: bool, **asked: Any) -> int:  # noqa: ANN401 (the options)
    """Write a spec called NAME, and say whether it can run.

    With --from it is read off what is there already, and every line that was left out is named
    with the reason; NAME is then what the file says, else that of its folder.
    """
    return _Init(**asked).run(name, as_json=as_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Init:
    """One run of ``init``, in the words of a command line."""

    origin: str | None
    extras: tuple[str, ...]
    python: str | None
    frameworks: tuple[str, ...]
    backend: str | None
    cuda: str | None
    packages: tuple[str, ...]
    gpus: tuple[str, ...]
    driver: str | None
    file: Path | None
    force: bool

    def run(self, name: str | None, *, as_json: bool) -> int:
        """Write the spec; return the status of its verdict."""
        from mlenv.cli import words  # noqa: PLC0415 (loaded when used)
        from mlenv.host import disk  # noqa: PLC0415

        read = self._read(name)
        pythons = (self._version() or _PYTHON,) if read is None else read.pythons
        document = self._document(name, read)
        place = self.file or Path(f"{document['name']}.toml")
        if place.exists() and not self.force:
            raise click.UsageError(f"{place} is there already; --force overwrites it.")
        text, spec, found = self._tried(document, pythons, str(place))
        disk.write(place, text)
        self._shown(read, found, quiet=as_json)
        if as_json:
            words.emit(_documents(place, spec, found, read))
        else:
            click.echo(str(place))
            impossible = any(each.verdict == "impossible" for each in found)
            mend = f"mend {place} as told above, then mlenv check {place}"
            words.say(f"next: {mend if impossible else f'mlenv build {place}'}")
        return words.worst(found, strict=False)

    def _version(self) -> str | None:
        """Return ``--python`` where it is a version, and no path."""
        path = self.python and ("/" in self.python or Path(self.python).exists())
        return None if path else self.python

    def _read(self, name: str | None) -> Settled | None:
        if self.origin is None:
            if name is None:
                raise click.UsageError("Missing argument 'NAME', or --from FILE.")
            if self.extras:
                raise click.UsageError("--extra is for --from")
            return None
        from mlenv.cli import coming, opening  # noqa: PLC0415 (loaded when used)

        path = self.python if self._version() is None else None
        return coming.settled(
            self.origin,
            opening.catalog(),
            name=name,
            extras=frozenset(self.extras),
            python=path,
        )

    def _document(self, name: str | None, read: Settled | None) -> dict[str, Any]:
        """Return the tables of the spec: what was read, and the flags over it."""
        document: dict[str, Any] = {"name": name, "python": _PYTHON}
        if read is not None:
            document = dict(read.document)
        if version := self._version():
            document["python"] = version
        if self.frameworks:
            several = len(self.frameworks) > 1
            document["framework"] = list(self.frameworks) if several else self.frameworks[0]
        if self.backend:
            document["backend"] = self.backend
        if self.cuda:
            document["cuda"] = self.cuda
        if self.packages:
            document["packages"] = [*document.get("packages", ()), *self.packages]
        target: dict[str, object] = {}
        if self.gpus:
            target["gpus"] = list(self.gpus)
        if self.driver:
            target["driver"] = self.driver
        if target:
            known: dict[str, Any] = document.get("targets", {})
            word = next(iter(known), "machine")
            document["targets"] = {word: {**known.get(word, {}), **target}}
        return document

    def _tried(
        self, document: dict[str, Any], pythons: Sequence[str], origin: str
    ) -> tuple[str, SpecFile, tuple[Outcome, ...]]:
        """Return the spec with the first Python that can run; with the first where none can."""
        tried = [
            _checked({**document, "python": each}, origin)
            for each in ([self._version() or ""] if self._version() else pythons[:1])
        ]
        if tried[0][2] and all(each.verdict == "impossible" for each in tried[0][2]):
            for each in () if self._version() else pythons[1:]:
                another = _checked({**document, "python": each}, origin)
                if all(one.verdict != "impossible" for one in another[2]):
                    return another
        return tried[0]

    def _shown(self, read: Settled | None, found: Sequence[Outcome], *, quiet: bool) -> None:
        from mlenv.cli import coming, words  # noqa: PLC0415 (loaded when used)

        if read is not None and not quiet:
            coming.told(read, self.origin or "")
        for each in found:
            words.show(each, quiet=quiet)


def _checked(document: dict[str, Any], origin: str) -> tuple[str, SpecFile, tuple[Outcome, ...]]:
    import tomli_w  # noqa: PLC0415 (loaded when used)

    from mlenv.build.verdict import Order, check  # noqa: PLC0415
    from mlenv.cli import opening  # noqa: PLC0415
    from mlenv.spec.parse import parse_spec  # noqa: PLC0415

    text = tomli_w.dumps(document)
    spec = parse_spec(text, origin=origin)
    order = Order(out=Path("images"), today=opening.today())
    return text, spec, check(spec, opening.catalog(), order)


def _documents(
    place: Path, spec: SpecFile, found: Sequence[Outcome], read: Settled | None
) -> dict[str, Any]:
    from mlenv.cli import coming, words  # noqa: PLC0415 (loaded when used)

    return {
        "file": str(place),
        **words.document(spec, found),
        "understood": coming.document(read.understood if read else ()),
        "left": coming.document(read.left if read else ()),
    }
