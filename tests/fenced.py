"""The fenced blocks of the documentation, and what is done with each of them.

A block of ``sh`` or ``console`` is run, one of ``toml`` is a spec that ``mlenv check`` takes, and
one of ``json``, ``yaml`` or ``python`` is read. Comments just above a block say what else is so:

    <!-- not run: REASON -->     a command that cannot be run by a test, and why
    <!-- not a spec: REASON -->  TOML of something else
    <!-- needs: engine -->       it is run where a container engine is
    <!-- exits: 3 -->            the status of its last command; else all end with 0
    <!-- file: NAME -->          it is written there, for the blocks below
    <!-- added to: NAME -->      it is the rest of a file that stands above
    <!-- before: COMMAND -->     run first, and not shown to the reader

What a ``console`` block shows is compared with what is said; ``…`` stands for anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parent.parent
RUN = ("sh", "console")
LANGUAGES = (*RUN, "toml", "json", "yaml", "python", "text")
NOTES = ("not run", "not a spec", "needs", "exits", "file", "added to", "before")

_NOTE = re.compile(r"<!-- (.+?): (.+?) -->")
_FENCE = re.compile(r"^( *)(`{3,}|~{3,}) *(\S*).*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block of a page."""

    page: str
    """Its path below the repository."""
    line: int
    """Of its fence, from 1."""
    language: str
    text: str
    notes: Mapping[str, str]

    @property
    def title(self) -> str:
        """How a test calls it."""
        return f"{self.page}:{self.line}"

    @property
    def is_run(self) -> bool:
        """Whether its commands are executed."""
        return self.language in RUN and "not run" not in self.notes


def pages() -> list[Path]:
    """Return README and every page of the site, in the order of their names."""
    decisions = ROOT / "docs" / "decisions"
    found = sorted(e for e in (ROOT / "docs").rglob("*.md") if decisions not in e.parents)
    return [ROOT / "README.md", *found]


def blocks(text: str, page: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page, with the notes just above each."""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        found = _FENCE.match(lines[at])
        if found is None:
            at += 1
            continue
        indent, fence, language = found.groups()
        end = next(e for e in range(at + 1, len(lines)) if lines[e].strip() == fence)
        inside = "".join(each.removeprefix(indent) + "\n" for each in lines[at + 1 : end])
        notes = dict(_notes(lines[:at]))
        yield Block(page=page, line=at + 1, language=language, text=inside, notes=notes)
        at = end + 1


def _notes(above: list[str]) -> Iterator[tuple[str, str]]:
    for each in reversed(above):
        found = _NOTE.fullmatch(each.strip())
        if found is not None:
            yield found[1], found[2]
        elif each.strip():
            return


def complaints(block: Block) -> Iterator[str]:
    """Yield what is wrong with a block, before anything is run."""
    if block.language not in LANGUAGES:
        yield f"its language is {block.language or 'not named'}, and none of {', '.join(LANGUAGES)}"
    for each in block.notes:
        if each not in NOTES:
            yield f"`{each}` is no note"
    if "not run" in block.notes and block.language not in RUN:
        yield "nothing of it would be run"
    if block.notes.get("needs", "engine") != "engine":
        yield f"no test has {block.notes['needs']}"
    if block.language == "console" and not block.text.startswith("$ "):
        yield "it begins without a command"


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """Yield each command of a ``console`` block, with what it says."""
    command, said = "", ""
    for each in block.text.splitlines(keepends=True):
        if each.startswith("$ "):
            if command:
                yield command, said
            command, said = each[2:], ""
        elif command.endswith("\\\n"):
            command += each
        else:
            said += each
    yield command, said


def is_said(expected: str, said: str) -> bool:
    """Tell whether ``said`` is what a page shows; blanks at the ends of lines do not count."""
    wanted, found = ("\n".join(map(str.rstrip, e.splitlines())) for e in (expected, said))
    pattern = ".*?".join(re.escape(each) for each in wanted.strip("\n").split("…"))
    return re.fullmatch(pattern, found.strip("\n"), re.DOTALL) is not None
