"""The rows of the catalog, as they cross a file: no fact without a source and a date.

Tiers, best first: A the index's page of a package (versions, tags, dates, yanks), B the core
metadata of a wheel (requirements), C a small file inside a wheel (what it was built for), D a
binary inside a wheel (the code it holds), K kept by hand from a named source.
"""

from __future__ import annotations

from datetime import date
from functools import cached_property
from typing import Annotated, Literal

from packaging.specifiers import SpecifierSet
from packaging.version import Version
from pydantic import Field

from mlenv.cuda import Arch, Code, Cuda
from mlenv.model import Model, Read, plain


def _value(cls: type[Cuda | Arch | Code]) -> Read:
    def parse(value: object) -> object:
        return value if isinstance(value, cls) else cls.parse(plain(value, "12.8"))

    return Read(parse)


CudaValue = Annotated[Cuda, _value(Cuda)]
ArchValue = Annotated[Arch, _value(Arch)]
CodeValue = Annotated[Code, _value(Code)]
Confidence = Literal["high", "medium", "none"]


class Wheels(Model):
    """The wheels of a release for one architecture (tier A)."""

    python: tuple[str, ...]
    """``cp312``, ``cp313t``, ``py3``, or ``abi3>=cp38``."""
    glibc: tuple[str, ...] = ()
    """The lowest that each needs, ascending."""
    mb: float
    """The size of the wheel that stands for them, in 10**6 bytes."""


class Metadata(Model):
    """What one wheel of a release says (tiers B, C and D)."""

    file: str
    requires: dict[str, str] = Field(default_factory=dict)
    """Name with extras -> specifier, for what has to do with GPUs; ``*`` is any."""
    extras: dict[str, dict[str, str]] = Field(default_factory=dict)
    built_for: str | None = None
    """The CUDA version it was compiled for (tier C), or ``cpu``."""
    code: tuple[CodeValue, ...] = ()
    """The GPU code in it (tiers C and D); empty is unknown."""
    bundled: tuple[str, ...] = ()
    """CUDA libraries that are inside it."""


class Release(Model):
    """One release of a package."""

    date: str
    """Of its first file, ``YYYY-MM-DD``."""
    yanked: str | None = None
    """Why all of it was yanked."""
    requires_python: str | None = None
    sdist: bool = False
    wheels: dict[str, Wheels] = Field(default_factory=dict)
    """Architecture (``x86_64``, ``aarch64``, ``any``) -> its wheels."""
    metadata: dict[str, Metadata] = Field(default_factory=dict)
    """Architecture -> what its wheel says."""


class Fact(Model):
    """A row kept by hand (tier K)."""

    source: str
    confidence: Confidence
    checked: date

    @property
    def cited(self) -> str:
        """The source with its date, as errors show it."""
        return f"{self.source} ({self.checked})"


class DriverFloor(Fact):
    """The oldest driver that starts programs of these toolkits."""

    first: CudaValue
    last: CudaValue
    driver: str


class ToolkitDriver(Fact):
    """The driver that came with a toolkit."""

    toolkit: CudaValue
    driver: str


class Architecture(Fact):
    """The drivers and toolkits that know a GPU architecture."""

    name: str
    capability: ArchValue
    first_driver: int | None = None
    last_driver: int | None = None
    first_toolkit: CudaValue
    last_toolkit: CudaValue | None = None


Brand = Literal["data-centre", "professional", "geforce", "titan", "jetson"]
"""What forward compatibility and the gates of base images go by."""


class GpuNames(Fact):
    """Products of one compute capability and brand; ``x`` stands for one digit."""

    capability: ArchValue
    brand: Brand | None = None
    """None where nobody says."""
    names: tuple[str, ...]


class CudnnRange(Fact):
    """The GPUs that a range of cuDNN releases has kernels for."""

    first: str
    below: str | None = None
    capability_first: ArchValue | None = None


class HostGcc(Fact):
    """The newest gcc that nvcc of these toolkits takes."""

    first: str
    last: str
    gcc: int


class ForwardCompatibility(Fact):
    """The brands, and the driver branches, on which cuda-compat of a toolkit works."""

    toolkit: CudaValue
    brands: tuple[Brand, ...]
    branches: tuple[int, ...]


