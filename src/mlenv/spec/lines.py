"""Where each key of a TOML text was written, so that an error can point at its line.

``tomllib`` keeps no positions. It is asked statement by statement instead, so that no second
TOML grammar stands here; for a list or table over several lines it is the line it begins on,
and each string of it on a line of its own.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_HEADER = re.compile(r"\s*\[\[?(?!\s*\])")
_STATEMENT_LINES = 2000


def lines(text: str) -> Mapping[str, int]:
    """Return key path -> line, both as an error names them: ``targets.h100.gpus`` and 1-based.

    ``text`` is valid TOML; of what is not, only the part before it is found.
    """
    found: dict[str, int] = {}
    prefix = ""
    counts: dict[str, int] = {}
    for number, statement in _statements(text):
        if _HEADER.match(statement):
            prefix = _header_path(statement, counts)
            found.setdefault(prefix, number)
            continue
        for path, offset in _paths(tomllib.loads(statement), statement):
            found.setdefault(f"{prefix}.{path}" if prefix else path, number + offset)
    return found


def _statements(text: str) -> Iterator[tuple[int, str]]:
    held: list[str] = []
    start = 1
    for number, line in enumerate(text.splitlines(), start=1):
        if not held:
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            start = number
        held.append(line)
        try:
            tomllib.loads("\n".join(held))
        except tomllib.TOMLDecodeError:
            if len(held) > _STATEMENT_LINES:
                return
            continue
        yield start, "\n".join(held)
        held = []


def _header_path(statement: str, counts: dict[str, int]) -> str:
    at: object = tomllib.loads(statement)
    path = ""
    while isinstance(at, dict) and at:
        key, at = next(iter(at.items()))
        path = f"{path}.{key}" if path else key
        if isinstance(at, list):
            if not at[0]:
                counts[path] = counts.get(path, -1) + 1
            path = f"{path}[{max(counts.get(path, 0), 0)}]"
            at = at[0]
    return path


def _paths(value: object, statement: str, path: str = "") -> Iterator[tuple[str, int]]:
    if path:
        yield path, _offset(value, statement)
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _paths(below, statement, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _paths(below, statement, f"{path}[{index}]")


def _offset(value: object, statement: str) -> int:
    if not isinstance(value, str) or "\n" not in statement:
        return 0
    rows = [i for i, row in enumerate(statement.splitlines()) if value and value in row]
    return rows[0] if rows else 0
