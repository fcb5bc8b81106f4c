"""The specs of the folder that one works in, found without loading anything."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import click

PLACES = (".", "specs")
"""The folders that are looked in."""
_KEYS = ("name", "python")
_MOST_BYTES = 1 << 20


def specs_here() -> dict[Path, dict[str, Any]]:
    """Return the specs of this folder, and of ``specs`` in it, with what they say."""
    found = {}
    for place in PLACES:
        for path in sorted(Path(place).glob("*.toml")):
            if (content := spec_content(path)) is not None:
                found[path] = content
    return found


def spec_content(path: Path) -> dict[str, Any] | None:
    """Return what a spec says; None for a file that is none, or cannot be read."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if all(isinstance(content.get(key), str) for key in _KEYS) else None


def split(words: tuple[str, ...], what: str) -> tuple[Path, tuple[str, ...]]:
    """Return the spec that words of a command line begin with, and the rest of them.

    Where they begin with none, it is the only spec that lies here.

    Raises:
        click.UsageError: none lies here, or several do; or nothing else was said.
    """
    head = Path(words[0]) if words else Path()
    if words and (head.suffix == ".toml" or head.is_file()):
        path, rest = head, words[1:]
    else:
        path, rest = _only(), words
    if not rest:
        raise click.UsageError(f"Missing argument '{what}...'.")
    return path, rest


def _only() -> Path:
    found = list(specs_here())
    if len(found) == 1:
        return found[0]
    if not found:
        raise click.UsageError("no spec lies here: name one, or write one with `mlenv init`.")
    listed = ", ".join(map(str, found))
    raise click.UsageError(f"several specs lie here ({listed}): name one of them first.")
