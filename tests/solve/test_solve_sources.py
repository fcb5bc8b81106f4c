"""Source packages: which are taken, and what is said about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archives import Artefact, core_metadata, pack_sdist
from drive import solved
from facts import roots
from loopback import Index, environment
from mlenv.errors import StackError

if TYPE_CHECKING:
    from pathlib import Path

HEAD = 'name = "s"\npython = "3.12"\ncuda = "cpu"\n'


def test_a_pure_source_package_is_taken_and_reported(cache: Path) -> None:
    found = solved(f'{HEAD}packages = ["hydra-core"]\n', cache)
    (antlr,) = (each for each in found.picked if not each.wheel)
    assert (antlr.solved.name, antlr.artefact.filename) == (
        "antlr4-python3-runtime",
        "antlr4_python3_runtime-4.9.3.tar.gz",
    )
    said = [each.what for each in found.warnings if each.code == "built-from-source"]
    assert said == ["antlr4-python3-runtime 4.9.3 is installed from its source package"]
    assert found.question.sources == ("antlr4-python3-runtime",)
    assert found.question.searching is False


def test_uv_does_not_step_back_from_a_source_package(cache: Path) -> None:
    found = solved(f'{HEAD}packages = ["hydra-core"]\n', cache)
    assert {e.solved.name: e.solved.version for e in found.picked}["hydra-core"] == "1.3.2"


def test_what_was_built_once_is_not_built_again(cache: Path) -> None:
    spec = f'{HEAD}packages = ["example-pure"]\n'
    first = solved(spec, cache)
    (kept,) = (cache / "sources").iterdir()
    stamp = kept.stat().st_mtime_ns
    assert solved(spec, cache).lock_text == first.lock_text
    assert kept.stat().st_mtime_ns == stamp


def test_a_compiled_source_package_is_refused(cache: Path) -> None:
    with pytest.raises(StackError) as caught:
        solved(f'{HEAD}packages = ["example-compiled"]\n', cache)
    (reason,) = caught.value.reasons
    assert (reason.code, reason.where) == ("needs-build", ("packages[0]",))
    assert 'sdist = ["example-compiled"]' in reason.fix


def test_a_compiled_source_package_is_taken_where_it_is_listed(cache: Path) -> None:
    found = solved(
        f'{HEAD}packages = ["Example_Compiled"]\n[lock]\nsdist = ["example.compiled"]', cache
    )
    (only,) = found.picked
    assert (only.solved.name, only.wheel) == ("example-compiled", False)
    assert "built-from-source" in [each.code for each in found.warnings]


@pytest.mark.parametrize(
    "package",
    [
        pytest.param("hydra-core", id="that something needs"),
        pytest.param("example-pure", id="that a line names"),
    ],
)
def test_deny_takes_no_source_package(cache: Path, package: str) -> None:
    with pytest.raises(StackError) as caught:
        solved(f'{HEAD}packages = ["filelock", "{package}"]\n[lock]\nsdist = "deny"\n', cache)
    (reason,) = caught.value.reasons
    assert (reason.code, reason.where) == ("needs-build", ("packages[1]",))
    assert not (cache / "sources").exists()


def test_the_list_takes_no_other_compiled_package(cache: Path) -> None:
    with pytest.raises(StackError) as caught:
        solved(f'{HEAD}packages = ["example-compiled"]\n[lock]\nsdist = ["example-pure"]\n', cache)
    assert caught.value.reasons[0].code == "needs-build"


def test_a_source_package_that_does_not_build_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, metadata = "example-broken", core_metadata("example-broken", "1.0", (), ">=3.9")
    system = b'[build-system]\nrequires = []\nbuild-backend = "b"\nbackend-path = ["."]\n'
    code = b"def build_wheel(*_, **__):\n    raise SystemExit('no nvcc here')\n"
    files = {"PKG-INFO": metadata, "pyproject.toml": system, "b.py": code}
    filename, content = pack_sdist(name, "1.0", files)
    default, *others = roots()
    default.add(
        Artefact(
            project=name,
            version="1.0",
            filename=filename,
            content=content,
            metadata=metadata,
            requires_python=">=3.9",
        )
    )
    with Index(default, *others) as index:
        for key, text in environment(index, cache=tmp_path / "uv").items():
            monkeypatch.setenv(key, text)
        with pytest.raises(StackError) as caught:
            solved(f'{HEAD}packages = ["rich", "{name}"]\n', tmp_path / "cache")
    (reason,) = caught.value.reasons
    assert (reason.code, reason.where) == ("needs-build", ("packages[1]",))
