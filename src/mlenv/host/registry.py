"""Images in registries: what a name means, what it consists of, and the way there and back.

Whatever is read is checked against its digest, and small things against a limit; mirrors are asked
first, and only to read. A manifest is written last, so a name never leads to half an image. What
an image is made of, and what is to be done with it, is no business of this room.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar

from mlenv.errors import HostError
from mlenv.host import manifests, mirrors, registry_login, registry_outage
from mlenv.host.blob_download import Download
from mlenv.host.blob_upload import Upload
from mlenv.host.manifests import Descriptor, Manifest
from mlenv.host.registry_body import pieces
from mlenv.host.registry_outage import AbsentError, DeniedError, PassingError
from mlenv.host.registry_wire import Ask, Wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import requests

    from mlenv.host.mirrors import Mirrors, Place
    from mlenv.host.registry_login import Login
    from mlenv.reference import Reference

    T = TypeVar("T")

__all__ = ["AbsentError", "DeniedError", "Descriptor", "Manifest", "Registry", "Resolved"]

MANIFEST_BYTES = 4 << 20
CONFIG_BYTES = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What a reference names today."""

    digest: str
    """Of what the name itself leads to: an index, or the manifest."""
    manifest_digest: str
    platform: str
    """As the index, or the config of the only image there, says it: ``linux/arm64/v8``."""


