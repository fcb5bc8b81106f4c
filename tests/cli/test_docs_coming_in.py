"""The commands of ``docs/coming-in.md``, each run as it stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from test_cli import PLAIN, mlenv

PAGE = Path(__file__).parents[2] / "docs" / "coming-in.md"
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for line in block.splitlines()
]


def test_every_command_of_the_page_runs(cache: Path, tmp_path: Path) -> None:
    work = tmp_path / "train"
    (work / "specs").mkdir(parents=True)
    (work / "requirements.txt").write_text("tqdm\n", encoding="utf-8")
    (work / "pyproject.toml").write_text(
        '[project]\nname = "t"\n[project.optional-dependencies]\ncu128 = ["torch==2.8.*"]\n',
        encoding="utf-8",
    )
    assert len(COMMANDS) == 7
    for line in COMMANDS:
        words = shlex.split(line)[1:]
        if words[:1] == ["add"]:  # from here on one spec lies there
            for each in work.glob("*.toml"):
                each.unlink()
            (work / "specs" / "train.toml").write_text(PLAIN, encoding="utf-8")
            words += ["--no-lock"]
        if words[:1] == ["remove"]:
            words += ["--no-lock"]
        if words[:1] == ["diff"]:
            (work / "specs" / "old.toml").write_text(PLAIN, encoding="utf-8")
        done = mlenv(*words, cwd=work)
        wanted = {"update": 2, "diff": 1}.get(words[0] if words else "", 0)
        assert done.returncode == wanted, (line, done.stderr)
        if words[:1] == ["update"]:
            assert "not-movable" in done.stderr  # nothing is locked there
    assert cache.parent == tmp_path


@pytest.mark.parametrize("word", ["requirements.txt", "conda-lock.yml", "cog.yaml", "Dockerfile"])
def test_the_page_names_every_kind(word: str) -> None:
    assert f"| `{word}` |" in PAGE.read_text(encoding="utf-8")
