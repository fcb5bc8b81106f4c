"""Files of kept locks that are gone, or are others now, on an index of the test's own."""

from __future__ import annotations

import json
import os
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest
from test_matrix_run import SPEC, matrix, site

import condachannel
from archives import wheel
from drive import TODAY
from facts import DEFAULT, roots
from loopback import Behaviour, Index, environment
from mlenv.matrix.results import Results

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SMALL = SPEC.replace('["numpy"], ["requests"], ["mpmath"], ["namex"]', '["numpy"]')
CONDA = """name = "small"
python = "3.12"
backend = "conda"
cuda = "cpu"
packages = ["numpy"]
[lock]
channels = ["{url}"]
"""
WORDS = ("--verify", "none", "--check-artifacts", "--run", "night")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """Yield an index that this test may change."""
    with Index(*roots()) as index:
        for name, text in environment(index, cache=tmp_path / "uv-cache").items():
            monkeypatch.setenv(name, text)
        monkeypatch.setenv("MLENV_CACHE_DIR", str(tmp_path / "cache"))
        yield index


def fates(folder: Path) -> dict[str, str]:
    text = (folder / "results" / "runs" / "night" / "artifacts.json").read_text("utf-8")
    return {each["package"]: each["what"] for each in json.loads(text)["fates"]}


def test_what_is_gone_or_changed_is_found_and_named(own: Index, tmp_path: Path) -> None:
    folder = site(tmp_path / "site", small=SMALL)
    done = matrix(folder, *WORDS)
    assert fates(folder) == {}
    assert "0 are not as they were" in done.stderr
    projects = own.roots[DEFAULT].projects
    projects["filelock"].clear()
    for name in [each for each in projects["rich"] if each.endswith(".whl")]:
        version = projects["rich"][name].artefact.version
        own.roots[DEFAULT].add(wheel("rich", version, ["mdurl"]), uploaded=TODAY[:10])
    done = matrix(folder, *WORDS, status=1)
    assert fates(folder) == {"filelock": "vanished", "rich": "changed"}
    assert "vanished: filelock-" in done.stderr
    assert "changed: rich-" in done.stderr


def test_a_file_that_is_listed_and_not_served_is_gone(own: Index, tmp_path: Path) -> None:
    folder = site(tmp_path / "site", small=SMALL)
    matrix(folder, *WORDS)
    name = next(iter(own.roots[DEFAULT].projects["filelock"]))
    broken = {hit.url.partition("//")[2]: 404 for hit in own.hits if hit.url.endswith(name)}
    with own.behaving(Behaviour(broken=broken)):
        done = matrix(folder, *WORDS, status=1)
    assert fates(folder) == {"filelock": "vanished"}, done.stderr


def test_an_index_that_does_not_answer_says_nothing(own: Index, tmp_path: Path) -> None:
    folder = site(tmp_path / "site", small=SMALL)
    matrix(folder, *WORDS)
    with own.behaving(Behaviour(broken={"index.example/": 500})):
        matrix(folder, *WORDS, status=4)
    assert set(fates(folder).values()) == {"unknown"}


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("reached", ["over http", "in a folder"])
def test_files_of_a_conda_channel_are_asked_for_too(reached: str, tmp_path: Path) -> None:
    held = condachannel.stubs(tmp_path / "channel")
    with condachannel.served(held) if reached == "over http" else nullcontext(held) as channel:
        folder = site(tmp_path / "site", small=CONDA.format(url=channel.url))
        day = ("--date", "2025-09-01")  # after what the channel has was uploaded
        done = matrix(folder, *WORDS, *day)
        assert fates(folder) == {}, done.stderr
        assert "0 are not as they were" in done.stderr
        (lock,) = Results(folder=folder / "results").locks()
        paths = {
            each.name: channel.root / str(each.url).removeprefix(f"{channel.url}/")
            for each in lock.package
            if each.url
        }
        paths["tzdata"].unlink()
        paths["python_abi"].write_bytes(paths["python_abi"].read_bytes() + bytes(1))
        (hashed,) = (each.sha256 for each in lock.package if each.name == "numpy")
        page = channel.root / "linux-64" / "repodata.json"
        page.write_text(page.read_text(encoding="utf-8").replace(hashed, "0" * 64), "utf-8")
        os.utime(page, (time.time() + 60,) * 2)  # a server tells whole seconds
        done = matrix(folder, *WORDS, *day, status=1)
    assert fates(folder) == {"tzdata": "vanished", "python_abi": "changed", "numpy": "changed"}
