"""What a base image is, read off its layers: its glibc, its Pythons, its users, its shell.

Nothing of the image runs here, and nothing of it is written to the disk but these facts, by the
digest of the image's manifest. What can run the image's own Python is in ``interpreter``.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import TYPE_CHECKING

from mlenv.errors import HostError, Reason
from mlenv.host import disk
from mlenv.host.overlay import Overlay
from mlenv.host.tarball import BrokenError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mlenv.host.tarball import Stream

FILE_BYTES = 128 << 20
"""Of a file that is looked into, part by part: a Python with all its symbols has a quarter."""
TEXT_BYTES = 16 << 20
"""Of a file that is read whole: the list of a distribution's packages."""
MATCHES = 16
"""A file that says more versions than this says none."""
_SCHEMA = 1

_LIBC = re.compile(r"(?:usr/)?lib(?:64)?(?:/[a-z0-9_]+-linux-gnu)?/libc(?:\.so\.6|-2\.\d+\.so)")
_MUSL = re.compile(r"(?:usr/)?lib/ld-musl-[a-z0-9_]+\.so\.1")
_GNU = re.compile(rb"GNU C Library [^\n]{0,80} release version (2\.\d{1,3})")
_STATUS, _PASSWD, _GROUP = "var/lib/dpkg/status", "etc/passwd", "etc/group"
_EMBEDDED = re.compile(rb"\0(3\.\d{1,2}\.\d{1,3}(?:(?:a|b|rc)\d{1,2})?\+?)\0")
_PATCH = re.compile(rb'^#define PY_VERSION\s+"([0-9a-z.+]{1,20})"', re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RootFacts:
    """What is known of the root file system of an image."""

    python: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)
    """``3.12`` -> its path in the image, and its full version where the files say it."""
    glibc: str | None
    """``2.36``; None where there is none."""
    musl: bool
    """Whether it has the C library that no wheel of a framework is built for."""
    passwd: str | None
    group: str | None
    shell: bool
    """Whether there is ``/bin/sh``."""
    sizes: tuple[int, ...]
    """The bytes of each layer, unpacked."""


def unusable(image: str, cause: str, fix: str = "name another base image") -> HostError:
    """Return what is said of an image that nothing can be built on."""
    return HostError(
        Reason(
            code="base-unusable",
            what=f"{image} cannot be the base of this image",
            cause=cause,
            fix=fix,
        )
    )


def read_facts(layers: Sequence[Path], *, image: str = "the base image") -> RootFacts:
    """Return what the layers of an image say, the lowest first in ``layers``.

    Raises:
        HostError: ``base-unusable``: a layer is damaged, or goes beyond the limits;
            ``disk-failed``.
    """
    try:
        return _facts(Overlay(layers))
    except BrokenError as error:
        raise unusable(image, f"a layer of it cannot be read: {error}") from error
    except OSError as error:
        raise disk.failed(layers[0] if layers else disk.cache_folder(), error) from error


def known_facts(
    digest: str, layers: Callable[[], Sequence[Path]], *, folder: Path, image: str
) -> RootFacts:
    """Return the facts of the image with that manifest, from ``folder`` where they lie there.

    Args:
        digest: of the manifest: the same digest has the same layers for ever.
        layers: fetches the layers; called only where the facts are not known.
        folder: of the cache.
        image: what errors call it.

    Raises:
        HostError: as ``read_facts``.
    """
    place = folder / "rootfs" / f"{digest.removeprefix('sha256:')}.json"
    if place.is_file() and (kept := _kept(disk.contents(place))) is not None:
        return kept
    found = read_facts(layers(), image=image)
    text = json.dumps({"schema": _SCHEMA, **asdict(found)}, sort_keys=True)
    disk.write(place, text, durable=False)
    return found


def _kept(data: bytes) -> RootFacts | None:
    try:
        words = json.loads(data)
        if words.pop("schema") != _SCHEMA:
            return None
        words["python"] = {key: (path, full) for key, (path, full) in words["python"].items()}
        words["sizes"] = tuple(words["sizes"])
        return RootFacts(**words)
    except (ValueError, TypeError, KeyError, AttributeError):  # of an older mlenv, or damaged
        return None


