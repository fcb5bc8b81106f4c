"""The command line as a user meets it: a process of its own, its streams and its status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from loopback import Behaviour
from mlenv.cli import COMMANDS, main

if TYPE_CHECKING:
    from loopback import Index

PLAIN = 'name = "plain"\npython = "3.12"\n[lock]\nexclude-newer = "2025-11-30"\n'
TRAIN = PLAIN.replace("[lock]", 'framework = "torch==2.8.*"\ncuda = "12.8"\n[lock]')
IMPOSSIBLE = 'name = "plain"\npython = "3.12"\nframework = "torch==2.15.*"\ncuda = "12.8"\n'


def mlenv(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mlenv", *words],
        cwd=cwd,
        capture_output=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "spec.toml"
    path.write_text(TRAIN, encoding="utf-8")
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [command, "show", "--help"] if command == "catalog" else [command, "--help"]
    assert main(words) == 0
    said = capsys.readouterr()
    assert "Example: mlenv " in said.out
    assert said.err == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["bild"], "Did you mean 'build'?", id="a misspelt command"),
        pytest.param(["build"], "Missing argument 'SPEC'", id="no spec"),
        pytest.param(["build", "nowhere.toml"], "nowhere.toml cannot be read", id="no such file"),
        pytest.param(["build", "spec.toml", "--targt", "x"], "--target", id="a misspelt option"),
        pytest.param(["check", "spec.toml", "--target", "x"], "no target `x`", id="no target"),
        pytest.param(["diff", "no.toml", "no.toml"], "cannot be read", id="no spec to compare"),
        pytest.param(["catalog", "show", "torhc"], "Did you mean 'torch'?", id="no package"),
        pytest.param(["init", "a b", "--file", "x.toml"], "cannot be the name", id="a bad name"),
        pytest.param(["init", "a", "--gpu", "H1OO"], "no GPU is known", id="an unknown GPU"),
        pytest.param(["completion", "tcsh"], "bash", id="an unknown shell"),
    ],
)
def test_a_wrong_word_is_told_with_its_cause_and_ends_with_2(
    words: list[str], said: str, spec: Path
) -> None:
    done = mlenv(*words, cwd=spec.parent)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert sorted(each.name for each in spec.parent.iterdir()) == ["spec.toml"]


def test_json_is_one_document_and_talk_goes_to_stderr(cache: Path, spec: Path) -> None:
    done = mlenv("build", "spec.toml", "--json", cwd=spec.parent)
    document = json.loads(done.stdout)
    (target,) = document["targets"]
    assert (done.returncode, document["verdict"], document["solved"]) == (0, "ok", True)
    assert target["packages"]["torch"] == "2.8.0"
    assert target["toolkit"] == "12.8"
    assert target["folder"] == "images/plain"
    assert "warning[not-checked]" in done.stderr
    assert cache.is_dir() or not cache.exists()


def test_a_refusal_is_the_same_in_words_and_in_json(spec: Path) -> None:
    spec.write_text(IMPOSSIBLE, encoding="utf-8")
    done = mlenv("lock", "spec.toml", "--json", cwd=spec.parent)
    (reason,) = json.loads(done.stdout)["reasons"]
    assert done.returncode == 3
    assert reason["code"] == "cuda-not-offered"
    assert reason["where"] == ["spec.toml:3: framework", "spec.toml:4: cuda"]
    assert "13.2" in reason["cause"]
    assert "2.10.0 on the default index" in reason["cause"]
    assert "2.11.0 on the PyTorch index" in reason["cause"]
    assert all(f"nearest: {each}" in done.stderr for each in reason["nearest"])
    assert not (spec.parent / "images").exists()


def test_several_specs_have_one_document_and_the_worst_status(spec: Path) -> None:
    other = spec.with_name("other.toml")
    other.write_text(IMPOSSIBLE, encoding="utf-8")
    done = mlenv("check", "spec.toml", "other.toml", "missing.toml", "--json", cwd=spec.parent)
    document = json.loads(done.stdout)
    assert done.returncode == 3
    assert [each["verdict"] for each in document["specs"]] == ["ok", "impossible", None]


def test_a_second_build_solves_nothing_and_loads_no_pydantic(cache: Path, spec: Path) -> None:
    assert mlenv("build", "spec.toml", cwd=spec.parent).returncode == 0
    code = (
        "import sys; from mlenv.cli import main;"
        "status = main(['build', 'spec.toml', '--offline']);"
        "print(status, 'pydantic' in sys.modules, 'mlenv.catalog.load' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=spec.parent,
        capture_output=True,
        encoding="utf-8",
        check=True,
        timeout=60,
    )
    assert done.stdout.splitlines() == ["images/plain", "0 False False"]
    assert "is up to date" in done.stderr
    assert cache.parent.is_dir()


def test_a_changed_spec_or_file_is_built_again(cache: Path, spec: Path) -> None:
    assert mlenv("build", "spec.toml", cwd=spec.parent).returncode == 0
    recipe = spec.parent / "images" / "plain" / "Dockerfile"
    whole = recipe.read_text("utf-8")
    recipe.write_text(whole + "USER 0\n", encoding="utf-8")
    drift = mlenv("build", "spec.toml", "--check", cwd=spec.parent)
    assert (drift.returncode, "Dockerfile differs" in drift.stderr) == (1, True)
    assert mlenv("build", "spec.toml", cwd=spec.parent).returncode == 0
    assert recipe.read_text("utf-8") == whole
    spec.write_text(TRAIN.replace("[lock]", "[image]\ncompile = true\n[lock]"), encoding="utf-8")
    assert mlenv("build", "spec.toml", "--check", cwd=spec.parent).returncode == 1
    assert cache.parent.is_dir()


def test_explain_shows_why_and_what_layers_weigh(cache: Path, spec: Path) -> None:
    assert mlenv("lock", "spec.toml", cwd=spec.parent).returncode == 0
    done = mlenv("explain", "spec.toml", "--change", "triton", cwd=spec.parent)
    assert done.returncode == 0
    for words in ("toolkit: 12.8", "because ", "layers: ", "triton: "):
        assert words in done.stdout
    unknown = mlenv("explain", "spec.toml", "--change", "no-such", cwd=spec.parent)
    assert (unknown.returncode, "no-such" in unknown.stderr) == (2, True)
    assert cache.parent.is_dir()


def test_diff_says_what_moved_and_ends_with_1(cache: Path, spec: Path) -> None:
    assert mlenv("lock", "spec.toml", "--out", "one", cwd=spec.parent).returncode == 0
    spec.write_text(TRAIN.replace("2.8.*", "2.9.*"), encoding="utf-8")
    assert mlenv("lock", "spec.toml", "--out", "two", cwd=spec.parent).returncode == 0
    done = mlenv("diff", "one/plain", "two/plain/mlenv.lock", cwd=spec.parent)
    assert done.returncode == 1
    assert "torch 2.8.0 -> 2.9.1 (framework, " in done.stdout
    assert "to push again: " in done.stdout
    same = mlenv("diff", "one/plain", "one/plain", cwd=spec.parent)
    assert (same.returncode, same.stdout) == (0, "no difference\n")
    assert cache.parent.is_dir()


def test_init_writes_a_spec_that_checks_and_overwrites_none(tmp_path: Path) -> None:
    words = ("init", "demo", "--framework", "torch", "--gpu", "H100", "--driver", ">=580.65.06")
    assert mlenv(*words, cwd=tmp_path).returncode == 0
    assert mlenv("check", "demo.toml", cwd=tmp_path).returncode == 0
    before = (tmp_path / "demo.toml").read_text("utf-8")
    again = mlenv(*words, "--python", "3.13", cwd=tmp_path)
    assert (again.returncode, "--force" in again.stderr) == (2, True)
    assert (tmp_path / "demo.toml").read_text("utf-8") == before
    assert mlenv(*words, "--python", "3.13", "--force", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_of_that_shell(shell: str, tmp_path: Path) -> None:
    done = mlenv("completion", shell, cwd=tmp_path)
    assert done.returncode == 0
    assert "_MLENV_COMPLETE" in done.stdout


def test_completion_completes(tmp_path: Path) -> None:
    asked = {"_MLENV_COMPLETE": "bash_complete", "COMP_WORDS": "mlenv bu", "COMP_CWORD": "1"}
    done = subprocess.run(
        [Path(sys.executable).with_name("mlenv")],
        cwd=tmp_path,
        env={**os.environ, **asked},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    assert done.stdout.split() == ["plain,build"]


def test_nothing_listens_at_the_index(cache: Path, spec: Path, index: Index) -> None:
    with index.behaving(Behaviour(broken={"index.example/": 500})):
        done = mlenv("build", "spec.toml", "--json", cwd=spec.parent)
    document = json.loads(done.stdout)
    # the facts alone say ok, and it is not said to be solved
    assert (done.returncode, document["verdict"], document["solved"]) == (4, "ok", False)
    assert document["reasons"][0]["code"] == "network-failed"
    assert not (spec.parent / "images").exists()
    assert cache.parent.is_dir()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_solve_leaves_nothing_behind(
    number: signal.Signals, cache: Path, spec: Path, index: Index
) -> None:
    with index.behaving(Behaviour(delay_seconds=5.0)):
        process = subprocess.Popen(
            [sys.executable, "-m", "mlenv", "build", "spec.toml"],
            cwd=spec.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        until = time.monotonic() + 30
        while not index.hits and time.monotonic() < until:
            time.sleep(0.05)
        assert index.hits, "uv never asked the index"
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "error[interrupted]" in said
    assert not (spec.parent / "images").exists()
    assert cache.parent.is_dir()


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "mlenv", "catalog", "show", "torch", "--json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()
