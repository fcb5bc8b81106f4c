"""Where which build of a framework is served: the words for a toolkit that is not offered."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from mlenv.plan.candidate import DEFAULT, builds, candidates
from mlenv.plan.fit import alone
from mlenv.plan.tags import requires_python, takes_python
from mlenv.plan.toolkits import toolkits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlenv.catalog.load import Catalog
    from mlenv.catalog.rows import FrameworkRow, VersionedRelease
    from mlenv.cuda import Cuda
    from mlenv.machine import Python
    from mlenv.plan.candidate import Build, Candidate
    from mlenv.plan.ground import Ground


def channel_words(channel: str) -> str:
    """Return how a channel is called to a person."""
    return "the default index" if channel == DEFAULT else f"the PyTorch index ({channel})"


def toolkits_of(release: VersionedRelease, row: FrameworkRow, ground: Ground) -> tuple[str, ...]:
    """Return the toolkits a release is built for, newest first, own-index ones marked."""
    words = _toolkits(row.name, ground.catalog, ground.architecture, ground.until)
    return words.get(release.text, ())


def newest_for(row: FrameworkRow, ground: Ground) -> tuple[tuple[str, str], ...]:
    """Return (channel in words, newest release) of the toolkits asked for, default index first."""
    every = _every(row.name, ground.catalog, ground.architecture, ground.until)
    return _newest(every, ground.toolkits, ground.stack.python, ground.architecture)


@cache
def _newest(
    every: tuple[Candidate, ...],
    toolkits: tuple[Cuda | None, ...],
    python: Python,
    architecture: str,
) -> tuple[tuple[str, str], ...]:
    found: dict[str, Candidate] = {}
    for candidate in every:
        build = candidate.build
        if candidate.toolkit not in toolkits or not _python_fits(build, python, architecture):
            continue
        kind = DEFAULT if candidate.channel == DEFAULT else "own"
        known = found.get(kind)
        if known is None or known.build.release.version < build.release.version:
            found[kind] = candidate
    ordered = sorted(found.items())
    return tuple((channel_words(each.channel), each.version) for _, each in ordered)


def _python_fits(build: Build, python: Python, architecture: str) -> bool:
    return requires_python(build, python) and takes_python(build, python, architecture)


@cache
def _toolkits(
    name: str, catalog: Catalog, architecture: str, until: str
) -> Mapping[str, tuple[str, ...]]:
    """Return release -> the toolkits that it is built for, in words."""
    found: dict[str, dict[str, bool]] = {}
    for candidate in _every(name, catalog, architecture, until):
        if candidate.toolkit is not None:
            own = found.setdefault(candidate.version, {})
            text = str(candidate.toolkit)
            own[text] = own.get(text, False) or candidate.channel == DEFAULT
    return {
        release: tuple(t if default else f"{t} (PyTorch index)" for t, default in own.items())
        for release, own in found.items()
    }


@cache
def _every(name: str, catalog: Catalog, architecture: str, until: str) -> tuple[Candidate, ...]:
    return tuple(
        candidate
        for toolkit in toolkits(catalog)
        for build in builds(
            catalog.frameworks[name],
            toolkit.major,
            catalog=catalog,
            architecture=architecture,
            until=until,
        )
        if build.release.release.yanked is None
        for candidate in candidates(build, toolkit, catalog=catalog, architecture=architecture)
        if alone(candidate, catalog, until)
    )
