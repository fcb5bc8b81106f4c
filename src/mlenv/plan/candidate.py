"""The builds of a framework: one release, for one toolkit, from one index.

A build is known by what its wheels and the wheels it cannot do without say: tags, glibc, the
CUDA packages they pin, the GPU code they hold. What nothing says stays unknown, never assumed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from mlenv.cuda import Cuda
from mlenv.plan.toolkits import METAPACKAGE, cuda_major

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlenv.catalog.load import Catalog
    from mlenv.catalog.rows import FrameworkRow, Metadata, Release, VersionedRelease
    from mlenv.cuda import Code

DEFAULT = "default"
"""The channel of the index that uv uses when none is named."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Build:
    """One release of a framework's package, on one architecture, with what it pulls along.

    It is made once per catalog, and equal to itself alone: what is asked of it is remembered.
    """

    row: FrameworkRow
    major: int | None
    """The toolkit major whose package and extra this is; None without CUDA."""
    release: VersionedRelease
    parts: tuple[tuple[VersionedRelease, ...], ...]
    """The release, and for each catalogued package that it needs the releases that will do."""
    pins: Mapping[str, str] = field(default_factory=dict)
    """CUDA package -> the specifier that the parts put on it, comma-joined."""
    built_for: str | None = None
    """``12.8``, ``12``, ``cpu``, or None where no wheel says."""
    extra_missing: str | None = None
    """The extra that should bring the CUDA libraries, where the release does not have it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """A build as one channel serves it for one toolkit."""

    build: Build
    toolkit: Cuda | None
    channel: str
    """``default``, or the alias of the framework's own index: ``pytorch-cu126``."""
    known: bool
    """Whether its CUDA pins are those of the wheel this channel serves."""
    code: tuple[Code, ...]
    source: str
    surmised: bool = False
    """Whether nobody read that the channel has it: no row speaks of this release there."""

    @property
    def version(self) -> str:
        """The version of the framework's package."""
        return self.build.release.text


def builds(
    row: FrameworkRow, major: int | None, *, catalog: Catalog, architecture: str, until: str
) -> tuple[Build, ...]:
    """Return every catalogued build of a framework for a toolkit major, oldest first."""
    return _builds(row.name, major, catalog, architecture, until)


@cache
def _builds(
    name: str, major: int | None, catalog: Catalog, architecture: str, until: str
) -> tuple[Build, ...]:
    row = catalog.frameworks[name]
    package = row.package(major)
    if package is None:
        return ()
    return tuple(
        _build(row, major, each, catalog, architecture)
        for each in catalog.releases(package)
        if each.release.date <= until
    )


def _build(
    row: FrameworkRow,
    major: int | None,
    release: VersionedRelease,
    catalog: Catalog,
    architecture: str,
) -> Build:
    extra = row.extra.get(str(major), "")
    pins: dict[str, list[str]] = {}
    parts: dict[str, tuple[VersionedRelease, ...]] = {}
    missing = None
    waiting: list[tuple[tuple[VersionedRelease, ...], str]] = [((release,), extra)]
    while waiting:
        alternatives, wanted = waiting.pop()
        part = alternatives[-1]
        parts[part.name] = alternatives
        if len(alternatives) > 1:  # which of them is the solver's choice, and what that one pins
            continue
        said = metadata(part.release, architecture)
        if wanted and _extra(said, wanted) is None:
            missing = wanted if part is release else missing
        for name, extras, specifier in _requires(said, wanted):
            if name == METAPACKAGE or cuda_major(name, catalog) is not None:
                pins.setdefault(name, []).append(specifier)
            elif name not in parts and (found := _fitting(catalog, name, specifier)):
                waiting.append((found, extras))
    own = metadata(release.release, architecture)
    return Build(
        row=row,
        major=major,
        release=release,
        parts=tuple(parts.values()),
        pins={name: ",".join(s for s in each if s != "*") for name, each in pins.items()},
        built_for=own.built_for if own else None,
        extra_missing=missing,
    )


def metadata(release: Release, architecture: str) -> Metadata | None:
    """Return what a release's wheel for ``architecture`` says."""
    return release.metadata.get(architecture) or release.metadata.get("any")


def _requires(said: Metadata | None, extra: str) -> Iterator[tuple[str, str, str]]:
    if said is None:
        return
    wanted = {**said.requires, **(_extra(said, extra) or {})}
    for text, specifier in wanted.items():
        name, _, extras = text.partition("[")
        yield canonicalize_name(name), canonicalize_name(extras.rstrip("]")), specifier


def _extra(said: Metadata | None, wanted: str) -> Mapping[str, str] | None:
    # PEP 685: "tools MUST normalize the names being compared": with_cuda and with-cuda of jax 0.5
    extras = said.extras if said else {}
    return {str(canonicalize_name(name)): each for name, each in extras.items()}.get(wanted)


