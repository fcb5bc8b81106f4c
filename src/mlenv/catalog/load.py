"""The catalog as it is asked: opened once, and turned into rows only where a question falls.

Reading takes about 20 ms; a package's rows are made and checked when somebody asks for them.
"""

from __future__ import annotations

import gzip
import json
import re
import tomllib
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache, cached_property
from importlib import resources
from typing import TYPE_CHECKING, Any

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from mlenv.catalog.rows import Facts, Framework, FrameworkRow, Release, VersionedRelease
from mlenv.machine import Glibc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.version import Version

    from mlenv.catalog.rows import BaseImage, GpuNames, Variant
    from mlenv.cuda import Code, Cuda

_DATA = "mlenv.catalog.data"


@dataclass(frozen=True, eq=False)
class Catalog:
    """All facts, and the questions they answer."""

    scanned: str
    """When the metadata was read, RFC 3339."""
    source: str
    raw: Mapping[str, Mapping[str, Any]] = field(repr=False)
    """Package -> version -> row, not yet checked."""
    _made: dict[str, tuple[VersionedRelease, ...]] = field(default_factory=dict, repr=False)

    @cached_property
    def facts(self) -> Facts:
        """The rows that are kept by hand."""
        return Facts.model_validate(_toml("facts.toml"))

    @cached_property
    def frameworks(self) -> Mapping[str, FrameworkRow]:
        """Name -> framework row."""
        rows = Framework.model_validate(_toml("frameworks.toml")).framework
        return {each.name: each for each in rows}

    @property
    def cited(self) -> str:
        """The source of the scanned rows with its date, as errors show it."""
        return f"published metadata, read {self.scanned[:10]}"

    def releases(self, package: str) -> tuple[VersionedRelease, ...]:
        """Return the final releases of ``package``, ascending; empty if it is not catalogued."""
        name = canonicalize_name(package)
        if name not in self._made:
            rows = [
                VersionedRelease(name, text, Release.model_validate(row))
                for text, row in self.raw.get(name, {}).items()
            ]
            self._made[name] = tuple(sorted(rows, key=lambda each: each.version))
        return self._made[name]

    def framework(self, name: str) -> FrameworkRow | None:
        """Return the row of the framework that is called, or installs, ``name``."""
        wanted = canonicalize_name(name)
        if wanted in self.frameworks:
            return self.frameworks[wanted]
        owners = (row for row in self.frameworks.values() if wanted in row.distribution.values())
        return next(owners, None)

    def variants(self, framework: str, version: Version) -> tuple[tuple[Cuda, ...], str]:
        """Return the toolkits on the framework's own index, and the source of that."""
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
        wanted = _product(name)
        for row in self.facts.gpu:
            for each in row.names:
                pattern = re.escape(_product(each)).replace("xx", r"\d\d")
                if re.fullmatch(pattern, wanted):
                    return row
        return None

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


def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files(_DATA).joinpath(name).read_text(encoding="utf-8"))


@cache
def load() -> Catalog:
    """Return the catalog that mlenv is shipped with."""
    packed = resources.files(_DATA).joinpath("packages.json.gz").read_bytes()
    document = json.loads(gzip.decompress(packed))
    return Catalog(scanned=document["scanned"], source=document["source"], raw=document["packages"])
