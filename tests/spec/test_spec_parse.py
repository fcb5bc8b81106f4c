"""The corpus of ``tests/valid`` and ``tests/invalid``, and specs that no person would write."""

from __future__ import annotations

import copy
import datetime as dt
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlenv.errors import Reason, UsageError
from mlenv.files import digest
from mlenv.spec.parse import SpecFile, parse_spec

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS = Path(__file__).parent.parent
VALID = sorted((TESTS / "valid").glob("*.toml"))
INVALID = sorted((TESTS / "invalid").glob("*.toml"))
RAW_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
PYTHON_NAMES = re.compile(
    r"schema_|exclude_newer|cuda_compat|allow_failure|Spec\b|tuple|dict\b|NoneType|pydantic"
)


def read(path: Path) -> str:
    return path.read_bytes().decode(errors="replace")


def refused(text: str, origin: str = "spec.toml") -> UsageError:
    with pytest.raises(UsageError) as caught:
        parse_spec(text, origin=origin)
    return caught.value


def spec(more: str = "") -> SpecFile:
    return parse_spec(f'name = "train"\npython = "3.12"\n{more}', origin="spec.toml")


@pytest.mark.parametrize("case", VALID, ids=lambda path: path.stem)
def test_parses(case: Path) -> None:
    parsed = parse_spec(read(case), origin=case.name)
    assert parsed.sha256 == digest(tomllib.loads(read(case)))
    for key in tomllib.loads(read(case)):
        assert any(re.match(rf"{key}\b", each) for each in parsed.lines)


@pytest.mark.parametrize("case", VALID, ids=lambda path: path.stem)
def test_what_is_written_out_parses_to_the_same(case: Path) -> None:
    first = parse_spec(read(case), origin=case.name).spec
    again = tomli_w.dumps(first.model_dump(mode="json", by_alias=True, exclude_none=True))
    assert parse_spec(again, origin=case.name).spec == first


@pytest.mark.parametrize("case", INVALID, ids=lambda path: path.stem)
def test_is_refused_with_every_line(case: Path) -> None:
    text = str(refused(read(case), case.name))
    expected = case.with_suffix("").with_suffix(".error.txt").read_text(encoding="utf-8")
    assert expected.strip()
    assert [line for line in expected.splitlines() if line not in text] == []
    assert "secret" not in text


def test_corpus_is_large_and_paired() -> None:
    assert len(INVALID) >= 60
    texts = {path.name.removesuffix(".error.txt") for path in (TESTS / "invalid").glob("*.txt")}
    assert texts == {path.stem for path in INVALID}


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        pytest.param('"2026-11-01"', "2026-11-02T00:00:00Z", id="a day is its end"),
        pytest.param("2026-11-01", "2026-11-02T00:00:00Z", id="a date of TOML is a day"),
        pytest.param('"2026-12-31"', "2027-01-01T00:00:00Z", id="the last day of a year"),
        pytest.param('"2026-11-01T12:00:00Z"', "2026-11-01T12:00:00Z", id="a time is kept"),
        pytest.param("2026-11-01T12:00:00Z", "2026-11-01T12:00:00Z", id="a time of TOML"),
        pytest.param('"2026-11-01T14:00:00+02:00"', "2026-11-01T12:00:00Z", id="another zone"),
        pytest.param('"20261101T120000Z"', "2026-11-01T12:00:00Z", id="the basic form"),
    ],
)
def test_exclude_newer_is_kept_in_utc(written: str, kept: str) -> None:
    assert spec(f"[lock]\nexclude-newer = {written}").spec.lock.exclude_newer == kept


def test_layout_and_comments_do_not_count() -> None:
    text = 'python="3.12"\n\nname = "train" # the nightly one\n'
    assert parse_spec(text, origin="a.toml").sha256 == spec().sha256


def test_mistakes_come_in_the_order_of_the_file() -> None:
    error = refused('zz = 1\nname = "A"\n[image]\napt = 1\ncompile = 2\n[lock]\nsdist = 3\n')
    lines = [int(re.findall(r":(\d+):", each.where[0])[0]) for each in error.reasons[1:]]
    assert lines == sorted(lines)
    assert len(lines) == 5


