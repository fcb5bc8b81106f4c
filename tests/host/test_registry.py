"""The registry client against a real registry."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from typing import TYPE_CHECKING

import pytest

import containers
from containers import DOCKER_MANIFEST, OCI_MANIFEST
from mlenv.errors import HostError
from mlenv.host import mirrors
from mlenv.host.mirrors import Mirrors
from mlenv.host.registry import AbsentError, DeniedError, Descriptor, Registry
from mlenv.host.registry_login import Login
from mlenv.reference import Reference, parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from containers import Hub, Image

pytestmark = pytest.mark.registry

HTPASSWD = "me:$2y$05$abcdefghijklmnopqrstuuWqeDdmk0qhXLYvA33lbC9M700ynI2Oa\n"


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry(offline=False, mirrors=Mirrors(), logins=lambda _: None) as opened:
        yield opened


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return containers.made_image([{"etc/a": b"one"}, {"etc/b": b"two"}], tmp_path / "image")


def at(hub: Hub, name: str) -> Reference:
    return parse_reference(f"{hub.address}/{name}")


def blob(path: Path, size: int = 100_000) -> Descriptor:
    data = os.urandom(size)
    path.write_bytes(data)
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return Descriptor(media_type="application/octet-stream", digest=digest, size=size)


@pytest.mark.parametrize("kind", [OCI_MANIFEST, DOCKER_MANIFEST])
@pytest.mark.parametrize("index", [True, False], ids=["an index", "a manifest"])
def test_an_image_is_resolved_and_read(  # noqa: PLR0917 (fixtures)
    registry: Registry,
    hub: Hub,
    image: Image,
    tmp_path: Path,
    kind: str,
    index: bool,  # noqa: FBT001 (a column)
) -> None:
    digest = hub.push(image, "library/python", "3", kind=kind, index=index)
    reference = at(hub, "library/python:3")
    found = registry.resolve(reference, "linux/amd64")
    assert (found.digest, found.platform) == (digest, "linux/amd64")
    assert (found.manifest_digest == digest) is not index
    for each in (reference, reference.pinned(digest)):
        manifest = registry.manifest(each, "linux/amd64")
        assert (manifest.digest, manifest.media_type) == (found.manifest_digest, kind)
    config = json.loads(registry.blob(reference, manifest.config))
    assert config["rootfs"]["diff_ids"] == list(image.diff_ids)
    for descriptor, path in zip(manifest.layers, image.layers, strict=True):
        registry.download(reference, descriptor, tmp_path / "new" / "layer")
        assert (tmp_path / "new" / "layer").read_bytes() == path.read_bytes()
    assert [each.name for each in (tmp_path / "new").iterdir()] == ["layer"]


def test_a_name_of_docker_hub_is_read_from_its_mirror(
    mirrored: Hub, image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = mirrored.push(image, "library/python", "3")
    monkeypatch.setenv("HOME", str(tmp_path))
    with Registry.from_environment(offline=False) as registry:
        assert registry.resolve(parse_reference("python:3"), "linux/amd64").digest == digest


def test_a_mirror_that_has_it_not_is_passed_over(hub: Hub, image: Image) -> None:
    digest = hub.push(image, "library/python", "3")
    text = (
        f'[[registry]]\nprefix = "docker.io"\nlocation = "{hub.address}"\n'
        f'[[registry.mirror]]\nlocation = "{hub.address}/not-there"\n'
        f'[[registry.mirror]]\nlocation = "127.0.0.1:1"\n'
    )
    known = Mirrors(rules=mirrors.parse(text, "registries.conf"))
    with Registry(offline=False, mirrors=known, logins=lambda _: None) as registry:
        with pytest.raises(AbsentError) as caught:
            registry.resolve(parse_reference("python:4"), "linux/amd64")
        assert registry.resolve(parse_reference("python:3"), "linux/amd64").digest == digest
    cause = caught.value.reasons[0].cause
    assert f"{hub.address} answered 404 Not Found (MANIFEST_UNKNOWN)" in cause
    assert "Connection refused" in cause


@pytest.mark.parametrize(
    ("name", "platform", "words"),
    [
        pytest.param("a:2", "linux/amd64", "404 Not Found (MANIFEST_UNKNOWN)", id="no such tag"),
        pytest.param("b:1", "linux/amd64", "404 Not Found", id="no such repository"),
        pytest.param("a:1", "linux/arm64", "it is there for linux/amd64 only", id="no platform"),
    ],
)
def test_an_absent_image_is_told(  # noqa: PLR0917 (a table)
    registry: Registry, hub: Hub, image: Image, name: str, platform: str, words: str
) -> None:
    hub.push(image, "a", "1")
    with pytest.raises(AbsentError) as caught:
        registry.resolve(at(hub, name), platform)
    assert words in str(caught.value)
    assert caught.value.reasons[0].code == "registry-failed"


def test_nothing_is_asked_offline(hub: Hub, tmp_path: Path) -> None:
    registry = Registry(offline=True, mirrors=Mirrors(), logins=lambda _: None)
    reference, descriptor = at(hub, "a:1"), blob(tmp_path / "f")
    for call in (
        lambda: registry.resolve(reference, "linux/amd64"),
        lambda: registry.has(reference, descriptor.digest),
        lambda: registry.upload(reference, descriptor, tmp_path / "f"),
        lambda: registry.download(reference, descriptor, tmp_path / "g"),
    ):
        with pytest.raises(HostError) as caught:
            call()
        assert caught.value.reasons[0].code == "network-off"
    assert [each.name for each in tmp_path.iterdir() if "g" in each.name] == []


@pytest.mark.parametrize(
    "size", [0, 1, 100_000, (16 << 20) + 1, 40 << 20], ids=lambda size: f"{size} bytes"
)
def test_a_blob_goes_up_once_and_comes_back(
    registry: Registry, hub: Hub, tmp_path: Path, size: int
) -> None:
    descriptor, reference = blob(tmp_path / "f", size), at(hub, "team/a:1")
    told: list[int] = []
    assert not registry.has(reference, descriptor.digest)
    sent = registry.upload(reference, descriptor, tmp_path / "f", progress=told.append)
    assert sent == sum(told) == size
    assert registry.has(reference, descriptor.digest)
    assert registry.upload(reference, descriptor, tmp_path / "f") == 0
    other, told = at(hub, "team/b:1"), []
    assert registry.upload(other, descriptor, tmp_path / "f", mount_from=reference) == 0
    registry.download(other, descriptor, tmp_path / "g", told.append)
    assert (tmp_path / "g").read_bytes() == (tmp_path / "f").read_bytes()
    assert sum(told) == size


def test_a_mount_of_what_is_not_there_is_an_upload(
    registry: Registry, hub: Hub, tmp_path: Path
) -> None:
    descriptor = blob(tmp_path / "f")
    source = at(hub, "nobody/a:1")
    assert registry.upload(at(hub, "b:1"), descriptor, tmp_path / "f", mount_from=source) == 100_000
    elsewhere = parse_reference("ghcr.io/a/b:1")  # is not asked: another registry
    one = blob(tmp_path / "f")
    assert registry.upload(at(hub, "b:1"), one, tmp_path / "f", mount_from=elsewhere) == 100_000


def test_a_file_that_is_not_what_is_said_is_not_taken(
    registry: Registry, hub: Hub, tmp_path: Path
) -> None:
    descriptor = blob(tmp_path / "f")
    (tmp_path / "f").write_bytes(b"x" * 100_000)
    with pytest.raises(HostError, match="DIGEST_INVALID"):
        registry.upload(at(hub, "a:1"), descriptor, tmp_path / "f")
    (tmp_path / "f").write_bytes(b"short")
    with pytest.raises(HostError, match="has 5 bytes, not 100000"):
        registry.upload(at(hub, "a:1"), descriptor, tmp_path / "f")


def test_a_manifest_is_put_under_its_tag_or_its_digest(
    registry: Registry, hub: Hub, image: Image
) -> None:
    hub.push(image, "a", "1")
    content = image.manifest_bytes(DOCKER_MANIFEST)
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert registry.put_manifest(at(hub, "a:2"), content, DOCKER_MANIFEST) == digest
    assert registry.resolve(at(hub, "a:2"), "linux/amd64").digest == digest
    bare = at(hub, f"a@{digest}")
    assert registry.put_manifest(bare, content, DOCKER_MANIFEST) == digest
    with pytest.raises(HostError, match="has the digest"):
        registry.put_manifest(bare, content + b"\n", DOCKER_MANIFEST)


def test_a_manifest_whose_layers_are_missing_is_not_tagged(
    registry: Registry, hub: Hub, image: Image
) -> None:
    with pytest.raises(HostError, match="BLOB_UNKNOWN"):
        registry.put_manifest(at(hub, "new:1"), image.manifest_bytes(), OCI_MANIFEST)
    with pytest.raises(AbsentError):
        registry.resolve(at(hub, "new:1"), "linux/amd64")


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Hub]:
    """Yield a registry that wants the password ``se:cret``."""
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    auth = {"htpasswd": {"realm": "loopback", "path": str(tmp_path / "htpasswd")}}
    try:
        with containers.registry(extra={"auth": auth}) as running:
            yield running
    except containers.Missing as error:
        pytest.skip(str(error))


def test_a_password_is_sent_where_it_is_asked_for(
    guarded: Hub, image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth = base64.b64encode(b"me:se:cret").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {guarded.address: {"auth": auth}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)
    descriptor, reference = blob(tmp_path / "f"), at(guarded, "a:1")
    with Registry.from_environment(offline=False) as registry:
        assert registry.upload(reference, descriptor, tmp_path / "f") == 100_000
        for path in image.layers:
            data = path.read_bytes()
            digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
            layer = Descriptor(media_type="x/y", digest=digest, size=len(data))
            registry.upload(reference, layer, path)
        (tmp_path / "c").write_bytes(image.config_bytes())
        digest = f"sha256:{hashlib.sha256(image.config_bytes()).hexdigest()}"
        config = Descriptor(media_type="x/y", digest=digest, size=len(image.config_bytes()))
        registry.upload(reference, config, tmp_path / "c")
        pushed = registry.put_manifest(reference, image.manifest_bytes(), OCI_MANIFEST)
        assert registry.resolve(reference, "linux/amd64").digest == pushed


@pytest.mark.parametrize(
    ("login", "words"),
    [
        pytest.param(None, "wants a login, and there is none", id="nobody"),
        pytest.param(
            Login(user="me", password="hunter2"),  # noqa: S106
            "answered 401 Unauthorized",
            id="a wrong password",
        ),
        pytest.param(Login(trouble="/x is no JSON"), "and /x is no JSON", id="an unreadable one"),
    ],
)
def test_who_is_not_let_in_is_told(
    guarded: Hub, tmp_path: Path, login: Login | None, words: str
) -> None:
    descriptor = blob(tmp_path / "f")
    reference = at(guarded, "a:1")
    with Registry(offline=False, mirrors=Mirrors(), logins=lambda _: login) as registry:
        for call in (
            lambda: registry.resolve(reference, "linux/amd64"),
            lambda: registry.upload(reference, descriptor, tmp_path / "f"),
        ):
            with pytest.raises(DeniedError) as caught:
                call()
            reason = caught.value.reasons[0]
            assert reason.code == "registry-denied"
            assert words in reason.cause
            assert f"docker login {guarded.address}" in reason.fix
            assert "hunter2" not in str(caught.value)
