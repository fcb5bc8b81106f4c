"""Where each key of a TOML text was written, so that an error can point at its line.

``tomllib`` keeps no positions. It is asked statement by statement instead, so that no second
TOML grammar stands here (``docs/decisions/0001``). For a list or table over several lines it is
the line it begins on, and each string of it has a line of its own.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_STATEMENT_LINES = 5000
_CLOSERS = ("]", "}")


def lines(text: str) -> Mapping[str, int]:
    """Return key path -> line, both as an error names them: ``targets.h100.gpus`` and 1-based.

    ``text`` is valid TOML; of what is not, only the part before it is found.
    """
    found: dict[str, int] = {}
    prefix = ""
    counts: dict[str, int] = {}
    for number, statement in _statements(text):
        if statement.lstrip().startswith("["):
            prefix = _header_path(statement, counts)
            found.setdefault(prefix, number)
            continue
        for path, offset in _paths(tomllib.loads(statement), statement):
            found.setdefault(f"{prefix}.{path}" if prefix else path, number + offset)
    return found


def line_of(key: str, found: Mapping[str, int]) -> int | None:
    """Return the line of ``key``, or else of the nearest table or list around it."""
    while key and key not in found:
        key = key[: max(key.rfind("."), key.rfind("["), 0)]
    return found.get(key)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    held: list[str] = []
    start, opened = 1, 0
    # TOML, "Newline": LF or CRLF. str.splitlines() would also break at U+2028 and others.
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        if not held:
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            start, opened = number, 0
        held.append(line)
        opened += sum(map(line.count, "[{")) - sum(map(line.count, "]}"))
        if len(held) > _STATEMENT_LINES:
            return
        if len(held) > 1 and opened > 0 and not _may_end(line.strip()):
            continue
        try:
            tomllib.loads("\n".join(held))
        except tomllib.TOMLDecodeError:
            continue
        yield start, "\n".join(held)
        held = []


def _may_end(line: str) -> bool:
    """Tell whether tomllib is worth asking, so that a long list is not read at each of its lines.

    A string may hold brackets, so the count of them is only a hint.
    """
    return line.startswith(_CLOSERS) or line.endswith(_CLOSERS) or '"""' in line or "'''" in line


def _header_path(statement: str, counts: dict[str, int]) -> str:
    at: object = tomllib.loads(statement)
    path = ""
    while isinstance(at, dict) and at:
        key, at = next(iter(at.items()))
        path = f"{path}.{key}" if path else key
        if isinstance(at, list):
            counts[path] = counts.get(path, -1) + 1
            at = at[0]
        if path in counts:
            path = f"{path}[{counts[path]}]"
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
    quoted = (f'"{value}"', f"'{value}'")
    rows = enumerate(statement.split("\n"))
    return next((row for row, line in rows if any(each in line for each in quoted)), 0)
