"""Digests for the images that a recipe starts from, asked for while the solver works.

A registry that does not answer stops no lock: the recipe then names a tag, and that is said. The
base's config is small, so it is read too; its layers are not.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from mlenv.errors import HostError
from mlenv.host.registry_outage import AbsentError
from mlenv.host.rootfs import unusable
from mlenv.image.pins import Pin, Pins, named, read_config
from mlenv.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlenv.host.manifests import Descriptor, Manifest
    from mlenv.host.registry import Resolved
    from mlenv.reference import Reference

SECONDS = 20.0
"""How long is waited after the solve. What comes later is as good as nothing."""


class Images(Protocol):
    """The part of ``host.registry.Registry`` that is needed here."""

    def resolve(self, reference: Reference, platform: str) -> Resolved:
        """Return the digests of an image."""
        ...

    def manifest(self, reference: Reference, platform: str) -> Manifest:
        """Return the manifest of a platform."""
        ...

    def blob(self, reference: Reference, descriptor: Descriptor) -> bytes:
        """Return a small blob of an image."""
        ...


class Pinner:
    """A ``Pinning`` that asks registries, and then perhaps an engine."""

    def __init__(
        self,
        images: Callable[[], Images],
        *,
        engine: Callable[[str], str | None] = lambda _: None,
        seconds: float = SECONDS,
    ) -> None:
        """Ask nobody yet.

        Args:
            images: gives the registries; called where something is asked.
            engine: an image's name -> its digest where an engine has it, ``sha256:...``.
            seconds: how long is waited for an answer.
        """
        self._images = images
        self._engine = engine
        self._seconds = seconds

    def __call__(self, *, base: str, uv: str, platform: str) -> Callable[[], Pins]:
        """Begin to ask; see ``Pinning``."""
        try:
            images = self._images()
        except HostError as error:  # a registries.conf that cannot be read stops no lock
            cause = error.reasons[0].cause
            pins = Pins(base=named(base, why_not=cause), uv=named(uv, why_not=cause))
            return lambda: pins
        asked = [_Asked(base, platform, config=True), _Asked(uv, platform, config=False)]
        # Daemons: a registry that hangs must not keep mlenv from ending.
        threads = [
            threading.Thread(target=each.ask, args=(images, self._engine), daemon=True)
            for each in asked
        ]
        for each in threads:
            each.start()

        def wait() -> Pins:
            for each in threads:
                each.join(self._seconds)
            found = [each.answer(self._seconds) for each in asked]
            return Pins(base=found[0], uv=found[1])

        return wait


@contextmanager
def from_environment(
    *, offline: bool, engine: Callable[[str], str | None] = lambda _: None
) -> Iterator[Pinner]:
    """Yield a ``Pinner`` that asks as this user's registries.conf and logins say.

    Nothing of them is read where nothing is asked.
    """
    with ExitStack() as stack:

        def images() -> Images:
            from mlenv.host.registry import Registry  # noqa: PLC0415 (heavy)

            return stack.enter_context(Registry.from_environment(offline=offline))

        yield Pinner(images, engine=engine)


class _Asked:
    """One image that is asked for in a thread of its own."""

    def __init__(self, text: str, platform: str, *, config: bool) -> None:
        self._text = text
        self._platform = platform
        self._config = config
        self._found: Pin | HostError | None = None

    def ask(self, images: Images, engine: Callable[[str], str | None]) -> None:
        try:
            self._found = self._read(images)
        except ValueError as error:
            self._found = named(self._text, why_not=str(error))
        except HostError as error:
            self._found = self._refused(error) or self._of_engine(engine, error)

    def answer(self, seconds: float) -> Pin:
        """Return what came.

        Raises:
            HostError: ``base-unusable``.
        """
        found = self._found
        if isinstance(found, HostError):
            raise found
        return found or named(self._text, why_not=f"no answer within {seconds:g} s")

    def _read(self, images: Images) -> Pin:
        reference = parse_reference(self._text)
        resolved = images.resolve(reference, self._platform)
        name = self._text.partition("@")[0]
        pin = Pin(reference=name, digest=resolved.digest)
        if not self._config:
            return pin
        own = reference.pinned(resolved.manifest_digest)
        manifest = images.manifest(own, self._platform)
        config = read_config(images.blob(own, manifest.config))
        return replace(pin, config=config, python=config.python)

    def _refused(self, error: HostError) -> HostError | None:
        """Return what ends the build: the registry has the base, and not for this platform."""
        reason = error.reasons[0]
        if self._config and isinstance(error, AbsentError) and self._platform in reason.what:
            return unusable(self._text, f"{reason.what}: {reason.cause}", reason.fix)
        return None

    def _of_engine(self, engine: Callable[[str], str | None], error: HostError) -> Pin:
        cause = error.reasons[0].cause
        try:
            digest = engine(self._text)
        except HostError:
            digest = None
        pin = named(self._text, why_not=cause)
        return pin if pin.digest or digest is None else replace(pin, digest=digest, why_not="")
