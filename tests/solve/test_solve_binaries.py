"""Locks whose wheels hold binaries for other stacks: refused, or led to releases that fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archives import wheel
from binaries import fatbin, shared_object
from drive import built, solved
from facts import DEFAULT
from mlenv.errors import StackError

if TYPE_CHECKING:
    from pathlib import Path

    from loopback import Index

SPEC = """name = "train"
python = "3.12"
framework = "torch==2.8.0"
cuda = "12.8"
packages = ["{package}"]
[targets.a]
gpus = ["{gpu}"]
driver = ">=570"
"""
TAG = "py3-none-manylinux_2_28_x86_64"


@pytest.fixture(scope="module", autouse=True)
def _carriers(index: Index) -> None:
    rows = {
        ("natten", "0.9"): (("libcudart.so.12", "libcuda.so.1"), ("sm_80", "sm_90")),
        ("natten", "1.0"): (("libcudart.so.13",), ("sm_80", "sm_90")),
        ("mamba-ssm", "1.0"): (("libcudart.so.12",), ("sm_90a",)),
    }
    for (name, version), (needed, codes) in rows.items():
        files = {f"{name.replace('-', '_')}/_C.so": shared_object(needed, middle=fatbin(*codes))}
        made = wheel(name, version, ["torch"], tag=TAG, files=files)
        index.roots[DEFAULT].add(made)


def test_a_release_that_fits_is_found(cache: Path) -> None:
    found = solved(SPEC.format(package="natten", gpu="A100"), cache)
    (held,) = (each for each in found.picked if each.solved.name == "natten")
    assert (held.solved.version, found.verdict) == ("0.9", "ok")


def test_a_release_that_is_pinned_is_refused(cache: Path) -> None:
    with pytest.raises(StackError) as caught:
        solved(SPEC.format(package="natten==1.0", gpu="A100"), cache)
    (reason,) = caught.value.reasons
    assert (reason.code, reason.where) == ("soname-mismatch", ("packages[0]",))
    assert "libcudart.so.13" in reason.what


def test_code_inside_decides(cache: Path) -> None:
    assert solved(SPEC.format(package="mamba-ssm", gpu="H100"), cache).verdict == "ok"
    with pytest.raises(StackError) as caught:
        solved(SPEC.format(package="mamba-ssm", gpu="A100"), cache)
    assert [each.code for each in caught.value.reasons] == ["gpu-not-in-wheel"]


def test_what_was_read_is_not_read_again(cache: Path, index: Index) -> None:
    spec = SPEC.format(package="natten==0.9", gpu="H100")
    solved(spec, cache)
    before = len([hit for hit in index.hits if "natten" in hit.url and hit.range])
    solved(spec, cache)
    assert len([hit for hit in index.hits if "natten" in hit.url and hit.range]) == before


def test_offline_without_a_cache_it_is_unknown(cache: Path, tmp_path: Path) -> None:
    spec = SPEC.format(package="natten==0.9", gpu="H100")
    (first,) = built(spec, tmp_path / "one", cache)
    assert first.verdict == "ok"
    (again,) = built(spec, tmp_path / "two", cache, offline=True)
    assert again.verdict == "ok"
    for kept in (*cache.glob("wheels/*/*.needs.json"), *cache.glob("wheels/*/*.code.json")):
        kept.unlink()
    (last,) = built(spec, tmp_path / "three", cache, offline=True)
    assert last.verdict == "unknown"
    assert last.lock is not None
    assert last.lock.verdict == "unknown"
