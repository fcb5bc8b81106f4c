"""``mlenv init --from``: a process of its own, as a user starts it."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from typing import TYPE_CHECKING

import pytest
from test_cli import mlenv

if TYPE_CHECKING:
    from pathlib import Path

REQUIREMENTS = "torch==2.8.0\n-e .\ntransformers>=4.55\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    own = tmp_path / "My Project"
    own.mkdir()
    (own / "requirements.txt").write_text(REQUIREMENTS, encoding="utf-8")
    return own


def test_a_requirements_file_becomes_a_spec_and_what_was_left_is_said(folder: Path) -> None:
    done = mlenv("init", "--from", "requirements.txt", "--cuda", "12.8", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "my-project.toml"
    assert "requirements.txt:2  -e .: the project's own code" in done.stderr
    assert "next: mlenv build my-project.toml" in done.stderr
    assert mlenv("check", "my-project.toml", cwd=folder).returncode == 0
    text = (folder / "my-project.toml").read_text(encoding="utf-8")
    assert 'framework = "torch==2.8.0"' in text
    assert 'cuda = "12.8"' in text


def test_json_has_every_note_with_its_place(folder: Path) -> None:
    done = mlenv("init", "train", "--from", ".", "--json", cwd=folder)
    found = json.loads(done.stdout)
    assert found["file"] == "train.toml"
    assert found["left"] == [
        {
            "at": "requirements.txt:2",
            "what": "-e .",
            "why": "the project's own code is no part of a stack",
        }
    ]
    assert found["understood"][0]["at"] == "requirements.txt:1"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from", "nowhere"], "there is no such file or folder"),
        (["--from", "photo.png"], "neither its name nor its content"),
        (["--from", "latin.txt"], "it is no text in UTF-8 (byte 1)"),
        (["--from", "empty"], "no file of it says what a stack is made of"),
        ([], "Missing argument 'NAME'"),
        (["x", "--extra", "gpu"], "--extra is for --from"),
        (["--from", "requirements.txt", "--gpu", "H1OO"], "no GPU is known"),
    ],
)
def test_what_cannot_come_in_is_told_and_nothing_is_written(
    words: list[str], said: str, folder: Path
) -> None:
    (folder / "photo.png").write_bytes(b"png")
    (folder / "latin.txt").write_bytes(b"n\xfcmpy")
    (folder / "empty").mkdir()
    before = sorted(folder.iterdir())
    done = mlenv("init", *words, cwd=folder)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(folder.iterdir()) == before


def test_the_python_is_the_one_of_a_range_that_can_run(folder: Path) -> None:
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "old"\nrequires-python = ">=3.9"\ndependencies = ["torch==2.1.2"]\n',
        encoding="utf-8",
    )
    done = mlenv("init", "--from", "pyproject.toml", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert 'python = "3.11"' in (folder / "old.toml").read_text(encoding="utf-8")


def test_what_is_installed_comes_in(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "venv"
    venv.create(place, with_pip=False)
    (packages,) = place.glob("lib/python3*/site-packages")
    for name, version, more in [
        ("torch", "2.8.0+cu126", "Requires-Dist: filelock\n"),
        ("filelock", "3.19.1", ""),
        ("transformers", "4.55.0", "Requires-Dist: torch; extra == 'torch'\n"),
        ("nvidia-cuda-runtime-cu12", "12.6.77", ""),
        ("own", "1", "Requires-Dist: einops>=0.8\n"),
        ("einops", "0.8.1", ""),
    ]:
        info = packages / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}"
        (info / "METADATA").write_text(head, encoding="utf-8")
        if name == "own":
            row = {"url": "file:///home/x", "dir_info": {"editable": True}}
            (info / "direct_url.json").write_text(json.dumps(row), encoding="utf-8")
    done = mlenv("init", "mine", "--from", "env", "--python", str(place), "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    found = (folder / "mine.toml").read_text(encoding="utf-8")
    python = ".".join(map(str, sys.version_info[:2]))
    assert f'python = "{python}"' in found
    assert 'framework = "torch==2.8.0"\ncuda = "12.6"' in found
    assert "transformers==4.55.0" in found
    assert "einops==0.8.1" in found
    assert "filelock" not in found
    assert "/home/x" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "data",
    [
        pytest.param("torch==2.8.0\r\n".encode("utf-16"), id="as PowerShell writes it"),
        pytest.param(b"\xef\xbb\xbftorch==2.8.0\n", id="with a byte order mark"),
    ],
)
def test_files_of_other_systems_come_in(data: bytes, folder: Path) -> None:
    (folder / "requirements.txt").write_bytes(data)
    done = mlenv("init", "--from", "requirements.txt", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "torch==2.8.0" in (folder / "my-project.toml").read_text(encoding="utf-8")


def test_what_cannot_run_is_written_to_be_mended(folder: Path) -> None:
    (folder / "requirements.txt").write_text("torch==2.15.0+cu128\n", encoding="utf-8")
    done = mlenv("init", "--from", "requirements.txt", cwd=folder)
    assert done.returncode == 3
    assert "error[cuda-not-offered]" in done.stderr
    assert "next: mend my-project.toml as told above" in done.stderr
    assert (folder / "my-project.toml").is_file()


def test_a_venv_is_taken_for_what_is_installed_in_it(folder: Path) -> None:
    venv.create(folder / "env", with_pip=False)
    done = mlenv("init", "bare", "--from", "env", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "packages" not in (folder / "bare.toml").read_text(encoding="utf-8")


def test_help_stays_light() -> None:
    code = (
        "import sys; from mlenv.cli import main; main(['init', '--help']); "
        "sys.exit(any(each in sys.modules for each in ('yaml', 'pydantic', 'tomlkit')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0
