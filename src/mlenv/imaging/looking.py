"""An image looked at: in a folder of OCI's layout, in an engine, else in its registry."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mlenv.errors import HostError, Reason, UsageError
from mlenv.host import disk, manifests
from mlenv.host.engine import find_engine
from mlenv.host.registry import Registry
from mlenv.image.contrast import Seen, SeenLayer
from mlenv.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mlenv.host.manifests import Descriptor, Entry, Manifest

LAYOUT = "oci-layout"
"""The file by which a folder says that an image lies in it."""


def in_folder(path: Path, platform: str) -> Seen:
    """Return the image of a folder in OCI's layout.

    Raises:
        UsageError: ``image-unreadable``.
        HostError: ``disk-failed``.
    """
    try:
        found = manifests.read(disk.contents(path / "index.json"), manifests.OCI_INDEX)
        if not isinstance(found, tuple):
            raise _unreadable(path, "its index.json is no index")
        content, kind = _content(path, _entry(found, platform, path).descriptor)
        inner = manifests.read(content, kind)
        if isinstance(inner, tuple):
            content, kind = _content(path, _entry(inner, platform, path).descriptor)
            inner = manifests.read(content, kind)
        if isinstance(inner, tuple):
            raise _unreadable(path, "its indexes lie in one another")
        config, _ = _content(path, inner.config)
        return _seen(str(path), inner, config)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(path, f"it is damaged: {error}") from None


def _entry(found: Sequence[Entry], platform: str, path: Path) -> Entry:
    chosen = manifests.chosen(tuple(found), platform) or (found[0] if len(found) == 1 else None)
    if chosen is None:
        raise _unreadable(path, f"it holds no image for {platform}")
    return chosen


def _content(path: Path, descriptor: Descriptor) -> tuple[bytes, str]:
    algorithm, _, hexadecimal = descriptor.digest.partition(":")
    content = disk.contents(path / "blobs" / algorithm / hexadecimal)
    if manifests.digest_of(content) != descriptor.digest:
        raise _unreadable(path, f"{descriptor.digest[:19]}… is not what its name says")
    return content, descriptor.media_type


def named(text: str, platform: str, *, offline: bool) -> Seen:
    """Return an image by its name: that of an engine here, else that of its registry.

    Raises:
        UsageError: ``image-unreadable``: it is no name of an image.
        HostError: ``registry-failed``, ``registry-denied``, ``network-off``.
    """
    try:
        reference = parse_reference(text)
    except ValueError as error:
        raise _unreadable(text, str(error)) from None
    local = _local(text)
    if local is not None:
        return local
    with Registry.from_environment(offline=offline) as registry:
        manifest = registry.manifest(reference, platform)
        return _seen(text, manifest, registry.blob(reference, manifest.config))


def _local(text: str) -> Seen | None:
    try:
        facts = find_engine().inspect(text)
    except HostError:  # no engine, or one that has it not: its registry is asked
        return None
    if facts is None:
        return None
    return Seen(
        name=text,
        digest=None,
        platform=facts.platform,
        labels=facts.labels,
        environment=facts.environment,
        user=facts.user,
        layers=tuple(
            SeenLayer(text=each.made_by, digest=each.diff_id, size=each.size)
            for each in facts.layers
        ),
    )


def _seen(name: str, manifest: Manifest, config: bytes) -> Seen:
    whole: dict[str, Any] = json.loads(config)
    settings = whole.get("config") or {}
    told = [
        str(each.get("created_by", ""))
        for each in whole.get("history") or ()
        if not each.get("empty_layer")
    ]
    digests = [str(each) for each in whole["rootfs"]["diff_ids"]]
    texts = told if len(told) == len(digests) else [""] * len(digests)
    variables = (str(each).partition("=") for each in settings.get("Env") or ())
    return Seen(
        name=name,
        digest=manifest.digest,
        platform=f"{whole.get('os')}/{whole.get('architecture')}",
        labels={str(key): str(value) for key, value in (settings.get("Labels") or {}).items()},
        environment={name: value for name, _, value in variables},
        user=str(settings.get("User") or ""),
        layers=tuple(
            SeenLayer(text=text, digest=digest, size=blob.size)
            for text, digest, blob in zip(texts, digests, manifest.layers, strict=True)
        ),
    )


def _unreadable(what: object, cause: str) -> UsageError:
    return UsageError(
        Reason(
            code="image-unreadable",
            what=f"{what} cannot be read as an image",
            cause=cause,
            fix="name an image as registry/repository:tag, or a folder that `--output` wrote",
        )
    )