class BaseGate(Fact):
    """A clause by which nvidia/cuda of a toolkit starts on drivers that are older than it."""

    toolkit: CudaValue
    brands: tuple[Brand, ...]
    branches: tuple[int, ...]


class Variant(Fact):
    """The toolkits that the framework's own index has builds of a release for."""

    framework: str
    version: str
    toolkits: tuple[CudaValue, ...]


class CondaVariant(Fact):
    """The toolkits that a conda channel has builds of a framework's releases for."""

    framework: str
    channel: str
    package: str
    versions: str
    """PEP 440."""
    toolkits: tuple[CudaValue, ...]


class CodeRange(Fact):
    """The GPU code of releases whose own metadata does not say it."""

    package: str
    versions: str
    toolkits: tuple[CudaValue, ...] = ()
    architecture: str
    code: tuple[CodeValue, ...]


class BaseImage(Fact):
    """The glibc of an image; ``*`` in the reference stands for anything."""

    reference: str
    glibc: str
    python: bool
    """Whether it brings the Python that its tag names, or none that counts."""


class CudaImage(Fact):
    """The nvidia/cuda image of a toolkit: its newest patch release, and the system it is for."""

    toolkit: CudaValue
    release: str
    system: str


class InitWheel(Fact):
    """The wheel that brings an image's first process."""

    name: str
    version: str
    platform: Literal["linux/amd64", "linux/arm64"]
    filename: str
    sha256: str
    size: int


class Facts(Model):
    """All rows that are kept by hand."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    review: dict[str, date]
    """Group -> the date by which somebody looks again."""
    driver_floor: tuple[DriverFloor, ...]
    toolkit_driver: tuple[ToolkitDriver, ...]
    architecture: tuple[Architecture, ...]
    gpu: tuple[GpuNames, ...]
    cudnn: tuple[CudnnRange, ...]
    host_gcc: tuple[HostGcc, ...]
    forward_compatibility: tuple[ForwardCompatibility, ...]
    base_gate: tuple[BaseGate, ...]
    variant: tuple[Variant, ...]
    conda_variant: tuple[CondaVariant, ...]
    code: tuple[CodeRange, ...]
    base: tuple[BaseImage, ...]
    cuda_image: tuple[CudaImage, ...]
    init: tuple[InitWheel, ...]

    def stale(self, today: date) -> tuple[tuple[str, date], ...]:
        """Return the groups that somebody should have looked at again by ``today``, and by when."""
        return tuple((group, by) for group, by in sorted(self.review.items()) if by < today)


class Proof(Model):
    """The file inside a wheel that tells a CUDA build from a CPU build."""

    package: str
    file: str
    pattern: str


class FrameworkRow(Model):
    """A framework: how its CUDA builds are named, and where they are."""

    name: str
    distribution: dict[str, str]
    """Toolkit major, or ``any``, -> the package to install."""
    extra: dict[str, str] = Field(default_factory=dict)
    """Toolkit major -> the extra that brings the CUDA libraries."""
    family: tuple[str, ...] = ()
    """What must come from the same index as the framework."""
    packages: tuple[str, ...]
    """Everything that belongs to it, for layers."""
    carrier: tuple[str, ...] = ()
    """The packages whose wheels hold its GPU code, where that is not the distribution."""
    index: str | None = None
    """Its own index per variant; ``{tag}`` is ``cu126``."""
    proof: Proof | None = None
    source: str
    checked: date

    def package(self, major: int | None) -> str | None:
        """Return the package for a toolkit major (None: a CPU build), or None for none."""
        return self.distribution.get("any") or self.distribution.get(str(major))


class Framework(Model):
    """The file of framework rows."""

    framework: tuple[FrameworkRow, ...]


class VersionedRelease:
    """A release with its version parsed once."""

    __slots__ = ("__dict__", "name", "release", "text", "version")

    def __init__(self, name: str, text: str, release: Release) -> None:
        """Keep the release of package ``name`` whose version reads ``text``."""
        self.name = name
        self.text = text
        self.version = Version(text)
        self.release = release

    @cached_property
    def python(self) -> SpecifierSet:
        """Its Requires-Python, with both bounds."""
        return SpecifierSet(self.release.requires_python or "")
