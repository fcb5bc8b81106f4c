from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from mlenv.host.blobs import Layer
from mlenv.host.manifests import Descriptor, Manifest, read
from mlenv.image.manifest import (
    Added,
    archive_index,
    image_config,
    image_manifest,
    needs_oci,
    triggers,
)
from mlenv.image.settings import Settings

DOCKER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
OCI = "application/vnd.oci.image.layer.v1.tar"


def name(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def layer(text: str) -> Layer:
    return Layer(digest=name(text), diff_id=name(f"{text} diff"), size=len(text), unpacked=10240)


BASE: dict[str, Any] = {
    "architecture": "amd64",
    "os": "linux",
    "created": "2026-01-01T00:00:00Z",
    "config": {
        "Env": ["PATH=/usr/local/bin:/bin", "LANG=C.UTF-8", "PYTHON_VERSION=3.12.12"],
        "Entrypoint": ["/entry"],
        "Cmd": ["python3"],
        "ExposedPorts": {"80/tcp": {}},
        "Labels": {"theirs": "1", "dev.mlenv.python": "old"},
        "OnBuild": ["RUN rm -rf /"],
        "Healthcheck": {"Test": ["NONE"]},
        "Hostname": "builder",
    },
    "rootfs": {"type": "layers", "diff_ids": [name("base diff")]},
    "history": [{"created_by": "FROM"}, {"created_by": "ENV", "empty_layer": True}],
}
SETTINGS = Settings(
    env={"VIRTUAL_ENV": "/opt/venv", "PATH": "/opt/venv/bin:${PATH}", "LANG": "C"},
    entrypoint=("/opt/venv/bin/dumb-init", "--"),
    cmd=("python",),
    user="1000:0",
    workdir="/home/ml",
    labels={"dev.mlenv.python": "3.12"},
)
ADDED = (Added(layer=layer("a"), text="mlenv: torch 2.8.0"),)


def config(base: dict[str, Any] = BASE, platform: str = "linux/amd64") -> bytes:
    return image_config(
        json.dumps(base).encode(), platform=platform, settings=SETTINGS, added=ADDED
    )


def test_the_config_is_the_base_with_what_we_say() -> None:
    assert json.loads(config()) == {
        "architecture": "amd64",
        "os": "linux",
        "created": "1980-01-01T00:00:00Z",
        "config": {
            "Env": [
                *("PATH=/opt/venv/bin:/usr/local/bin:/bin", "LANG=C", "PYTHON_VERSION=3.12.12"),
                "VIRTUAL_ENV=/opt/venv",
            ],
            "Entrypoint": ["/opt/venv/bin/dumb-init", "--"],
            "Cmd": ["python"],
            "User": "1000:0",
            "WorkingDir": "/home/ml",
            "ExposedPorts": {"80/tcp": {}},
            "Healthcheck": {"Test": ["NONE"]},
            "Labels": {"theirs": "1", "dev.mlenv.python": "3.12"},
        },
        "rootfs": {"type": "layers", "diff_ids": [name("base diff"), name("a diff")]},
        "history": [
            {"created_by": "FROM"},
            {"created_by": "ENV", "empty_layer": True},
            {"created": "1980-01-01T00:00:00Z", "created_by": "mlenv: torch 2.8.0"},
        ],
    }


def test_a_base_that_says_nothing_gets_the_path_that_engines_take() -> None:
    bare = {**BASE, "config": None, "history": None}
    found = json.loads(config(bare))
    assert "PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin" in ",".join(found["config"]["Env"])
    assert [each["created_by"] for each in found["history"]] == ["base image", "mlenv: torch 2.8.0"]


def test_an_arm_image_says_its_variant() -> None:
    found = json.loads(config({**BASE, "architecture": "arm64"}, "linux/arm64"))
    assert (found["architecture"], found["variant"]) == ("arm64", "v8")


@pytest.mark.parametrize(
    ("base", "complaint"),
    [
        pytest.param({**BASE, "architecture": "arm64"}, "linux/arm64", id="another platform"),
        pytest.param({**BASE, "rootfs": {}}, "names no layers", id="no layers"),
        pytest.param({**BASE, "rootfs": {"diff_ids": [1]}}, "names no layers", id="odd layers"),
    ],
)
def test_refuses_a_base(base: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        config(base)


def test_triggers_are_told_and_not_kept() -> None:
    assert triggers(json.dumps(BASE).encode()) == ("RUN rm -rf /",)
    assert b"OnBuild" not in config()


def test_the_same_image_has_the_same_bytes() -> None:
    shuffled = dict(reversed(BASE.items()))
    assert config(shuffled) == config()


def below(kind: str) -> Descriptor:
    return Descriptor(media_type=kind, digest=name("base"), size=7)


@pytest.mark.parametrize("docker", [True, False])
@pytest.mark.parametrize("kind", [DOCKER, f"{OCI}+gzip"])
def test_a_manifest_speaks_one_language(kind: str, *, docker: bool) -> None:
    content = image_manifest(config(), base_layers=[below(kind)], added=[layer("a")], docker=docker)
    found = read(content, "")
    assert isinstance(found, Manifest)
    assert {each.media_type for each in found.layers} == {DOCKER if docker else f"{OCI}+gzip"}
    assert [each.digest for each in found.layers] == [name("base"), name("a")]
    assert found.config.size == len(config())
    assert ("docker" in found.media_type) == docker
    assert ("docker" in found.config.media_type) == docker


def test_zstd_needs_oci() -> None:
    base = [below(f"{OCI}+zstd")]
    assert needs_oci(base)
    assert not needs_oci([below(DOCKER)])
    with pytest.raises(ValueError, match="zstd"):
        image_manifest(config(), base_layers=base, added=[])
    assert b"+zstd" in image_manifest(config(), base_layers=base, added=[], docker=False)


def test_a_layer_of_no_known_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="application/x"):
        image_manifest(config(), base_layers=[below("application/x")], added=[])


def test_an_archive_is_read_by_docker_and_by_oci() -> None:
    manifest = image_manifest(
        config(), base_layers=[below(DOCKER)], added=[layer("a")], docker=False
    )
    files = archive_index(manifest, tags=["127.0.0.1:5000/train:v1"])
    (loaded,) = json.loads(files["manifest.json"])
    assert loaded["RepoTags"] == ["127.0.0.1:5000/train:v1"]
    assert loaded["Layers"][1] == f"blobs/sha256/{name('a').removeprefix('sha256:')}"
    (row,) = json.loads(files["index.json"])["manifests"]
    assert row["digest"] == f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    assert row["annotations"]["org.opencontainers.image.ref.name"] == "v1"
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    assert len(json.loads(archive_index(manifest, tags=[])["index.json"])["manifests"]) == 1
