"""TOML with lines, read so that a table which is none is an empty one."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from mlenv.intake.draft import unreadable
from mlenv.spec.lines import line_of, lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlenv.intake.draft import Source


def document(source: Source) -> tuple[dict[str, Any], Callable[[str], int | None]]:
    """Return what a text says, and the line of a key path.

    Raises:
        UsageError: ``intake-unreadable``.
    """
    try:
        found = tomllib.loads(source.text)
        where = lines(source.text)
    except (ValueError, RecursionError) as error:
        fix = "mend it, or name another file with --from"
        raise unreadable(source.name, f"it is no TOML: {error}", fix) from None
    return found, lambda key: line_of(key, where)


def table(content: object, *path: str) -> dict[str, Any]:
    """Return the table at ``path``; an empty one where there is none."""
    for each in path:
        content = content.get(each) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else {}


def strings(value: object) -> list[str]:
    """Return the strings of a list; of anything else none."""
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def rows(value: object) -> list[dict[str, Any]]:
    """Return the tables of a list; a lone one is a list of one."""
    several = value if isinstance(value, list) else [value]
    return [each for each in several if isinstance(each, dict)]
