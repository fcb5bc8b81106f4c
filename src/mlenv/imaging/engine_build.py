"""The engine route: an engine builds the image from the folder's own Dockerfile.

What the build needs of this machine's network goes in as secrets, and is gone from the disk
before this returns. The image gets its tag when it is whole, and not before: a build that is
stopped, or fails, moves no name.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlenv.errors import ImageError, MlenvError, Reason
from mlenv.host import disk, tools
from mlenv.host.build_secrets import loops_back, proxies, write_secrets
from mlenv.host.engine_port import Network, Order, failed
from mlenv.image.dockerfile import EPOCH
from mlenv.imaging.build_causes import Cause, cause, short, without_login
from mlenv.imaging.build_log import BuildLog
from mlenv.solve.index import default_index

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mlenv.host.engine_port import Engine, ImageLayer
    from mlenv.imaging.build_log import Progress

_HOURS = 4 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineWish:
    """What is to be built, and how."""

    folder: Path
    """With a Dockerfile and ``layers/``."""
    platform: str
    variant: str = "runtime"
    tags: tuple[str, ...] = ()
    ca_cert: Path | None = None
    """Certificates of a network that opens TLS; None: those that this machine's variables name."""
    indexes: Mapping[str, str] = field(default_factory=dict)
    """Alias -> URL of the indexes that the lock names."""
    channels: tuple[str, ...] = ()
    """The addresses of the conda channels that the lock names."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    """Further build arguments, such as BASE_IMAGE."""
    secrets: Mapping[str, Path] = field(default_factory=dict)
    """Further files that steps may read, such as ``apt-sources``; none stays in a layer."""
    cache: str | None = None
    """A repository that keeps the steps of builds."""
    network: Network | None = None
    """None: the host's where an index or a proxy is on its loopback."""
    fresh: bool = False
    seconds: float = _HOURS


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """An image that an engine has built."""

    engine: str
    image: str
    """The engine's id of it."""
    digest: str | None
    """Of its manifest in a registry; None until it is pushed."""
    size: int
    """Bytes, unpacked."""
    layers: tuple[ImageLayer, ...]
    seconds: float
    reproducible: bool
    """Whether another build gives the same bytes."""


def build(
    engine: Engine,
    wish: EngineWish,
    *,
    progress: Callable[[Progress], None],
    log: Callable[[str], None],
) -> Built:
    """Build the image of a folder; ``log`` gets each line that the engine prints.

    Raises:
        ImageError: ``image-failed``: a step failed; with its last lines, and the likely cause.
        HostError: ``engine-failed``: the engine broke off, or its disk is full; ``disk-failed``,
            ``tool-timeout``, ``network-failed`` (uv names no index).
    """
    dockerfile = disk.text(wish.folder / "Dockerfile")
    read = BuildLog(dockerfile, wish.variant)

    def line(raw: str) -> None:
        text = without_login(raw)
        log(text)
        found = read.feed(text)
        if found is not None:
            progress(found)

    start = time.monotonic()
    with tools.scratch() as scratch:
        made = engine.build(_order(wish, scratch), line)
    facts = engine.inspect(made.image) if made.image else None
    if facts is None:
        raise _failed(engine, read, made.status)
    for each in wish.tags:
        engine.tag(facts.image, each)
    return Built(
        engine=f"{engine.name} {engine.version}",
        image=facts.image,
        digest=None,
        size=facts.size,
        layers=facts.layers,
        seconds=time.monotonic() - start,
        reproducible=engine.reproducible,
    )


def _order(wish: EngineWish, scratch: Path) -> Order:
    default = default_index()
    secrets = write_secrets(
        scratch,
        ca_cert=wish.ca_cert,
        default_index=default,
        indexes=wish.indexes,
    )
    near = loops_back((default, *wish.indexes.values(), *wish.channels))
    return Order(
        folder=wish.folder,
        target=wish.variant,
        platform=wish.platform,
        epoch=EPOCH,
        seconds=wish.seconds,
        secrets={**secrets, **wish.secrets},
        arguments={**dict.fromkeys(proxies()), **wish.arguments},
        network=wish.network or ("host" if near else "default"),
        cache=wish.cache,
        fresh=wish.fresh,
    )


def _failed(engine: Engine, read: BuildLog, status: int) -> MlenvError:
    found = cause((*read.tail(), *read.last_lines()))
    if not found.broke and not engine.answers():
        found = Cause(
            cause="its daemon does not answer any more",
            fix="start it again, then try again; what it has built is kept",
            broke=True,
        )
    if found.broke:
        return failed(f"{engine.name} broke off at {read.failed.name}", found.cause, found.fix)
    return _step_failed(read, found, status)


def _step_failed(read: BuildLog, found: Cause, status: int) -> ImageError:
    lines = "\n".join(f"           | {short(each)}" for each in read.last_lines())
    return ImageError(
        Reason(
            code="image-failed",
            what=f"the image could not be built: {read.failed.name} failed (status {status})",
            cause=f"{found.cause}\n{lines}" if lines else found.cause,
            fix=found.fix,
        )
    )
