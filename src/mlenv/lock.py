"""``mlenv.lock``: what was decided, why, and the one file of each package a target installs.

Aliases and file names stand here, never URLs: a mirror can serve it, and no credential can land
in it. Nothing about the machine that wrote it is kept. The same spec, catalog, date and tool
versions give the same bytes on every machine.
"""

from __future__ import annotations

import tomllib
from typing import Annotated, Literal

import tomli_w
from pydantic import Field, ValidationError

from mlenv.errors import Reason, UsageError
from mlenv.files import digest
from mlenv.model import Model

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$")]


class Tools(Model):
    """The programs and facts whose versions change the bytes of a lock."""

    mlenv: Line
    uv: Line
    rattler: Line | None = None
    """The conda solver; None where none was asked."""
    catalog: Line
    """The time of the catalog's scan, RFC 3339."""


class Target(Model):
    """The machine that the lock is for."""

    name: Line
    platform: Literal["linux/amd64", "linux/arm64"]
    python: Line
    glibc: Line | None = None
    gpus: tuple[Line, ...] = ()
    driver: Line | None = None


class Stack(Model):
    """The CUDA side of what was decided."""

    toolkit: Line
    """``12.8``, or ``cpu``; ``none`` where nothing of the stack uses CUDA."""
    channel: Line
    """The index that serves the framework family: ``default`` or ``pytorch-cu126``."""
    cudnn: Line | None = None
    nccl: Line | None = None


class Pinned(Model):
    """An image that the recipe takes from elsewhere."""

    reference: Line
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None
    """Of what the reference named: an index, or a manifest. None where nobody could say."""


class Base(Pinned):
    """The image that the recipe starts from."""

    python: Line | None = None
    """The full version of the Python in it, as its config says."""


class Image(Model):
    """What the image is made of beside the packages: all that a recipe needs of the spec."""

    brings_python: bool = True
    """Whether the base has the interpreter; else the recipe fetches it by its hash."""
    apt: tuple[Line, ...] = ()
    compile: Literal["none", "cc", "nvcc"] = "none"
    """``cc``: a C and C++ compiler; ``nvcc``: the CUDA compiler of the base too."""
    variants: tuple[Literal["runtime", "dev"], ...] = ("runtime",)
    labels: dict[Line, Line] = Field(default_factory=dict)
    driver_floor: Line | None = None
    """The oldest driver that the image lets start; None where any, or its base says so."""


class Decision(Model):
    """One thing that was decided, and why."""

    topic: Line
    choice: Line
    why: Line
    source: Line


class Said(Model):
    """A warning that came with the lock."""

    code: Line
    what: Line


class Written(Model):
    """Another file of the folder, with its hash."""

    path: Line
    sha256: Sha256


class Package(Model):
    """A package of the lock, and the one file of it that the target installs."""

    name: Line
    version: Line
    layer: Line
    index: Line
    """The alias of the index, or of the conda channel, that serves it."""
    subdir: Literal["linux-64", "linux-aarch64", "noarch"] | None = None
    """The folder of the conda channel that it lies in; None for a file of a package index."""
    filename: Line
    sha256: Sha256
    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    """Of a conda package: conda's own tools check nothing else. None for other files."""
    size: Annotated[int, Field(ge=0)]
    """The bytes of the file."""


class Lock(Model):
    """A whole ``mlenv.lock``."""

    schema_: Annotated[Literal[1], Field(alias="schema")] = 1
    name: Line
    backend: Literal["uv", "conda"]
    verdict: Literal["ok", "unknown"]
    spec_sha256: Sha256
    """Over the spec's content; comments and layout do not count."""
    artefacts_sha256: Sha256
    """Over name, version, file name and hash of every package."""
    exclude_newer: Line
    moved: dict[Line, Line] | None = None
    """Packages that were moved alone: name -> the time until which its releases count."""
    tools: Tools
    target: Target
    stack: Stack
    base: Base | None = None
    """None where the recipe leaves it to whoever builds."""
    uv: Pinned | None = None
    """The image whose uv fills an image that an engine builds; None where there is no recipe."""
    init: Package | None = None
    """The wheel of the image's first process; its layer is ``init``."""
    image: Image | None = None
    """None where only the lock was asked for."""
    decision: tuple[Decision, ...] = ()
    said: tuple[Said, ...] = ()
    written: tuple[Written, ...] = ()
    package: tuple[Package, ...] = ()

    @property
    def title(self) -> str:
        """``train``, or ``train:h100`` where the spec has targets."""
        return self.name if self.target.name == "default" else f"{self.name}:{self.target.name}"


def lock_text(lock: Lock) -> str:
    """Return ``lock`` as the text of its file: the same for the same lock, always."""
    note = f"# written by mlenv for {lock.name}; edit the spec, not this file\n\n"
    return note + tomli_w.dumps(lock.model_dump(by_alias=True, exclude_none=True, mode="json"))


def parse_lock(text: str, *, origin: str) -> Lock:
    """Return the lock in ``text``; ``origin`` is what errors call the file.

    Raises:
        UsageError: ``lock-unreadable``.
    """
    try:
        return Lock.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise UsageError(
            Reason(
                code="lock-unreadable",
                what=f"{origin} cannot be read",
                cause=_first(error),
                fix="run `mlenv lock` on its spec again, or take it from version control",
            )
        ) from None


def _first(error: tomllib.TOMLDecodeError | ValidationError) -> str:
    """Return what is wrong first, with the key it is about."""
    if isinstance(error, tomllib.TOMLDecodeError):
        return str(error).splitlines()[0]
    found = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(each) for each in found["loc"])
    return f"`{where}`: {found['msg'].lower()}" if where else found["msg"].lower()


def artefacts_sha256(packages: tuple[Package, ...]) -> str:
    """Return the digest over name, version, file name and hash of every package."""
    rows = sorted((p.name, p.version, p.filename, p.sha256) for p in packages)
    return digest(rows)
