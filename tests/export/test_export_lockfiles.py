"""``--to pylock`` and ``--to poetry``: what other solvers make of them is the lock."""

from __future__ import annotations

import sys
import tomllib
from typing import TYPE_CHECKING

import pytest
import uv
from packaging.pylock import Pylock

from exporting import exported, lock_of, pairs, ran, tool, versions
from loopback import environment

if TYPE_CHECKING:
    from pathlib import Path

    from loopback import Index


@pytest.mark.parametrize("variant", ["runtime", "dev"])
def test_pylock_is_of_the_norm_and_names_the_files_of_the_lock(
    variant: str, torch_folder: Path, tmp_path: Path
) -> None:
    exported(torch_folder, tmp_path, "--to", "pylock", "--variant", variant)
    found = Pylock.from_dict(tomllib.loads((tmp_path / "pylock.toml").read_text(encoding="utf-8")))
    rows = pairs((each.name, str(each.version)) for each in found.packages)
    assert rows == versions(torch_folder, dev=variant == "dev")
    locked = {each.filename: each.sha256 for each in lock_of(torch_folder).package}
    for each in found.packages:
        (file,) = each.wheels or ()
        assert file.hashes == {"sha256": locked[str(file.name)]}
    torch = next(each for each in found.packages if each.name == "torch")
    assert torch.index == "http://download.pytorch.org/whl/cu126"


def test_uv_would_install_the_lock_from_pylock(
    torch_folder: Path, shop: Index, tmp_path: Path
) -> None:
    exported(torch_folder, tmp_path, "--to", "pylock")
    words = ["pip", "sync", "--dry-run", "--target", "t"]
    words += ["--python-platform", "x86_64-manylinux_2_28", "--python", sys.executable]
    done = ran([uv.find_uv_bin(), *words, "pylock.toml"], tmp_path, environment(shop))
    assert done.returncode == 0, done.stderr
    lines = [each.removeprefix(" + ") for each in done.stderr.splitlines() if each[:3] == " + "]
    found = pairs((name, version) for name, _, version in (each.partition("==") for each in lines))
    assert found == versions(torch_folder)


def test_a_file_of_the_pylock_without_uv_lock_is_where_the_index_has_it(
    torch_folder: Path, shop: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in environment(shop, cache=tmp_path / "uv-cache").items():
        monkeypatch.setenv(name, text)
    first = (exported(torch_folder, tmp_path / "a", "--to", "pylock") / "pylock.toml").read_bytes()
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("mlenv.lock", "pyproject.toml"):
        (bare / name).write_bytes((torch_folder / name).read_bytes())
    second = (exported(bare, tmp_path / "b", "--to", "pylock") / "pylock.toml").read_bytes()
    assert first == second


@pytest.mark.network
def test_poetry_locks_to_the_versions_of_the_lock(
    torch_folder: Path, shop: Index, tmp_path: Path
) -> None:
    poetry = tool(tmp_path / "tool", "poetry") / "poetry"
    place = exported(torch_folder, tmp_path / "p", "--to", "poetry", "--variant", "dev")
    led = {n: t for n, t in environment(shop).items() if not n.startswith("UV_")}
    told = [str(poetry), "source", "add", "--priority", "primary", "here", next(iter(shop.roots))]
    for argv in (told, [str(poetry), "check"], [str(poetry), "lock", "--no-interaction"]):
        done = ran(argv, place, led)
        assert done.returncode == 0, done.stdout + done.stderr
    document = tomllib.loads((place / "poetry.lock").read_text(encoding="utf-8"))
    found = pairs((each["name"], each["version"]) for each in document["package"])
    assert found == versions(torch_folder, dev=True)
    groups = {each["name"]: each["groups"] for each in document["package"]}
    assert (groups["example-tiny"], groups["torch"]) == (["dev"], ["main"])
    torch = next(each for each in document["package"] if each["name"] == "torch")
    assert torch["source"]["url"] == "http://download.pytorch.org/whl/cu126"
