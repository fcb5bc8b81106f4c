"""The rows kept by hand, as data: written as TOML, and read as JSON, in a fiftieth of the time.

Beside each ``data/NAME.toml`` lies the ``NAME.json`` that is made of it; a test says by which
command where the two are out of step. Nothing is checked here: the models of the rows do that.
"""

from __future__ import annotations

import json
from typing import Any

from mlenv.catalog.data import contents


def curated(name: str) -> dict[str, Any]:
    """Return the rows of ``data/NAME.json``; a date is text."""
    found: dict[str, Any] = json.loads(contents(f"{name}.json"))
    return found


def as_json(text: str) -> str:
    """Return rows that are written as TOML in the form that ``curated`` reads."""
    import tomllib  # noqa: PLC0415 (only where the rows are made)

    rows = tomllib.loads(text)
    return json.dumps(rows, default=str, ensure_ascii=False, separators=(",", ":")) + "\n"
