"""A solution as the folder that ``build`` leaves: the lock, the solver's files, the recipe."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mlenv import __version__
from mlenv.backends import uv
from mlenv.errors import Exit
from mlenv.files import LOCK_NAME, File
from mlenv.image.dockerfile import build_tools, dockerfile, ignore_file, init_file
from mlenv.image.lint import approve
from mlenv.image.recipe import pinned, recipe_of
from mlenv.image.smoke import smoke
from mlenv.layers import DEFAULT_INDEX, layer, layer_files
from mlenv.lock import (
    Base,
    Decision,
    Image,
    Lock,
    Package,
    Pinned,
    Said,
    Stack,
    Target,
    Tools,
    Written,
    artefacts_sha256,
    lock_text,
)
from mlenv.plan.gates import base_toolkit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlenv.catalog.load import Catalog
    from mlenv.errors import Reason
    from mlenv.image.pins import Pins
    from mlenv.plan.model import Plan
    from mlenv.solve.solution import Picked, Solution

UNTRACKED = (uv.ANSWER,)
"""Files that name the index they came from: not hashed in ``mlenv.lock``, and may be absent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """What one target leaves."""

    lock: Lock
    files: tuple[File, ...]


def folder(
    solution: Solution, catalog: Catalog, *, spec_sha256: str, uv_version: str, pins: Pins | None
) -> Folder:
    """Return the lock and all files of a target; with ``pins``, those of the image too."""
    plan = solution.plan
    packages = wheel_packages(solution.picked, catalog)
    content = Content(
        plan=plan,
        packages=packages,
        pins=pins,
        verdict=solution.verdict,
        warnings=solution.warnings,
        spec_sha256=spec_sha256,
        tools=Tools(mlenv=__version__, uv=uv_version, catalog=catalog.scanned),
        stack=_stack(plan, packages),
    )
    lock = draft(content, catalog)
    files = [
        uv.project(solution.question, version=uv_version),
        uv.interpreter(plan),
        *layer_files(packages),
    ]
    if pins:
        lock = lock.model_copy(update={"image": made_of(plan)})
        files += _image(solution, lock)
    return sealed(lock, files, (File(uv.ANSWER, solution.lock_text),))