class Registry:
    """All registries, as this user may read and write them; threads may share one."""

    def __init__(
        self, *, offline: bool, mirrors: Mirrors, logins: Callable[[str], Login | None]
    ) -> None:
        """Open nothing yet; where ``offline``, every call raises ``network-off``."""
        self._mirrors = mirrors
        self._wire = Wire(offline=offline, logins=logins)
        self._down: set[str] = set()
        """Mirrors that did not answer: each layer would wait for them again."""

    @classmethod
    def from_environment(cls, *, offline: bool) -> Self:
        """Return the registries as registries.conf and the logins of this user have them.

        Raises:
            HostError: ``registry-failed``, ``disk-failed``: registries.conf cannot be read.
        """
        logins = registry_login.from_environment()
        return cls(offline=offline, mirrors=mirrors.from_environment(), logins=logins)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close every connection."""
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._wire.close()

    def resolve(self, reference: Reference, platform: str) -> Resolved:
        """Return the digests of an image.

        Raises:
            AbsentError: ``registry-failed``: there is none, or none for the platform.
            HostError: ``network-off``, ``registry-failed``, ``registry-denied``.
        """

        def read(place: Place) -> Resolved:
            digest, manifest, said = self._image(place, reference, platform)
            if not said:
                config = self._blob(place, reference, manifest.config)
                said = _understood(reference, lambda: manifests.platform_of(config))
            return Resolved(digest=digest, manifest_digest=manifest.digest, platform=said)

        return self._first(reference, read)

    def manifest(self, reference: Reference, platform: str) -> Manifest:
        """Return the manifest for ``platform``; the only one, where there is no index.

        Raises:
            AbsentError: ``registry-failed``: there is none, or none for the platform.
            HostError: ``network-off``, ``registry-failed``, ``registry-denied``.
        """
        return self._first(reference, lambda place: self._image(place, reference, platform)[1])

    def blob(self, reference: Reference, descriptor: Descriptor) -> bytes:
        """Return a small blob of an image, such as its config.

        Raises:
            AbsentError: ``registry-failed``: it is not there.
            HostError: ``network-off``, ``registry-failed``, ``registry-denied``.
        """
        return self._first(reference, lambda place: self._blob(place, reference, descriptor))

    def download(
        self,
        reference: Reference,
        descriptor: Descriptor,
        path: Path,
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Write a blob of an image to ``path`` in one step.

        Args:
            reference: the image.
            descriptor: one of its layers.
            path: where to; folders are made.
            progress: called with the bytes that came; with less than none where it starts over.

        Raises:
            HostError: ``network-off``, ``registry-failed``, ``registry-denied``, ``disk-failed``;
                what lay at ``path`` is untouched.
        """

        def read(place: Place) -> None:
            Download(
                wire=self._wire,
                place=place,
                what=f"cannot read {descriptor.digest[:19]} of {reference}",
                descriptor=descriptor,
                progress=progress,
            ).to(path)

        self._first(reference, read)

    def has(self, reference: Reference, digest: str) -> bool:
        """Tell whether a blob is where images of this name are written to, not in a mirror.

        Raises:
            HostError: ``network-off``, ``registry-failed``, ``registry-denied``.
        """
        place = self._mirrors.written_to(reference)
        what = f"cannot look for {digest[:19]} of {reference}"
        return self._wire.has(what, place, digest)

    def upload(
        self,
        reference: Reference,
        descriptor: Descriptor,
        path: Path,
        *,
        mount_from: Reference | None = None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> int:
        """Upload a blob, and return the bytes that were sent: none where the registry has it.

        Args:
            reference: the image that it will be part of.
            descriptor: what the file is.
            path: the file.
            mount_from: an image that has it already; of another registry, it does not count.
            progress: called with the bytes that went; with less than none where some go again.

        Raises:
            HostError: ``network-off``, ``registry-failed``, ``registry-denied``, ``disk-failed``.
        """
        place = self._mirrors.written_to(reference)
        source = self._mirrors.written_to(mount_from) if mount_from else place
        near = source.registry == place.registry and source.repository != place.repository
        upload = Upload(
            wire=self._wire,
            place=place,
            what=f"cannot write {descriptor.digest[:19]} of {reference}",
            descriptor=descriptor,
            path=path,
            progress=progress,
        )
        return upload.done(source.repository if near else None)

    def put_manifest(self, reference: Reference, content: bytes, media_type: str) -> str:
        """Let the tag, or without one the digest, lead to ``content``; return its digest.

        Raises:
            HostError: ``network-off``, ``registry-failed``, ``registry-denied``.
        """
        digest = manifests.digest_of(content)
        place = self._mirrors.written_to(reference)
        what = f"cannot write {reference}"
        if reference.digest not in {None, digest}:
            cause = f"what is to be written has the digest {digest}"
            raise registry_outage.failed(what, cause, "give the tag alone")
        self._wire.say(
            Ask(
                what=what,
                place=place,
                path=f"/v2/{place.repository}/manifests/{reference.tag or digest}",
                method="PUT",
                rights="pull,push",
                headers={"Content-Type": media_type},
                body=lambda: content,
                good=frozenset({200, 201, 202, 204}),
            )
        )
        return digest

    def _first(self, reference: Reference, read: Callable[[Place], T]) -> T:
        """Return what the first place gives that gives it."""
        refused: list[HostError] = []
        *before, own = self._mirrors.read_from(reference)
        for place in (*(each for each in before if each.host not in self._down), own):
            try:
                return read(place)
            except HostError as error:
                if not error.reasons[0].code.startswith("registry-"):
                    raise
                if isinstance(error, PassingError):
                    self._down.add(place.host)
                refused.append(error)
        raise registry_outage.together(refused)

    def _image(
        self, place: Place, reference: Reference, platform: str
    ) -> tuple[str, Manifest, str]:
        """Return the digest that the name leads to, the manifest, and its platform if told."""
        content, kind = self._content(place, reference, reference.digest or reference.tag or "")
        found = _understood(reference, lambda: manifests.read(content, kind))
        if isinstance(found, Manifest):
            return found.digest, found, ""
        entry = manifests.chosen(found, platform)
        if entry is None:
            there = ", ".join(dict.fromkeys(each.platform for each in found if each.platform))
            cause = f"it is there for {there or 'no platform'} only"
            fix = "choose another image, or another platform"
            raise registry_outage.failed(
                f"there is no {reference} for {platform}", cause, fix, AbsentError
            )
        inner, kind = self._content(place, reference, entry.descriptor.digest)
        manifest = _understood(reference, lambda: manifests.read(inner, kind))
        if not isinstance(manifest, Manifest):
            raise registry_outage.failed(_reading(reference), "its index leads to another index")
        return manifests.digest_of(content), manifest, entry.platform

    def _content(self, place: Place, reference: Reference, name: str) -> tuple[bytes, str]:
        """Return a manifest's bytes and content type, of a digest only what has it."""
        ask = Ask(
            what=_reading(reference),
            place=place,
            path=f"/v2/{place.repository}/manifests/{name}",
            headers={"Accept": manifests.ACCEPT, "Accept-Encoding": "identity"},
        )
        return self._checked(ask, MANIFEST_BYTES, name if ":" in name else None)

    def _blob(self, place: Place, reference: Reference, descriptor: Descriptor) -> bytes:
        what, digest = _reading(reference), descriptor.digest
        if descriptor.size > CONFIG_BYTES:
            cause = f"{digest[:19]} of it is said to have {descriptor.size} bytes"
            raise registry_outage.failed(what, cause)
        path, headers = f"/v2/{place.repository}/blobs/{digest}", {"Accept-Encoding": "identity"}
        ask = Ask(what=what, place=place, path=path, headers=headers)
        return self._checked(ask, descriptor.size, digest)[0]

    def _checked(self, ask: Ask, limit: int, digest: str | None) -> tuple[bytes, str]:
        def take(answer: requests.Response) -> tuple[bytes, str]:
            content = b"".join(pieces(answer, limit, ask.what))
            return content, answer.headers.get("Content-Type", "")

        content, kind = self._wire.ask(ask, take)
        # What the registry says in Docker-Content-Digest proves nothing.
        found = manifests.digest_of(content)
        if digest not in {None, found}:
            cause = f"{ask.place.registry} sent other bytes: their digest is {found}"
            raise registry_outage.failed(ask.what, cause)
        return content, kind


def _reading(reference: Reference) -> str:
    return f"cannot read {reference}"


def _understood(reference: Reference, read: Callable[[], T]) -> T:
    try:
        return read()
    except ValueError as error:
        fix = "choose another image"
        raise registry_outage.failed(_reading(reference), str(error), fix) from error
