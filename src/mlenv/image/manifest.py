"""The documents of an image that no engine built: config, manifest, and the index of an archive.

Canonical JSON, so the same image has the same digests everywhere. What the base image says stands,
but where we say otherwise, as ``FROM`` would have it. Docker's names of schema 2 or OCI's: the same
content by other names. No blob is read or written here.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlenv.host.manifests import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlenv.host.blobs import Layer
    from mlenv.host.manifests import Descriptor
    from mlenv.image.settings import Settings

CREATED = "1980-01-01T00:00:00Z"
"""The time of all that mlenv makes."""
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What engines take where an image has no PATH."""

DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
_PACKED = {
    f"{DOCKER_LAYER}.gzip": "+gzip",
    DOCKER_LAYER: "",
    f"{OCI_LAYER}+gzip": "+gzip",
    f"{OCI_LAYER}+zstd": "+zstd",
    OCI_LAYER: "",
}
"""The kind of a base image's layer -> how it is packed, as OCI writes it."""
_DOCKER_PACKED = {"+gzip": ".gzip", "": ""}
"""Docker's schema 2 knows no zstd."""
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_INHERITED = (
    *("ExposedPorts", "Volumes", "StopSignal", "Shell", "Healthcheck"),
    *("Env", "Entrypoint", "Cmd", "User", "WorkingDir", "Labels"),
)
"""What an image has of its base.

HEALTHCHECK stays, as ``FROM`` leaves it. ONBUILD does not: it is what a build would have run, and
here is none; ``triggers`` tells it, for whoever must refuse it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """A layer on top of the base image's, and what history says of it."""

    layer: Layer
    text: str


def image_config(
    base: bytes, *, platform: str, settings: Settings, added: Sequence[Added]
) -> bytes:
    """Return the config of an image.

    Args:
        base: the config of the base image.
        platform: ``linux/amd64`` or ``linux/arm64``.
        settings: how the image is started.
        added: our layers, the lowest first.

    Raises:
        ValueError: ``base`` is no config of an image of that platform.
    """
    below = _parsed(base)
    system, _, architecture = platform.partition("/")
    if (below.get("os"), below.get("architecture")) != (system, architecture):
        raise ValueError(f"it is an image for {below.get('os')}/{below.get('architecture')}")
    diff_ids = _diff_ids(below)
    variant = {"variant": "v8"} if architecture == "arm64" else {}
    history = _history(below, len(diff_ids))
    history += [{"created": CREATED, "created_by": each.text} for each in added]
    diff_ids += [each.layer.diff_id for each in added]
    return _canonical(
        {
            "architecture": architecture,
            **variant,
            "os": system,
            "created": CREATED,
            "config": _started(below.get("config") or {}, settings),
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": history,
        }
    )


def triggers(base: bytes) -> tuple[str, ...]:
    """Return what the base image wants to be run when one is built on it: its ONBUILD."""
    found = (_parsed(base).get("config") or {}).get("OnBuild") or ()
    return tuple(map(str, found))


def needs_oci(base_layers: Sequence[Descriptor]) -> bool:
    """Tell whether a manifest with these layers can only be an OCI one."""
    return any(_packed(each) not in _DOCKER_PACKED for each in base_layers)


def image_manifest(
    config: bytes,
    *,
    base_layers: Sequence[Descriptor],
    added: Sequence[Layer],
    docker: bool = True,
) -> bytes:
    """Return the manifest of an image.

    Args:
        config: what ``image_config`` returned.
        base_layers: those of the base image, the lowest first.
        added: ours.
        docker: by Docker's names, which every registry and enroot take; else by OCI's.

    Raises:
        ValueError: a base layer is of no known kind, or one that Docker has no name for.
    """
    kinds = [*map(_packed, base_layers), *("+gzip" for _ in added)]
    if docker and needs_oci(base_layers):
        raise ValueError("a layer of the base image is packed with zstd, which only OCI knows")
    blobs = [(each.digest, each.size) for each in base_layers]
    blobs += [(each.digest, each.size) for each in added]
    layers = [
        {"mediaType": _kind(packed, docker=docker), "digest": name, "size": size}
        for packed, (name, size) in zip(kinds, blobs, strict=True)
    ]
    return _canonical(
        {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST if docker else OCI_MANIFEST,
            "config": {
                "mediaType": DOCKER_CONFIG if docker else OCI_CONFIG,
                "digest": digest_of(config),
                "size": len(config),
            },
            "layers": layers,
        }
    )


