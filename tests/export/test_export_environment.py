"""``environment.yml`` of a conda lock: conda's own solver, asked for it, has nothing to choose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

import condalocks
from mlenv.export.environment import environment
from mlenv.export.source import Source
from mlenv.imaging.locked import artefacts, lock_in
from mlenv.lock import Package

if TYPE_CHECKING:
    from pathlib import Path

    from condachannel import Channel

WHEEL = Package(
    name="einops",
    version="0.8.1",
    layer="rest",
    index="default",
    filename="einops-0.8.1-py3-none-any.whl",
    sha256="e" * 64,
    size=10,
)


def written(folder: Path) -> dict[str, Any]:
    lock = lock_in(folder)
    urls = {digest: each.url for digest, each in artefacts(folder, lock).items()}
    (file,) = environment(Source(lock=lock, urls=urls))
    assert file.path == "environment.yml"
    found: dict[str, Any] = yaml.safe_load(file.text)
    return found


def test_what_it_asks_for_is_solved_to_what_is_locked(conda_stubs: Channel, tmp_path: Path) -> None:
    folder = condalocks.folder(tmp_path / "out", conda_stubs)
    found = written(folder)
    assert (found["name"], found["channels"]) == ("stack", [conda_stubs.url, "nodefaults"])
    specs = ["{} {} {}".format(*each.split("=")) for each in found["dependencies"]]
    again = condalocks.solved(conda_stubs, specs, driver="12.8")
    locked = {each.filename for each in lock_in(folder).package}
    assert {each.file_name for each in again} == locked


def test_wheels_on_top_have_their_hashes(conda_stubs: Channel, tmp_path: Path) -> None:
    found = written(condalocks.folder(tmp_path / "out", conda_stubs, wheels=(WHEEL,)))
    assert found["dependencies"][-2:] == [
        "pip",
        {"pip": [f"einops==0.8.1 --hash=sha256:{'e' * 64}"]},
    ]
