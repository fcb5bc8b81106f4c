"""What an image is made of beside its lock, as a value whose every word was checked.

The parser of a spec refuses these things first, and in the user's words. Here they are refused
again, as a ``ValueError``: what gets past a mistake above must still not become an instruction.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from mlenv.machine import Python

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlenv.lock import Lock

_NAME = re.compile(r"[a-z0-9]([a-z0-9_.-]{0,61}[a-z0-9])?")
_BASE = re.compile(
    r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?(:\d{1,5})?(/[a-z0-9]([a-z0-9._-]*[a-z0-9])?)*"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# apt-get reads `name-` as "remove name".
_APT = re.compile(
    r"[a-z0-9][a-z0-9+.-]{0,79}[a-z0-9+.](=([0-9]{1,4}:)?[0-9][A-Za-z0-9.+~-]{0,79})?"
)
_ALIAS = re.compile(r"[a-z][a-z0-9-]{0,30}")
# It stands between single quotes, and the spec refuses the same characters.
_URL = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?(/[^\s\x00-\x20\x7f-\x9f\"'\\$`<>{}|^?#@]*)?")
_CHANNEL = re.compile(
    _URL.pattern.replace("https?://[A-Za-z0-9.-]+", "(https?://[A-Za-z0-9.-]+|file://)")
)
_LABEL = re.compile(r"[a-z0-9]([a-z0-9._/-]*[a-z0-9])?")
_FLOOR = re.compile(r"\d{1,4}(\.\d{1,4}){0,2}")
_TOOL = re.compile(r"[a-z0-9][a-z0-9._-]*==[A-Za-z0-9.!+]+( --hash=sha256:[0-9a-f]{64})+")
_VARIANTS = re.compile("runtime|dev")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What an image is made of beside its lock.

    Raises:
        ValueError: a value is outside its alphabet; none of a parsed spec is.
    """

    name: str
    python: Python
    base: str
    """The base image without a digest."""
    brings_python: bool = True
    """Whether the interpreter is in the base; else the recipe fetches it by its hash."""
    conda: bool = False
    """Whether conda packages make up the environment, the interpreter too."""
    base_digest: str | None = None
    uv_digest: str | None = None
    apt: tuple[str, ...] = ()
    """Debian packages, perhaps with ``=VERSION``, beside those that mlenv needs itself."""
    compile: bool = False
    """A C and C++ compiler in the image."""
    variants: tuple[str, ...] = ("runtime",)
    labels: Mapping[str, str] = field(default_factory=dict)
    indexes: Mapping[str, str] = field(default_factory=dict)
    """Alias -> URL, without credentials; ``pytorch-cuXXX`` is known without."""
    channels: Mapping[str, str] = field(default_factory=dict)
    """Alias -> URL of conda channels, without credentials."""
    gpu: bool
    driver_floor: str | None = None
    """The oldest driver that runs the stack, such as ``525``: not the one its toolkit came with."""
    build_tools: tuple[str, ...] = ()
    """Hash-pinned lines of what the source packages are built with."""

    def __post_init__(self) -> None:
        """Check every value that will stand in the file."""
        _expect(_NAME, self.name)
        if not self.variants:
            raise ValueError("a recipe of no variant")
        _expect(_BASE, self.base)
        _expect(_DIGEST, *_some(self.base_digest), *_some(self.uv_digest))
        _expect(_APT, *self.apt)
        _expect(_VARIANTS, *self.variants)
        _expect(_LABEL, *self.labels)
        _expect(_ALIAS, *self.indexes)
        _expect(_URL, *self.indexes.values())
        _expect(_ALIAS, *self.channels)
        _expect(_CHANNEL, *self.channels.values())
        _expect(_FLOOR, *_some(self.driver_floor))
        _expect(_TOOL, *self.build_tools)


def recipe_of(
    lock: Lock,
    *,
    indexes: Mapping[str, str],
    channels: Mapping[str, str] = MappingProxyType({}),
    build_tools: tuple[str, ...] = (),
) -> Recipe:
    """Return the recipe that stands in a lock.

    Args:
        lock: with a base and an image.
        indexes: alias -> URL, which no lock has.
        channels: likewise of conda channels; only a Dockerfile needs them.
        build_tools: hash-pinned lines of what source packages are built with.

    Raises:
        ValueError: the lock is of no image, or holds what no mlenv wrote.
    """
    image, base = lock.image, lock.base
    if image is None or base is None:
        raise ValueError(f"the lock of {lock.name} is of no image")
    return Recipe(
        name=lock.name,
        python=Python.parse(lock.target.python),
        base=base.reference,
        base_digest=base.digest,
        uv_digest=lock.uv.digest if lock.uv else None,
        brings_python=image.brings_python,
        conda=lock.backend == "conda",
        apt=image.apt,
        compile=image.compile != "none",
        variants=image.variants,
        labels=image.labels,
        indexes=indexes,
        channels=channels,
        gpu=lock.stack.toolkit not in {"cpu", "none"},
        driver_floor=image.driver_floor,
        build_tools=build_tools,
    )


def pinned(reference: str) -> tuple[str, str | None]:
    """Return an image reference as its name and its digest, if it has one."""
    name, _, digest = reference.partition("@")
    return name, digest or None


def _expect(pattern: re.Pattern[str], *values: str) -> None:
    for each in values:
        if not pattern.fullmatch(each):
            raise ValueError(f"{each!r} cannot stand in a Dockerfile here")


def _some(value: str | None) -> tuple[str, ...]:
    return () if value is None else (value,)