def archive_index(manifest: bytes, *, tags: Sequence[str]) -> dict[str, bytes]:
    """Return path -> content of the small files of an archive, for ``docker load`` and OCI alike.

    Every blob lies beside them as ``blob_path`` says: the layers, the config and the manifest,
    which had better be an OCI one.

    Args:
        manifest: what ``image_manifest`` returned.
        tags: names with tags: ``train:latest``.
    """
    parsed = _parsed(manifest)
    described = {
        "mediaType": parsed["mediaType"],
        "digest": digest_of(manifest),
        "size": len(manifest),
    }
    named = [
        {
            **described,
            "annotations": {
                "io.containerd.image.name": tag,
                "org.opencontainers.image.ref.name": tag.rpartition(":")[2],
            },
        }
        for tag in tags
    ]
    loaded = {
        "Config": blob_path(parsed["config"]["digest"]),
        "RepoTags": list(tags),
        "Layers": [blob_path(each["digest"]) for each in parsed["layers"]],
    }
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": named or [described]}
    return {
        "oci-layout": _canonical({"imageLayoutVersion": "1.0.0"}),
        "index.json": _canonical(index),
        "manifest.json": _canonical([loaded]),
    }


def blob_path(digest: str) -> str:
    """Return where an OCI layout keeps the blob of ``digest``."""
    algorithm, _, name = digest.partition(":")
    return f"blobs/{algorithm}/{name}"


def _started(base: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    env = dict(_pair(each) for each in base.get("Env") or ())
    known = {"PATH": DEFAULT_PATH} | env
    for name, text in settings.env.items():
        env[name] = _VARIABLE.sub(lambda found: known.get(found[1], ""), text)
    ours = {
        "Env": [f"{name}={text}" for name, text in env.items()],
        # As with FROM: a new entrypoint drops the command of the base, and ours has its own.
        "Entrypoint": list(settings.entrypoint) or base.get("Entrypoint"),
        "Cmd": list(settings.cmd),
        "User": settings.user,
        "WorkingDir": settings.workdir,
        "Labels": {**(base.get("Labels") or {}), **settings.labels},
    }
    whole = {name: base.get(name) for name in _INHERITED} | ours
    return {name: value for name, value in whole.items() if value}


def _pair(text: str) -> tuple[str, str]:
    name, _, value = str(text).partition("=")
    return name, value


def _diff_ids(base: Mapping[str, Any]) -> list[str]:
    found = (base.get("rootfs") or {}).get("diff_ids")
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise ValueError("it names no layers")
    return list(found)


def _history(base: Mapping[str, Any], layers: int) -> list[Any]:
    """Return the history of the base image; a line for each layer where it has none that fits.

    Engines refuse an image whose history tells of more or fewer layers than it has.
    """
    found = base.get("history") or []
    if sum(1 for each in found if not each.get("empty_layer")) == layers:
        return list(found)
    return [{"created": CREATED, "created_by": "base image"} for _ in range(layers)]


def _packed(layer: Descriptor) -> str:
    try:
        return _PACKED[layer.media_type]
    except KeyError:
        raise ValueError(f"a layer of the base image is {layer.media_type!a}") from None


def _kind(packed: str, *, docker: bool) -> str:
    return f"{DOCKER_LAYER}{_DOCKER_PACKED[packed]}" if docker else f"{OCI_LAYER}{packed}"


def _parsed(document: bytes) -> dict[str, Any]:
    found = json.loads(document)
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - of another's content
    return found


def _canonical(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
