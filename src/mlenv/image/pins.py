"""What is known of the images that a recipe starts from: their digests, and the base's config.

Values, and what they mean for a plan. Who asks a registry is ``imaging.pinning``; a lock that lies
there keeps what it has.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mlenv.errors import Reason, StackError
from mlenv.host.rootfs import unusable
from mlenv.image.demand import parse_demand, shut

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlenv.catalog.load import Catalog
    from mlenv.plan.model import Plan

UV_IMAGE = "ghcr.io/astral-sh/uv"
REPIN = "mlenv update --only base"

_VERSION = re.compile(r"3\.\d{1,2}\.\d{1,3}[0-9a-z.+]{0,10}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What the config of a base image says."""

    platform: str
    """``linux/amd64``; a variant is left out."""
    python: str | None = None
    """In full: PYTHON_VERSION of the official images."""
    demand: str = ""
    """NVIDIA_REQUIRE_CUDA; empty where the image says that it is not to be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One image of a recipe."""

    reference: str
    """Without a digest."""
    digest: str | None = None
    """Of what the name leads to: an index, or a manifest."""
    config: Config | None = None
    """None where it was not read."""
    python: str | None = None
    """The full version of its Python, as its config says or said."""
    why_not: str = ""
    """Why there is no digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """The images of a recipe."""

    base: Pin
    uv: Pin

    @property
    def warnings(self) -> tuple[Reason, ...]:
        """What is to be said of those without a digest."""
        return tuple(_not_pinned(each) for each in (self.base, self.uv) if each.digest is None)


class Pinning(Protocol):
    """Who asks for digests: begins at once, and answers when it is asked to."""

    def __call__(self, *, base: str, uv: str, platform: str) -> Callable[[], Pins]:
        """Begin to ask for the images; the function that comes back waits for the answer.

        That function raises ``HostError`` (``base-unusable``) where the base has no image for the
        platform, and nothing else.
        """
        ...


def unasked(*, base: str, uv: str, platform: str) -> Callable[[], Pins]:
    """Answer as a ``Pinning`` that asks nobody."""
    _ = platform
    said = "no registry was asked"
    return lambda: Pins(base=named(base, why_not=said), uv=named(uv, why_not=said))


def named(reference: str, *, why_not: str) -> Pin:
    """Return what is known of an image that nobody told of: a digest where its name has one."""
    name, _, digest = reference.partition("@")
    return Pin(reference=name, digest=digest or None, why_not="" if digest else why_not)


def uv_image(version: str) -> str:
    """Return the image that has that uv."""
    return f"{UV_IMAGE}:{version}"


def read_config(content: bytes) -> Config:
    """Return what the config of an image says.

    Raises:
        ValueError: it is none; the message is a cause.
    """
    try:
        whole = json.loads(content)
        lines = (whole.get("config") or {}).get("Env") or []
        env = dict(str(each).partition("=")[::2] for each in lines)
        platform = f"{whole['os']}/{whole['architecture']}"
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ValueError("its config is no config of an image") from None
    version = env.get("PYTHON_VERSION", "")
    off = env.get("NVIDIA_DISABLE_REQUIRE", "").lower() in {"1", "true"}
    return Config(
        platform=platform,
        python=version if _VERSION.fullmatch(version) else None,
        demand="" if off else env.get("NVIDIA_REQUIRE_CUDA", ""),
    )


def approve(base: Pin, plan: Plan, catalog: Catalog) -> None:
    """Refuse a base whose config says that nothing will come of it.

    Raises:
        HostError: ``base-unusable``: another Python, or another platform.
        StackError: ``base-image-gate``: it does not start on the target's oldest driver.
    """
    if base.config is None:
        return
    stack, config = plan.stack, base.config
    if config.platform != stack.platform:
        cause = f"it is for {config.platform}, and the target is {stack.platform}"
        raise unusable(base.reference, cause, "name a base image, or a platform, that go together")
    wanted = stack.python.short
    if plan.brings_python and config.python and not config.python.startswith(f"{wanted}."):
        own = ".".join(config.python.split(".")[:2])
        raise unusable(
            base.reference,
            f"it has Python {config.python}, and the spec says {stack.python}",
            f'name a base image with Python {wanted}, or set `python = "{own}"`',
        )
    try:
        demand = parse_demand(config.demand)
    except ValueError:  # NVIDIA's own toolkit says so where the image is started
        return
    closed = shut(plan, catalog, demand, image=base.reference, source="the config of that image")
    if closed is not None:
        raise StackError(closed)


def _not_pinned(pin: Pin) -> Reason:
    return Reason(
        code="base-not-pinned",
        what=f"{pin.reference} is named by its tag, which may lead to another image tomorrow",
        cause=pin.why_not,
        fix=f"run `{REPIN}` where its registry can be reached, or name it by its digest",
    )
