"""YAML as text, with lines: every scalar stays the string it was written as.

So ``python_version: 3.10`` is 3.10 and not 3.1, and nothing of a hostile file is made into an
object. What refers to itself or is nested without end is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from mlenv.intake.draft import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlenv.intake.draft import Source

MOST_CHARACTERS = 32 << 20


class Text(str):
    """A scalar, and the line it begins on."""

    __slots__ = ("line",)
    line: int

    @classmethod
    def of(cls, text: str, line: int) -> Text:
        """Return ``text`` with its line."""
        made = cls(text)
        made.line = line
        return made


class _Loader(getattr(yaml, "CBaseLoader", yaml.BaseLoader)):  # type: ignore[misc]
    """Reads scalars as ``Text``."""

    def construct_scalar(self, node: yaml.ScalarNode) -> str:
        return Text.of(str(super().construct_scalar(node)), node.start_mark.line + 1)


def mapping(source: Source) -> dict[str, Any]:
    """Return the mapping that a text is.

    Raises:
        UsageError: ``intake-unreadable``.
    """
    fix = "mend it, or name another file with --from"
    if len(source.text) > MOST_CHARACTERS:
        raise unreadable(source.name, "it is larger than any such file", fix)
    try:
        found = yaml.load(source.text, _Loader)  # noqa: S506 (a BaseLoader makes strings only)
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        said = getattr(error, "problem", None) or type(error).__name__
        raise unreadable(source.name, f"it is no YAML ({line}{said})", fix) from None
    if not isinstance(found, dict):
        raise unreadable(source.name, "it is YAML, but no mapping", fix)
    return found


def line(value: object) -> int | None:
    """Return the line of a scalar; of anything else none."""
    return value.line if isinstance(value, Text) else None


def strings(value: object) -> Iterator[Text]:
    """Yield the scalars of a list; a lone one is a list of one."""
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, Text):
            yield each


def table(value: object) -> dict[str, Any]:
    """Return a mapping, or an empty one for what is none."""
    return value if isinstance(value, dict) else {}
