"""Manifest and config of a base image: kept by digest, so that a pinned one is asked for once."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlenv.errors import HostError
from mlenv.files import digest
from mlenv.host import disk, manifests
from mlenv.host.manifests import Manifest, digest_of

if TYPE_CHECKING:
    from pathlib import Path

    from mlenv.host.registry import Registry
    from mlenv.reference import Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """What a registry says of an image for one platform."""

    named: str
    """The digest that the reference leads to: of an index perhaps."""
    manifest: Manifest
    config: bytes


def documents(reference: Reference, platform: str, registry: Registry, cache: Path) -> Documents:
    """Return what ``reference`` is for a platform; of a tag, what the registry says now.

    Raises:
        HostError: ``registry-failed``, ``registry-denied``, ``network-off``, ``disk-failed``.
    """
    place = cache / "rootfs" / "documents" / f"{digest([reference.digest, platform])}.json"
    if reference.digest and (kept := _kept(place)):
        return kept
    resolved = registry.resolve(reference, platform)
    pinned = reference.pinned(resolved.manifest_digest)
    manifest = registry.manifest(pinned, platform)
    config = registry.blob(pinned, manifest.config)
    found = Documents(named=resolved.digest, manifest=manifest, config=config)
    if reference.digest:
        rows = {
            "named": found.named,
            "kind": manifest.media_type,
            "manifest": manifest.content.decode("utf-8", "surrogateescape"),
            "config": config.decode("utf-8", "surrogateescape"),
        }
        disk.write(place, json.dumps(rows), durable=False)
    return found


def _kept(place: Path) -> Documents | None:
    """Return what was kept, if it is still what its digests name."""
    with suppress(HostError, ValueError, KeyError, TypeError, AttributeError):
        rows = json.loads(disk.contents(place))
        content = rows["manifest"].encode("utf-8", "surrogateescape")
        config = rows["config"].encode("utf-8", "surrogateescape")
        manifest = manifests.read(content, rows["kind"])
        if isinstance(manifest, Manifest) and digest_of(config) == manifest.config.digest:
            return Documents(named=rows["named"], manifest=manifest, config=config)
    return None
