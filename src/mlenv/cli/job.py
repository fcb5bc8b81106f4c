"""What ``lock`` and ``build`` have in common: nothing where nothing changed, else the main job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from mlenv import uptodate
from mlenv.cli import opening, words
from mlenv.errors import Exit, MlenvError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mlenv.build.verdict import Order, Outcome


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
        if not self.upgrade:
            text = opening.read(path)
            current = uptodate.current(text, self.out, target=self.target, recipe=self.recipe)
        if current is not None:
            return self._unchanged(path, current)
        return self._anew(path)

    def _unchanged(
        self, path: Path, locks: Mapping[Path, Mapping[str, Any]]
    ) -> tuple[dict[str, Any], Exit]:
        for folder, lock in locks.items():
            for said in lock.get("said", ()):
                words.say(f"warning[{said['code']}]: {said['what']}")
            words.say(f"{folder} is up to date (locked at {lock['exclude-newer']})")
            if not self.as_json:
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
            check=self.check,
        )
        indexes = {alias: each.url for alias, each in spec.spec.indexes.items()}
        with opening.desk(offline=self.offline, verbose=self.verbose, indexes=indexes) as desk:
            found = build(spec, opening.catalog(), desk, order)
        for each in found:
            words.show(each, quiet=self.as_json)
        if not self.as_json:
            self._told(found, order)
        return words.document(spec, found), words.worst(found, strict=self.strict)

    def _told(self, found: Sequence[Outcome], order: Order) -> None:
        made = [each for each in found if each.folder is not None and not each.reasons]
        for each in made:
            click.echo(str(each.folder))
        if made and self.recipe and not order.check:
            last = made[-1]
            tag = last.stack.spec.name + (f":{last.stack.target}" if len(found) > 1 else "")
            words.say(f"build the image: docker build --tag {tag} {last.folder}")
