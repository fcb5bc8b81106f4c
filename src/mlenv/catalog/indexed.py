"""The toolkits that a framework's own index has builds for: read off its pages, one per variant.

Pure. A page that does not exist offers nothing; a page that could not be read settles nothing, and
then the curated rows stand.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from mlenv.catalog import scan
from mlenv.cuda import Cuda

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlenv.catalog.load import Catalog
    from mlenv.simple import Published

Offers = dict[str, dict[str, list[str]]]
"""Version -> architecture -> toolkits, ascending."""

_MINOR = re.compile(r"\d{2}\.\d{1,2}(?=\.|$)", re.ASCII)


def toolkits(framework: str, former: Catalog, released: Iterable[str]) -> tuple[Cuda, ...]:
    """Return the toolkits whose pages are worth asking for, newest first.

    Args:
        framework: its name.
        former: knows the variants there were.
        released: versions of the ``cuda-toolkit`` metapackage; those newer than all known count.
    """
    known = {
        each for row in former.facts.variant if row.framework == framework for each in row.toolkits
    }
    for row in former.indexed.get(framework, {}).values():
        known |= {Cuda.parse(each) for of in row.values() for each in of}
    minors = {found[0] for each in released if (found := _MINOR.match(each))}
    newest = max(known, default=Cuda.parse("11.0"))
    known |= {cuda for each in minors if (cuda := Cuda.parse(each)) > newest}
    return tuple(sorted(known, reverse=True))


def offers(pages: Mapping[Cuda, Iterable[Published]]) -> Offers:
    """Return what the pages of a package, one for each toolkit, offer to Linux."""
    found: dict[str, dict[str, set[Cuda]]] = defaultdict(lambda: defaultdict(set))
    for toolkit, files in pages.items():
        for each in scan.wheels(files):
            version = each.file.version
            if version.is_prerelease or version.local != toolkit.tag or each.file.yanked:
                continue
            for architecture in _architectures(each.architecture):
                found[version.base_version][architecture].add(toolkit)
    return {
        version: {key: [str(each) for each in sorted(of[key])] for key in sorted(of)}
        for version, of in sorted(found.items())
    }


def _architectures(architecture: str) -> tuple[str, ...]:
    return scan.ARCHITECTURES if architecture == "any" else (architecture,)
