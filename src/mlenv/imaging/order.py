"""What is asked for an image, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mlenv.host.engine_port import Network
    from mlenv.host.http import Web
    from mlenv.imaging.proof import Proof

NO_ENGINE = "none"
ROUTES = (NO_ENGINE, "docker", "podman", "buildah")
"""What ``--engine`` takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be done with a locked folder."""

    engine: str | None = None
    """``none``: our own assembly; an engine; None: the assembly where it can, else an engine."""
    push: str | None = None
    """Where to push it: ``registry/repository:tag``."""
    output: Path | None = None
    """A ``.tar`` for engines, or a folder in OCI's layout."""
    tag: str | None = None
    """What it is called in the engine; None: the name of the spec."""
    variant: str = "runtime"
    oci: bool = False
    """OCI's media types, and not Docker's."""
    ca_cert: Path | None = None
    cache: str | None = None
    """A repository for the steps of an engine's builds."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    """Of an engine's build, such as UV_IMAGE where a mirror has it."""
    network: Network | None = None
    """Of an engine's build; None: the host's where an index is on its loopback."""
    imports: bool = True
    """Whether every package is imported in it, where an engine holds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What a job works with."""

    web: Web
    cache: Path
    offline: bool
    say: Callable[[str], None]
    """Shows one line of progress."""
    tell: Callable[[str], None]
    """Shows an engine's own words, under ``--verbose``."""
    prove: Callable[[str, str], object] | None = None
    """Looks at an image once its imports went well: the name of the engine, the image there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """One layer of an image."""

    text: str
    digest: str
    """Of the compressed blob; of the unpacked one, where an engine has not told another."""
    size: int | None
    """Bytes to download; None where an engine does not tell."""
    unpacked: int | None
    new: bool | None
    """Whether it was made just now; None where an engine does not tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What came of an order."""

    name: str
    route: str
    """``assembled``, or the engine and its version."""
    base: str
    digest: str | None
    """Of the manifest; None where only an engine holds the image."""
    size: int
    """Bytes: of all blobs where it was assembled, unpacked where an engine built it."""
    layers: tuple[Weight, ...]
    """Ours; the base's are in ``size``."""
    reproducible: bool
    seconds: float
    pushed: str | None = None
    sent: int | None = None
    """Bytes that were uploaded; None where an engine pushed, and does not tell."""
    written: Path | None = None
    loaded: str | None = None
    """The engine that holds it, as ``docker 20.10.24``."""
    tag: str | None = None
    proofs: tuple[Proof, ...] = ()
    notes: tuple[str, ...] = ()
