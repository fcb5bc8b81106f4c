"""What is locked from a channel is what conda-lock locks, and what is written is what it reads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

import condaforge
from drive import TODAY, built
from mlenv.backends.conda_lock import ordered
from mlenv.host import tools
from mlenv.repodata import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from condachannel import Channel

pytestmark = pytest.mark.network

VERSION = "4.0.3"
READ = """
import json, pathlib, sys
from conda_lock.conda_lock import render_lockfile_for_platform
from conda_lock.lockfile import parse_conda_lock_file
lock = parse_conda_lock_file(pathlib.Path(sys.argv[1]))
(platform,) = lock.metadata.platforms
lines = render_lockfile_for_platform(
    lockfile=lock, include_dev_dependencies=True, extras=None, kind="explicit", platform=platform
)
print("\\n".join(lines))
"""


@pytest.fixture(scope="session")
def conda_lock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an environment with conda-lock, which brings too much to share one with mlenv."""
    place = tmp_path_factory.mktemp("conda-lock") / "venv"
    for words in (
        ["venv", "--quiet", "--python", sys.executable, str(place)],
        ["pip", "install", "--quiet", "--python", str(place), f"conda-lock=={VERSION}"],
    ):
        subprocess.run([tools.uv(), *words], check=True, capture_output=True)
    return place / "bin"


def locked_by_it(
    conda_lock: Path, folder: Path, *, channel: str, specs: Sequence[str], virtual: dict[str, Any]
) -> Path:
    """Run the real ``conda-lock lock``; return what it wrote."""
    folder.mkdir()
    shim = folder / "conda"
    code = (Path(__file__).parents[1] / "condashim.py").read_text("utf-8")
    shim.write_text(f"#!{sys.executable}\n{code}", encoding="utf-8")
    shim.chmod(0o755)
    source = folder / "environment.yml"
    asked = {"channels": [channel], "platforms": sorted(virtual), "dependencies": [*specs]}
    source.write_text(yaml.safe_dump(asked), encoding="utf-8")
    machine = folder / "virtual-packages.yml"
    packages = {each: {"packages": said} for each, said in virtual.items()}
    machine.write_text(yaml.safe_dump({"subdirs": packages}), encoding="utf-8")
    argv = [str(conda_lock / "conda-lock"), "lock", "--conda", str(shim), "--file", str(source)]
    argv += ["--virtual-package-spec", str(machine), "--lockfile", str(folder / "lock.yml")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "lock.yml"


def rows(path: Path, platform: str) -> list[dict[str, Any]]:
    found = yaml.safe_load(path.read_text("utf-8"))["package"]
    return [each for each in found if each["platform"] == platform]


def rendered(conda_lock: Path, path: Path) -> str:
    done = subprocess.run(
        [str(conda_lock / "python"), "-c", READ, str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def machine(architecture: str) -> dict[str, str]:
    return {
        "__archspec": f"1 {architecture}",
        "__cuda": "12.8",
        "__glibc": "2.36",
        "__linux": "5.10",
        "__unix": "0",
    }


def test_both_platforms_are_locked_as_by_conda_lock(
    conda_lock: Path, conda_stubs: Channel, tmp_path: Path
) -> None:
    spec = (
        'name = "stack"\nbackend = "conda"\npython = "3.12"\nframework = "torch"\ncuda = "12.6"\n'
    )
    spec += 'packages = ["mlenv-demo"]\n'
    for name in ("amd64", "arm64"):
        spec += f'[targets.{name}]\nplatform = "linux/{name}"\ndriver = ">=570"\n'
    spec += f"[lock]\nchannels = {json.dumps([conda_stubs.url])}\n"
    outcomes = built(spec, tmp_path / "images", tmp_path / "cache", recipe=False, today=TODAY)
    theirs = locked_by_it(
        conda_lock,
        tmp_path / "theirs",
        channel=conda_stubs.url,
        # what came after TODAY conda-lock cannot leave out
        specs=[
            *("python 3.12.*", "pytorch * *cuda*", "cuda-version 12.6.*", "mlenv-demo"),
            "typing_extensions 4.14.0",
        ],
        virtual={"linux-64": machine("x86_64"), "linux-aarch64": machine("aarch64")},
    )
    for outcome, platform in zip(outcomes, ("linux-64", "linux-aarch64"), strict=True):
        assert outcome.folder is not None
        ours = outcome.folder / "conda-lock.yml"
        assert rows(ours, platform) == rows(theirs, platform)
        explicit = (outcome.folder / f"conda-{platform}.lock").read_text("utf-8")
        assert rendered(conda_lock, ours) == explicit


def test_real_records_are_locked_as_by_conda_lock(conda_lock: Path, tmp_path: Path) -> None:
    spec = 'name = "stack"\nbackend = "conda"\npython = "3.12"\nframework = "torch==2.6.*"\n'
    spec += 'cuda = "12.8"\n[targets.m]\ndriver = ">=570"\n'
    with condaforge.served(tmp_path / "channel") as channel:
        (outcome,) = built(
            spec,
            tmp_path / "images",
            tmp_path / "cache",
            recipe=False,
            today=condaforge.TODAY,
        )
        theirs = locked_by_it(
            conda_lock,
            tmp_path / "theirs",
            channel=f"{channel.url}/conda-forge",
            specs=["python 3.12.*", "pytorch 2.6.* *cuda*", "cuda-version 12.8.*"],
            virtual={"linux-64": machine("x86_64")},
        )
    assert outcome.folder is not None
    ours = outcome.folder / "conda-lock.yml"
    text = theirs.read_text("utf-8").replace(channel.url, "https://conda.anaconda.org")
    theirs.write_text(text, encoding="utf-8")
    assert len(rows(ours, "linux-64")) > 80
    assert rows(ours, "linux-64") == rows(theirs, "linux-64")
    assert rendered(conda_lock, ours) == (outcome.folder / "conda-linux-64.lock").read_text("utf-8")


def test_a_circle_ends_where_fewest_are_needed() -> None:
    def record(name: str, *needs: str) -> Record:
        return Record(
            name=name,
            version="1",
            build="0",
            subdir="noarch",
            filename=f"{name}-1-0.conda",
            channel="https://conda.example/c",
            md5=None,
            sha256=None,
            size=None,
            depends=needs,
            constrains=(),
        )

    circle = [
        record("pip", "python >=3"),
        record("python", "pip", "a"),
        record("a", "b"),
        record("b", "a"),
    ]
    assert [each.name for each in ordered(circle)] == ["a", "b", "python", "pip"]
