"""What a machine offers an environment: interpreter, platform, glibc, driver. Values only.

Nothing here looks at the machine that runs mlenv; a target is what the spec says it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal, Self

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

Platform = Literal["linux/amd64", "linux/arm64"]

ARCHITECTURES: dict[Platform, str] = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
"""Platform -> the name that wheel tags and markers use."""


@dataclass(frozen=True, slots=True, order=True)
class Python:
    """A CPython minor, such as ``3.12`` or the free-threaded ``3.14t``."""

    minor: int
    free_threaded: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return ``3.12`` or ``3.14t`` as a value.

        Raises:
            ValueError: it is neither, or no CPython 3.
        """
        found = re.fullmatch(r"3\.(0|[1-9]\d?)(t?)", text, re.ASCII)
        if not found:
            raise ValueError(f"{text!r} is no Python such as 3.12 or 3.14t")
        return cls(int(found[1]), bool(found[2]))

    @property
    def abi(self) -> str:
        """The ABI tag of its extension modules, ``cp312`` or ``cp314t``."""
        return f"cp3{self.minor}{'t' if self.free_threaded else ''}"

    @property
    def short(self) -> str:
        """Its version without the ``t``: ``3.14``."""
        return f"3.{self.minor}"

    def __str__(self) -> str:
        """Return ``3.14t``."""
        return f"{self.short}{'t' if self.free_threaded else ''}"


@dataclass(frozen=True, slots=True, order=True)
class Glibc:
    """A glibc version, such as 2.31."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return ``2.31`` as a value.

        Raises:
            ValueError: it is no glibc version.
        """
        found = re.fullmatch(r"(2)\.(0|[1-9]\d?)", text, re.ASCII)
        if not found:
            raise ValueError(f"{text!r} is no glibc version such as 2.31")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        """Return ``2.31``."""
        return f"{self.major}.{self.minor}"


@dataclass(frozen=True, slots=True)
class Prefix:
    """A version prefix: ``12`` covers every 12.x, ``12.8`` every 12.8.x."""

    parts: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return ``12.8`` as a value.

        Raises:
            ValueError: it is not numbers with dots between them.
        """
        if not re.fullmatch(r"\d{1,9}(\.\d{1,9}){0,4}", text, re.ASCII):
            raise ValueError(f"{text!r} is no version prefix such as 12.8")
        return cls(tuple(int(each) for each in text.split(".")))

    def covers(self, version: Version) -> bool:
        """Tell whether ``version`` begins with this prefix."""
        release = version.release + (0,) * len(self.parts)
        return release[: len(self.parts)] == self.parts

    def __str__(self) -> str:
        """Return ``12.8``."""
        return ".".join(map(str, self.parts))


@dataclass(frozen=True, slots=True)
class Drivers:
    """All the drivers that the machines of a target have: a PEP 440 specifier."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return ``>=535`` as a value.

        Raises:
            ValueError: it is no specifier over driver versions.
        """
        try:
            specifier = SpecifierSet(text)
        except InvalidSpecifier as error:
            raise ValueError(f"{text!r} is no driver specifier such as >=535") from error
        if not text.strip() or any(each.operator in {"!=", "==="} for each in specifier):
            raise ValueError(f"{text!r} gives no range of drivers such as >=535")
        return cls(text)

    @property
    def lowest(self) -> Version | None:
        """The oldest driver of the range; None where the range is open below."""
        text = self.lowest_text
        return driver(text) if text else None

    @property
    def lowest_text(self) -> str | None:
        """The oldest driver as it was written: ``450.80.02``, which PEP 440 reads as 450.80.2."""
        return _lowest(self.text)

    @property
    def newest_branch(self) -> int | None:
        """The newest driver branch (``580``) of the range; None where it is open above."""
        return _newest_branch(self.text)

    def __str__(self) -> str:
        """Return the specifier as it was written."""
        return self.text


@cache
def _lowest(text: str) -> str | None:
    bounds = [
        each.version.removesuffix(".*")
        for each in SpecifierSet(text)
        if each.operator in {">=", ">", "==", "~="}
    ]
    return max(bounds, key=driver, default=None)


@cache
def _newest_branch(text: str) -> int | None:
    bounds = []
    for each in SpecifierSet(text):
        version = Version(each.version.removesuffix(".*"))
        if each.operator == "<" and not any(version.release[1:]):
            bounds.append(version.major - 1)
        elif each.operator in {"<", "<=", "==", "~="}:
            bounds.append(version.major)
    return min(bounds, default=None)


@cache
def driver(text: str) -> Version:
    """Return a driver version such as ``450.80.02`` as a comparable value.

    Raises:
        ValueError: it is none.
    """
    try:
        return Version(text)
    except InvalidVersion as error:
        raise ValueError(f"{text!r} is no driver version such as 535.54.03") from error
