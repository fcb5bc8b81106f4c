"""The channel of the tests is a channel: rattler solves over it, and what it installs runs."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
from typing import TYPE_CHECKING

import pytest
import rattler

import condachannel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from condachannel import Channel


def solve(
    channel: Channel, *specs: str, driver: str | None, subdir: str = "linux-64"
) -> Sequence[rattler.RepoDataRecord]:
    machine = {"__glibc": "2.36", "__linux": "6.1", "__unix": "0"}
    machine |= {"__cuda": driver} if driver else {}
    virtual = [
        rattler.GenericVirtualPackage(
            rattler.PackageName(name), rattler.Version(version), rattler.BuildString("0")
        )
        for name, version in machine.items()
    ]
    wanted = [rattler.MatchSpec(each, strict=False) for each in specs]
    return asyncio.run(
        rattler.solve(
            [channel.url],
            wanted,
            platforms=[rattler.Subdir(subdir), "noarch"],
            virtual_packages=virtual,
        )
    )


def builds(records: Sequence[rattler.RepoDataRecord]) -> dict[str, tuple[str, str]]:
    return {each.name.normalized: (str(each.version), str(each.build)) for each in records}


@pytest.mark.parametrize("subdir", condachannel.SUBDIRS)
def test_a_driver_gives_a_gpu_build_and_none_a_cpu_build(conda_stubs: Channel, subdir: str) -> None:
    specs = ("python 3.12.*", "pytorch 2.8.*")
    with condachannel.served(conda_stubs) as channel:
        found = solve(channel, *specs, driver="12.8", subdir=subdir)
    assert builds(found)["pytorch"][1].startswith("cuda128_generic_py312")
    assert {each.url.rpartition("/")[0] for each in found} == {
        f"{channel.url}/{subdir}",
        f"{channel.url}/noarch",
    }
    found = solve(conda_stubs, *specs, driver=None, subdir=subdir)
    assert builds(found)["pytorch"][1].startswith("cpu_generic_py312")
    assert "cuda-version" not in builds(found)


def test_a_record_tells_the_bytes_of_its_artefact(conda_stubs: Channel) -> None:
    for key, record in conda_stubs.records.items():
        content = (conda_stubs.root / key).read_bytes()
        assert record["sha256"] == hashlib.sha256(content).hexdigest()
        assert record["md5"] == hashlib.md5(content, usedforsecurity=False).hexdigest()
        assert record["size"] == len(content)


@pytest.mark.network
def test_what_is_installed_runs(conda_channel: Channel, tmp_path: Path) -> None:
    wanted = (f"python {condachannel.MINOR}.*", "pytorch 2.8.* *cuda128*", "mlenv-demo")
    found = solve(conda_channel, *wanted, driver="12.8")
    prefix = tmp_path / "prefix"
    asyncio.run(
        rattler.install(
            list(found),
            target_prefix=prefix,
            cache_dir=tmp_path / "cache",
            show_progress=False,
            platform=rattler.Subdir("linux-64"),
        )
    )
    code = (
        "import ctypes, ssl, sys, numpy, torch; "
        "print(sys.prefix, torch.version.cuda, int((numpy.ones((9, 9)) @ numpy.ones(9)).sum()))"
    )
    assert said(prefix / "bin/python", "-c", code) == f"{prefix} 12.8 81"
    assert said(prefix / "bin/mlenv-demo") == f"mlenv-demo {prefix}"
    assert said(prefix / "bin/whereami") == f"{prefix} {prefix}"


def said(*argv: object) -> str:
    done = subprocess.run([*map(str, argv)], capture_output=True, text=True, check=True)
    return done.stdout.strip()
