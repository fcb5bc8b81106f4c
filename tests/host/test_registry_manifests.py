from __future__ import annotations

import json

import pytest

from mlenv.host import manifests
from mlenv.host.manifests import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Manifest

DIGEST = f"sha256:{'0a' * 32}"
ROW = {"mediaType": "application/x", "digest": DIGEST, "size": 3}
PLAIN = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": ROW, "layers": [ROW, ROW]}


def text(**changes: object) -> bytes:
    whole = {**PLAIN, **changes}
    return json.dumps({key: each for key, each in whole.items() if each is not None}).encode()


def index(*platforms: str, kind: str = OCI_INDEX) -> bytes:
    rows: list[dict[str, object]] = []
    for each in platforms:
        system, architecture, *variant = each.split("/")
        said = {"os": system, "architecture": architecture, "variant": "".join(variant)}
        rows.append({**ROW, "size": len(rows), "platform": said})
    return text(mediaType=kind, manifests=rows, config=None, layers=None)


@pytest.mark.parametrize("kind", [OCI_MANIFEST, DOCKER_MANIFEST])
@pytest.mark.parametrize("inside", [True, False], ids=["in the body", "in the header"])
def test_a_manifest_is_read(kind: str, inside: bool) -> None:  # noqa: FBT001 (a column)
    content = text(mediaType=kind if inside else None)
    found = manifests.read(content, "text/plain" if inside else f"{kind}; charset=utf-8")
    assert isinstance(found, Manifest)
    assert (found.media_type, found.content) == (kind, content)
    assert found.digest == manifests.digest_of(content)
    assert [each.size for each in (found.config, *found.layers)] == [3, 3, 3]


@pytest.mark.parametrize(
    ("platform", "row"),
    [
        pytest.param("linux/amd64", 1, id="the same"),
        pytest.param("linux/arm64", 2, id="no variant is the usual one"),
        pytest.param("linux/arm64/v8", 2, id="the usual one said"),
        pytest.param("linux/arm/v7", 4, id="a variant"),
        pytest.param("linux/arm", None, id="a variant is needed"),
        pytest.param("windows/amd64", None, id="not there"),
    ],
)
@pytest.mark.parametrize("kind", [OCI_INDEX, DOCKER_LIST])
def test_a_platform_is_chosen(platform: str, row: int | None, kind: str) -> None:
    there = ("unknown/unknown", "linux/amd64", "linux/arm64/v8", "linux/arm/v6", "linux/arm/v7")
    found = manifests.read(index(*there, kind=kind), kind)
    assert isinstance(found, tuple)
    entry = manifests.chosen(found, platform)
    assert (entry and entry.descriptor.size) == row


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        pytest.param(b"\xff", "no JSON", id="bytes"),
        pytest.param(b"[" * 100_000, "no JSON", id="deep"),
        pytest.param(b"[]", "no JSON object", id="a list"),
        pytest.param(b"{}", "no image manifest", id="nothing"),
        pytest.param(text(schemaVersion=1), "schema 1", id="schema 1"),
        pytest.param(
            text(mediaType="application/vnd.docker.distribution.manifest.v1+prettyjws"),
            "schema 1",
            id="schema 1 by its name",
        ),
        pytest.param(text(mediaType="x\n/y"), r"'x\\n/y'", id="another kind"),
        pytest.param(text(manifests=[]), "no image, but", id="both at once"),
        pytest.param(text(layers=3), "`layers`", id="layers are a number"),
        pytest.param(text(layers=[ROW] * 1001), "at most 1000", id="too many layers"),
        pytest.param(text(config=None), "digest", id="no config"),
        pytest.param(text(config={**ROW, "digest": "sha256:../x"}), "digest", id="a path"),
        pytest.param(text(config={**ROW, "size": -1}), "size", id="a size below none"),
        pytest.param(text(config={**ROW, "size": True}), "size", id="a size that is none"),
        pytest.param(text(config={**ROW, "mediaType": "a b"}), "media type", id="no media type"),
    ],
)
def test_what_is_no_manifest_is_refused(content: bytes, cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        manifests.read(content, "")


@pytest.mark.parametrize(
    "config", [b"{}", b'{"os": "linux"}', b'{"os": 1, "architecture": "x"}', b'{"os":"l\\nx"}']
)
def test_a_config_without_a_platform_is_refused(config: bytes) -> None:
    with pytest.raises(ValueError, match="platform"):
        manifests.platform_of(config)
