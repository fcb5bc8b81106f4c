"""What ``lock`` and ``build`` have in common: nothing where nothing changed, else the main job."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlenv import uptodate
from mlenv.cli import opening, words
from mlenv.errors import Exit, MlenvError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlenv.build.verdict import Outcome
    from mlenv.cli.making import Making
    from mlenv.lock import Lock
    from mlenv.spec.parse import SpecFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run of ``lock`` or ``build``."""

    out: Path
    target: str | None
    recipe: bool
    upgrade: bool
    check: bool
    offline: bool
    strict: bool
    as_json: bool
    verbose: bool
    repin: bool = False
    only: str | None = None
    making: Making | None = None
    """How images are made; None where none is asked for."""
    moves: bool = False
    """Whether what moved since the former lock is said."""
    text: str | None = None
    """What the one spec is going to say, where that is not on the disk yet."""

    def run(self, specs: Sequence[Path]) -> int:
        """Do it for each spec; return the worst status."""
        documents, status = [], Exit.DONE
        for path in specs:
            try:
                found, own = self._one(path)
            except MlenvError as error:
                words.show_reasons(error.reasons, "error")
                found, own = words.failure(str(path), error.reasons), error.exit_status
            documents.append(found)
            status = max(status, own)
        if self.as_json:
            words.emit(words.several(documents))
        return status

    def _one(self, path: Path) -> tuple[dict[str, Any], Exit]:
        current = None
        if not (self.upgrade or self.repin or self.only):
            text = opening.read(path) if self.text is None else self.text
            current = uptodate.current(text, self.out, target=self.target, recipe=self.recipe)
        if current is not None:
            document, status = self._unchanged(path, current)
        else:
            document, status = self._anew(path)
        if self.making is not None and not self.check:
            self._make(document, self.making)
        return document, status

    def _make(self, document: dict[str, Any], how: Making) -> None:
        found = [each for each in document["targets"] if each.get("folder")]
        if len(found) > 1 and (how.push or how.output or how.tag):
            names = ", ".join(f"`{each['name']}`" for each in found)
            raise click.UsageError(
                f"several targets ({names}) and one name: pick one with --target"
            )
        for each in found:
            each["image"] = self._made(Path(each["folder"]), how)

    def _made(self, folder: Path, how: Making) -> dict[str, Any]:
        from mlenv.cli import making  # noqa: PLC0415 (loaded when used)

        made = how.image(folder)
        if not self.as_json:
            making.show(made)
        return making.document(made)

    def _unchanged(
        self, path: Path, locks: Mapping[Path, Mapping[str, Any]]
    ) -> tuple[dict[str, Any], Exit]:
        for folder, lock in locks.items():
            for said in lock.get("said", ()):
                words.say(f"warning[{said['code']}]: {said['what']}")
            words.say(f"{folder} is up to date (locked at {lock['exclude-newer']})")
            if not (self.as_json or self.making):
                click.echo(str(folder))
        unknown = any(lock["verdict"] == "unknown" for lock in locks.values())
        status = Exit.UNPROVEN if unknown and self.strict else Exit.DONE
        return words.unchanged(str(path), locks), status

    def tried(self, path: Path) -> Exit:
        """Solve every target and write nothing; say why one cannot be."""
        _, found = self._built(path, check=True)
        real = [
            replace(each, reasons=tuple(r for r in each.reasons if r.code != "out-of-date"))
            for each in found
        ]
        for each in real:
            words.show_reasons(each.reasons, "error")
        return words.worst(real, strict=False)

    def _built(self, path: Path, *, check: bool = False) -> tuple[SpecFile, tuple[Outcome, ...]]:
        from mlenv.build.job import build  # noqa: PLC0415 (not for a no-op)
        from mlenv.build.verdict import Order  # noqa: PLC0415

        spec = opening.spec_file(path, self.text)
        order = Order(
            out=self.out,
            today=opening.today(),
            target=self.target,
            recipe=self.recipe,
            upgrade=self.upgrade,
            repin=self.repin,
            only=self.only,
            check=check or self.check,
        )
        indexes = {alias: each.url for alias, each in spec.spec.indexes.items()}
        with (
            opening.desk(offline=self.offline, verbose=self.verbose, indexes=indexes) as desk,
            opening.pinning(offline=self.offline) as asks,
        ):
            return spec, build(spec, opening.catalog(), desk, order, asks)

    def _anew(self, path: Path) -> tuple[dict[str, Any], Exit]:
        from mlenv.build.verdict import chosen, former_lock  # noqa: PLC0415 (not for a no-op)

        asked = opening.spec_file(path, self.text)
        words.noted_unbuilt(asked)
        before = {
            each.folder: former_lock(self.out / each.folder)
            for each in (chosen(asked, self.target) if self.moves or self.upgrade else ())
        }
        spec, found = self._built(path)
        for each in found:
            words.show(each, quiet=self.as_json)
        document = words.document(spec, found)
        for outcome, row in zip(found, document["targets"], strict=True):
            former = before.get(outcome.stack.folder)
            if former is not None and outcome.lock is not None:
                row["moved"] = self._moved(former, outcome.lock)
        if not self.as_json:
            self._told(found)
        return document, words.worst(found, strict=self.strict)

    def _moved(self, former: Lock, lock: Lock) -> dict[str, Any]:
        from mlenv.changes import changes  # noqa: PLC0415 (not for a no-op)
        from mlenv.cli import moves  # noqa: PLC0415

        found = changes(former, lock)
        if not self.as_json:
            for line in moves.lines(found, few=True) if found else ("nothing moved",):
                words.say(f"  {line}")
        return moves.document(found)

    def _told(self, found: Sequence[Outcome]) -> None:
        made = [each for each in found if each.folder is not None and not each.reasons]
        if self.making is not None and not self.check:
            return
        for each in made:
            click.echo(str(each.folder))
        if made and self.recipe and not self.check:
            words.say(f"make the image: mlenv image {made[-1].folder}")
