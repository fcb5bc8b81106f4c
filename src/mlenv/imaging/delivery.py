"""Where an assembled image goes: a registry, an archive for engines, or a folder in OCI's layout.

A tag is written when everything that it leads to is there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from mlenv.host import disk, tools
from mlenv.host.crew import Crew
from mlenv.host.manifests import Descriptor, digest_of
from mlenv.image.manifest import archive_index, blob_path, image_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mlenv.host.blobs import Blobs
    from mlenv.host.registry import Registry
    from mlenv.imaging.assembly import Assembled
    from mlenv.imaging.ground import Layers
    from mlenv.reference import Reference

UPLOADS = 4
"""Layers that are uploaded at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Yard:
    """Where the blobs of an image lie."""

    blobs: Blobs
    """Ours."""
    layers: Layers
    """The base's."""


def push(
    image: Assembled,
    target: Reference,
    registry: Registry,
    yard: Yard,
    *,
    say: Callable[[str], None],
) -> int:
    """Push an image; return the bytes that were sent. The tag is written last.

    Raises:
        HostError: ``network-off``, ``registry-failed``, ``registry-denied``, ``disk-failed``.
    """
    manifest = json.loads(image.manifest)
    every = tuple(_descriptor(each) for each in manifest["layers"])
    count = len(image.ground.manifest.layers)

    def below(each: Descriptor) -> int:
        if registry.has(target, each.digest):
            return 0
        base = image.ground.reference
        path = yard.layers.path(base, each)
        return registry.upload(target, each, path, mount_from=base, progress=crew.go_on)

    def ours(each: Descriptor) -> int:
        path = yard.blobs.path(each.digest)
        sent = registry.upload(target, each, path, progress=crew.go_on)
        say(f"pushed {each.digest[7:19]}")
        return sent

    with Crew(UPLOADS) as crew:
        waiting = [crew.submit(partial(below, each)) for each in every[:count]]
        waiting += [crew.submit(partial(ours, each)) for each in sorted(every[count:], key=_weight)]
        sent = sum(each.result() for each in waiting)
    with tools.scratch() as folder:
        disk.write(folder / "config", image.config, durable=False)
        sent += registry.upload(target, _descriptor(manifest["config"]), folder / "config")
    registry.put_manifest(target, image.manifest, manifest["mediaType"])
    return sent


def members(image: Assembled, yard: Yard, *, tags: tuple[str, ...]) -> dict[str, bytes | Path]:
    """Return what an archive or a layout holds: path -> content, or the file that has it."""
    ground = image.ground
    manifest = image_manifest(
        image.config,
        base_layers=ground.manifest.layers,
        added=[each.layer for each in image.parts],
        docker=False,
    )
    found: dict[str, bytes | Path] = {
        blob_path(each.digest): yard.layers.path(ground.reference, each)
        for each in ground.manifest.layers
    }
    for each in image.parts:
        found[blob_path(each.layer.digest)] = yard.blobs.path(each.layer.digest)
    for content in (image.config, manifest):
        found[blob_path(digest_of(content))] = content
    return found | archive_index(manifest, tags=tags)


def _descriptor(row: Mapping[str, Any]) -> Descriptor:
    return Descriptor(media_type=row["mediaType"], digest=row["digest"], size=row["size"])


def _weight(each: Descriptor) -> int:
    return -each.size
