"""Where a key was written, of every way that TOML has to write one."""

from __future__ import annotations

import time
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlenv.spec.lines import line_of, lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param('a = 1\n\n# talk\nb = "x"', {"a": 1, "b": 4}, id="blank lines and comments"),
        pytest.param("a.b.c = 1", {"a": 1, "a.b": 1, "a.b.c": 1}, id="a dotted key"),
        pytest.param("[a.b]\nc = 1", {"a.b": 1, "a.b.c": 2}, id="a table"),
        pytest.param("[a] # talk [x]\nb = 1", {"a": 1, "a.b": 2}, id="a table with a comment"),
        pytest.param("  [ a . b ]\n\tc=1", {"a.b": 1, "a.b.c": 2}, id="blanks around"),
        pytest.param('["a.b"]\n"c d" = 1', {"a.b": 1, "a.b.c d": 2}, id="quoted keys"),
        pytest.param(
            "[[a]]\nb = 1\n[[a]]\nb = 1\n[a.c]\nd = 1",
            {"a[0]": 1, "a[0].b": 2, "a[1]": 3, "a[1].b": 4, "a[1].c": 5, "a[1].c.d": 6},
            id="tables in a list, and a table in one of them",
        ),
        pytest.param(
            "[[a]]\n[[a.b]]\n[[a]]\n[[a.b]]\n[[a.b]]",
            {"a[0]": 1, "a[0].b[0]": 2, "a[1]": 3, "a[1].b[0]": 4, "a[1].b[1]": 5},
            id="lists of tables in a list of tables",
        ),
        pytest.param(
            "a = [\n  \"x\",  # talk ]\n  'y',\n]\nb = 1",
            {"a": 1, "a[0]": 2, "a[1]": 3, "b": 5},
            id="a list over lines",
        ),
        pytest.param('aa = [\n"a",\n"aa",\n]', {"aa": 1, "aa[0]": 2, "aa[1]": 3}, id="a part of"),
        pytest.param(
            "a = [\n{ b = 1 },\n{ b = 2 },\n]\nc = 1",
            {"a": 1, "a[0]": 1, "a[0].b": 1, "a[1]": 1, "a[1].b": 1, "c": 5},
            id="inline tables over lines have the line of their list",
        ),
        pytest.param('a = """\n[b]\nc = 1\n"""\nd = 1', {"a": 1, "d": 5}, id="a long string"),
        pytest.param("a = '''\n]\n'''\nd = 1", {"a": 1, "d": 4}, id="a long literal string"),
        pytest.param('a = "x\u2028y"\nb = 1', {"a": 1, "b": 2}, id="a line separator is no line"),
        pytest.param(
            'a = 1\r\nb = [\r\n"x"]\r\nc=1', {"a": 1, "b": 2, "b[0]": 3, "c": 4}, id="CRLF"
        ),
        pytest.param('a = ["["]\nb = ["[",\n"]"]\nc = 1', {"a": 1, "b": 2, "c": 4}, id="brackets"),
        pytest.param('a = ["[",\n"b"]\nb = 1', {"a": 1, "b": 3}, id="a bracket in a string"),
        pytest.param("a = 2026-11-01\nb = 1", {"a": 1, "b": 2}, id="a date"),
        pytest.param("", {}, id="nothing"),
    ],
)
def test_finds_the_line_of(text: str, expected: dict[str, int]) -> None:
    tomllib.loads(text)
    found = lines(text)
    assert {key: found.get(key) for key in expected} == expected


@pytest.mark.parametrize(
    ("key", "line"),
    [
        pytest.param("a.b[0]", 3, id="itself"),
        pytest.param("a.b[7]", 2, id="the list around it"),
        pytest.param("a.x.y", 1, id="the table around it"),
        pytest.param("z", None, id="nothing around it"),
        pytest.param("a.]", 1, id="a key with a bracket"),
        pytest.param("x]", None, id="no key with a bracket"),
        pytest.param("...", None, id="dots only"),
        pytest.param("", None, id="no key"),
    ],
)
def test_nearest_line_of(key: str, line: int | None) -> None:
    assert line_of(key, lines('[a]\nb = [\n"x"]')) == line


def test_every_key_of_the_long_form_has_its_line() -> None:
    text = (Path(__file__).parent.parent / "valid" / "long-form.toml").read_text(encoding="utf-8")
    rows = text.split("\n")
    found = lines(text)
    for key, line in found.items():
        last = key.rpartition(".")[2].partition("[")[0]
        assert last in rows[line - 1] or "[" in key
    assert found["targets.v100.cuda"] > found["targets.h100"]


def test_a_long_list_of_tables_is_fast() -> None:
    cells = "".join(f'  {{ python = "3.12", cuda = "12.{i % 9}" }},\n' for i in range(2000))
    text = f"a = [\n{cells}]\nb = 1\n"
    start = time.perf_counter()
    assert lines(text)["b"] == 2003
    assert time.perf_counter() - start < 5


@given(st.text(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_string_keeps_the_lines_after_it(value: str) -> None:
    quoted = "".join(f"\\U{ord(each):08x}" for each in value)
    text = f'a = "{quoted}"\nb = ["{quoted}",\n]\nc = 1\n'
    assert {"a": 1, "b": 2, "c": 4}.items() <= lines(text).items()
