"""One package moved and the rest kept: real uv on the real index, by dates of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drive import built
from mlenv.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from mlenv.lock import Lock

SPEC = 'name = "a"\npython = "3.12"\npackages = ["requests", "numpy"]\n'
BEFORE, LATER = "2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z"


def versions(lock: Lock | None) -> dict[str, str]:
    assert lock is not None
    return {each.name: each.version for each in lock.package}


@pytest.mark.network
def test_one_package_moves_and_the_move_lasts_until_all_are_moved(tmp_path: Path) -> None:
    out, cache = tmp_path / "images", tmp_path / "cache"
    (first,) = built(SPEC, out, cache, today=BEFORE)
    (moved,) = built(SPEC, out, cache, today=LATER, only="NumPy")
    before, after = versions(first.lock), versions(moved.lock)
    assert [name for name in before if before[name] != after[name]] == ["numpy"]
    assert moved.lock is not None
    assert moved.lock.exclude_newer == BEFORE
    assert moved.lock.moved == {"numpy": LATER}
    project = (out / "a" / "pyproject.toml").read_text(encoding="utf-8")
    assert "exclude-newer-package" in project
    # a lost lock of uv is solved again to the same, its moved package too
    (out / "a" / "uv.lock").unlink()
    (same,) = built(SPEC, out, cache, today=LATER)
    assert (same.changed, versions(same.lock)) == (False, after)
    # another line of the spec: what was moved stays so
    (again,) = built(SPEC.replace('"numpy"', '"numpy", "tqdm"'), out, cache, today=LATER)
    assert versions(again.lock) == after | {"tqdm": versions(again.lock)["tqdm"]}
    (whole,) = built(SPEC, out, cache, today=LATER, upgrade=True)
    assert whole.lock is not None
    assert whole.lock.moved is None
    assert whole.lock.exclude_newer == LATER


@pytest.mark.parametrize(
    ("spec", "locked", "cause"),
    [
        pytest.param('name = "a"\npython = "3.12"\n', False, "nothing is locked", id="no lock"),
        pytest.param('name = "a"\npython = "3.12"\n', True, "no such package", id="not in it"),
        pytest.param(
            'name = "a"\npython = "3.12"\n[lock]\nexclude-newer = "2026-01-01"\n',
            True,
            "the spec fixes the date",
            id="a date in the spec",
        ),
    ],
)
def test_what_cannot_move_alone_is_refused(
    spec: str, *, locked: bool, cause: str, tmp_path: Path, cache: Path
) -> None:
    out = tmp_path / "images"
    if locked:
        built(spec, out, cache, today=BEFORE)
    with pytest.raises(UsageError) as caught:
        built(spec, out, cache, today=LATER, only="numpy")
    assert caught.value.reasons[0].code == "not-movable"
    assert cause in caught.value.reasons[0].cause
