"""``doctor`` and ``explain`` as a person calls them, and what a lock does not stop at."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mlenv.cli import main

if TYPE_CHECKING:
    from pathlib import Path

HEAD = 'name = "s"\npython = "3.12"\n'


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLENV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "s.toml"


def test_doctor_looks_and_exits_with_0(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec.write_text(HEAD + 'framework = "torch"\ncuda = "cpu"\n', encoding="utf-8")
    assert main(["doctor", str(spec)]) == 0
    said = capsys.readouterr().out
    assert "driver" in said
    assert f"{spec}  " in said


def test_doctor_says_the_same_as_json(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = spec.parent / "specs"
    folder.mkdir()
    (folder / "wrong.toml").write_text(HEAD + "cudda = 1\n", encoding="utf-8")
    assert main(["doctor", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"machine", "findings", "specs"}
    (wrong,) = document["specs"]
    assert (wrong["spec"], wrong["runs"]) == ("specs/wrong.toml", "no")
    assert wrong["reasons"][0]["code"] == "spec-invalid"


def test_explain_proves_what_cannot_be(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec.write_text(HEAD + 'framework = "torch==2.8.0"\ncuda = "12.4"\n', encoding="utf-8")
    assert main(["explain", str(spec)]) == 3
    said = capsys.readouterr().out
    assert "these lines cannot be together:" in said
    assert "1. line 3, framework[0]" in said
    assert "2. line 4, cuda" in said
    assert main(["explain", "--json", str(spec)]) == 3
    (target,) = json.loads(capsys.readouterr().out)["targets"]
    assert [each["line"] for each in target["proof"]["lines"]] == [3, 4]
    assert target["proof"]["therefore"]["code"] == "cuda-not-offered"
    assert target["tree"] is None


def test_explain_draws_the_tree_of_what_can(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec.write_text(HEAD + 'framework = "torch==2.8.0"\n', encoding="utf-8")
    assert main(["explain", str(spec)]) == 0
    assert "└─ base: " in capsys.readouterr().out
    assert main(["explain", "--json", str(spec)]) == 0
    (target,) = json.loads(capsys.readouterr().out)["targets"]
    assert target["proof"] is None
    assert target["tree"][0]["decision"]["topic"] == "python"


def test_conda_is_refused_by_the_facts_before_its_channels_are_asked(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = HEAD + 'backend = "conda"\nframework = "torch==2.13.0"\n'
    spec.write_text(lines + 'cuda = "12.6"\n', encoding="utf-8")
    assert main(["lock", "--json", "--offline", str(spec)]) == 3
    document = json.loads(capsys.readouterr().out)
    assert (document["verdict"], document["solved"]) == ("impossible", False)
    assert document["reasons"][0]["code"] == "cuda-not-offered"
    spec.write_text(lines + 'cuda = "13.0"\n', encoding="utf-8")
    assert main(["lock", "--json", "--offline", str(spec)]) == 4
    document = json.loads(capsys.readouterr().out)
    assert (document["verdict"], document["solved"]) == ("unknown", False)
    assert document["reasons"][0]["code"] == "network-off"
