"""What conda calls a framework or a package, and how a GPU build is told from a CPU build there.

Rows kept by hand (tier K), in ``conda.toml``: neither an index nor a channel says any of this.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from mlenv.catalog.curated import curated
from mlenv.catalog.rows import Fact
from mlenv.model import Model

if TYPE_CHECKING:
    from collections.abc import Mapping


class CondaFramework(Fact):
    """A framework, as a conda channel has it."""

    name: str
    """Of its row among the frameworks."""
    package: str
    """What is installed."""
    gpu: dict[str, str]
    """Package -> a glob over the build strings of its GPU builds; none where all are."""
    cpu: dict[str, str]
    """Package -> a glob over the build strings of its CPU builds."""
    members: tuple[str, ...]
    """Everything that belongs to it."""


class CondaName(Fact):
    """A package that conda calls otherwise."""

    pypi: str
    conda: str


class CondaInstaller(Fact):
    """What lays conda packages out in the build of an image."""

    name: str
    version: str
    sha256: tuple[str, ...]
    """Of its wheel for each platform."""


class Conda(Model):
    """The file of these rows."""

    installer: tuple[CondaInstaller, ...]
    framework: tuple[CondaFramework, ...]
    name: tuple[CondaName, ...]


@cache
def conda_frameworks() -> tuple[CondaFramework, ...]:
    """Return the rows of all frameworks that are known to be in channels."""
    return _rows().framework


def conda_framework(name: str) -> CondaFramework | None:
    """Return the row of the framework that is called ``name`` in the catalog."""
    return next((row for row in conda_frameworks() if row.name == name), None)


def conda_installer() -> CondaInstaller:
    """Return what lays conda packages out in the build of an image."""
    return _rows().installer[-1]


def conda_name(package: str) -> str:
    """Return what conda calls a package of an index."""
    name = canonicalize_name(package)
    return _names().get(name, name)


def index_name(package: str) -> str:
    """Return what an index calls a package of conda."""
    back = {conda: pypi for pypi, conda in _names().items()}
    return canonicalize_name(back.get(package, package))


@cache
def _names() -> Mapping[str, str]:
    return {row.pypi: row.conda for row in _rows().name}


@cache
def _rows() -> Conda:
    return Conda.model_validate(curated("conda"))
