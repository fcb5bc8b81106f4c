"""Builds that no row speaks of: what only a look at the framework's own index would settle.

A row for a release lists all toolkits that it was built for, so what it lacks is not offered. A
release without a row is another matter: that nobody wrote it down is no proof that it is not there.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from packaging.version import Version

from mlenv.plan.candidate import Candidate, on_own_index

if TYPE_CHECKING:
    from mlenv.catalog.load import Catalog
    from mlenv.catalog.rows import Variant
    from mlenv.cuda import Cuda
    from mlenv.plan.candidate import Build

UNREAD = "no row speaks of it"


def surmised(
    build: Build, toolkit: Cuda | None, *, catalog: Catalog, architecture: str
) -> Candidate | None:
    """Return the build as the framework's own index may serve it; None where it surely does not.

    What was read off the index is whole, and leaves nothing to surmise.
    """
    row = build.row
    if toolkit is None or row.index is None or row.name in catalog.indexed:
        return None
    if catalog.variants(row.name, build.release.version, architecture)[0]:
        return None
    if not _may_be(row.name, build.release.version.base_version, toolkit, catalog):
        return None
    found = on_own_index(build, toolkit, architecture, catalog, UNREAD)
    return replace(found, surmised=True)


@cache
def _may_be(framework: str, version: str, toolkit: Cuda, catalog: Catalog) -> bool:
    """Tell whether a release may have been built for a toolkit, by the rows of its neighbours.

    Makers build a release for the same toolkits whatever the architecture, if they build at all;
    and from release to release the span of toolkits moves forward, never back. A row of less than
    high confidence may lack one, so it bounds no neighbour.
    """
    rows = [row for row in catalog.facts.variant if row.framework == framework]
    own = next((row for row in rows if row.version == version), None)
    if own is not None:
        return toolkit in own.toolkits
    known = {each for row in rows for each in row.toolkits}
    if toolkit not in known and toolkit < max(known, default=toolkit):
        return False  # nobody ever built for it
    sure = sorted((row for row in rows if row.confidence == "high"), key=_version)
    older = [row for row in sure if _version(row) < Version(version)]
    newer = [row for row in sure if _version(row) > Version(version)]
    return (not older or toolkit >= min(older[-1].toolkits)) and (
        not newer or toolkit <= max(newer[0].toolkits)
    )


def _version(row: Variant) -> Version:
    return Version(row.version)
