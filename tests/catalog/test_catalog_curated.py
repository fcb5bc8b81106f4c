"""The rows kept by hand, as they are read, say what is written in TOML."""

from __future__ import annotations

import json
import tomllib
from datetime import date
from pathlib import Path

import pytest

from mlenv.catalog.curated import as_json, curated

DATA = Path(__file__).parent.parent.parent / "src" / "mlenv" / "catalog" / "data"
WRITTEN = sorted(DATA.glob("*.toml"))


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.stem)
def test_is_in_step(path: Path, pytestconfig: pytest.Config) -> None:
    made = as_json(path.read_text(encoding="utf-8"))
    beside = path.with_suffix(".json")
    if pytestconfig.getoption("golden", default=None) == "write":
        beside.write_text(made, encoding="utf-8")
    found = beside.read_text(encoding="utf-8") if beside.exists() else ""
    assert found == made, f"run `pytest {'/'.join(Path(__file__).parts[-3:])} --golden=write`"


def test_nothing_is_read_that_nobody_writes() -> None:
    assert WRITTEN
    assert [each.stem for each in sorted(DATA.glob("*.json"))] == [each.stem for each in WRITTEN]


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.stem)
def test_only_dates_are_read_otherwise_than_written(path: Path) -> None:
    def dated(value: object) -> object:
        if isinstance(value, dict):
            return {key: dated(each) for key, each in value.items()}
        if isinstance(value, list):
            return [dated(each) for each in value]
        return value.isoformat() if isinstance(value, date) else value

    assert curated(path.stem) == dated(tomllib.loads(path.read_text(encoding="utf-8")))


def test_the_same_rows_are_the_same_text() -> None:
    text = as_json('schema = 1\n[[b]]\nname = "a"\nchecked = 2026-11-22\n')
    assert text == '{"schema":1,"b":[{"name":"a","checked":"2026-11-22"}]}\n'
    assert json.loads(text)["schema"] == 1
