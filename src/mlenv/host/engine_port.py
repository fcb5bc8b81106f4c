"""What mlenv asks of a container engine, as values and one port that every engine answers.

No engine is named or run here. What an engine prints while it builds is given away line by line
and read elsewhere (``imaging.build_log``); only that it broke off is said here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from mlenv.errors import HostError, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from mlenv.host.process import Finished

Network = Literal["default", "host", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One build that is asked of an engine."""

    folder: Path
    """Where the Dockerfile lies, with all that it may read."""
    target: str
    """The stage to build."""
    platform: str
    epoch: int
    """The time of everything in the image, where the engine can set it; seconds."""
    seconds: float
    secrets: Mapping[str, Path] = field(default_factory=dict)
    arguments: Mapping[str, str | None] = field(default_factory=dict)
    """Build arguments; None: the engine takes the value from its own environment."""
    network: Network = "default"
    cache: str | None = None
    """A repository that steps are looked for in, and kept in where the engine can."""
    fresh: bool = False
    """Nothing of an earlier build is used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What came of an order."""

    status: int
    image: str | None
    """Its id; None where the build failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLayer:
    """One layer of an image."""

    diff_id: str
    size: int | None
    """Bytes, unpacked; None where the engine does not tell."""
    made_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """An image as an engine holds it."""

    image: str
    size: int
    """Bytes, unpacked, of all layers."""
    platform: str
    layers: tuple[ImageLayer, ...]
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    user: str
    history: tuple[str, ...]
    digests: tuple[str, ...]
    """``name@sha256:...`` of the registries that it was pulled from or pushed to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One program to run inside an image."""

    image: str
    argv: tuple[str, ...]
    text: str
    """What it reads on its standard input."""
    user: str
    seconds: float


class Engine(Protocol):
    """A container engine on this machine."""

    @property
    def name(self) -> str:
        """``docker``, ``podman`` or ``buildah``."""
        ...

    @property
    def version(self) -> str:
        """The version of what builds."""
        ...

    @property
    def reproducible(self) -> bool:
        """Whether a build, done again, gives the same bytes."""
        ...

    def build(self, order: Order, line: Callable[[str], None]) -> Made:
        """Build without a tag; each line of the log goes to ``line``.

        Raises:
            HostError: ``tool-timeout``, ``disk-failed``, ``engine-failed``.
        """
        ...

    def answers(self) -> bool:
        """Tell whether the engine still lives."""
        ...

    def load(self, archive: Path) -> str:
        """Read an image from a file of ``docker save``'s kind; return its id.

        Raises:
            HostError: ``engine-failed``.
        """
        ...

    def tag(self, image: str, name: str) -> None:
        """Give an image a name.

        Raises:
            HostError: ``engine-failed``.
        """
        ...

    def push(self, name: str, progress: Callable[[str], None]) -> str:
        """Push what ``name`` names to its registry; return the digest of its manifest there.

        Raises:
            HostError: ``engine-failed``.
        """
        ...

    def inspect(self, image: str) -> ImageFacts | None:
        """Return the facts of an image; None where there is none of that name.

        Raises:
            HostError: ``engine-failed``.
        """
        ...

    def digest(self, reference: str) -> str | None:
        """Return the digest that ``reference`` has in its registry; None where it is not known.

        Raises:
            HostError: ``engine-failed``.
        """
        ...

    def run(self, trial: Trial) -> Finished:
        """Run a program in an image: no network, nothing to write to but /tmp, no rights.

        Raises:
            HostError: ``tool-timeout``, ``engine-failed``.
        """
        ...

    def remove(self, image: str) -> None:
        """Take a name, or an image that has none, away; no error where there is none.

        Raises:
            HostError: ``engine-failed``.
        """
        ...

    def prune(self, label: str) -> int:
        """Remove the images that have ``label`` and no name; return the bytes that are free now.

        Raises:
            HostError: ``engine-failed``.
        """
        ...


def failed(what: str, cause: str, fix: str) -> HostError:
    """Return the error of an engine that broke off, or would not."""
    return HostError(Reason(code="engine-failed", what=what, cause=cause, fix=fix))


def checked(done: Finished, what: str) -> Finished:
    """Return ``done`` where it went well.

    Raises:
        HostError: ``engine-failed``, with the last line that the engine said.
    """
    if done.status == 0:
        return done
    said = (done.stderr.strip() or done.stdout.strip() or f"status {done.status}").splitlines()
    fix = "see what the engine says about it, then try again"
    raise failed(f"{done.argv[0].rpartition('/')[2]} could not {what}", said[-1].strip(), fix)


_NO_LAYER = re.compile(
    r"(ENV|LABEL|ARG|USER|CMD|ENTRYPOINT|EXPOSE|VOLUME|STOPSIGNAL|SHELL|HEALTHCHECK|ONBUILD"
    r"|MAINTAINER)\b"
)
_SHELL = re.compile(r"^(/bin/sh -c )?(#\(nop\)\s*)?(RUN /bin/sh -c )?")


def layers(
    diff_ids: Sequence[str], steps: Sequence[tuple[str, int | None]]
) -> tuple[ImageLayer, ...]:
    """Return the layers of an image, each with the step that made it.

    Args:
        diff_ids: of the layers, lowest first.
        steps: instruction and size of each entry of the history, oldest first.
    """
    short = [(_SHELL.sub("", text).strip(), size) for text, size in steps]
    filled = [each for each in short if each[1] or not _NO_LAYER.match(each[0])]
    if len(filled) != len(diff_ids):
        filled = [each for each in short if each[1]]
    if len(filled) != len(diff_ids):  # the history is somebody else's, and tells nothing
        filled = [("", None)] * len(diff_ids)
    return tuple(
        ImageLayer(diff_id=diff_id, size=size, made_by=text)
        for diff_id, (text, size) in zip(diff_ids, filled, strict=True)
    )


def variables(lines: Sequence[str] | None) -> dict[str, str]:
    """Return ``NAME=TEXT`` lines as a mapping."""
    return dict(each.split("=", 1) for each in lines or () if "=" in each)