def _facts(overlay: Overlay) -> RootFacts:
    pythons = _pythons(overlay)
    libraries = [each for each in overlay.nodes if _LIBC.fullmatch(each)]
    headers = [_header(name, real) for name, (_, real) in pythons.items()]
    found = _Found(
        overlay,
        {
            **dict.fromkeys(libraries, _GNU),
            **dict.fromkeys(headers, _PATCH),
            **dict.fromkeys((real for _, real in pythons.values()), _EMBEDDED),
            **dict.fromkeys((_STATUS, _PASSWD, _GROUP), None),
        },
    )
    packages = _packages(found.text(_STATUS) or "")
    return RootFacts(
        python={
            name: (f"/{path}", _full(name, real, found, packages))
            for name, (path, real) in sorted(pythons.items())
        },
        glibc=_glibc(packages, [match for each in libraries for match in found.matches(each)]),
        musl=any(_MUSL.fullmatch(each) for each in overlay.nodes),
        passwd=found.text(_PASSWD),
        group=found.text(_GROUP),
        shell=overlay.file("bin/sh") is not None,
        sizes=overlay.sizes,
    )


def _pythons(overlay: Overlay) -> dict[str, tuple[str, str]]:
    """Return ``3.12`` -> its path and where that leads to; /usr/local comes first on every PATH."""
    paths = sorted(overlay.nodes.keys() & set(_python_paths()), key=lambda each: "local" in each)
    return {
        path.rpartition("/python")[2]: (path, real)
        for path in paths
        if (real := overlay.file(path)) is not None
    }


def _python_paths() -> Iterator[str]:
    for folder, minor, threads in product(("usr/bin", "usr/local/bin"), range(100), ("", "t")):
        yield f"{folder}/python3.{minor}{threads}"


def _header(name: str, real: str) -> str:
    return f"{real.rpartition('/bin/')[0]}/include/python{name}/patchlevel.h"


def _full(name: str, real: str, found: _Found, packages: Mapping[str, str]) -> str | None:
    """Return the full version of a Python: what its headers, its package or it itself says."""
    of_package = packages.get(f"python{name}-minimal") if real.startswith("usr/bin/") else None
    embedded = found.matches(real)
    said = [*found.matches(_header(name, real)), of_package or "", *embedded]
    own = [each for each in said if re.match(rf"{re.escape(name.rstrip('t'))}\.\d", each)]
    return own[0] if own else None


def _glibc(packages: Mapping[str, str], said: Sequence[str]) -> str | None:
    version = packages.get("libc6", "")
    found = re.match(r"2\.\d{1,3}", version)
    return found[0] if found else min(said, default=None)


def _packages(status: str) -> dict[str, str]:
    """Return name -> upstream version of the Debian packages that are asked about here."""
    rows = re.finditer(r"^Package: (libc6|python3\.\d+-minimal)\n((?:.+\n)*)", status, re.MULTILINE)
    return {
        row[1]: version[1]
        for row in rows
        if (version := re.search(r"^Version: (?:\d+:)?([0-9a-z.]+)", row[2], re.MULTILINE))
        and "\nStatus: install ok installed\n" in f"\n{row[2]}"
    }


class _Found:
    """What was read of an image's files: matches of a pattern, or a small text."""

    def __init__(self, overlay: Overlay, wanted: Mapping[str, re.Pattern[bytes] | None]) -> None:
        """Read each of ``wanted``: where it has no pattern, as a text."""
        self._overlay = overlay
        self._matches: dict[str, tuple[str, ...]] = {}
        self._texts: dict[str, str] = {}
        self._patterns = {
            real: pattern
            for path, pattern in wanted.items()
            if (real := overlay.file(path)) and overlay.nodes[real].size <= FILE_BYTES
        }
        overlay.contents(self._patterns, self._read)

    def matches(self, path: str) -> tuple[str, ...]:
        """Return what the pattern of ``path`` found."""
        return self._matches.get(self._overlay.file(path) or "", ())

    def text(self, path: str) -> str | None:
        """Return the text of ``path``; None where there is none."""
        return self._texts.get(self._overlay.file(path) or "")

    def _read(self, names: tuple[str, ...], stream: Stream) -> None:
        pattern = self._patterns[names[0]]
        if pattern is None:
            text = stream.read(TEXT_BYTES).decode("utf-8", "replace")
            self._texts.update(dict.fromkeys(names, text))
        else:
            found = tuple(sorted(_searched(stream, pattern)))
            self._matches.update(dict.fromkeys(names, found))


def _searched(stream: Stream, pattern: re.Pattern[bytes]) -> set[str]:
    found, kept = set[str](), b""
    while data := stream.read():
        window = kept + data
        found |= {each[1].decode("ascii", "replace") for each in pattern.finditer(window)}
        kept = window[-256:]
    return found if len(found) < MATCHES else set()
