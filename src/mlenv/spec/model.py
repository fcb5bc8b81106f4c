"""The spec, as a person writes it: every table and key of the contract, and nothing else.

Here stands what a key may hold. Where it was written (file and line) is ``spec.lines``; what it
means for one target is ``spec.stack``.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, Strict, model_validator

from mlenv.machine import Platform
from mlenv.model import (
    DriversField,
    GlibcField,
    Model,
    Name,
    PrefixField,
    PythonField,
    Toolkit,
    WrongValueError,
)
from mlenv.spec.requires import Frameworks, Requires
from mlenv.spec.words import (
    Alias,
    Apt,
    Channel,
    Compiler,
    GpuName,
    Instant,
    InstantOrNever,
    LabelKey,
    LabelText,
    PackageGlob,
    Reference,
    Schema,
    Sdist,
    Url,
    Word,
)

RESERVED = ("extends", "project", "sources", "waive", "fabric", "policy")
"""Top-level keys that a later mlenv will read; a spec that uses them is told so."""

YesNo = Annotated[bool, Strict()]


class Layers(Model):
    """[stack]: the layers of an ML stack, bottom up; each a list of requirements."""

    numeric: tuple[Requires, ...] = ()
    """Numerical kernels and arrays, such as numpy."""
    domain: tuple[Requires, ...] = ()
    """Domain libraries, such as transformers."""
    config: tuple[Requires, ...] = ()
    """Configuration, such as hydra-core."""
    logger: tuple[Requires, ...] = ()
    """Experiment loggers, such as wandb."""
    launcher: tuple[Requires, ...] = ()
    """Job launchers, such as submitit."""


class Dev(Model):
    """[dev]: what goes into the image's ``dev`` variant only."""

    editors: tuple[Literal["vscode", "cursor", "jupyter"], ...] = ()
    """Editors that open the image; ``jupyter`` installs jupyterlab."""
    typecheck: Literal["pyright", "mypy"] | None = None
    """The type checker to install."""
    packages: tuple[Requires, ...] = ()
    """Further requirements of the ``dev`` variant."""


class TargetSpec(Model):
    """[targets.NAME]: machines the stack must run on, and what is different on them."""

    platform: Platform = "linux/amd64"
    """The operating system and architecture."""
    gpus: tuple[GpuName, ...] = ()
    """Product names (``H100``) or architectures (``sm_90``)."""
    driver: DriversField | None = None
    """All the drivers of these machines, as a PEP 440 specifier."""
    glibc: GlibcField | None = None
    """The machine's glibc, where the environment is used outside an image."""
    python: PythonField | None = None
    """Overrides ``python`` for this target."""
    framework: Frameworks | None = None
    """Overrides ``framework`` for this target."""
    cuda: Toolkit | None = None
    """Overrides ``cuda`` for this target."""
    cudnn: PrefixField | None = None
    """Overrides ``cudnn`` for this target."""
    packages: tuple[Requires, ...] | None = None
    """Overrides ``packages`` for this target."""
    base: Reference | None = None
    """Overrides ``image.base`` for this target."""


class LockSpec(Model):
    """[lock]: how far the solver may look."""

    exclude_newer: Instant | None = None
    """Nothing uploaded after this is seen: a day (its end, UTC) or an RFC 3339 time."""
    sdist: Sdist = "pure"
    """``pure``: source packages that build to pure Python; ``deny``: none; a list: these also."""
    channels: tuple[Channel, ...] = ("conda-forge",)
    """Conda channels, in strict priority."""


class IndexSpec(Model):
    """[indexes.NAME]: a further package index; it serves what is named, and only that."""

    url: Url
    """Its simple API."""
    packages: Annotated[tuple[PackageGlob, ...], Field(min_length=1)]
    """The packages it serves: names, or patterns with ``*``."""
    exclude_newer: InstantOrNever | None = None
    """``false`` for an index that gives no upload times."""


class ImageSpec(Model):
    """[image]: the image's base and what is in it beside the lock."""

    base: Reference = "auto"
    """``auto`` is the smallest base that serves; or an image reference."""
    apt: tuple[Apt, ...] = ()
    """Debian packages to install: ``git``, or ``git=1:2.39.5-0+deb12u2``."""
    cuda_compat: YesNo = False
    """Ship NVIDIA's forward-compatibility libcuda."""
    compile: Compiler = False
    """A C compiler in the image (torch.compile, Triton); ``nvcc`` adds the CUDA compiler."""
    variants: Annotated[tuple[Literal["runtime", "dev"], ...], Field(min_length=1)] = ("runtime",)
    """The images to build."""
    labels: dict[LabelKey, LabelText] = Field(default_factory=dict)
    """Labels of the image."""


