"""What a registry says that an image consists of: indexes and manifests, read as values.

OCI's and Docker's of schema 2, which differ in names only. Every byte is another's, so each size,
digest and count is looked at here; nothing is fetched here.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
ACCEPT = f"{OCI_INDEX}, {OCI_MANIFEST}, {DOCKER_LIST}, {DOCKER_MANIFEST}"

_INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
_MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_LAYERS = 1000
"""More than any engine mounts (overlayfs: 500; Docker: 127)."""
_USUAL_VARIANTS = {"arm64": "v8"}
"""Which variant is meant where none is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """A blob or a manifest, by its content."""

    media_type: str
    digest: str
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """An image of one platform; ``content`` is what ``digest`` is of."""

    digest: str
    media_type: str
    content: bytes
    config: Descriptor
    layers: tuple[Descriptor, ...]
    """The lowest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A row of an index."""

    descriptor: Descriptor
    platform: str
    """``linux/amd64``, ``linux/arm/v7``; empty where the index does not say."""


def digest_of(content: bytes) -> str:
    """Return the digest that names ``content``."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def read(content: bytes, said: str) -> Manifest | tuple[Entry, ...]:
    """Return the manifest, or the rows of the index, that ``content`` is.

    Args:
        content: the body as it was sent.
        said: its Content-Type; what the body itself says counts before.

    Raises:
        ValueError: it is neither; the message is a cause.
    """
    whole = _object(content)
    kind = whole.get("mediaType") or said.partition(";")[0].strip().lower()
    if whole.get("schemaVersion") == 1 or str(kind).startswith(_SCHEMA_1):
        raise ValueError("it is an image of Docker's schema 1, which nobody should use since 2017")
    if whole.get("schemaVersion") != 2 or not isinstance(kind, str):
        raise ValueError("it is no image manifest")
    # A document that can be read as either is an attack (CVE-2021-41190).
    if kind in _INDEXES and not {"layers", "config"} & whole.keys():
        return tuple(_entry(each) for each in _rows(whole, "manifests"))
    if kind in _MANIFESTS and "manifests" not in whole:
        return Manifest(
            digest=digest_of(content),
            media_type=kind,
            content=content,
            config=_descriptor(whole.get("config")),
            layers=tuple(_descriptor(each) for each in _rows(whole, "layers")),
        )
    raise ValueError(f"it is no image, but {kind[:100]!a}")


def chosen(entries: tuple[Entry, ...], platform: str) -> Entry | None:
    """Return the row for ``platform``, the first of several; None where there is none."""
    return next((each for each in entries if _plain(each.platform) == _plain(platform)), None)


def platform_of(config: bytes) -> str:
    """Return the platform that the config of an image names.

    Raises:
        ValueError: it names none.
    """
    return _platform(_object(config))


def _plain(platform: str) -> str:
    system, _, machine = platform.partition("/")
    architecture, _, variant = machine.partition("/")
    usual = not variant or variant == _USUAL_VARIANTS.get(architecture)
    return f"{system}/{architecture}" if usual else platform


def _object(content: bytes) -> Mapping[str, object]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError("it is no JSON") from error
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - a cause for whoever catches it
    return found


def _rows(whole: Mapping[str, object], key: str) -> list[object]:
    rows = whole.get(key)
    if not isinstance(rows, list) or len(rows) > _LAYERS:
        raise ValueError(f"its `{key}` is no list of at most {_LAYERS}")
    return rows


def _entry(row: object) -> Entry:
    said = row.get("platform") if isinstance(row, dict) else None
    platform = _platform(said) if isinstance(said, dict) else ""
    return Entry(descriptor=_descriptor(row), platform=platform)


def _platform(said: Mapping[str, object]) -> str:
    parts = [said.get("os"), said.get("architecture"), said.get("variant") or None]
    words = [each for each in parts if each is not None]
    usual = all(isinstance(each, str) and re.fullmatch(r"[\w.-]{1,40}", each) for each in words)
    if len(words) < 2 or None in parts[:2] or not usual:
        raise ValueError("it names no platform")
    return "/".join(str(each) for each in words)


def _descriptor(row: object) -> Descriptor:
    found = row if isinstance(row, dict) else {}
    kind, digest, size = (found.get(key) for key in ("mediaType", "digest", "size"))
    if not isinstance(digest, str) or _DIGEST.fullmatch(digest) is None:
        raise ValueError("a part of it has no SHA-256 digest")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 1 << 53:
        raise ValueError(f"its part {digest[:19]} has no size")
    if not isinstance(kind, str) or re.fullmatch(r"[\w.+/-]{1,200}", kind, re.ASCII) is None:
        raise ValueError(f"its part {digest[:19]} has no media type")
    return Descriptor(media_type=kind, digest=digest, size=size)
