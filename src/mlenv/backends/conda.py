"""conda: a plan as a wish to a conda solver, each part with the line of the spec it stands for.

Pure: asks nothing. Every virtual package comes from the spec's target, never from this machine:
a solver that looks at its host gives a login node's users CPU builds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import Version

from mlenv.catalog.conda import conda_framework, conda_frameworks, conda_name
from mlenv.machine import ARCHITECTURES
from mlenv.plan.fit import cudnn_below
from mlenv.repodata import SUBDIRS, Wish, address

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    from mlenv.catalog.load import Catalog
    from mlenv.machine import Python
    from mlenv.plan.model import Plan
    from mlenv.spec.stack import Asked

KERNEL = "5.10"
"""``__linux``: what conda-lock 4.0.3 assumes too; no build is known that asks for a newer one."""

OPEN = {"__cuda": "99", "__glibc": "2.99"}
"""Versions above all: of virtual packages whose line is left out to see whether it matters."""

_UNTIL = "lock.exclude-newer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A match spec, and the line of the spec it stands for."""

    key: str
    text: str
    dev: bool = False

    @property
    def name(self) -> str:
        """The conda package that it is about."""
        return self.text.partition(" ")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of the channels for one target."""

    plan: Plan
    lines: tuple[Line, ...]
    bounds: tuple[Line, ...]
    """What holds of a package if it is there."""
    gpu: bool
    """Whether GPU builds are asked for."""
    loose: bool = False
    """Whether CPU builds are taken though GPU builds are asked for, to learn that they are all."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The lines that a person could change, those of the stack first."""
        stack = self.plan.stack
        own = [line.key for line in (*self.lines, *self.bounds)]
        own += [stack.keys["driver"]] if stack.driver is not None and self.gpu else []
        own += [stack.keys["glibc"]] if stack.glibc is not None else []
        own += [_UNTIL] if stack.spec.lock.exclude_newer is not None else []
        return tuple(dict.fromkeys(own))

    def wish(self, catalog: Catalog, without: Collection[str] = ()) -> Wish:
        """Return it as a solver reads it, ``without`` the lines of these keys."""
        stack = self.plan.stack
        bounds = [each.text for each in self.bounds if each.key not in without]
        if self.gpu and not self.loose:
            bounds += [f"{name} * {glob}" for name, glob in _globs(gpu=True)]
        if stack.cuda == "cpu":
            bounds += [f"{name} * {glob}" for name, glob in _globs(gpu=False)]
        return Wish(
            channels=tuple(address(each) for each in stack.spec.lock.channels),
            subdir=SUBDIRS[stack.platform],
            specs=tuple(each.text for each in self.lines if each.key not in without),
            bounds=tuple(dict.fromkeys(bounds)),
            virtual=tuple(_virtual(self, catalog, without)),
            until=None if _UNTIL in without else self.plan.exclude_newer,
        )


def _globs(*, gpu: bool) -> Iterator[tuple[str, str]]:
    for row in conda_frameworks():
        yield from (row.gpu if gpu else row.cpu).items()


