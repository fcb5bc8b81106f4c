"""Probes in interpreters of this machine, and whole runs of the command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from judging import ROOT
from mlenv.errors import HostError
from mlenv.runners.local import Local, ended, interpreter
from mlenv.verify.job import Wish, verify
from mlenv.verify.pack import probe_file
from sites import PYTHON, site, subject


def test_this_interpreter_is_as_locked(tmp_path: Path) -> None:
    done = verify(subject(tmp_path), Local(python=PYTHON), Wish(scope="static"))
    assert (done.verdict.word, done.where) == ("static-ok", PYTHON)


def test_without_a_gpu_nothing_is_verified(tmp_path: Path) -> None:
    found = subject(tmp_path, toolkit="13.0")
    done = verify(found, Local(python=PYTHON), Wish(quick=True))
    assert (done.verdict.word, int(done.verdict.exit_status)) == ("not-verified", 6)


def test_what_runs_too_long_is_cut_short_and_leaves_its_report(tmp_path: Path) -> None:
    python = site(tmp_path, {"hang": "import time; time.sleep(600)"})
    begun = time.monotonic()
    done = verify(
        subject(tmp_path, checks=["hang"]), Local(python=python), Wish(scope="static", seconds=6)
    )
    assert time.monotonic() - begun < 30
    assert (done.verdict.word, int(done.verdict.exit_status)) == ("not-verified", 6)
    assert done.verdict.root is not None
    assert "did not end within 6 s" in done.verdict.root.cause
    assert "check:hang" in done.verdict.root.also


def test_a_killed_probe_leaves_what_it_had(tmp_path: Path) -> None:
    text = f"import os, time; open('{tmp_path}/here', 'w').close(); time.sleep(600)"
    python = site(tmp_path, {"hang": text})

    def kill() -> None:
        until = time.monotonic() + 60
        while not (tmp_path / "here").exists() and time.monotonic() < until:
            time.sleep(0.05)
        words = ["pgrep", "--full", f"{PYTHON} .*probe.pyz --plan"]
        numbers = subprocess.run(words, capture_output=True, text=True, check=False).stdout.split()
        for each in map(int, numbers):
            environment = Path(f"/proc/{each}/environ").read_bytes()
            if f"PATH={tmp_path}".encode() in environment:
                os.kill(each, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    done = verify(subject(tmp_path, checks=["hang"]), Local(python=python), Wish(scope="static"))
    thread.join()
    assert (done.verdict.word, int(done.verdict.exit_status)) == ("not-verified", 6)
    assert done.verdict.root is not None
    assert "SIGKILL" in done.verdict.root.cause


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("#!/bin/sh\nexit 3\n", "status 3", id="it ends"),
        pytest.param("#!/bin/sh\necho sorry >&2; exit 1\n", "sorry", id="it says why"),
        pytest.param("#!/bin/sh\necho '{}'\n", "left no report", id="it is no Python"),
    ],
)
def test_from_a_broken_interpreter_nothing_comes_back(
    tmp_path: Path, text: str, words: str
) -> None:
    python = tmp_path / "python"
    python.write_text(text)
    python.chmod(0o755)
    if "echo '{}'" in text:
        python.write_text("#!/bin/sh\nexit 0\n")
    with pytest.raises(HostError) as caught:
        verify(subject(tmp_path), Local(python=str(python)), Wish(scope="static"))
    assert (caught.value.reasons[0].code, int(caught.value.exit_status)) == ("runner-failed", 4)
    assert words in str(caught.value)


def test_an_interpreter_is_found_in_a_venv_and_refused_elsewhere(tmp_path: Path) -> None:
    assert interpreter(Path(sys.prefix)) == f"{sys.prefix}/bin/python"
    (tmp_path / "python").write_text("no program")
    for path in (tmp_path, tmp_path / "python"):
        with pytest.raises(HostError) as caught:
            interpreter(path)
        assert caught.value.exit_status == 4


@pytest.mark.parametrize(
    ("status", "words"),
    [(0, ""), (1, "told to end"), (-9, "SIGKILL"), (137, "SIGKILL"), (3, "status 3")],
)
def test_an_end_in_words(status: int, words: str) -> None:
    assert words in ended(status, "it")
    assert bool(ended(status, "it")) is (status != 0)


def test_the_probe_file_is_the_same_each_time_and_runs_by_itself(tmp_path: Path) -> None:
    assert probe_file() == probe_file()
    path = tmp_path / "probe.pyz"
    path.write_bytes(probe_file())
    done = subprocess.run(
        [PYTHON, "-I", str(path), "--list"], capture_output=True, text=True, check=True
    )
    assert "mapped:torch" in done.stdout


def mlenv(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PYTHON, "-m", "mlenv", "verify", *words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        pytest.param(["images/nope"], 2, "no such file or folder", id="nothing is there"),
        pytest.param(["docs"], 2, "it holds no mlenv.lock", id="a folder without a lock"),
        pytest.param(["specs/cpu.toml", "--out", "docs"], 2, "mlenv build", id="a spec not built"),
        pytest.param(["images/cpu", "--runner", "container"], 2, "--image REF", id="no image"),
        pytest.param(["images/cpu", "--image", "x", "--runner", "local"], 2, "--image", id="idle"),
        pytest.param(["images/cpu", "--engine", "docker"], 2, "--engine", id="no use of an engine"),
        pytest.param(["images/cpu", "--sbatch", "-p x"], 2, "--sbatch", id="no use of sbatch"),
        pytest.param(["images/cpu", "--python", "docs"], 4, "no interpreter", id="no interpreter"),
    ],
)
def test_what_cannot_be_verified_is_said(words: list[str], status: int, said: str) -> None:
    done = mlenv(*words)
    assert done.returncode == status
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def locked(tmp_path: Path) -> Path:
    from mlenv.lock import lock_text  # noqa: PLC0415 (for this one)

    folder = tmp_path / "train"
    folder.mkdir()
    (folder / "mlenv.lock").write_text(lock_text(subject(tmp_path).lock))
    return folder


@pytest.mark.parametrize(
    ("lines", "status", "said"),
    [
        pytest.param(
            ('platform = "linux/amd64"', 'platform = "linux/arm64"'),
            6,
            ["cannot be installed on this machine", "linux/arm64 (aarch64)"],
            id="another architecture",
        ),
        pytest.param(
            ("\npython = ", '\npython = "3.99"  # '),
            4,
            ["there is no Python 3.99 to verify it with", "uv python install 3.99"],
            id="a Python that nobody has",
        ),
    ],
)
def test_what_cannot_be_installed_here_is_said(
    tmp_path: Path, lines: tuple[str, str], status: int, said: list[str]
) -> None:
    folder = locked(tmp_path)
    text = (folder / "mlenv.lock").read_text()
    (folder / "mlenv.lock").write_text(text.replace(*lines))
    done = mlenv(
        str(folder),
        "--static",
        MLENV_CACHE_DIR=str(tmp_path / "cache"),
        UV_PYTHON_DOWNLOADS="never",
    )
    assert done.returncode == status
    assert [each for each in said if each not in done.stderr] == []


def test_the_command_writes_every_form(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("junit", "html", "report")}
    options: list[str] = [word for name, path in files.items() for word in (f"--{name}", str(path))]
    done = mlenv(str(locked(tmp_path)), "--static", "--json", "--python", PYTHON, *options)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert (document["verdict"], document["runner"]) == ("static-ok", "local")
    for name, found in (("verdict", document), ("report", document["report"])):
        words = [PYTHON, "-m", "mlenv", "schema", name]
        said = subprocess.run(words, capture_output=True, text=True, check=True)
        jsonschema.validate(found, json.loads(said.stdout))
    assert json.loads(files["report"].read_text())["nonce"] == document["report"]["nonce"]
    assert files["junit"].read_text().startswith("<?xml")
    assert files["html"].read_text().startswith("<!doctype html>")


@pytest.mark.network
@pytest.mark.timeout(600)
@pytest.mark.parametrize("answered", [True, False], ids=["by uv sync", "by its layers"])
def test_a_locked_folder_is_installed_and_is_as_locked(tmp_path: Path, *, answered: bool) -> None:
    python = "{}.{}".format(*sys.version_info)
    spec = tmp_path / "tiny.toml"
    spec.write_text(f'name = "tiny"\npython = "{python}"\npackages = ["einops"]\n')
    base = [PYTHON, "-m", "mlenv"]
    build = [*base, "build", str(spec), "--out", str(tmp_path / "images")]
    subprocess.run(build, check=True, capture_output=True)
    if not answered:
        (tmp_path / "images" / "tiny" / "uv.lock").unlink()
    words = (str(spec), "--out", str(tmp_path / "images"), "--static")
    before = sorted((tmp_path / "images").rglob("*"))
    for _ in range(2):
        done = mlenv(*words, MLENV_CACHE_DIR=str(tmp_path / "cache"))
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.startswith("tiny: static-ok")
    assert sorted((tmp_path / "images").rglob("*")) == before
    venv = next((tmp_path / "cache" / "verify").iterdir())
    (found,) = venv.glob("lib/*/site-packages/einops-*.dist-info/METADATA")
    text = found.read_text().replace("Version: ", "Version: 9")
    found.unlink()  # it is uv's own file, by another name
    found.write_text(text)
    done = mlenv(*words, MLENV_CACHE_DIR=str(tmp_path / "cache"))
    assert done.returncode == 1
    assert "error[distribution-differs]: einops is 9" in done.stdout
