"""Pages of a package index: JSON and HTML alike, and nothing but values or ValueError."""

from __future__ import annotations

import html
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from mlenv import simple

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "text/html; charset=utf-8"
ROWS: list[dict[str, Any]] = [
    {"filename": "a_b-1.0-py3-none-any.whl", "requires-python": ">=3.9,<4", "yanked": False},
    {"filename": "a_b-1.1.tar.gz", "upload-time": "2025-05-01T12:00:00Z", "yanked": "wrong"},
    {"filename": "a_b-1.2+cu126-py3-none-any.whl", "requires-python": None, "yanked": True},
    {"filename": "a_b-nothing.exe"},
    {"filename": "a-b.whl"},
]


def page(rows: list[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        marks = {
            "href": f"../{row['filename']}#sha256=00",
            "data-requires-python": row.get("requires-python"),
            "data-upload-time": row.get("upload-time"),
            "data-yanked": {True: "", False: None, None: None}.get(
                row.get("yanked"), row.get("yanked")
            ),
        }
        shown = " ".join(f'{k}="{html.escape(v)}"' for k, v in marks.items() if v is not None)
        lines.append(f"<a {shown}>\n  {row['filename']}</a><br>")
    return "<!DOCTYPE html><html><body><h1>a-b</h1>" + "".join(lines)


def test_json_and_html_say_the_same() -> None:
    rows = [{**row, "url": f"../{row['filename']}"} for row in ROWS]
    one = simple.files(JSON, json.dumps({"meta": {}, "files": rows}))
    two = simple.files(HTML, page(ROWS))
    assert one == two
    assert [(str(e.version), e.wheel, e.yanked) for e in one] == [
        ("1.0", True, False),
        ("1.1", False, True),
        ("1.2+cu126", True, True),
    ]
    assert [e.requires_python for e in one] == [">=3.9,<4", None, None]
    assert one[1].uploaded == "2025-05-01T12:00:00Z"
    assert one[2].version == Version("1.2+cu126")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        pytest.param(JSON, '{"files": []}', id="JSON"),
        pytest.param(HTML, "", id="no HTML at all"),
        pytest.param(HTML, "<a>a_b-1.0-py3-none-any.whl", id="a link that never ends"),
        pytest.param(HTML, "</a></a>", id="ends without links"),
        pytest.param("", "plain words", id="no type"),
    ],
)
def test_a_page_without_files(kind: str, text: str) -> None:
    assert simple.files(kind, text) == ()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("<html>", id="HTML"),
        pytest.param("[]", id="a list"),
        pytest.param("3", id="a number"),
        pytest.param("{}", id="no files"),
        pytest.param('{"files": {"a": 1}}', id="a table of files"),
        pytest.param('{"files": 3}', id="a number of files"),
        pytest.param('{"files": [3]}', id="a file that is a number"),
        pytest.param('{"files": [{}]}', id="a file without a name"),
        pytest.param('{"files": [{"filename": 3}]}', id="a name that is a number"),
        pytest.param("[" * 100_000, id="nested deeply"),
    ],
)
def test_json_that_is_no_page_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        simple.files(JSON, text)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["files", "filename", "yanked", "upload-time"]), inner)
    ),
)


@given(st.sampled_from([JSON, HTML, "", "text/json"]), st.text())
def test_any_text_gives_values_or_a_value_error(kind: str, text: str) -> None:
    values_or_error(kind, text)


@given(JSON_VALUES)
def test_any_json_gives_values_or_a_value_error(value: object) -> None:
    values_or_error(JSON, json.dumps({"files": value}))
    values_or_error(JSON, json.dumps(value))


@given(st.lists(st.text() | st.sampled_from(["<a ", "</a>", "<a href=x>", "data-yanked", "<!["])))
def test_any_html_gives_values_or_a_value_error(parts: list[str]) -> None:
    values_or_error(HTML, "".join(parts))


@given(st.text(), st.sampled_from([".whl", ".tar.gz", ".zip", ""]))
def test_any_file_name_gives_a_value_or_nothing(stem: str, suffix: str) -> None:
    values_or_error(JSON, json.dumps({"files": [{"filename": stem + suffix}]}))


def values_or_error(kind: str, text: str) -> None:
    try:
        found = simple.files(kind, text)
    except ValueError:
        return
    for each in found:
        assert isinstance(each.version, Version)
        assert isinstance(each.yanked, bool)
        assert each.requires_python is None or isinstance(each.requires_python, str)
        assert each.uploaded is None or isinstance(each.uploaded, str)


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        pytest.param("https://i.example/simple", "https://i.example/simple/a-b/", id="plain"),
        pytest.param("https://i.example/simple/", "https://i.example/simple/a-b/", id="slash"),
    ],
)
def test_the_address_of_a_page(index: str, expected: str) -> None:
    assert simple.address(index, "A_B") == expected