def sealed(lock: Lock, files: Sequence[File], beside: Sequence[File] = ()) -> Folder:
    """Return a folder whose lock names ``files`` with their hashes; ``beside`` it does not."""
    written = tuple(Written(path=each.path, sha256=each.sha256) for each in sorted(files))
    lock = lock.model_copy(update={"written": written})
    every = (*files, *beside, File(LOCK_NAME, lock_text(lock)))
    return Folder(lock=lock, files=tuple(sorted(every)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a lock says of a solution, whichever solver it is of."""

    plan: Plan
    packages: tuple[Package, ...]
    pins: Pins | None
    """The images that the recipe starts from; None where there is no recipe."""
    verdict: Literal["ok", "unknown"]
    warnings: Sequence[Reason]
    """What is said aloud with it."""
    spec_sha256: str
    tools: Tools
    """Whose versions change the bytes of the lock."""
    stack: Stack
    """The CUDA side of what was decided."""


def draft(content: Content, catalog: Catalog) -> Lock:
    """Return the lock of a solution, which names no file of the folder yet."""
    plan, pins = content.plan, content.pins
    return Lock(
        name=plan.stack.spec.name,
        backend=plan.stack.backend,
        verdict=content.verdict,
        spec_sha256=content.spec_sha256,
        artefacts_sha256=artefacts_sha256(content.packages),
        exclude_newer=plan.exclude_newer,
        moved=dict(plan.moved) or None,
        tools=content.tools,
        target=_target(plan),
        stack=content.stack,
        base=_base(plan, pins),
        uv=Pinned(reference=pins.uv.reference, digest=pins.uv.digest) if pins else None,
        init=_init(plan, catalog),
        decision=tuple(
            Decision(topic=each.topic, choice=each.choice, why=each.why, source=each.source)
            for each in plan.decisions
        ),
        said=tuple(
            Said(code=each.code, what=each.what)
            for each in (*content.warnings, *(pins.warnings if pins else ()))
            if each.exit_status in {Exit.DONE, Exit.UNPROVEN}
        ),
        package=content.packages,
    )


def _target(plan: Plan) -> Target:
    stack = plan.stack
    return Target(
        name=stack.target or "default",
        platform=stack.platform,
        python=str(stack.python),
        glibc=str(plan.glibc),
        gpus=stack.gpus,
        driver=str(stack.driver) if stack.driver else None,
    )


def _stack(plan: Plan, packages: tuple[Package, ...]) -> Stack:
    versions = {re.sub(r"-cu\d\d$", "", each.name): each.version for each in packages}
    found = {name: versions.get(f"nvidia-{name}") for name in ("cudnn", "nccl")}
    return Stack(
        toolkit=plan.toolkit_text, channel=plan.channel, cudnn=found["cudnn"], nccl=found["nccl"]
    )


def _init(plan: Plan, catalog: Catalog) -> Package | None:
    rows = (row for row in catalog.facts.init if row.platform == plan.stack.platform)
    found = next(rows, None)
    if found is None:
        return None
    return Package(
        name=found.name,
        version=found.version,
        layer="init",
        index=DEFAULT_INDEX,
        filename=found.filename,
        sha256=found.sha256,
        size=found.size,
    )


def _base(plan: Plan, pins: Pins | None) -> Base:
    if pins is None:
        name, digest = pinned(plan.base)
        return Base(reference=name, digest=digest)
    return Base(reference=pins.base.reference, digest=pins.base.digest, python=pins.base.python)


def wheel_packages(picked: Sequence[Picked], catalog: Catalog) -> tuple[Package, ...]:
    """Return what an index serves of a solution, each with its layer."""
    members = {name for row in catalog.frameworks.values() for name in row.packages}
    return tuple(
        Package(
            name=each.solved.name,
            version=each.solved.version,
            layer=layer(
                each.solved.name,
                size=each.size,
                framework=each.solved.name in members,
                source=not each.wheel,
                dev=each.solved.dev,
            ),
            index=each.solved.index,
            filename=each.artefact.filename,
            sha256=each.artefact.sha256,
            size=each.size,
        )
        for each in picked
    )


def made_of(plan: Plan) -> Image:
    """Return what the image is made of beside the packages."""
    image = plan.stack.spec.image
    compiler: Literal["cc", "nvcc"] = "nvcc" if image.compile == "nvcc" else "cc"
    return Image(
        brings_python=plan.brings_python,
        apt=image.apt,
        compile=compiler if image.compile else "none",
        variants=image.variants,
        labels=dict(image.labels),
        driver_floor=_floor(plan),
    )


def _image(solution: Solution, lock: Lock) -> list[File]:
    plan = solution.plan
    spec = plan.stack.spec
    indexes = {each.alias: each.url for each in plan.indexes}
    recipe = recipe_of(lock, indexes=indexes, build_tools=_lines(solution))
    files = [
        dockerfile(recipe, lock),
        ignore_file(),
        smoke(lock, gpus=plan.gpus, checks=spec.smoke),
    ]
    more = [each for each in (init_file(lock), build_tools(recipe)) if each]
    approve(files[0].text, [*layer_files(lock.package), *more])
    return [*files, *more]


def _floor(plan: Plan) -> str | None:
    """Return the oldest driver that the image lets start; None where its base says so itself."""
    found = next((each.choice for each in plan.decisions if each.topic == "driver"), "")
    own = base_toolkit(plan.base) is not None  # its gate was judged, and stays as it is
    return found.removeprefix(">=") if found.startswith(">=") and not own else None


def _lines(solution: Solution) -> tuple[str, ...]:
    """Return what source packages are built with: their tools, and what the lock has of them."""
    wanted = {uv.name(each) for each in solution.question.build}
    named = [each for each in solution.picked if each.solved.name in wanted]
    return tuple(sorted(_line(each) for each in (*solution.build_tools, *named)))


def _line(picked: Picked) -> str:
    solved = picked.solved
    return f"{solved.name}=={solved.version} --hash=sha256:{picked.artefact.sha256}"