@cache
def _fitting(catalog: Catalog, name: str, specifier: str) -> tuple[VersionedRelease, ...]:
    allowed = SpecifierSet("" if specifier == "*" else specifier)
    return tuple(r for r in catalog.releases(name) if allowed.contains(r.version))


def candidates(
    build: Build, toolkit: Cuda | None, *, catalog: Catalog, architecture: str
) -> tuple[Candidate, ...]:
    """Return the build as each channel serves it for ``toolkit``: the default index first.

    On an index of its own a framework's wheels are built for linux/amd64 by the curated rows;
    what it serves for other architectures no source here says, so nothing is claimed.
    """
    return _candidates(build, toolkit, catalog, architecture)


@cache
def _candidates(
    build: Build, toolkit: Cuda | None, catalog: Catalog, architecture: str
) -> tuple[Candidate, ...]:
    return tuple(_served(build, toolkit, catalog, architecture))


def _served(
    build: Build, toolkit: Cuda | None, catalog: Catalog, architecture: str
) -> Iterator[Candidate]:
    if _default_serves(build, toolkit):
        code, source = _code(build, toolkit, catalog, architecture)
        yield Candidate(
            build=build,
            toolkit=toolkit,
            channel=DEFAULT,
            known=True,
            code=code,
            source=source or catalog.cited,
        )
    if build.row.index is None:
        return
    if toolkit is None:
        yield on_own_index(build, None, architecture, catalog, build.row.source)
        return
    offered, source = catalog.variants(build.row.name, build.release.version, architecture)
    if toolkit in offered:
        yield on_own_index(build, toolkit, architecture, catalog, source)


def on_own_index(
    build: Build, toolkit: Cuda | None, architecture: str, catalog: Catalog, source: str
) -> Candidate:
    """Return the build as the framework's own index serves it for ``toolkit``."""
    code: tuple[Code, ...] = ()
    if toolkit is not None:
        name, version = build.release.name, build.release.version
        code, said = catalog.code(name, version, toolkit=toolkit, architecture=architecture)
        source = f"{source}; {said}" if said else source
    return Candidate(
        build=build,
        toolkit=toolkit,
        channel=f"{_alias(build.row)}-{toolkit.tag if toolkit else 'cpu'}",
        known=False,
        code=code,
        source=source,
    )


def _alias(row: FrameworkRow) -> str:
    return "pytorch" if row.name == "torch" else row.name


def channel_url(row: FrameworkRow, channel: str) -> str | None:
    """Return the URL of a framework's own index, or None for the default index."""
    if channel == DEFAULT or row.index is None:
        return None
    return row.index.format(tag=channel.removeprefix(f"{_alias(row)}-"))


def _default_serves(build: Build, toolkit: Cuda | None) -> bool:
    if toolkit is None:
        return build.row.index is None or build.built_for == "cpu"
    if build.built_for == "cpu" or build.major != toolkit.major:
        return False
    if build.extra_missing and build.release.name not in build.row.carrier:
        return False
    if build.row.proof and build.built_for is None:
        return False
    return _built_near(build.built_for, toolkit, build.pins)


def _built_near(built_for: str | None, toolkit: Cuda, pins: Mapping[str, str]) -> bool:
    """Tell whether what a wheel was compiled for agrees with the toolkit it is to run on."""
    if built_for is None or not re.fullmatch(r"\d+\.\d+", built_for):
        return True
    own = Cuda.parse(built_for)
    # exact pins bring exactly what it was built for; ranges take newer minors of one major
    return own == toolkit if _is_exact(pins) else own.major == toolkit.major and own <= toolkit


def _is_exact(pins: Mapping[str, str]) -> bool:
    return not pins or any(each.startswith("==") for each in pins.values())


def _code(
    build: Build, toolkit: Cuda | None, catalog: Catalog, architecture: str
) -> tuple[tuple[Code, ...], str]:
    if toolkit is None:
        return (), ""
    names = build.row.carrier or (build.release.name,)
    for alternatives in build.parts:
        if alternatives[-1].name not in names:
            continue
        # which of them comes is the solver's choice: it counts only what all of them say
        found = [_code_of(part, toolkit, catalog, architecture) for part in alternatives]
        if found[-1][0] and all(code == found[-1][0] for code, _ in found):
            return found[-1]
    return (), ""


def _code_of(
    part: VersionedRelease, toolkit: Cuda, catalog: Catalog, architecture: str
) -> tuple[tuple[Code, ...], str]:
    said = metadata(part.release, architecture)
    if said and said.code:
        return said.code, f"{said.file} ({catalog.cited})"
    return catalog.code(part.name, part.version, toolkit=toolkit, architecture=architecture)
