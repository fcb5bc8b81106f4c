"""A spec as one target sees it: the overrides of the target laid over the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.requirements import Requirement

    from mlenv.machine import Drivers, Glibc, Platform, Prefix, Python
    from mlenv.spec.model import Spec, TargetSpec

DEV_PACKAGES = {"jupyter": "jupyterlab", "pyright": "pyright", "mypy": "mypy"}
"""What a word of [dev] installs; the other editors install nothing into the environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One requirement of the spec, and the key that holds it."""

    key: str
    """The key path of the line, such as ``stack.domain[0]``."""
    layer: str
    """``framework``, a layer of [stack], ``packages`` or ``dev``."""
    requirement: Requirement


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """What one target of a spec asks for."""

    spec: Spec
    target: str | None
    """The target's name; None where the spec names no machine."""
    python: Python
    cuda: Prefix | str | None
    """The toolkit asked for; ``cpu``; or None for the newest that can run."""
    cudnn: Prefix | None
    nccl: Prefix | None
    platform: Platform
    gpus: tuple[str, ...]
    driver: Drivers | None
    glibc: Glibc | None
    base: str
    backend: Literal["uv", "conda"]
    cuda_compat: bool
    """Whether NVIDIA's forward-compatibility libcuda is to be shipped."""
    frameworks: tuple[Asked, ...]
    packages: tuple[Asked, ...]
    """All further requirements, of all layers, dev included."""
    keys: Mapping[str, str]
    """Word -> the key path that this target takes it from, such as ``targets.v100.cuda``."""

    @property
    def folder(self) -> str:
        """The folder of this target below the output folder, with ``/`` between its parts."""
        several = len(self.spec.targets) > 1
        return f"{self.spec.name}/{self.target}" if several else self.spec.name


def stacks(spec: Spec) -> tuple[Stack, ...]:
    """Return what each target of ``spec`` asks for; one without a name where there is none."""
    if not spec.targets:
        return (_stack(spec, None, None),)
    return tuple(_stack(spec, name, target) for name, target in spec.targets.items())


def _stack(spec: Spec, name: str | None, target: TargetSpec | None) -> Stack:
    keys = {}
    for word in ("python", "framework", "cuda", "cudnn", "packages", "base"):
        own = target is not None and getattr(target, word) is not None
        keys[word] = f"targets.{name}.{word}" if own else word
    for word in ("platform", "gpus", "driver", "glibc"):
        keys[word] = f"targets.{name}.{word}" if target is not None else "targets"
    keys |= {"nccl": "nccl", "backend": "backend", "cuda-compat": "image.cuda-compat"}
    if keys["base"] == "base":
        keys["base"] = "image.base"
    frameworks = target.framework if target and target.framework is not None else spec.framework
    packages = target.packages if target and target.packages is not None else spec.packages
    return Stack(
        spec=spec,
        target=name,
        python=(target and target.python) or spec.python,
        cuda=(target and target.cuda) or spec.cuda,
        cudnn=(target and target.cudnn) or spec.cudnn,
        nccl=spec.nccl,
        platform=target.platform if target else "linux/amd64",
        gpus=target.gpus if target else (),
        driver=target.driver if target else None,
        glibc=target.glibc if target else None,
        base=(target and target.base) or spec.image.base,
        backend=spec.backend,
        cuda_compat=spec.image.cuda_compat,
        frameworks=_asked(keys["framework"], "framework", frameworks),
        packages=(*_asked(keys["packages"], "packages", packages), *_layers(spec), *_dev(spec)),
        keys=keys,
    )


def _asked(key: str, layer: str, requirements: tuple[Requirement, ...]) -> tuple[Asked, ...]:
    return tuple(
        Asked(key=f"{key}[{index}]", layer=layer, requirement=each)
        for index, each in enumerate(requirements)
    )


def _layers(spec: Spec) -> tuple[Asked, ...]:
    return tuple(
        each
        for layer in type(spec.stack).model_fields
        for each in _asked(f"stack.{layer}", layer, getattr(spec.stack, layer))
    )


def _dev(spec: Spec) -> tuple[Asked, ...]:
    from packaging.requirements import Requirement  # noqa: PLC0415 (only where [dev] is used)

    if "dev" not in spec.image.variants:
        return ()
    words: list[tuple[str, str]] = [("dev.editors", each) for each in spec.dev.editors]
    words += [("dev.typecheck", spec.dev.typecheck)] if spec.dev.typecheck else []
    named = tuple(
        Asked(key=key, layer="dev", requirement=Requirement(DEV_PACKAGES[word]))
        for key, word in words
        if word in DEV_PACKAGES
    )
    return (*named, *_asked("dev.packages", "dev", spec.dev.packages))
