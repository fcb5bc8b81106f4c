"""What a conda channel says of a package, as a value: one record of its repodata.

Nothing is asked and nothing is solved here; a field that the channel leaves out is None.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Subdir = Literal["linux-64", "linux-aarch64"]

SUBDIRS: Mapping[str, Subdir] = {"linux/amd64": "linux-64", "linux/arm64": "linux-aarch64"}
"""Platform -> the folder of a channel that is for it; ``noarch`` is beside both."""

ALIAS = "https://conda.anaconda.org"
"""Where a channel lies that is named without an address (conda's ``channel_alias``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One build of a package."""

    name: str
    version: str
    build: str
    subdir: Literal["linux-64", "linux-aarch64", "noarch"]
    filename: str
    channel: str
    """The address of its channel, without a slash at the end."""
    md5: str | None
    sha256: str | None
    size: int | None
    depends: tuple[str, ...]
    constrains: tuple[str, ...]

    @property
    def url(self) -> str:
        """Where its file lies."""
        return f"{self.channel}/{self.subdir}/{self.filename}"

    def needs(self) -> frozenset[str]:
        """Return the names of what it depends on."""
        return frozenset(requirement_name(each) for each in self.depends)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked of a conda solver; all of it is told, nothing is read off this machine."""

    channels: tuple[str, ...]
    """Their addresses, in strict priority."""
    subdir: Subdir
    specs: tuple[str, ...]
    """Match specs of what is to be there: ``pytorch 2.8.* *cuda*``."""
    bounds: tuple[str, ...]
    """Match specs of what is to hold where such a package is there."""
    virtual: tuple[tuple[str, str], ...]
    """(virtual package, version or ``version build``): ``("__cuda", "12.8")``."""
    until: str | None
    """Nothing uploaded after this is seen: RFC 3339, UTC."""


def requirement_name(text: str) -> str:
    """Return the package that a match spec is about: ``libtorch`` of ``libtorch 2.8.0 cuda*``."""
    return text.split(maxsplit=1)[0].rpartition("::")[2].lower()


def address(channel: str) -> str:
    """Return the address of a channel that a spec names by name or address."""
    return channel.rstrip("/") if "://" in channel else f"{ALIAS}/{channel}"


def aliases(channels: Sequence[str]) -> Mapping[str, str]:
    """Return address -> alias of channels: what ``mlenv.lock`` and a layer's file call them.

    ``conda-forge`` and ``https://conda.corp.example/a/ml`` are ``conda-forge`` and ``ml``; of two
    alike the second is ``ml-2``.
    """
    found: dict[str, str] = {}
    for each in channels:
        own = each.rstrip("/").rpartition("/")[2] if "://" in each else each
        plain = re.sub(r"[^a-z0-9]+", "-", own.lower()).strip("-")[:24]
        plain = plain if re.match(r"[a-z]", plain) and plain != "default" else f"channel-{plain}"
        taken = sum(known == plain or known.startswith(f"{plain}-") for known in found.values())
        found[address(each)] = f"{plain}-{taken + 1}" if taken else plain
    return found
