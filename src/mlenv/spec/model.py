"""The spec, as a person writes it: every table and key of the contract, and nothing else.

Here stands what a key may hold. Where it was written (file and line) is ``spec.lines``; what it
means for one target is ``spec.stack``.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Annotated, Literal, NoReturn

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from mlenv.machine import Platform  # noqa: TC001 (pydantic reads it)
from mlenv.model import (
    DriversField,
    Frameworks,
    GlibcField,
    Model,
    Name,
    PrefixField,
    PythonField,
    Requires,
    Toolkit,
    WrongValueError,
    plain,
    requirement,
)

RESERVED = ("extends", "project", "sources", "waive", "fabric", "policy")
"""Top-level keys that a later mlenv will read; a spec that uses them is told so."""

_URL = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?(/[^?#]*)?")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_ALIAS = re.compile(r"[a-z][a-z0-9-]{0,30}")
_PACKAGE_GLOB = re.compile(r"[A-Za-z0-9*]([A-Za-z0-9._*-]*[A-Za-z0-9*])?")
_APT = re.compile(r"[a-z0-9][a-z0-9+.-]{1,80}")
_REFERENCE = re.compile(
    r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?(:\d{1,5})?(/[a-z0-9]([a-z0-9._-]*[a-z0-9])?)*"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?"
)
_CHANNEL = re.compile(r"[a-z0-9][a-z0-9_.-]*|(https?|file)://[^\s\"'\\$`]+")


def _wrong(cause: str, fix: str) -> NoReturn:
    raise WrongValueError(cause, fix)


def _matched(pattern: re.Pattern[str], example: str, cause: str) -> BeforeValidator:
    def check(value: object) -> str:
        text = plain(value, example)
        if not pattern.fullmatch(text):
            _wrong(f"{text!r} {cause}", f'write it like "{example}"')
        return text

    return BeforeValidator(check)


def _string(pattern: re.Pattern[str], example: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": "string", "pattern": f"^({pattern.pattern})$", "examples": [example]}
    )


def _instant(value: object) -> object:
    """Return a date or time as RFC 3339 in UTC; a date is the end of that day."""
    if value is False or value is None:
        return value
    if isinstance(value, datetime):
        if value.tzinfo is None:
            _wrong("a time without a zone is another time elsewhere", "end it with Z")
        return value.isoformat().replace("+00:00", "Z")
    text = value.isoformat() if isinstance(value, date) else plain(value, "2026-11-01")
    try:
        if _DATE.fullmatch(text):
            return f"{date.fromisoformat(text) + timedelta(days=1)}T00:00:00Z"
        if datetime.fromisoformat(text).tzinfo is None:
            _wrong("a time without a zone is another time elsewhere", "end it with Z")
    except ValueError as error:
        if isinstance(error, WrongValueError):
            raise
        _wrong(f"{text!r} is no date", 'write it like "2026-11-01" or "2026-11-01T12:00:00Z"')
    return text


def _url(value: object) -> str:
    text = plain(value, "https://pkgs.corp.example/simple")
    if "@" in text:
        _wrong(
            "a credential in a spec ends up in locks, images and logs",
            "keep it in netrc, a keyring or UV_INDEX_NAME_PASSWORD",
        )
    if re.search(r"[\s\"'\\$`<>{}|^]", text):
        _wrong("an index URL holds no blanks, quotes or shell characters", "escape them as %XX")
    if not _URL.fullmatch(text):
        _wrong(f"{text!r} is no index", 'write it like "https://pkgs.corp.example/simple"')
    return text.rstrip("/")


def _word(value: object) -> str:
    text = plain(value, "python")
    if not text:
        _wrong("it is empty", "write the words of a command, one string each")
    return text


def _compile(value: object) -> object:
    if value == "nvcc" or isinstance(value, bool):
        return value
    _wrong("it is none of true, false and \"nvcc\"", 'write `compile = true` or `compile = "nvcc"`')


def _sdist(value: object) -> object:
    if value in ("pure", "deny"):
        return value
    if isinstance(value, list | tuple):
        return tuple(requirement(each) for each in value)
    _wrong(
        'it is none of "pure", "deny" and a list of packages',
        'write "pure", "deny", or a list like ["flash-attn"]',
    )


Instant = Annotated[
    str,
    BeforeValidator(_instant),
    WithJsonSchema({"type": "string", "examples": ["2026-11-01", "2026-11-01T12:00:00Z"]}),
]
InstantOrNever = Annotated[
    str | bool,
    BeforeValidator(_instant),
    WithJsonSchema({"anyOf": [{"const": False}, {"type": "string"}]}),
]
Sdist = Annotated[
    str | tuple[Requires, ...],
    BeforeValidator(_sdist),
    WithJsonSchema(
        {"anyOf": [{"enum": ["pure", "deny"]}, {"type": "array", "items": {"type": "string"}}]}
    ),
]
Url = Annotated[str, BeforeValidator(_url), WithJsonSchema({"type": "string", "format": "uri"})]
Alias = Annotated[str, _matched(_ALIAS, "corp", "is no alias of an index"), _string(_ALIAS, "corp")]
PackageGlob = Annotated[
    str, _matched(_PACKAGE_GLOB, "corp-*", "names no packages"), _string(_PACKAGE_GLOB, "corp-*")
]
Apt = Annotated[str, _matched(_APT, "libibverbs1", "is no Debian package"), _string(_APT, "git")]
Reference = Annotated[
    str,
    _matched(_REFERENCE, "python:3.12-slim-bookworm", "is no image reference"),
    _string(_REFERENCE, "python:3.12-slim-bookworm"),
]
Channel = Annotated[
    str, _matched(_CHANNEL, "conda-forge", "is no conda channel"), _string(_CHANNEL, "conda-forge")
]
GpuName = Annotated[
    str,
    _matched(re.compile(r"[A-Za-z0-9][A-Za-z0-9 _./()+-]{0,60}"), "H100", "is no GPU"),
    WithJsonSchema({"type": "string", "examples": ["H100", "sm_90"]}),
]
Word = Annotated[str, BeforeValidator(_word), WithJsonSchema({"type": "string"})]
LabelKey = Annotated[
    str,
    _matched(re.compile(r"[a-z0-9]([a-z0-9._/-]*[a-z0-9])?"), "org.example.team", "is no label"),
]
LabelText = Annotated[
    str, BeforeValidator(lambda value: plain(value, "text")), WithJsonSchema({"type": "string"})
]


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
    packages: tuple[PackageGlob, ...]
    """The packages it serves: names, or patterns with ``*``."""
    exclude_newer: InstantOrNever | None = None
    """``false`` for an index that gives no upload times."""


class ImageSpec(Model):
    """[image]: the image's base and what is in it beside the lock."""

    base: Reference = "auto"
    """``auto`` is the smallest base that serves; or an image reference."""
    apt: tuple[Apt, ...] = ()
    """Debian packages to install."""
    cuda_compat: bool = False
    """Ship NVIDIA's forward-compatibility libcuda."""
    compile: Annotated[bool | Literal["nvcc"], BeforeValidator(_compile)] = False
    """A C compiler in the image (torch.compile, Triton); ``nvcc`` adds the CUDA compiler."""
    variants: tuple[Literal["runtime", "dev"], ...] = ("runtime",)
    """The images to build."""
    labels: dict[LabelKey, LabelText] = Field(default_factory=dict)
    """Labels of the image."""


