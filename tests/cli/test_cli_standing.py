"""``mlenv`` alone: where one stands, and the next step, at every point of the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from test_cli import PLAIN, mlenv

from mlenv import memory
from mlenv.host import disk

if TYPE_CHECKING:
    from pathlib import Path


def stands(folder: Path) -> dict[str, Any]:
    done = mlenv("--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def states(folder: Path) -> list[str]:
    (stack,) = stands(folder)["stacks"]
    return [each["state"] for each in stack["steps"]]


def test_each_step_leads_to_the_next(cache: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    assert stands(work)["next"].startswith("mlenv init train ")
    (work / "requirements.txt").write_text("tqdm\n", encoding="utf-8")
    assert stands(work)["next"] == "mlenv init --from requirements.txt"
    (work / "plain.toml").write_text(PLAIN, encoding="utf-8")
    assert states(work) == ["todo", "todo", "todo"]
    assert stands(work)["next"] == "mlenv build plain.toml"
    assert mlenv("lock", "plain.toml", cwd=work).returncode == 0
    assert states(work)[0] == "done"
    assert stands(work)["next"] == "mlenv build plain.toml"  # the lock has no recipe
    assert mlenv("build", "plain.toml", cwd=work).returncode == 0
    assert stands(work)["next"] == "mlenv image images/plain"
    sha = _artefacts(work)
    own = disk.cache_folder()
    memory.remember(own, sha, "image", where="plain.tar", at="2026-11-28")
    assert states(work) == ["done", "done", "todo"]
    assert stands(work)["next"] == "mlenv verify images/plain"
    memory.remember(own, sha, "verified", word="failed", at="2026-11-28")
    assert states(work)[2] == "old"
    memory.remember(own, sha, "verified", word="static-ok", at="2026-11-28")
    assert states(work)[2] == "todo"
    memory.remember(own, sha, "verified", word="verified", at="2026-11-28")
    assert states(work) == ["done", "done", "done"]
    assert stands(work)["next"].startswith("all is done")
    (work / "plain.toml").write_text(PLAIN + "\n[image]\ncompile = true\n", encoding="utf-8")
    assert states(work)[0] == "old"
    assert "the spec has changed since" in mlenv(cwd=work).stdout
    assert cache.parent == tmp_path


def _artefacts(work: Path) -> str:
    text = (work / "images/plain/mlenv.lock").read_text(encoding="utf-8")
    return text.partition('artefacts-sha256 = "')[2][:64]


@pytest.mark.parametrize("count", [1, 4, 30])
def test_it_fits_in_eighty_columns_and_says_all_without_colour(count: int, tmp_path: Path) -> None:
    for number in range(count):
        name = f"a-very-long-name-of-a-stack-{'x' * 30}-{number}"
        text = f'name = "{name}"\npython = "3.12"\n[targets.h100]\n[targets.gh200]\n'
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    done = mlenv(cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if not line.startswith("next:")]
    assert all(len(line) <= 80 for line in lines), done.stdout
    assert "\x1b" not in done.stdout
    assert "next:  mlenv build " in done.stdout
    assert ("not locked" in done.stdout) != ("to be done again" in done.stdout)


def test_an_ascii_terminal_has_other_marks(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(PLAIN, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mlenv"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    assert b"  - lock      not locked" in done.stdout


def test_what_is_no_spec_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("name = ", encoding="utf-8")
    (tmp_path / "other.toml").write_text('[project]\nname = "x"\n', encoding="utf-8")
    (tmp_path / "raw.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "up.toml").write_text('name = "../.."\npython = "3.12"\n', encoding="utf-8")
    done = mlenv(cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 spec here" in done.stdout


def test_it_loads_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(PLAIN, encoding="utf-8")
    code = (
        "import sys; from mlenv.cli import main; main([]); "
        "sys.exit(any(each in sys.modules for each in "
        "('pydantic', 'yaml', 'tomlkit', 'requests', 'rich', 'packaging')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_json_belongs_behind_a_command(tmp_path: Path) -> None:
    done = mlenv("--json", "check", "a.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert "--json goes behind the command" in done.stderr


def test_a_damaged_memory_is_none(tmp_path: Path) -> None:
    sha = "0" * 64
    memory.remember(tmp_path, sha, "image", where="x", at="y")
    assert memory.recalled(tmp_path, sha) == {"image": {"where": "x", "at": "y"}}
    for text in ("[]", "{", ""):
        (tmp_path / "memory" / f"{sha}.json").write_text(text, encoding="utf-8")
        assert memory.recalled(tmp_path, sha) == {}
    assert memory.recalled(tmp_path, "../../etc/passwd") == {}
