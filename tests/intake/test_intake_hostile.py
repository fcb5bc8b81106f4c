"""Files that mean harm, or are damaged: one error or notes on one line, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlenv.catalog.load import shipped
from mlenv.cli import coming
from mlenv.errors import UsageError
from mlenv.intake.draft import Draft, Source
from mlenv.intake.readers import READERS
from mlenv.intake.settling import settle, spec_name
from mlenv.model import CONTROL
from mlenv.spec.parse import parse_spec

CATALOG = shipped()
WORDS = st.sampled_from(
    [
        *(
            "[project]",
            "dependencies:",
            "- pip:",
            "build:",
            "FROM ",
            "RUN pip install ",
            "-r ",
            "a",
        ),
        *("torch==2.8.0+cu126", "name = ", "[tool.poetry.dependencies]", "\n", "\n  - ", "=", '"'),
        *(
            "://u:hunter2@h/",
            "[",
            "]",
            "{",
            "}",
            "&x",
            "*x",
            "!!python/object:os.system",
            "\x1b[31m",
        ),
        *("--extra-index-url https://u:hunter2@h/s", "\u202e", "\0", "$(id)", "`id`", "; rm -rf /"),
        *(
            "^1",
            "||",
            "python",
            "package:",
            "version: 1",
            "[[tool.uv.index]]",
            "url = ",
            "=*=*",
            "\\",
        ),
    ]
)


def source(text: str, name: str = "file") -> Source:
    return Source(name=name, text=text, near=lambda _: None)


@pytest.mark.parametrize("kind", READERS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(words=st.lists(WORDS | st.text(max_size=8), max_size=25))
def test_any_text_is_read_or_refused_in_words(kind: str, words: list[str]) -> None:
    try:
        draft = READERS[kind](source("".join(words)))
    except UsageError as error:
        (reason,) = error.reasons
        assert reason.code == "intake-unreadable"
        shown = reason.text().replace("\n", "")
    else:
        found = settle(draft, CATALOG, name=spec_name(draft.name))
        rows = [*found.understood, *found.left]
        shown = "".join(each.at + each.what + each.why for each in rows)
        assert "hunter2" not in json.dumps(found.document)
    assert not CONTROL.search(shown)
    assert "u:hunter2@" not in shown


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        pytest.param("environment.yml", "a: " + "[" * 100_000, id="a deep list"),
        pytest.param("environment.yml", "- a", id="no mapping"),
        pytest.param("environment.yml", "a: &x [*x]", id="a list in itself"),
        pytest.param("cog.yaml", "a: b\n  c: d: e", id="no YAML"),
        pytest.param("conda-lock.yml", "version: 4\npackage: []", id="a version to come"),
        pytest.param("conda-lock.yml", "version: 1\npackage: []", id="nothing for Linux"),
        pytest.param("pyproject.toml", "a = ", id="no TOML"),
        pytest.param("pixi.toml", "a = " + "[" * 10_000, id="a deep array"),
        pytest.param("env", "Traceback", id="no list of packages"),
    ],
)
def test_a_damaged_file_is_told_in_one_error(kind: str, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        READERS[kind](source(text))
    (reason,) = caught.value.reasons
    assert reason.code == "intake-unreadable"
    assert "file" in reason.what


def test_yaml_makes_no_object_and_no_bomb() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{after}: &{after} [{','.join(['*' + before] * 9)}]\n"
        for before, after in zip("abcdefgh", "bcdefghi", strict=True)
    )
    draft = READERS["environment.yml"](source(f"{bomb}dependencies: *i\nname: *h\n"))
    assert (draft.requirements, draft.name) == ([], "")
    evil = "name: !!python/object/apply:os.system ['touch /tmp/mlenv-was-here']\n"
    assert READERS["environment.yml"](source(evil)).name in {"", "touch /tmp/mlenv-was-here"}
    assert not Path("/tmp/mlenv-was-here").exists()  # noqa: S108 (the file that must not be)


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/hostname", "link.txt"])
def test_no_file_out_of_the_folder_is_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outside.txt").write_text("stolen==1\n", encoding="utf-8")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link.txt").symlink_to(tmp_path / "outside.txt")
    (inside / "requirements.txt").write_text(f"-r {name}\n-c {name}\nnumpy\n", encoding="utf-8")
    monkeypatch.chdir(inside)
    found = coming.settled("requirements.txt", CATALOG, name=None, extras=frozenset(), python=None)
    assert found.document["packages"] == ["numpy"]
    assert [each.what for each in found.left] == [f"-r {name}", f"-c {name}"]


def test_a_file_that_includes_itself_ends() -> None:
    def itself(_: str) -> Source:
        return Source(name="a.txt", text="-r a.txt\nnumpy", near=itself)

    draft = READERS["requirements.txt"](itself(""))
    assert {each.text for each in draft.requirements} == {"numpy"}
    assert "itself" in draft.left[0].why


@pytest.mark.parametrize(
    "text",
    [
        'x = 1; __import__("os")',
        "numpy\" ; '",
        "a[b]==1; python_version=='3'\nrm -rf /",
        "numpy @ file:///etc/passwd",
        "torch===2.8.0",
        "$(id)",
    ],
)
def test_what_is_no_requirement_reaches_no_spec(text: str) -> None:
    draft = Draft(file="file")
    draft.require(text, 1)
    found = settle(draft, CATALOG, name="a")
    parse_spec('name = "a"\npython = "3.12"\n', origin="a")
    assert not found.document.get("packages")
    assert len(found.left) == 1
