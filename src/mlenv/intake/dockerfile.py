"""A Dockerfile's FROM, pip and apt lines, where they can be read; its other lines are left.

No shell is imitated: variables with a default are put in, commands are split where a shell would,
and what holds more than words is left.
Source: https://docs.docker.com/reference/dockerfile/ (2026-11-28).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlenv.intake import images, installs
from mlenv.intake.draft import Draft

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlenv.intake.draft import Source

_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::?-([^}]*))?\}|(\w+))")
_HEREDOC = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?")
_QUIET = {
    *("ADD", "CMD", "COPY", "ENTRYPOINT", "EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER"),
    *("ONBUILD", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
}


def read(source: Source) -> Draft:
    """Return what a Dockerfile says."""
    draft = Draft(file=source.name)
    variables: dict[str, str] = {}
    stages: set[str] = set()
    for number, word, rest in _instructions(source.text):
        text = _filled(rest, variables)
        match word:
            case "FROM":
                _from(draft, number, text, stages)
            case "ARG" | "ENV":
                variables |= _assigned(word, text)
            case "RUN":
                installs.take(draft, source, number, text)
            case _ if word in _QUIET:
                continue
            case _:
                draft.leave(number, f"{word} {rest}", "no instruction that is known")
    return draft


def _instructions(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield line, instruction and the rest, with continued lines and heredocs joined."""
    rows = iter(enumerate(text.splitlines(), start=1))
    for number, row in rows:
        if not row.strip() or row.lstrip().startswith("#"):
            continue
        held = row
        while held.rstrip().endswith("\\"):
            _, more = next(rows, (0, ""))
            if more.lstrip().startswith("#"):
                more = "\\"
            held = held.rstrip()[:-1] + " " + more
        if end := _HEREDOC.search(held):
            body = []
            for _, line in rows:
                if line.strip() == end[1]:
                    break
                body.append(line)
            held = _HEREDOC.sub("", held) + "\n" + "\n".join(body)
        word, _, rest = held.strip().partition(" ")
        yield number, word.upper(), rest.strip()


def _filled(text: str, variables: dict[str, str]) -> str:
    """Return ``text`` with the variables that are known; the others stay as they are."""

    def value(found: re.Match[str]) -> str:
        return variables.get(found[1] or found[3], found[2] or found[0])

    return _VARIABLE.sub(value, text)


def _assigned(word: str, text: str) -> dict[str, str]:
    if word == "ENV" and re.fullmatch(r"\w+\s+[^=]*", text):
        name, _, value = text.partition(" ")
        return {name: value.strip()}
    pairs = re.findall(r"(\w+)=(\"[^\"]*\"|'[^']*'|\S*)", text)
    return {name: value.strip("'\"") for name, value in pairs}


def _from(draft: Draft, line: int, text: str, stages: set[str]) -> None:
    words = [each for each in text.split() if not each.startswith("--")]
    if words and words[0].lower() not in stages:
        images.take(draft, line, words[0])
    if len(words) >= 3 and words[1].upper() == "AS":
        stages.add(words[2].lower())
