"""What ``lock`` and ``build`` have in common: nothing where nothing changed, else the main job."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlenv import uptodate
from mlenv.cli import opening, words
from mlenv.errors import Exit, MlenvError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlenv.build.verdict import Order, Outcome
    from mlenv.cli.making import Making


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
    making: Making | None = None
    """How images are made; None where none is asked for."""

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
        if not (self.upgrade or self.repin):
            text = opening.read(path)
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

    def _anew(self, path: Path) -> tuple[dict[str, Any], Exit]:
        from mlenv.build.job import build  # noqa: PLC0415 (not for a no-op)
        from mlenv.build.verdict import Order  # noqa: PLC0415

        spec = opening.spec_file(path)
        words.noted_unbuilt(spec)
        order = Order(
            out=self.out,
            today=opening.today(),
            target=self.target,
            recipe=self.recipe,
            upgrade=self.upgrade,
            repin=self.repin,
            check=self.check,
        )
        indexes = {alias: each.url for alias, each in spec.spec.indexes.items()}
        with (
            opening.desk(offline=self.offline, verbose=self.verbose, indexes=indexes) as desk,
            opening.pinning(offline=self.offline) as asks,
        ):
            found = build(spec, opening.catalog(), desk, order, asks)
        for each in found:
            words.show(each, quiet=self.as_json)
        if not self.as_json:
            self._told(found, order)
        return words.document(spec, found), words.worst(found, strict=self.strict)

    def _told(self, found: Sequence[Outcome], order: Order) -> None:
        made = [each for each in found if each.folder is not None and not each.reasons]
        if self.making is not None and not order.check:
            return
        for each in made:
            click.echo(str(each.folder))
        if made and self.recipe and not order.check:
            words.say(f"make the image: mlenv image {made[-1].folder}")