class Smoke(Model):
    """[[smoke]]: a check of the user's own, beside the built-in ones."""

    name: Name
    """What the report calls it."""
    run: Annotated[tuple[Word, ...], Field(min_length=1)]
    """The command's words; no shell reads them."""
    gpus: Annotated[int, Field(ge=0, le=1024)] = 0
    """How many GPUs it needs."""


class Cell(Model):
    """One point of the matrix, or a pattern over points."""

    target: Name | None = None
    python: PythonField | None = None
    framework: Frameworks | None = None
    cuda: Toolkit | None = None
    cudnn: PrefixField | None = None
    packages: tuple[Requires, ...] | None = None
    allow_failure: bool = False


class Axes(Model):
    """[matrix] axes: each a list of values; they multiply."""

    target: tuple[Name, ...] = ()
    python: tuple[PythonField, ...] = ()
    framework: tuple[Frameworks, ...] = ()
    cuda: tuple[Toolkit, ...] = ()
    cudnn: tuple[PrefixField, ...] = ()
    packages: tuple[tuple[Requires, ...], ...] = ()


class Matrix(Model):
    """[matrix]: axes multiply; a cell is a spec of its own."""

    axes: Axes = Axes()
    exclude: tuple[Cell, ...] = ()
    """Cells that are left out."""
    include: tuple[Cell, ...] = ()
    """Cells that are added."""


class Spec(Model):
    """An environment that must run, in the user's words."""

    schema_: Annotated[Literal[1], Field(alias="schema")] = 1
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
    dev: Dev = Dev()
    targets: dict[Name, TargetSpec] = Field(default_factory=dict)
    """Machines it must run on; one lock each."""
    lock: LockSpec = LockSpec()
    indexes: dict[Alias, IndexSpec] = Field(default_factory=dict)
    """Further package indexes."""
    image: ImageSpec = ImageSpec()
    smoke: tuple[Smoke, ...] = ()
    matrix: Matrix | None = None

    @model_validator(mode="after")
    def _indexes_are_further_ones(self) -> Spec:
        for alias in self.indexes:
            if alias == "default" or alias.startswith("pytorch-"):
                _wrong(
                    f"`indexes.{alias}` is the name of an index that mlenv has already",
                    "choose another name for it",
                )
        return self