def question(plan: Plan, requirements: Iterable[tuple[Asked, str]], catalog: Catalog) -> Question:
    """Return what is asked of the channels.

    Args:
        plan: what was decided.
        requirements: (line of the spec, the conda package that answers it).
        catalog: the facts.
    """
    stack = plan.stack
    lines = [Line(key=stack.keys["python"], text=_python(stack.python))]
    bounds: list[Line] = []
    for asked, name in requirements:
        text = f"{name} {version_spec(asked.requirement.specifier)}"
        lines.append(Line(key=asked.key, text=text, dev=asked.layer == "dev"))
        row = conda_framework(_framework(asked.requirement))
        if row is not None and asked.layer == "framework" and stack.cuda != "cpu":
            # the glob binds what it names; the package itself may be pure Python (jax of jaxlib)
            lines += [Line(key=asked.key, text=f"{each} *") for each in row.gpu if each != name]
    gpu = stack.cuda != "cpu" and bool(stack.frameworks or stack.gpus or stack.cuda)
    if gpu and stack.cuda is not None:
        line = Line(key=stack.keys["cuda"], text=f"cuda-version {stack.cuda}.*")
        (lines if stack.frameworks else bounds).append(line)
    if stack.spec.image.compile == "nvcc" and gpu:
        lines.append(Line(key="image.compile", text="cuda-nvcc *"))
    for word in ("cudnn", "nccl"):
        wanted = getattr(stack, word)
        if wanted is not None:
            bounds.append(Line(key=stack.keys[word], text=f"{word} {wanted}.*"))
    below = cudnn_below(plan.gpus, catalog) if gpu else None
    if below is not None:  # newer ones have no kernels for a GPU of the target
        text = f"<{below[0]}"
        bounds += [Line(key=stack.keys["gpus"], text=f"{n} {text}") for n in ("cudnn", "libcudnn")]
    return Question(plan=plan, lines=tuple(lines), bounds=tuple(bounds), gpu=gpu)


def _framework(requirement: Requirement) -> str:
    return requirement.name.lower()


def _python(python: Python) -> str:
    return (
        f"python {python.short}.* *_cp3{python.minor}t"
        if python.free_threaded
        else (f"python {python.short}.*")
    )


def version_spec(specifier: SpecifierSet) -> str:
    """Return PEP 440 as conda writes it: ``>=2.9,<3``, ``2.8.*``, ``*``."""
    parts = []
    for each in sorted(specifier, key=str):
        if each.operator == "==":
            wild = each.version.endswith(".*")
            parts.append(each.version if wild else f"=={each.version}")
        else:
            parts.append(f"{each.operator}{each.version}")
    return ",".join(parts) or "*"


def environment(plan: Plan) -> dict[str, str]:
    """Return the values of PEP 508's markers in the environment of a target."""
    stack = plan.stack
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{stack.python.short}.0",
        "os_name": "posix",
        "platform_machine": ARCHITECTURES[stack.platform],
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{stack.python.short}.0",
        "python_version": stack.python.short,
        "sys_platform": "linux",
        "extra": "",
    }


def conda_names(requirement: Requirement) -> tuple[str, ...]:
    """Return the names by which a channel may have a requirement, the likelier first."""
    row = conda_framework(_framework(requirement))
    own = row.package if row else conda_name(requirement.name)
    return tuple(dict.fromkeys((own, requirement.name.lower())))


def _virtual(
    asked: Question, catalog: Catalog, without: Collection[str]
) -> Iterator[tuple[str, str]]:
    stack = asked.plan.stack
    glibc = OPEN["__glibc"] if stack.keys["glibc"] in without else str(asked.plan.glibc)
    architecture = ARCHITECTURES[stack.platform]
    yield "__archspec", f"1 {architecture}"
    if asked.gpu:
        held = stack.keys["driver"] not in without
        yield "__cuda", cuda_of_driver(asked.plan, catalog) if held else OPEN["__cuda"]
        if asked.plan.gpus:  # CEP 46: the lowest capability that there is
            lowest = min(each.arch for each in asked.plan.gpus)
            yield "__cuda_arch", f"{lowest.major}.{lowest.minor}"
    yield "__glibc", glibc
    yield "__linux", KERNEL
    yield "__unix", "0"


def cuda_of_driver(plan: Plan, catalog: Catalog) -> str:
    """Return ``__cuda``: the newest CUDA that the target's oldest driver knows.

    Where no driver is named, that of the toolkit, else of the newest: nothing is checked then.
    """
    lowest = plan.stack.driver.lowest if plan.stack.driver else None
    rows = catalog.facts.toolkit_driver
    if lowest is not None:
        known = [row.toolkit for row in rows if Version(row.driver) <= lowest]
        if str(lowest).isdigit():  # a branch stands for its releases
            known = [row.toolkit for row in rows if Version(row.driver).major <= lowest.major]
        return str(max(known, default=min(row.toolkit for row in rows)))
    return str(plan.toolkit or max(row.toolkit for row in rows))