def test_a_reason_of_a_plan_gets_its_line() -> None:
    parsed = spec('framework = "torch"\n[targets.a]\ngpus = ["H100"]\n')
    keys = ("framework[0]", "targets.a.gpus[0]", "targets.a.driver", "cuda", "")
    reason = Reason(code="usage", what="w", cause="c", fix="f", where=keys)
    assert parsed.places(reason).where == (
        "spec.toml:3: framework",
        "spec.toml:5: targets.a.gpus[0]",
        "spec.toml:4: targets.a.driver",
        "spec.toml: cuda",
        "spec.toml: ",
    )
    assert parsed.line("targets.a.driver") == 4
    assert parsed.line("cuda") is None


FULL = tomllib.loads(read(TESTS / "valid" / "long-form.toml"))
NASTY = st.sampled_from(
    [
        *("$(id)", "`id`", "a\nRUN id", "../../etc/passwd", "\x00", "\x1b[31m", "\u2028", "\u202e"),
        *("]", "[", ".", "[0]", "[key]", "a.b", "x]", "", "cpu", "ngc:1", "12.8", "==", "a @ b"),
        *("https://user:secret@h.example/simple", "9999-12-31", "0001-01-01T00:00:00+14:00"),
        *("torch[x]", "torch==1+cu1", "a; b", "٣.١٢", "9" * 5000, "-r x", "é", "\ufeff", "🔥"),
    ]
)
SCALARS = (
    st.none().map(lambda _: False)
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.dates()
    | st.times()
    | st.datetimes()
    | st.datetimes(timezones=st.just(dt.UTC))
    | st.text(max_size=20)
    | NASTY
)
VALUES = st.recursive(
    SCALARS,
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(NASTY | st.text(max_size=5), below, max_size=3)
    ),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, below in pairs:
        yield (*path, key)
        if isinstance(below, dict | list):
            yield from places(below, (*path, key))


def mutate(spec: dict[str, Any], draw: st.DrawFn) -> None:
    *path, last = draw(st.sampled_from(list(places(spec))))
    at: Any = spec
    for key in path:
        at = at[key]
    match draw(st.sampled_from(["delete", "replace", "rename", "duplicate", "add"])):
        case "delete":
            del at[last]
        case "replace":
            at[last] = draw(VALUES)
        case "rename" if isinstance(at, dict):
            at[draw(NASTY | st.text(max_size=9) | st.just(f"{last}s"))] = at.pop(last)
        case "duplicate" if isinstance(at, dict):
            at[draw(st.sampled_from(sorted(FULL)))] = copy.deepcopy(at[last])
        case "duplicate":
            at.append(copy.deepcopy(at[last]))
        case _ if isinstance(at, dict):
            at[draw(NASTY | st.text(max_size=9))] = draw(VALUES)
        case _:
            at.append(draw(VALUES))


@st.composite
def mutants(draw: st.DrawFn) -> str:
    mutant = copy.deepcopy(FULL)
    for _ in range(draw(st.integers(1, 4))):
        if mutant:
            mutate(mutant, draw)
    return tomli_w.dumps(mutant)


def assert_speaks(error: UsageError, given_text: str) -> None:
    for reason in error.reasons:
        assert reason.where
        assert reason.what
        assert reason.cause
        assert reason.fix
        assert not RAW_CONTROL.search(reason.text().replace("\n", " "))
        assert max(map(len, reason.text().split("\n"))) < 5000
        told = PYTHON_NAMES.search(reason.text())
        assert told is None or told[0] in given_text


def assert_parsed_or_refused(text: str) -> None:
    try:
        parse_spec(text, origin="spec.toml")
    except UsageError as caught:
        error = caught
    else:
        return
    assert_speaks(error, text)
    assert "secret" not in str(error)


@given(mutants())
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_mutated_spec_is_parsed_or_refused_in_words(text: str) -> None:
    assert_parsed_or_refused(text)


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")))
@settings(max_examples=300, deadline=None)
def test_any_text_is_parsed_or_refused_in_words(text: str) -> None:
    assert_speaks(refused(text), text)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_spec_with_characters_changed_is_parsed_or_refused(data: st.DataObject) -> None:
    text = read(TESTS / "valid" / "long-form.toml")
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 30)))
    changed = text[:start] + data.draw(st.text(max_size=10)) + text[end:]
    assert_parsed_or_refused(changed)
