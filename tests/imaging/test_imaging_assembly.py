"""Route 1 from a locked folder to a registry, an archive and a layout: what lies there."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

import imagery
from containers import DOCKER_MANIFEST, OCI_MANIFEST
from imagery import FULL, PYTHON
from loopback import Index, environment
from mlenv.imaging.records import recalled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from containers import Hub, Image

pytestmark = pytest.mark.registry

LATER = "2026-03-01T00:00:00Z"


@pytest.fixture
def ground(
    mirrored: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Hub, Path]]:
    """Yield a registry with a base image, and a folder that is locked to it."""
    imagery.publish(mirrored, imagery.base(tmp_path / "base"))
    with Index(imagery.shelf()) as index:
        for name, text in environment(index, cache=tmp_path / "uv-cache").items():
            monkeypatch.setenv(name, text)
        yield mirrored, imagery.lock(tmp_path / "out", tmp_path / "cache")


def files(blob: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(blob)) as tar:
        return {f"/{each.name}": each for each in tar}


@pytest.mark.parametrize(
    ("oci", "kind"), [(False, DOCKER_MANIFEST), (True, OCI_MANIFEST)], ids=["Docker's", "OCI's"]
)
def test_a_pushed_image_has_all_its_blobs_and_says_how_it_is_started(
    ground: tuple[Hub, Path], tmp_path: Path, *, oci: bool, kind: str
) -> None:
    hub, folder = ground
    made = imagery.make(folder, tmp_path / "cache", push=f"{hub.address}/me/small:1", oci=oci)
    found = imagery.pull(hub, "me/small", "1")
    assert (found.digest, found.manifest["mediaType"]) == (made.digest, kind)
    assert made.pushed == f"{hub.address}/me/small:1@{found.digest}"
    word = "oci" if oci else "docker"
    descriptors = [found.manifest["config"], *found.manifest["layers"]]
    assert all(word in each["mediaType"] for each in descriptors)
    assert made.size == sum(each["size"] for each in descriptors)
    assert [each.digest for each in made.layers] == list(found.digests[-len(made.layers) :])
    assert made.reproducible
    assert made.notes == ()
    started = found.config["config"]
    assert started["Entrypoint"] == ["/opt/venv/bin/dumb-init", "--"]
    assert (started["Cmd"], started["User"], started["WorkingDir"]) == (
        ["python"],
        "1000:0",
        "/home/ml",
    )
    env = dict(each.split("=", 1) for each in started["Env"])
    assert env["PATH"] == "/opt/venv/bin:/usr/local/bin:/bin"
    assert (env["VIRTUAL_ENV"], env["HOME"], env["LNAME"]) == ("/opt/venv", "/home/ml", "ml")
    assert started["Labels"]["org.example.team"] == "vision"
    assert started["Labels"]["org.opencontainers.image.base.digest"].startswith("sha256:")
    assert len(found.config["rootfs"]["diff_ids"]) == len(found.layers)


def test_the_layers_hold_the_user_the_wheels_and_their_bytecode(
    ground: tuple[Hub, Path], tmp_path: Path
) -> None:
    hub, folder = ground
    imagery.make(folder, tmp_path / "cache", push=f"{hub.address}/me/small:1")
    found = imagery.pull(hub, "me/small", "1")
    _, _, first, init, *wheels = map(files, found.layers)
    with tarfile.open(fileobj=io.BytesIO(found.layers[2])) as tar:
        passwd = tar.extractfile("etc/passwd")
        assert passwd is not None
        assert passwd.read().decode().splitlines() == [
            "root:x:0:0:root:/root:/bin/bash",
            "ml:x:1000:0::/home/ml:/bin/sh",
        ]
        config = tar.extractfile("opt/venv/pyvenv.cfg")
        assert config is not None
        assert FULL in config.read().decode()
    home = first["/home/ml"]
    assert (home.uid, home.gid, home.mode) == (1000, 0, 0o775)
    assert first["/opt/venv/bin/python"].issym()
    assert init["/opt/venv/bin/dumb-init"].mode == 0o755
    site = f"/opt/venv/lib/python{PYTHON}/site-packages"
    tag = f"cpython-{PYTHON.replace('.', '')}"
    names = {name for each in wheels for name in each}
    assert {
        "/opt/venv/bin/tool",
        f"{site}/example_light.py",
        f"{site}/__pycache__/example_light.{tag}.pyc",
        f"{site}/example_heavy/0.bin",
    } <= names
    (heavy,) = (each for each in wheels if f"{site}/example_heavy/0.bin" in each)
    assert f"{site}/example_light.py" not in heavy
    assert not any(".wh." in name for each in (first, init, *wheels) for name in each)


def test_a_second_push_sends_nothing_and_another_tag_only_a_manifest(
    ground: tuple[Hub, Path], tmp_path: Path
) -> None:
    hub, folder = ground
    first = imagery.make(folder, tmp_path / "cache", push=f"{hub.address}/me/small:1")
    below = sum(map(len, imagery.pull(hub, "me/small", "1").layers[:2]))
    assert first.sent == first.size - below  # the base lies in the same registry: it is mounted
    assert all(each.new for each in first.layers)
    for tag in ("1", "2"):
        again = imagery.make(folder, tmp_path / "cache", push=f"{hub.address}/me/small:{tag}")
        assert (again.sent, again.digest) == (0, first.digest)
        assert not any(each.new for each in again.layers)
    assert sorted(imagery.tags(hub, "me/small")) == ["1", "2"]
    elsewhere = imagery.make(folder, tmp_path / "cache", push=f"{hub.address}/you/other:1")
    assert elsewhere.digest == first.digest
    assert len(imagery.pull(hub, "you/other", "1").layers) == 2 + len(first.layers)


def test_a_light_package_that_moved_pushes_its_layer_and_no_other(
    ground: tuple[Hub, Path], tmp_path: Path
) -> None:
    hub, folder = ground
    cache = tmp_path / "cache"
    before = imagery.make(folder, cache, push=f"{hub.address}/me/small:1")
    told = recalled(cache, "small", "runtime")
    assert told is not None
    assert len(told.again) == len(before.layers)
    imagery.lock(tmp_path / "out", cache, today=LATER, upgrade=True)
    after = imagery.make(folder, cache, push=f"{hub.address}/me/small:1")
    ours = {each.digest for each in before.layers}
    (moved,) = (each for each in after.layers if each.digest not in ours)
    assert moved.new
    assert "example-light 1.1" in moved.text
    assert len(after.layers) == len(before.layers)
    config = imagery.pull(hub, "me/small", "1").manifest["config"]["size"]
    assert moved.size is not None
    assert after.sent == moved.size + config
    told = recalled(cache, "small", "runtime")
    assert told is not None
    assert [each.digest for each in told.again] == [moved.digest]
    imagery.make(folder, cache, push=f"{hub.address}/me/small:2")  # changes nothing
    assert recalled(cache, "small", "runtime") == told


def test_an_image_made_twice_from_nothing_is_the_same(
    ground: tuple[Hub, Path], tmp_path: Path
) -> None:
    hub, folder = ground
    found = [
        imagery.make(folder, tmp_path / name, output=tmp_path / f"{name}.tar").digest
        for name in ("one", "two")
    ]
    assert found[0] == found[1]
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    pushed = imagery.make(folder, tmp_path / "three", push=f"{hub.address}/me/small:1")
    assert pushed.digest == found[0]


def test_an_archive_and_a_layout_hold_what_the_registry_has(
    ground: tuple[Hub, Path], tmp_path: Path
) -> None:
    hub, folder = ground
    cache = tmp_path / "cache"
    imagery.make(folder, cache, push=f"{hub.address}/me/small:1")
    pushed = imagery.pull(hub, "me/small", "1")
    imagery.make(folder, cache, output=tmp_path / "small.tar", tag="mine:3")
    made = imagery.make(folder, cache, output=tmp_path / "layout")
    assert made.written == tmp_path / "layout"
    with tarfile.open(tmp_path / "small.tar") as tar:
        archived = {each.name: _read(tar, each) for each in tar if each.isfile()}
    laid = {
        each.relative_to(tmp_path / "layout").as_posix(): each.read_bytes()
        for each in (tmp_path / "layout").rglob("*")
        if each.is_file()
    }
    names = {name for name in archived if name.startswith("blobs/")}
    assert names == {name for name in laid if name.startswith("blobs/")}
    assert all(archived[name] == laid[name] for name in names)
    blobs = {f"blobs/sha256/{each.removeprefix('sha256:')}" for each in pushed.digests}
    assert (
        blobs | {f"blobs/sha256/{pushed.manifest['config']['digest'].removeprefix('sha256:')}"}
        <= names
    )
    (entry,) = json.loads(archived["manifest.json"])
    assert entry["RepoTags"] == ["mine:3"]
    assert len(entry["Layers"]) == len(pushed.layers)
    (row,) = json.loads(laid["index.json"])["manifests"]
    assert row["mediaType"] == OCI_MANIFEST
    assert f"blobs/sha256/{row['digest'].removeprefix('sha256:')}" in names


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None
    return file.read()


def test_on_a_real_base_the_images_own_python_compiles(
    ground: tuple[Hub, Path], base_image: Image, tmp_path: Path
) -> None:
    hub, _ = ground
    assert base_image.python is not None
    minor = base_image.python.rpartition(".")[0]
    hub.push(base_image, "library/python", f"{minor}-slim-bookworm")
    spec = imagery.SPEC.replace(f'python = "{PYTHON}"', f'python = "{minor}"')
    folder = imagery.lock(tmp_path / "real", tmp_path / "cache", spec)
    cache = tmp_path / "real-cache"
    made = imagery.make(folder, cache, push=f"{hub.address}/me/real:one")
    assert made.reproducible
    found: dict[str, Any] = {}
    for each in imagery.pull(hub, "me/real", "one").layers[-2:]:
        found |= files(each)
    cached = f"__pycache__/example_light.cpython-{minor.replace('.', '')}.pyc"
    assert f"/opt/venv/lib/python{minor}/site-packages/{cached}" in found
    (place,) = (cache / "interpreters").iterdir()
    (place / minor / "interpreter.json").unlink()  # as a `clean` leaves it that was broken off
    again = imagery.make(folder, cache, push=f"{hub.address}/me/real:two")
    assert (again.digest, again.sent) == (made.digest, 0)
    assert (place / minor / "interpreter.json").is_file()
