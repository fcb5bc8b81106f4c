"""``mlenv add`` and ``remove``: the spec on the disk and its lock, changed or as they were."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

import pytest
from test_cli import PLAIN, TRAIN, mlenv

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "plain.toml"
    path.write_text(TRAIN + "# the end\n", encoding="utf-8")
    return path


def test_add_locks_and_then_writes_and_remove_takes_it_back(cache: Path, spec: Path) -> None:
    before = spec.read_text(encoding="utf-8")
    done = mlenv("add", "numpy", cwd=spec.parent)
    assert done.returncode == 0, done.stderr
    assert "plain.toml: packages: numpy is new" in done.stderr
    after = spec.read_text(encoding="utf-8")
    assert 'packages = ["numpy"]' in after
    assert after.endswith("# the end\n")
    assert 'name = "numpy"' in (spec.parent / "images/plain/mlenv.lock").read_text("utf-8")
    done = mlenv("remove", "plain.toml", "numpy", cwd=spec.parent)
    assert done.returncode == 0, done.stderr
    assert "numpy" in done.stderr
    assert tomllib.loads(spec.read_text(encoding="utf-8")) == tomllib.loads(before)
    assert cache.parent == spec.parent


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["add", "no-such-package-at-all"], 3, "plain.toml is as it was"),
        (["add", "torch==2.8.*", "jax==0.4.1"], 3, "as it was"),
        (["add", "torch", "--layer", "config", "--dev"], 2, "two places"),
        (["add", "plain.toml"], 2, "Missing argument 'PACKAGE"),
        (["add", "nowhere.toml", "x"], 2, "nowhere.toml cannot be read"),
        (["remove", "numpyy"], 2, "no line of the spec names it"),
        (["add", "numpy", "--offline"], 4, "plain.toml is as it was"),
    ],
)
def test_what_cannot_be_leaves_the_spec_and_the_lock_as_they_were(
    words: list[str], status: int, said: str, spec: Path, cache: Path
) -> None:
    before = spec.read_bytes()
    done = mlenv(*words, cwd=spec.parent)
    assert done.returncode == status, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert spec.read_bytes() == before
    assert not (spec.parent / "images").exists()
    assert cache.parent == spec.parent


def test_of_several_targets_all_can_be_or_nothing_is_written(cache: Path, tmp_path: Path) -> None:
    spec = tmp_path / "two.toml"
    text = PLAIN + '[targets.a]\n[targets.b]\npython = "3.14t"\n'
    spec.write_text(text, encoding="utf-8")
    assert mlenv("lock", "two.toml", cwd=tmp_path).returncode == 0
    locks = {each: each.read_bytes() for each in tmp_path.glob("images/*/*/mlenv.lock")}
    assert len(locks) == 2
    done = mlenv("add", "two.toml", "tensorflow==2.20.*", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert spec.read_text(encoding="utf-8") == text
    assert {each: each.read_bytes() for each in locks} == locks
    assert cache.parent == tmp_path


def test_no_lock_edits_alone_and_json_says_what_was_done(spec: Path) -> None:
    done = mlenv("add", "wandb", "--no-lock", "--json", cwd=spec.parent)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"spec": "plain.toml", "did": ["packages: wandb is new"]}
    assert not (spec.parent / "images").exists()


def test_several_specs_ask_for_a_name(spec: Path) -> None:
    (spec.parent / "other.toml").write_text(PLAIN, encoding="utf-8")
    done = mlenv("add", "wandb", cwd=spec.parent)
    assert done.returncode == 2
    assert "several specs lie here (other.toml, plain.toml)" in done.stderr
