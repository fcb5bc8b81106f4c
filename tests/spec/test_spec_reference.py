"""The pages of the reference say what the model says."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlenv.spec.reference import json_schema, reference

if TYPE_CHECKING:
    from collections.abc import Callable

TESTS = Path(__file__).parent.parent
DOCS = TESTS.parent / "docs"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("spec.md", reference, id="the page"),
        pytest.param("spec.schema.json", json_schema, id="the schema"),
    ],
)
def test_is_in_step(name: str, text: Callable[[], str], pytestconfig: pytest.Config) -> None:
    path = DOCS / name
    if pytestconfig.getoption("golden", default=None) == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text(), encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text()


def test_every_key_of_the_examples_is_on_the_page() -> None:
    page = reference()
    for name in ("short-form", "long-form"):
        text = (TESTS / "valid" / f"{name}.toml").read_text(encoding="utf-8")
        for key, value in tomllib.loads(text).items():
            below = value if isinstance(value, dict) and key in {"stack", "image", "lock"} else {}
            for each in (key, *below):
                assert f"\n| `{each}` |" in page


def test_every_key_has_words_and_a_meaning() -> None:
    rows = re.findall(r"^\| `(.*?)` \| (.*?) \| (.*?) \| (.*?) \|$", reference(), re.MULTILINE)
    assert len(rows) > 60
    for key, holds, _, meaning in rows:
        assert holds, key
        assert meaning, key


def test_schema_is_whole_and_speaks_no_python() -> None:
    text = json_schema()
    schema = json.loads(text)
    assert schema["$schema"].endswith("2020-12/schema")
    assert "$id" not in schema
    assert schema["required"] == ["name", "python"]
    assert not schema["additionalProperties"]
    assert all(not each["additionalProperties"] for each in schema["$defs"].values())
    assert re.search(r"\b(null|None|tuple|schema_|exclude_newer)\b", text) is None
    for found in re.findall(r'"\$ref": "#/\$defs/(\w+)"', text):
        assert found in schema["$defs"]


def test_patterns_of_the_schema_are_of_javascript_too() -> None:
    for pattern in re.findall(r'"pattern": "(.*?)"', json_schema()):
        assert "(?P" not in pattern
        assert r"\Z" not in pattern
        re.compile(json.loads(f'"{pattern}"'))
