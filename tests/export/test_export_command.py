"""``mlenv export`` as a user meets it: what it lists, where it writes, what it never overwrites."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import condalocks
from exporting import exported, lock_of
from mlenv.cli import main
from mlenv.export.formats import FORMATS
from mlenv.export.source import NOTE, Source
from mlenv.lock import lock_text

if TYPE_CHECKING:
    from condachannel import Channel
    from mlenv.lock import Lock

IMAGE = ("--image", "ghcr.io/me/train:1")
OFFLINE = [name for name, each in FORMATS.items() if not {"urls", "about"} & set(each.needs)]


def typed(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    status = main(["export", *words])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_the_help_lists_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = typed(capsys, "--help")
    assert status == 0
    for name, each in FORMATS.items():
        assert f"{name} " in out
        assert each.says in out
    assert all(len(line) <= 80 for line in out.splitlines())


def test_a_shell_completes_the_names_of_formats() -> None:
    env = {
        "_MLENV_COMPLETE": "bash_complete",
        "COMP_WORDS": "mlenv export d --to p",
        "COMP_CWORD": "4",
    }
    argv = [sys.executable, "-c", "from mlenv.cli import cli; cli(prog_name='mlenv')"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=True)
    found = [line.partition(",")[2] for line in done.stdout.splitlines()]
    assert found == [name for name in FORMATS if name.startswith("p")]


@pytest.mark.parametrize("name", [n for n in OFFLINE if n != "jupyter"])
def test_a_format_is_the_same_each_time_and_knows_itself_again(
    name: str, torch_folder: Path, tmp_path: Path
) -> None:
    one, two = (exported(torch_folder, tmp_path / each, "--to", name, *IMAGE) for each in "ab")
    found = {
        p.relative_to(one): p.read_text(encoding="utf-8") for p in one.rglob("*.*") if p.is_file()
    }
    assert found
    for path, text in found.items():
        assert (two / path).read_text(encoding="utf-8") == text
        assert NOTE in text
    # what is mlenv's own is written over
    for path in found:
        (one / path).write_text(f"{NOTE}, and older", encoding="utf-8")
    exported(torch_folder, one, "--to", name, *IMAGE)
    assert {path: (one / path).read_text(encoding="utf-8") for path in found} == found


def test_a_file_of_the_users_stays_and_nothing_else_is_written(
    torch_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    words = ("--to", "requirements", "--to", "poetry", "--output", str(tmp_path))
    status, out, err = typed(capsys, str(torch_folder), *words)
    assert (status, out) == (2, "")
    assert "error[export-order]" in err
    assert "pyproject.toml is there already, and is not mlenv's" in err
    assert [each.name for each in tmp_path.iterdir()] == ["pyproject.toml"]
    assert (tmp_path / "pyproject.toml").read_text(encoding="utf-8") == "[project]\n"


def test_stdout_holds_one_file_and_nothing_else(
    torch_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exported(torch_folder, tmp_path, "--to", "slurm")
    (path,) = tmp_path.iterdir()
    status, out, err = typed(capsys, str(torch_folder), "--to", "slurm", "--output", "-")
    assert (status, out, err) == (0, path.read_text(encoding="utf-8"), "")


def test_the_document_names_each_file_with_its_hash(
    torch_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--to", "slurm", "--to", "modal", "--output", str(tmp_path), "--json")
    status, out, err = typed(capsys, str(torch_folder), *words)
    found = json.loads(out)["files"]
    assert (status, err) == (0, "")
    assert [each["format"] for each in found] == ["slurm", "modal", "modal"]
    assert all(Path(each["path"]).is_file() for each in found)


def test_the_document_of_what_cannot_be_has_the_reason(
    torch_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = typed(capsys, str(torch_folder), "--to", "kubernetes", "--json")
    found = json.loads(out)
    assert (status, found["files"]) == (2, [])
    assert [each["code"] for each in found["reasons"]] == ["export-order"]


def test_the_recipe_of_a_devcontainer_is_found_from_where_its_file_lies(
    torch_folder: Path, tmp_path: Path
) -> None:
    exported(torch_folder, tmp_path, "--to", "devcontainer")
    path = tmp_path / ".devcontainer" / "devcontainer.json"
    found = json.loads(path.read_text(encoding="utf-8").partition("\n")[2])
    build = found["build"]
    assert (path.parent / build["dockerfile"]).resolve() == torch_folder / "Dockerfile"
    assert (path.parent / build["context"]).resolve() == torch_folder
    assert f" AS {build['target']}\n" in (torch_folder / "Dockerfile").read_text(encoding="utf-8")
    assert "--gpus=all" in found["runArgs"]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go to an empty folder."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(("--to", "kubernetes"), "--image ghcr.io/me/train:1", id="no image"),
        pytest.param(
            ("--to", "slurm", "--image", "A B"), "`--image A B` names no image", id="image"
        ),
        pytest.param(("--to", "jupyter"), "it holds no ipykernel", id="no kernel"),
        pytest.param(("--to", "modal", "--output", "-"), "2 files do not fit", id="two files"),
        pytest.param(
            ("--to", "slurm", "--to", "enroot", "--output", "x.sh"),
            "two formats would be written to x.sh",
            id="two formats, one place",
        ),
    ],
)
@pytest.mark.usefixtures("elsewhere")
def test_what_cannot_be_written_is_told(
    words: tuple[str, ...], said: str, torch_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = typed(capsys, str(torch_folder), *words)
    assert (status, out) == (2, "")
    assert "error[export-order]" in err
    assert said in err
    assert list(Path().iterdir()) == []


def test_a_lock_of_conda_goes_where_its_image_goes_and_not_to_pip(
    conda_stubs: Channel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = condalocks.folder(tmp_path / "out", conda_stubs)
    for name, each in FORMATS.items():
        if name in {"jupyter", "environment"}:
            continue
        place = tmp_path / name
        status, _, err = typed(capsys, str(folder), "--to", name, "--output", str(place), *IMAGE)
        assert status == (0 if "conda" in each.backends else 2), err
        assert place.exists() == ("conda" in each.backends)
    assert "its lock is of conda, and modal speaks of uv alone" in err
    text = (tmp_path / "devcontainer" / ".devcontainer" / "devcontainer.json").read_text("utf-8")
    assert "/opt/conda/bin/python" in text


BAD = "x; touch no #"


def hostile(lock: Lock, word: str) -> Lock:
    """Return a lock that nobody's mlenv wrote: one of its words is a command."""
    first = lock.package[0]
    if word in {"name", "version", "filename", "index"}:
        rows = (first.model_copy(update={word: BAD}), *lock.package[1:])
        return lock.model_copy(update={"package": rows})
    if word == "toolkit":
        return lock.model_copy(update={"stack": lock.stack.model_copy(update={word: BAD})})
    if word == "python":
        return lock.model_copy(update={"target": lock.target.model_copy(update={word: BAD})})
    if word == "target":
        return lock.model_copy(update={"target": lock.target.model_copy(update={"name": BAD})})
    return lock.model_copy(update={"name": BAD})


@pytest.mark.parametrize(
    "word", ["name", "version", "filename", "index", "toolkit", "python", "target", "title"]
)
def test_a_word_of_a_lock_that_is_none_reaches_no_file(
    word: str, torch_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    lock = hostile(lock_of(torch_folder), word)
    (folder / "mlenv.lock").write_text(lock_text(lock), encoding="utf-8")
    for name in FORMATS:
        words = ("--to", name, "--output", str(tmp_path / "out"), *IMAGE)
        status, out, err = typed(capsys, str(folder), *words)
        assert (status, out) == (2, ""), name
        assert "error[export-order]" in err
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match=r"touch no"):
        Source(lock=lock)


def test_a_url_with_a_space_or_a_quote_is_none(torch_folder: Path) -> None:
    for url in ("http://a/b c", "http://a/'x", "http://a/$(x)", "http://a/\nx", "ftp://a/"):
        with pytest.raises(ValueError, match="is not an index's URL"):
            Source(lock=lock_of(torch_folder), indexes={"corp": url})