class Smoke(Model):
    """[[smoke]]: a check of the user's own, beside the built-in ones."""

    name: Name
    """What the report calls it."""
    run: Annotated[tuple[Word, ...], Field(min_length=1)]
    """The command's words; no shell reads them."""
    gpus: Annotated[int, Strict(), Field(ge=0, le=1024)] = 0
    """How many GPUs it needs."""


class Cell(Model):
    """A cell of [matrix] include, or a pattern over cells in exclude."""

    target: Name | None = None
    """One of [targets]."""
    python: PythonField | None = None
    """Its ``python``."""
    framework: Frameworks | None = None
    """Its ``framework``."""
    cuda: Toolkit | None = None
    """Its ``cuda``."""
    cudnn: PrefixField | None = None
    """Its ``cudnn``."""
    packages: tuple[Requires, ...] | None = None
    """Its ``packages``."""
    allow_failure: YesNo = False
    """A cell that is shown, and whose failure fails nothing."""


class Axes(Model):
    """[matrix.axes]: each a list of values; they multiply."""

    target: tuple[Name, ...] = ()
    """Names of [targets]."""
    python: tuple[PythonField, ...] = ()
    """Values of ``python``."""
    framework: tuple[Frameworks, ...] = ()
    """Values of ``framework``, each a requirement or a list of them."""
    cuda: tuple[Toolkit, ...] = ()
    """Values of ``cuda``."""
    cudnn: tuple[PrefixField, ...] = ()
    """Values of ``cudnn``."""
    packages: tuple[tuple[Requires, ...], ...] = ()
    """Values of ``packages``, each a list."""


class Matrix(Model):
    """[matrix]: axes multiply; a cell is a spec of its own."""

    axes: Axes = Axes()
    """The lists that are multiplied."""
    exclude: tuple[Cell, ...] = ()
    """Cells that are left out."""
    include: tuple[Cell, ...] = ()
    """Cells that are added."""


class Spec(Model):
    """An environment that must run, in the user's words."""

    schema_: Annotated[Literal[1], Schema, Field(alias="schema")] = 1
    """The version of this format."""
    name: Name
    """The name of the folder and the image."""
    python: PythonField
    """The interpreter: ``3.12``, or ``3.14t`` for a free-threaded build."""
    backend: Literal["uv", "conda"] = "uv"
    """The solver, and the kind of lock."""
    framework: Frameworks = ()
    """One or more frameworks of the catalog; their CUDA builds are chosen by mlenv."""
    cuda: Toolkit | None = None
    """The toolkit the stack is built against, ``cpu``, or left out: the newest that can run."""
    cudnn: PrefixField | None = None
    """The cuDNN to hold, as a prefix."""
    nccl: PrefixField | None = None
    """The NCCL to hold, as a prefix."""
    packages: tuple[Requires, ...] = ()
    """Requirements with no better layer."""
    stack: Layers = Layers()
    """The layers of an ML stack."""
    dev: Dev = Dev()
    """What only the ``dev`` variant of the image holds."""
    targets: dict[Name, TargetSpec] = Field(default_factory=dict)
    """Machines it must run on; one lock each."""
    lock: LockSpec = LockSpec()
    """How far the solver may look."""
    indexes: dict[Alias, IndexSpec] = Field(default_factory=dict)
    """Further package indexes."""
    image: ImageSpec = ImageSpec()
    """What is in the image beside the lock."""
    smoke: tuple[Smoke, ...] = ()
    """Checks of the user's own."""
    matrix: Matrix | None = None
    """Variations of this spec."""

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        names = [each.name for each in self.smoke]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise WrongValueError(
                    f'another check is called "{name}" already',
                    "give each check a name of its own",
                    key=f"smoke[{index}].name",
                )
        for key, name in _matrix_targets(self.matrix):
            if name not in self.targets:
                raise WrongValueError(
                    f"there is no [targets.{name}]; there is {', '.join(self.targets) or 'none'}",
                    "write the name of a target, or add its table",
                    key=key,
                )
        return self


def _matrix_targets(matrix: Matrix | None) -> tuple[tuple[str, str], ...]:
    if matrix is None:
        return ()
    axis = [(f"matrix.axes.target[{index}]", name) for index, name in enumerate(matrix.axes.target)]
    cells = [
        (f"matrix.{word}[{index}].target", cell.target)
        for word, several in (("exclude", matrix.exclude), ("include", matrix.include))
        for index, cell in enumerate(several)
        if cell.target is not None
    ]
    return (*axis, *cells)
