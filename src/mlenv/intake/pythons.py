"""Which Python a file means: a spec names one minor, files name ranges."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from mlenv.intake.draft import Note, one_line

if TYPE_CHECKING:
    from mlenv.intake.draft import Said

PREFERRED = ("3.12", "3.11", "3.13", "3.10", "3.14", "3.9", "3.8")
"""The minors that a range is searched for, the one with the most wheels first."""
_EXACT = re.compile(r"==\s*(3\.\d{1,2}t?)(?:\.\d+|\.\*)*", re.ASCII)


def candidates(said: list[Said], left: list[Note]) -> tuple[str, ...]:
    """Return the minors that all of ``said`` allow, the most wanted first; all where none does."""
    allowed = list(PREFERRED)
    for each in said:
        exact = _EXACT.fullmatch(each.text.strip())
        if exact:
            return (exact[1],)
        try:
            wanted = SpecifierSet(each.text)
        except InvalidSpecifier:
            what = f"python {one_line(each.text)}"
            left.append(Note(at=each.at, what=what, why="it is no version"))
            continue
        # any patch release will do: >=3.10.4 allows 3.10
        fitting = [one for one in allowed if _any_patch(one, wanted)]
        if not fitting:
            why = "no CPython that mlenv knows is in it and in the others"
            left.append(Note(at=each.at, what=f"python {one_line(each.text)}", why=why))
        allowed = fitting or allowed
    return tuple(allowed)


def _any_patch(minor: str, wanted: SpecifierSet) -> bool:
    return any(wanted.contains(f"{minor}.{patch}") for patch in (0, 5, 9, 20, 30))
