"""What a line of a spec says, and the fact that makes it matter: one step of a proof."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from mlenv.errors import UsageError
from mlenv.machine import ARCHITECTURES, driver
from mlenv.plan.channels import toolkits_of
from mlenv.plan.compat import own_driver, rule
from mlenv.plan.gates import base_toolkit, clauses
from mlenv.plan.ground import ground_of

if TYPE_CHECKING:
    from mlenv.catalog.load import Catalog
    from mlenv.catalog.rows import VersionedRelease
    from mlenv.plan.decide import Wish
    from mlenv.plan.ground import Ground
    from mlenv.spec.stack import Asked, Stack

_SPEC = "the spec"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of the user's that a refusal rests on."""

    key: str
    """Its key path."""
    says: str
    """What stands there, as the spec would hold it."""
    fact: str
    source: str


def evidence(key: str, stack: Stack, catalog: Catalog, wish: Wish) -> Line:
    """Return what the line ``key`` of a stack says, with its fact and source."""
    try:
        ground = ground_of(stack, catalog, exclude_newer=wish.exclude_newer, skip=wish.skip)
    except UsageError:  # an unknown GPU is no step of any proof
        return Line(key=key, says=key, fact="", source=_SPEC)
    for asked in (*stack.frameworks, *stack.packages):
        if asked.key == key:
            return _requirement(asked, ground)
    word = next((w for w, k in stack.keys.items() if key == k or key.startswith(f"{k}[")), key)
    says, fact, source = _word(word, key, ground)
    return Line(key=key, says=says, fact=fact, source=source)


def _word(word: str, key: str, ground: Ground) -> tuple[str, str, str]:
    stack = ground.stack
    if word == "gpus":
        return _gpu(int(key.rpartition("[")[2].rstrip("]")), ground)
    if word == "driver":
        return _driver(ground)
    if word == "base":
        return _base(ground)
    if word == "cuda-compat":
        return _compat(ground)
    if word == "backend":
        return _backend(ground)
    plain = {
        "python": (str(stack.python), f"the interpreter is CPython {stack.python}"),
        "platform": (stack.platform, f"wheels must be for {ARCHITECTURES[stack.platform]}"),
        "cuda": (str(stack.cuda), f"the toolkit must be {stack.cuda}"),
        "cudnn": (str(stack.cudnn), f"cuDNN must be {stack.cudnn}.*"),
        "nccl": (str(stack.nccl), f"NCCL must be {stack.nccl}.*"),
        "glibc": (str(stack.glibc), f"no wheel may need a newer glibc than {stack.glibc}"),
    }
    value, fact = plain[word]
    return f'{word} = "{value}"', fact, _SPEC


def _gpu(index: int, ground: Ground) -> tuple[str, str, str]:
    gpu = ground.gpus[index]
    row = next((r for r in ground.catalog.facts.architecture if r.capability == gpu.arch), None)
    fact = f"{gpu.name} is {gpu.arch.sm}"
    if row is None:
        return f'gpus: "{gpu.name}"', fact, _SPEC
    window = f"from driver R{row.first_driver}" if row.first_driver else ""
    window += f" to R{row.last_driver}" if row.last_driver else ""
    span = f"from CUDA {row.first_toolkit}"
    span += f" to {row.last_toolkit}" if row.last_toolkit else ""
    known = ", ".join(each for each in (span, window.strip()) if each)
    return f'gpus: "{gpu.name}"', f"{fact} ({row.name}): known {known}", row.cited


def _driver(ground: Ground) -> tuple[str, str, str]:
    stack = ground.stack
    says = f'driver = "{stack.driver}"'
    lowest = stack.driver.lowest if stack.driver else None
    rows = [r for r in ground.catalog.facts.toolkit_driver if lowest and driver(r.driver) <= lowest]
    if not rows or stack.driver is None:
        return says, "the machines may have any driver of it", _SPEC
    row = max(rows, key=lambda each: each.toolkit)
    newest = stack.driver.newest_branch
    fact = f"its oldest, {stack.driver.lowest_text}, knows CUDA up to {row.toolkit}"
    fact += f"; its newest branch is R{newest}" if newest else "; it has no end"
    return says, fact, row.cited


def _base(ground: Ground) -> tuple[str, str, str]:
    stack = ground.stack
    says = f'base = "{stack.base}"'
    toolkit = base_toolkit(stack.base)
    rows = clauses(toolkit, ground) if toolkit else ()
    if rows:
        return says, f"its NVIDIA_REQUIRE_CUDA asks for CUDA {toolkit}", rows[0].cited
    row = ground.catalog.base(stack.base)
    if row is not None:
        return says, f"it has glibc {row.glibc}", row.cited
    return says, f"its glibc is not known; {ground.glibc} is assumed", "mlenv"


def _backend(ground: Ground) -> tuple[str, str, str]:
    channels = ", ".join(ground.stack.spec.lock.channels)
    says = f'backend = "{ground.stack.backend}"'
    rows = ground.catalog.facts.conda_variant
    built = (
        f"{row.package} {row.versions} for {', '.join(map(str, row.toolkits))}" for row in rows
    )
    return says, f"packages come from {channels}, which builds {'; '.join(built)}", rows[-1].cited


def _compat(ground: Ground) -> tuple[str, str, str]:
    known = [row for t in ground.toolkits if t and (row := rule(t, ground.catalog))]
    if not known:
        return "cuda-compat = true", "no row speaks of forward compatibility here", "mlenv"
    row = known[0]
    own = own_driver(row.toolkit, ground.catalog)
    fact = f"cuda-compat {row.toolkit} works on {' and '.join(row.brands)} GPUs, driver branches "
    fact += ", ".join(map(str, row.branches))
    fact += f", where the driver is older than {own.driver}" if own else ""
    return "cuda-compat = true", fact, row.cited


def _requirement(asked: Asked, ground: Ground) -> Line:
    name = canonicalize_name(asked.requirement.name)
    row = ground.catalog.framework(name)
    packages = dict.fromkeys(row.distribution.values()) if row else {name: None}
    releases = [
        each
        for package in packages
        for each in ground.catalog.releases(package)
        if asked.requirement.specifier.contains(each.version) and each.release.date <= ground.until
    ]
    fact, source = "the catalog knows no release in this range", ground.catalog.cited
    if releases:
        newest = max(releases, key=lambda each: each.version)
        fact = _release(newest, ground)
        if row is not None and (built := toolkits_of(newest, row, ground)):
            fact += f"; built for CUDA {', '.join(built)}"
            source += f"; {row.source} ({row.checked})"
    return Line(key=asked.key, says=f'"{asked.requirement}"', fact=fact, source=source)


def _release(release: VersionedRelease, ground: Ground) -> str:
    wheels = release.release.wheels.get(ground.architecture) or release.release.wheels.get("any")
    words = [f"{release.name} {release.text}"]
    if release.release.requires_python:
        words.append(f"Requires-Python {release.release.requires_python}")
    if wheels is not None:
        words.append(f"wheels for {', '.join(wheels.python)}")
        words += [f"glibc {wheels.glibc[0]} or newer"] if wheels.glibc else []
    else:
        words.append(f"no wheel for {ground.architecture}")
    return ": ".join((words[0], "; ".join(words[1:])))
