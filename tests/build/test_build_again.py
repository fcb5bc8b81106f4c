"""Building where something lies already: dates, drift, several targets, the user's own files."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

import pytest

from archives import wheel
from drive import TODAY, built, stamps, texts
from facts import DEFAULT, roots
from loopback import Index, environment
from mlenv.errors import Exit, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LATER = "2026-01-01T00:00:00Z"
SMALL = 'name = "small"\npython = "3.12"\ncuda = "cpu"\npackages = ["filelock"]\n'
MORE = 'name = "small"\npython = "3.12"\ncuda = "cpu"\npackages = ["filelock", "rich"]\n'
SEVERAL = """
name = "many"
python = "3.12"
framework = "tensorflow"
[targets.a100]
gpus = ["A100"]
driver = ">=535"
[targets.gh200]
platform = "linux/arm64"
gpus = ["GH200"]
driver = ">=580"
[targets.cpu]
framework = []
cuda = "cpu"
packages = ["numpy"]
"""


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """Yield an index that this test may change."""
    with Index(*roots()) as index:
        for name, text in environment(index, cache=tmp_path / "uv-cache").items():
            monkeypatch.setenv(name, text)
        yield index


def date(folder: Path) -> object:
    return tomllib.loads((folder / "mlenv.lock").read_text("utf-8"))["exclude-newer"]


def test_the_date_of_the_former_lock_stays(cache: Path, out: Path) -> None:
    built(SMALL, out, cache)
    (again,) = built(MORE, out, cache, today=LATER)
    assert (again.changed, date(out / "small")) == (True, TODAY)


def test_upgrade_moves_the_date(cache: Path, out: Path) -> None:
    built(SMALL, out, cache)
    built(SMALL, out, cache, today=LATER, upgrade=True)
    assert date(out / "small") == LATER
    assert LATER in (out / "small" / "pyproject.toml").read_text("utf-8")


def test_the_date_of_the_spec_counts_before_all(cache: Path, out: Path) -> None:
    built(SMALL, out, cache)
    built(f'{SMALL}[lock]\nexclude-newer = "2025-11-20"\n', out, cache, upgrade=True)
    assert date(out / "small") == "2025-11-21T00:00:00Z"


def test_the_same_again_touches_nothing(cache: Path, out: Path) -> None:
    built(SMALL, out, cache)
    before = stamps(out)
    (again,) = built(SMALL, out, cache, today=LATER)
    assert (again.changed, again.exit_status) == (False, Exit.DONE)
    assert stamps(out) == before


def test_check_tells_drift_and_writes_nothing(cache: Path, out: Path) -> None:
    built(SMALL, out, cache)
    before = stamps(out)
    (same,) = built(SMALL, out, cache, check=True)
    (other,) = built(MORE, out, cache, check=True)
    assert (same.changed, same.exit_status) == (False, Exit.DONE)
    assert (other.changed, other.exit_status) == (True, Exit.FAILED)
    assert [each.code for each in other.reasons] == ["out-of-date"]
    assert "pyproject.toml differs" in other.reasons[0].cause
    assert stamps(out) == before


def test_check_of_nothing_tells_drift(cache: Path, out: Path) -> None:
    (found,) = built(SMALL, out, cache, check=True)
    assert found.exit_status is Exit.FAILED
    assert "mlenv.lock is missing" in found.reasons[0].cause
    assert not out.exists()


def test_check_sees_an_edited_file(cache: Path, out: Path) -> None:
    built(SMALL, out, cache)
    with (out / "small" / "Dockerfile").open("a") as file:
        file.write("RUN true\n")
    (found,) = built(SMALL, out, cache, check=True)
    assert found.reasons[0].cause == "Dockerfile differs"


def test_check_does_not_miss_the_lock_of_uv(cache: Path, out: Path) -> None:
    built(SMALL, out, cache)
    (out / "small" / "uv.lock").unlink()
    (found,) = built(SMALL, out, cache, check=True)
    assert found.exit_status is Exit.DONE


def test_each_target_has_a_folder_and_a_verdict(cache: Path, out: Path) -> None:
    found = built(SEVERAL, out, cache)
    assert [(each.stack.target, each.verdict) for each in found] == [
        ("a100", "ok"),
        ("gh200", "impossible"),
        ("cpu", "ok"),
    ]
    assert [each.exit_status for each in found] == [Exit.DONE, Exit.IMPOSSIBLE, Exit.DONE]
    assert sorted(each.name for each in (out / "many").iterdir()) == ["a100", "cpu"]
    assert found[1].reasons[0].where[0].startswith("spec.toml:4")
    assert found[1].folder is None


def test_one_target_can_be_chosen(cache: Path, out: Path) -> None:
    (only,) = built(SEVERAL, out, cache, target="cpu")
    assert only.folder == out / "many" / "cpu"
    assert [each.name for each in (out / "many").iterdir()] == ["cpu"]
    with pytest.raises(UsageError, match="`a100`, `gh200`, `cpu`"):
        built(SEVERAL, out, cache, target="h100")


def test_files_of_the_user_stay(cache: Path, out: Path) -> None:
    built(MORE, out, cache)
    notes = out / "small" / "notes" / "todo.txt"
    notes.parent.mkdir()
    notes.write_text("mine", encoding="utf-8")
    (out / "small" / "layers" / "mine.txt").write_text("mine too", encoding="utf-8")
    built(SMALL, out, cache)
    assert notes.read_text("utf-8") == "mine"
    assert (out / "small" / "layers" / "mine.txt").read_text("utf-8") == "mine too"


def test_a_file_of_the_user_is_not_overwritten(cache: Path, out: Path) -> None:
    (out / "small").mkdir(parents=True)
    (out / "small" / "pyproject.toml").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        built(SMALL, out, cache)
    assert [each.code for each in caught.value.reasons] == ["not-ours"]
    assert texts(out) == {"small/pyproject.toml": "mine"}


def test_files_that_mlenv_no_longer_writes_go(cache: Path, out: Path) -> None:
    spec = f'{SMALL[:-2]}, "hydra-core"]\n'
    built(spec, out, cache)
    before = set(texts(out / "small"))
    built(SMALL, out, cache)
    gone = before - set(texts(out / "small"))
    assert gone
    assert all(path.startswith("layers/") for path in gone)


def test_a_lost_lock_of_uv_is_solved_again_at_its_date(
    own: Index, out: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    built(SMALL, out, cache)
    before = texts(out)
    (out / "small" / "uv.lock").unlink()
    own.roots[DEFAULT].add(wheel("filelock", "99"), uploaded="2025-12-05")
    (again,) = built(SMALL, out, cache, today=LATER)
    assert again.verdict == "ok"
    assert texts(out) == before


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(SMALL, id="releases"),
        pytest.param(SMALL.replace('"filelock"', '"filelock>=3rc1"'), id="prereleases"),
        pytest.param(SMALL + '[dev]\npackages = ["rich"]\n', id="tools of the desk"),
    ],
)
def test_what_is_locked_stays_though_the_index_shows_more_of_that_day(
    spec: str, own: Index, out: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    built(spec, out, cache)
    before = texts(out)
    (out / "small" / "uv.lock").unlink()
    own.roots[DEFAULT].add(wheel("filelock", "4.0"))  # that day, and not there when it was locked
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "fresh"))
    (again,) = built(spec, out, cache)
    assert (again.verdict, again.changed) == ("ok", False)
    assert texts(out) == before
    (moved,) = built(spec, out, cache, upgrade=True)
    assert (moved.verdict, moved.changed) == ("ok", True)
    assert "filelock-4.0-" in texts(out)["small/mlenv.lock"]


def test_artefacts_that_changed_are_drift(
    own: Index, out: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    built(SMALL, out, cache)
    before = texts(out)
    (out / "small" / "uv.lock").unlink()
    held = re.search(r"filelock-([0-9.]+)-", before["small/mlenv.lock"])
    assert held is not None
    del own.roots[DEFAULT].projects["filelock"][f"filelock-{held[1]}-py3-none-any.whl"]
    own.roots[DEFAULT].add(wheel("filelock", "4.0"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "fresh"))
    (again,) = built(SMALL, out, cache)
    assert (again.verdict, again.exit_status) == (None, Exit.BROKEN)
    assert [each.code for each in again.reasons] == ["solve-drifted"]
    assert "filelock" in again.reasons[0].cause
    assert texts(out) == {path: text for path, text in before.items() if path != "small/uv.lock"}
    (moved,) = built(SMALL, out, cache, upgrade=True)
    assert (moved.verdict, moved.changed) == ("ok", True)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("schema = [", id="no TOML"),
        pytest.param("schema = 99\n", id="of another mlenv"),
        pytest.param('name = "small"\n', id="cut off"),
    ],
)
def test_a_damaged_lock_is_replaced(cache: Path, out: Path, text: str) -> None:
    built(SMALL, out, cache)
    before = texts(out)
    (out / "small" / "mlenv.lock").write_text(text, encoding="utf-8")
    (again,) = built(SMALL, out, cache)
    assert (again.verdict, again.changed) == ("ok", True)
    assert texts(out) == before


def test_a_lock_alone_stays_alone_until_a_recipe_is_asked_for(cache: Path, out: Path) -> None:
    built(SMALL, out, cache, recipe=False)
    (full,) = built(SMALL, out, cache)
    assert (full.changed, "small/Dockerfile" in texts(out)) == (True, True)
    built(MORE, out, cache, recipe=False)
    assert "small/Dockerfile" in texts(out)
