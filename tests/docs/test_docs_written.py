"""Pages that are written from the program say what it says."""

from __future__ import annotations

import ast
import re

import pytest

import handbook
from fenced import ROOT
from mlenv.cli import COMMANDS
from mlenv.errors import CODES, Exit
from mlenv.report import causes

DOCS = ROOT / "docs"


@pytest.mark.parametrize("name", handbook.PAGES)
def test_a_page_is_in_step(name: str, pytestconfig: pytest.Config) -> None:
    text = handbook.PAGES[name]()
    if pytestconfig.getoption("golden") == "write":
        (DOCS / name).write_text(text, encoding="utf-8")
    assert (DOCS / name).read_text(encoding="utf-8") == text, "`nox -s docs` writes it anew"


def test_every_code_has_a_cause_and_a_fix_in_words() -> None:
    words = handbook.words
    lacking = {
        code: parts
        for code in CODES
        if (parts := {e for e in ("cause", "fix") if not handbook.raised()[code].get(e)})
    }
    assert {code: set(words.get(code, {})) for code in lacking} == lacking
    assert not words.keys() - lacking.keys()


def test_every_code_status_command_and_failure_has_its_place() -> None:
    codes, commands = handbook.codes(), handbook.commands()
    failures = handbook.failures()
    assert sorted(re.findall(r"^### (\S+)$", codes, re.MULTILINE)) == sorted(CODES)
    for status in Exit:
        assert f"\n| {int(status)} | " in codes
    for each in COMMANDS:
        assert f"\n## mlenv {each}\n" in commands
    for name in causes.failures():
        assert f"\n| `{name}` | " in failures


@pytest.mark.parametrize(
    ("source", "words"),
    [
        pytest.param("'a'", "a", id="text"),
        pytest.param("f'{x} is {y.z}{q}'", "… is …", id="values"),
        pytest.param("'a' + (f' or {b}' if b else '')", "a or …", id="what is added"),
        pytest.param("x if y else 'b'", "b", id="the side that has words"),
        pytest.param("why or 'it is so'", "it is so", id="what is said without"),
        pytest.param("x", "…", id="nothing known"),
    ],
)
def test_words_are_read_off_an_expression(source: str, words: str) -> None:
    assert handbook.spoken(ast.parse(source, mode="eval").body) == words
