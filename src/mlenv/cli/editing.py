"""What ``add`` and ``remove`` have in common: an edit, a look at it, a lock, and then the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from mlenv.cli import opening, words
from mlenv.cli.job import Job
from mlenv.errors import Exit, StackError
from mlenv.host import disk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlenv.intake.editing import Edited


def options(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options of an edit."""
    from mlenv.cli.options import JSON, OFFLINE, OUT, VERBOSE  # noqa: PLC0415 (named as here)

    no_lock = click.option(
        "--no-lock", is_flag=True, help="Edit the spec only; check it, and solve nothing."
    )
    for option in reversed((OUT, no_lock, OFFLINE, JSON, VERBOSE)):
        function = option(function)
    return function


@dataclass(frozen=True, slots=True, kw_only=True)
class Editing:
    """One edit of a spec: it is written when the stack is known to be, and else not at all."""

    path: Path
    out: Path
    no_lock: bool
    offline: bool
    as_json: bool
    verbose: bool

    def run(self, edit: Callable[[str], Edited]) -> int:
        """Edit the spec, lock it, and write it; return the status.

        Raises:
            UsageError: the edit, or the spec as it would be, is wrong; nothing was changed.
            StackError: no such stack; nothing was changed.
        """
        from mlenv.spec.parse import parse_spec  # noqa: PLC0415 (loaded when used)

        before = opening.read(self.path)
        parse_spec(before, origin=str(self.path))  # its own mistakes first
        edited = edit(before)
        spec = parse_spec(edited.text, origin=f"{self.path} (as it would be)")
        self._checked(edited.text)
        status = Exit.DONE
        if not self.no_lock and edited.text != before:
            status = Exit(self._locked(edited.text, several=len(spec.spec.targets) > 1))
        if status in {Exit.DONE, Exit.UNPROVEN}:
            if edited.text != before:
                disk.write(self.path, edited.text)
            for each in edited.did:
                words.say(f"{self.path}: {each}")
        else:
            words.say(f"{self.path} is as it was")
        if self.no_lock and self.as_json:
            words.emit({"spec": str(self.path), "did": list(edited.did)})
        return status

    def _checked(self, text: str) -> None:
        """Refuse what the catalog knows to be impossible, before anything is asked."""
        from mlenv.build.verdict import Order, check  # noqa: PLC0415 (loaded when used)
        from mlenv.spec.parse import parse_spec  # noqa: PLC0415

        spec = parse_spec(text, origin=str(self.path))
        found = check(spec, opening.catalog(), Order(out=self.out, today=opening.today()))
        reasons = [r for each in found if each.verdict == "impossible" for r in each.reasons]
        if reasons:
            words.say(f"{self.path} is as it was: what it would be cannot run")
            raise StackError(*reasons)

    def _locked(self, text: str, *, several: bool) -> int:
        job = Job(
            recipe=False,
            out=self.out,
            target=None,
            upgrade=False,
            check=False,
            offline=self.offline,
            strict=False,
            as_json=self.as_json,
            verbose=self.verbose,
            moves=True,
            text=text,
        )
        if several and (status := job.tried(self.path)):
            return status
        return job.run([self.path])
