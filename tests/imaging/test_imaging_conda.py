"""Images of conda stacks, assembled without an engine: what lies in them, and that it runs."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

import condachannel
import condalocks
import containers
import imagery
from mlenv.errors import HostError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from condachannel import Channel
    from containers import Hub

pytestmark = pytest.mark.registry

SITE = f"opt/conda/lib/python{condachannel.MINOR}/site-packages"


@pytest.fixture
def based(mirrored: Hub) -> Hub:
    """Return a registry that has the base image."""
    mirrored.push(containers.debian_image(), "library/debian", "bookworm-slim")
    return mirrored


def rows(blob: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(blob)) as tar:
        return {each.name: each for each in tar}


def rooted(layers: list[bytes], root: Path) -> Path:
    """Return a folder with the root file system of an image."""
    for each in layers:
        with tarfile.open(fileobj=io.BytesIO(each)) as tar:
            tar.extractall(root, filter="tar")
    return root


def run(root: Path, *words: str) -> str:
    own = ["--user", "--map-root-user"] if os.geteuid() else []
    argv = ["unshare", *own, "--mount", "--pid", "--fork", f"--root={root}", "--mount-proc"]
    env = {"PATH": "/opt/conda/bin:/usr/bin:/bin", "HOME": "/home/ml"}
    done = subprocess.run(
        [*argv, *words],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.network
def test_an_assembled_image_runs_and_is_layered_by_weight(
    conda_channel: Channel, based: Hub, tmp_path: Path
) -> None:
    with condachannel.served(conda_channel) as channel:
        folder = condalocks.folder(tmp_path / "out", channel)
        made = imagery.make(folder, tmp_path / "cache", push=f"{based.address}/me/stack:1")
        again = imagery.make(folder, tmp_path / "other", push=f"{based.address}/me/stack:2")
    assert made.reproducible
    assert again.digest == made.digest
    found = imagery.pull(based, "me/stack", "1")
    env = dict(each.split("=", 1) for each in found.config["config"]["Env"])
    assert env["CONDA_PREFIX"] == "/opt/conda"
    assert env["PATH"].startswith("/opt/conda/bin:")
    assert "VIRTUAL_ENV" not in env
    assert found.config["config"]["User"] == "1000:0"
    told = [each["created_by"] for each in found.config["history"]][-7:]
    assert told[:4] == [
        "mlenv: cuda-cudart 12.8.90, libcublas 12.8.4.1",
        "mlenv: cudnn 9.10.2.21",
        "mlenv: nccl 2.27.5.1",
        "mlenv: libtorch 2.8.0, pytorch 2.8.0",
    ]
    assert told[-1].startswith("mlenv: cuda-version 12.8, libgcc 15.2.0, ")
    cudnn, rest = rows(found.layers[-6]), rows(found.layers[-1])
    assert {name for name in cudnn if not cudnn[name].isdir()} == {
        "opt/conda/lib/libcudnn.so",
        "opt/conda/conda-meta/cudnn-9.10.2.21-hbcb9cd8_0.json",
    }
    tag = f"cpython-{condachannel.MINOR.replace('.', '')}"
    assert f"{SITE}/mlenv_demo/__pycache__/__init__.{tag}.pyc" in rest
    for each in found.layers[-8:]:
        with tarfile.open(fileobj=io.BytesIO(each)) as tar:
            for row in tar:
                assert (row.mtime, row.uid) in {(315532800, 0), (315532800, 1000)}
    root = rooted(list(found.layers), tmp_path / "root")
    code = "import sys, numpy, torch; print(sys.prefix, torch.version.cuda, numpy.ones(3).sum())"
    assert run(root, "python", "-c", code) == "/opt/conda 12.8 3.0"
    assert run(root, "mlenv-demo") == "mlenv-demo /opt/conda"
    assert run(root, "whereami") == "/opt/conda /opt/conda"


@pytest.mark.usefixtures("based")
def test_a_moved_package_makes_its_layer_and_no_other(conda_stubs: Channel, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    before = condalocks.folder(tmp_path / "one", conda_stubs)
    made = imagery.make(before, cache, output=tmp_path / "one.tar")
    assert made.reproducible
    wanted = [each.replace("pytorch 2.8.*", "pytorch 2.7.*") for each in condalocks.WANTED]
    after = condalocks.folder(tmp_path / "two", conda_stubs, wanted)
    again = imagery.make(after, cache, output=tmp_path / "two.tar")
    moved = [each.text for each in again.layers if each.new]
    assert moved == ["mlenv: libtorch 2.7.1, pytorch 2.7.1"]
    same = {each.digest for each in made.layers} & {each.digest for each in again.layers}
    assert len(same) == len(made.layers) - 1


def test_another_architecture_is_assembled_here(
    conda_stubs: Channel, based: Hub, tmp_path: Path
) -> None:
    base = imagery.base(tmp_path / "base", architecture="arm64")
    based.push(base, "library/debian", "bookworm-slim")
    folder = condalocks.folder(tmp_path / "out", conda_stubs, platform="linux/arm64")
    made = imagery.make(folder, tmp_path / "cache", push=f"{based.address}/me/arm:1")
    found = imagery.pull(based, "me/arm", "1")
    assert found.config["architecture"] == "arm64"
    assert made.notes == ()  # the Python of the tests has its version, and stands in for it
    root = rooted(list(found.layers), tmp_path / "root")
    blas = (root / "opt/conda/lib/libcublas.so").read_bytes()
    assert blas == b"\x7fELF libcublas 12.8.4.1 linux-aarch64"


@pytest.mark.usefixtures("based")
def test_a_tampered_package_makes_no_image(tmp_path: Path) -> None:
    channel = condachannel.stubs(tmp_path / "channel")
    folder = condalocks.folder(tmp_path / "out", channel)
    victim = channel.root / "linux-64" / "cudnn-9.10.2.21-hbcb9cd8_0.conda"
    victim.write_bytes((channel.root / "linux-64" / "nccl-2.27.5.1-h4d09622_0.conda").read_bytes())
    with pytest.raises(HostError) as caught:
        imagery.make(folder, tmp_path / "cache", output=tmp_path / "out.tar")
    assert [each.code for each in caught.value.reasons] == ["hash-differs"]
    assert not (tmp_path / "out.tar").exists()


def test_a_lock_that_says_not_where_its_packages_lie_is_refused(
    conda_stubs: Channel, tmp_path: Path
) -> None:
    folder = condalocks.folder(tmp_path / "out", conda_stubs)
    (folder / "conda-linux-64.lock").write_text("@EXPLICIT\n")
    with pytest.raises(UsageError, match=r"conda-linux-64\.lock does not say where"):
        imagery.make(folder, tmp_path / "cache", output=tmp_path / "out.tar")
