"""A Dockerfile, read as an engine reads it: instructions, without comments and continued lines.

Only what a check of our own output needs: words and flags, no variables expanded and nothing run.
Source: the reference of the format, https://docs.docker.com/reference/dockerfile/.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DIRECTIVE = re.compile(r"#[ \t]*([A-Za-z][A-Za-z0-9]*)[ \t]*=[ \t]*(.*)")
_HEREDOC = re.compile(r"""<<-?\s*(["']?)([A-Za-z_]\w*)\1""")
_FLAG = re.compile(r"--[a-z]\S*(?=\s|$)")
_CONTINUED = re.compile(r"\\[ \t]*$")
_PART = re.compile(r"""\"((?:[^\"\\]|\\.)*)\"|'([^']*)'|\\(.)|([^\\"'])""", re.DOTALL)
_ESCAPED = re.compile(r"""\\(["$\\])""")
_PAIR = re.compile(r"""(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+""", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One instruction, its lines joined."""

    word: str
    """In capitals."""
    flags: tuple[str, ...]
    """Such as ``--mount=type=tmpfs,target=/run``."""
    text: str
    """What follows the flags."""
    line: int
    """Where it begins, from 1."""
    lines: int
    """How many lines it goes over."""

    @property
    def words(self) -> tuple[str, ...]:
        """The words of ``text``, with their quotes; ``key="a b"`` is one."""
        return tuple(_PAIR.findall(self.text))

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Key and value of each word, the value as the engine unquotes it."""
        return tuple(
            (key, _unquoted(value))
            for key, _, value in (each.partition("=") for each in self.words)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One FROM and what follows it."""

    source: str
    """The image or the stage it starts from, its ARGs filled in by their defaults."""
    name: str
    steps: tuple[Instruction, ...]


def directives(text: str) -> tuple[tuple[str, str], ...]:
    """Return the parser directives, which stand before everything else: ``syntax``, ``escape``."""
    found = []
    for line in text.split("\n"):
        match = _DIRECTIVE.fullmatch(line.strip())
        if match is None:
            break
        found.append((match[1].lower(), match[2].strip()))
    return tuple(found)


def heredoc(instruction: Instruction) -> bool:
    """Tell whether an engine of today reads the lines that follow as its input."""
    within = instruction.word in {"RUN", "COPY", "ADD"}
    return within and _HEREDOC.search(instruction.text) is not None


def parse(text: str) -> tuple[Instruction, ...]:
    """Return the instructions of a Dockerfile, in order."""
    found = []
    parts: list[str] = []
    start = 0
    # A line ends at LF alone: not at what else Unicode, or Python, calls an end of line.
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.removesuffix("\r")
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        start = start if parts else number
        more = _CONTINUED.search(line)
        parts.append(line[: more.start()] if more else line)
        if not more:
            found.append(_instruction("".join(parts), start, number))
            parts = []
    if parts:
        found.append(_instruction("".join(parts), start, text.count("\n") + 1))
    return tuple(found)


def _instruction(joined: str, first: int, last: int) -> Instruction:
    word, _, rest = joined.strip().partition(" ")
    flags = []
    rest = rest.strip()
    while flag := _FLAG.match(rest):
        flags.append(flag[0])
        rest = rest[flag.end() :].strip()
    return Instruction(
        word=word.upper(), flags=tuple(flags), text=rest, line=first, lines=last - first + 1
    )


def _unquoted(value: str) -> str:
    """Return a value without its quotes: within single ones a backslash is a backslash."""
    parts = (
        (single, _ESCAPED.sub(r"\1", double), escaped or plain)
        for double, single, escaped, plain in _PART.findall(value)
    )
    return "".join(text for part in parts for text in part)


def _filled(word: str, arguments: Mapping[str, str]) -> str:
    return re.sub(r"\$\{?(\w+)\}?", lambda found: arguments.get(found[1], ""), word)


def stages(steps: Sequence[Instruction]) -> tuple[Stage, ...]:
    """Return the stages of a Dockerfile, in order."""
    arguments: dict[str, str] = {}
    found: list[tuple[str, str, list[Instruction]]] = []
    for each in steps:
        if each.word == "FROM":
            words = each.text.split()
            source = _filled(words[0], arguments)
            name = words[2] if len(words) == 3 else ""
            found.append((source, name, []))
        elif found:
            found[-1][2].append(each)
        elif each.word == "ARG":
            arguments |= dict(each.pairs)
    return tuple(Stage(source=s, name=n, steps=tuple(members)) for s, n, members in found)
