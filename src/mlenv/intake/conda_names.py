"""conda's packages: which are a framework, which say the toolkit, which are only plumbing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlenv.intake import hints
from mlenv.intake.draft import Said

if TYPE_CHECKING:
    from mlenv.intake.draft import Draft
    from mlenv.intake.versions import MatchSpec

FRAMEWORKS = {
    "pytorch": "torch",
    "pytorch-gpu": "torch",
    "pytorch-cpu": "torch",
    "tensorflow-gpu": "tensorflow",
    "tensorflow-cpu": "tensorflow",
}
"""A channel's name of a framework -> the catalog's."""
_TOOLKITS = ("cuda-version", "pytorch-cuda", "cudatoolkit", "cuda-toolkit", "cuda")
"""Packages whose version is the toolkit, the plainest first."""
_PLUMBING = frozenset({"pip", "setuptools", "wheel", "conda", "mamba", "conda-lock", "jaxlib"})
_COMPILERS = frozenset({"gcc", "gxx", "c-compiler", "cxx-compiler", "compilers", "cuda-nvcc"})


def channel(draft: Draft, name: str, line: int | None) -> None:
    """Add a channel; those whose builds conda-forge replaced are left with the reason."""
    # the mirrors of conda-forge are conda-forge
    name = "conda-forge" if re.fullmatch(r"https?://[^?#]*/conda-forge/?", name) else name
    if name in {"", "nodefaults"}:
        return
    if name in {"pytorch", "pytorch-nightly", "nvidia"}:
        draft.leave(line, f"the channel {name}", "conda-forge builds what it has, of one CUDA")
    elif name == "defaults":
        draft.leave(line, f"the channel {name}", "it needs a licence in most companies")
    elif name not in draft.channels:
        draft.channels.append(name)


def take(
    draft: Draft,
    found: MatchSpec,
    line: int | None,
    *,
    dev: bool = False,
    direct: bool = True,
) -> None:
    """Add one requirement of conda's."""
    name, specifier = found.name.lower(), found.specifier
    if found.channel:
        channel(draft, found.channel.rpartition("/")[2], line)
    if name == "python":
        if specifier:
            draft.pythons.append(Said(text=specifier, at=draft.at(line)))
    elif name == "cpuonly":
        draft.claim("cpu", line, name)
    elif name in _TOOLKITS:
        _toolkit(draft, name, specifier, line)
    elif name == "cudnn":
        _cudnn(draft, specifier, line)
    elif name in _COMPILERS:
        draft.compile = "nvcc" if name == "cuda-nvcc" else draft.compile or True
        draft.note(line, f"{name} is `compile` under [image]")
    elif name in _PLUMBING:
        draft.leave(line, name, "it comes along, where something needs it")
    else:
        _package(draft, found, line, dev=dev, direct=direct)


def _package(draft: Draft, found: MatchSpec, line: int | None, *, dev: bool, direct: bool) -> None:
    _build(draft, found, line)
    framework = FRAMEWORKS.get(found.name.lower())
    if framework is not None:
        draft.note(line, f"{found.name} is the framework {framework}")
    if found.name.lower() in {"pytorch-cpu", "tensorflow-cpu"}:
        draft.claim("cpu", line, found.name)
    draft.backend = "conda"
    text = f"{framework or found.name}{found.specifier}"
    draft.require(text, line, dev=dev, direct=direct)


def _toolkit(draft: Draft, name: str, specifier: str, line: int | None) -> None:
    wanted = re.fullmatch(r"==(.*)", specifier)
    cuda = hints.minor(wanted[1]) if wanted else None
    if cuda is None:
        draft.leave(line, f"{name}{specifier}", "mlenv picks the toolkit: `cuda` holds it")
    elif name == "pytorch-cuda":
        # a package of the channel pytorch, whose minors conda-forge has not
        draft.claim(cuda.partition(".")[0], line, f"{name} {cuda}")
    else:
        draft.claim(cuda, line, f"{name} {wanted[1] if wanted else ''}")


def _cudnn(draft: Draft, specifier: str, line: int | None) -> None:
    found = re.fullmatch(r"==(\d+(?:\.\d+){0,2})(?:\.\*)?", specifier)
    if found is None:
        draft.leave(line, f"cudnn{specifier}", "the framework brings the one that it takes")
    else:
        draft.cudnn.append(Said(text=found[1], at=draft.at(line)))
        draft.note(line, f'cudnn{specifier} is `cudnn = "{found[1]}"`')


def _build(draft: Draft, found: MatchSpec, line: int | None) -> None:
    """Say what a build string means: it may name the toolkit, or the CPU."""
    if not found.build or found.build == "*":
        return
    named = re.search(r"cuda_?(\d{2})\.?(\d)", found.build)
    if named:
        draft.claim(f"{named[1]}.{named[2]}", line, f"the build {found.build} of {found.name}")
    elif "cpu" in found.build:
        draft.claim("cpu", line, f"the build {found.build} of {found.name}")
    elif "cuda" not in found.build and "gpu" not in found.build:
        why = "the solver picks the build"
        draft.leave(line, f"the build {found.build} of {found.name}", why)
