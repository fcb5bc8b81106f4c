"""The catalog as it is asked: opened once, and turned into rows only where a question falls.

Reading takes a few milliseconds; a package's rows are made and checked when somebody asks for them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion
from pydantic import ValidationError

from mlenv.catalog import kept
from mlenv.catalog.curated import curated
from mlenv.catalog.rows import Facts, Framework, FrameworkRow, Release, VersionedRelease
from mlenv.cuda import Cuda
from mlenv.errors import HostError
from mlenv.host import disk
from mlenv.machine import Glibc

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from packaging.version import Version

    from mlenv.catalog.kept import Document
    from mlenv.catalog.rows import BaseImage, Brand, GpuNames, Variant
    from mlenv.cuda import Arch, Code
    from mlenv.errors import Reason


@dataclass(frozen=True, eq=False)
class Catalog:
    """All facts, and the questions they answer."""

    scanned: str
    """When the metadata was read, RFC 3339."""
    source: str
    raw: Mapping[str, Mapping[str, Any]] = field(repr=False)
    """Package -> version -> row, not yet checked."""
    indexed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    """Framework -> version -> architecture -> toolkits, as the framework's own index shows them."""
    damaged: Reason | None = field(default=None, repr=False)
    """Why the refreshed catalog is not used, where there is one."""
    _made: dict[str, tuple[VersionedRelease, ...]] = field(default_factory=dict, repr=False)

    @cached_property
    def facts(self) -> Facts:
        """The rows that are kept by hand."""
        return Facts.model_validate(curated("facts"))

    @cached_property
    def frameworks(self) -> Mapping[str, FrameworkRow]:
        """Name -> framework row."""
        rows = Framework.model_validate(curated("frameworks")).framework
        return {each.name: each for each in rows}

    @property
    def cited(self) -> str:
        """The source of the scanned rows with its date, as errors show it."""
        return f"published metadata, read {self.scanned[:10]}"

    def releases(self, package: str) -> tuple[VersionedRelease, ...]:
        """Return the final releases of ``package``, ascending; empty if it is not catalogued."""
        name = canonicalize_name(package)
        if name not in self._made:
            try:
                rows = [
                    VersionedRelease(name, text, Release.model_validate(row))
                    for text, row in self.raw.get(name, {}).items()
                ]
            except (ValidationError, InvalidVersion) as error:
                cause = f"a row of {name} is wrong"
                raise HostError(kept.damaged(kept.ROWS, cause)) from error
            self._made[name] = tuple(sorted(rows, key=lambda each: each.version))
        return self._made[name]

    def framework(self, name: str) -> FrameworkRow | None:
        """Return the row of the framework that is called, or installs, ``name``."""
        wanted = canonicalize_name(name)
        if wanted in self.frameworks:
            return self.frameworks[wanted]
        owners = (row for row in self.frameworks.values() if wanted in row.distribution.values())
        return next(owners, None)

    def variants(
        self, framework: str, version: Version, architecture: str = "x86_64"
    ) -> tuple[tuple[Cuda, ...], str]:
        """Return the toolkits on the framework's own index, and the source of that.

        What was read off the index counts before curated rows, which are about x86_64 alone.
        """
        if rows := self.indexed.get(framework):
            found = rows.get(version.base_version, {}).get(architecture, ())
            return tuple(Cuda.parse(each) for each in found), f"its own index, {self.cited}"
        if architecture != "x86_64":
            return (), ""
        row = self._variants.get((framework, version.base_version))
        return (row.toolkits, row.cited) if row else ((), "")

    @cached_property
    def _variants(self) -> Mapping[tuple[str, str], Variant]:
        return {(row.framework, row.version): row for row in self.facts.variant}

    def code(
        self, package: str, version: Version, *, toolkit: Cuda | None, architecture: str
    ) -> tuple[tuple[Code, ...], str]:
        """Return curated GPU code of a wheel and its source; empty where nobody knows."""
        for row in self.facts.code:
            if (
                row.package == package
                and row.architecture == architecture
                and (not row.toolkits or toolkit in row.toolkits)
                and version in SpecifierSet(row.versions)
            ):
                return row.code, row.cited
        return (), ""

    def gpu(self, name: str) -> GpuNames | None:
        """Return the row of a product name; case, vendor and dashes do not count."""
        wanted = _product(name).replace("xx", "")  # a pattern is no product
        series = re.sub(r"(?<=\d)\d\d(?!\d)", "xx", wanted)  # RTX 4090 is of the RTX 40xx
        return self._products.get(wanted) or self._products.get(series)

    @cached_property
    def _products(self) -> Mapping[str, GpuNames]:
        rows = reversed(self.facts.gpu)  # the first row of a name counts
        return {_product(each): row for row in rows for each in row.names}

    def brand(self, capability: Arch) -> Brand | None:
        """Return the brand of every product with a compute capability; None where they differ."""
        found = {row.brand for row in self.facts.gpu if row.capability == capability}
        return found.pop() if len(found) == 1 else None

    def gpu_names(self) -> tuple[str, ...]:
        """Return all product names, as rows write them."""
        return tuple(name for row in self.facts.gpu for name in row.names)

    def base(self, reference: str) -> BaseImage | None:
        """Return the row of a base image, with or without a digest."""
        tag = reference.partition("@")[0].removeprefix("docker.io/").removeprefix("library/")
        return next((r for r in self.facts.base if fnmatchcase(tag, r.reference)), None)

    def base_glibc(self, reference: str) -> Glibc | None:
        """Return the glibc of a base image, or None where nobody knows."""
        row = self.base(reference)
        return Glibc.parse(row.glibc) if row else None


def _product(name: str) -> str:
    words = re.sub(r"[\s_-]+", " ", name.casefold()).strip()
    return re.sub(r"^(nvidia )?(geforce )?", "", words)


@cache
def load() -> Catalog:
    """Return the refreshed catalog where there is one to be used, else that of this mlenv."""
    found, damage = kept.refreshed()
    if found is None:
        return shipped(damaged=damage)
    return of(found)


def shipped(*, damaged: Reason | None = None) -> Catalog:
    """Return the catalog that mlenv is shipped with; ``damaged`` is why no other is used."""
    return of(kept.shipped(), damaged=damaged)


def opened(path: Path) -> Catalog:
    """Return the catalog in a file of rows.

    Raises:
        HostError: ``disk-failed``; also where it holds something else.
    """
    try:
        return of(kept.unpacked(disk.contents(path)))
    except kept.DamagedError as error:
        raise disk.refused(path, str(error), "name a packages.json.gz") from error


def of(document: Document, *, damaged: Reason | None = None) -> Catalog:
    """Return a document as a catalog."""
    return Catalog(
        scanned=document.scanned,
        source=document.source,
        raw=document.packages,
        indexed=document.variants,
        damaged=damaged,
    )
