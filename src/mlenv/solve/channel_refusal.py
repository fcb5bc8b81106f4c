"""A refusal of a conda solver in the user's own words: the lines that conflict, and what would do.

A solver says "no candidates were found" also where the user's own pin removed them. So every line
is left out once, and stays out where the rest is still refused: what is left is a minimal set.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mlenv.audit.channel import cpu_builds, toolkit_of, variant
from mlenv.backends import conda
from mlenv.catalog.conda import index_name
from mlenv.errors import Reason, StackError
from mlenv.host.conda import Refusal, rattler_version
from mlenv.plan import refusals
from mlenv.repodata import SUBDIRS, address
from mlenv.solve.refusal import no_solution

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from mlenv.backends.conda import Question
    from mlenv.catalog.load import Catalog
    from mlenv.host.conda import Channels
    from mlenv.plan.model import Plan
    from mlenv.repodata import Record
    from mlenv.spec.stack import Asked, Stack

_LEAF = re.compile(r"^(?P<margin>[│├└─ ]*)(?P<what>\S.*)$")
_GLIBC = re.compile(r"__glibc >=(2\.\d+)")
_MOST = 3
"""How many facts are told in a line; a longer proof is the solver's own to show."""


@dataclass(slots=True, kw_only=True)
class Shelf:
    """Channels and facts, asked again and again."""

    channels: Channels
    catalog: Catalog
    _names: dict[tuple[str, ...], frozenset[str]] = field(default_factory=dict)

    def names(self, planned: Plan) -> frozenset[str]:
        """Return the names of all packages that the channels of a plan have."""
        urls = addresses(planned)
        if urls not in self._names:
            self._names[urls] = self.channels.names(urls, SUBDIRS[planned.stack.platform])
        return self._names[urls]

    def solved(
        self, question: Question, without: Collection[str] = ()
    ) -> tuple[Record, ...] | Refusal:
        """Return what the channels answer ``without`` some lines of the spec."""
        return self.channels.solve(question.wish(self.catalog, without))


def addresses(planned: Plan) -> tuple[str, ...]:
    """Return where the channels of a plan lie."""
    return tuple(address(each) for each in planned.stack.spec.lock.channels)


def absent(planned: Plan, asked: Asked, names: Collection[str]) -> Reason:
    """Return why a framework that no channel has cannot be."""
    channels = ", ".join(planned.stack.spec.lock.channels)
    wanted = conda.conda_names(asked.requirement)[0]
    near = difflib.get_close_matches(wanted, names, n=1)
    return refusals.cuda_not_offered(
        f"{channels} has no package `{wanted}` for {planned.stack.platform}",
        "its records hold none of that name" + (f"; the nearest is `{near[0]}`" if near else ""),
        'add a channel that has it to `[lock] channels`, or set `backend = "uv"`',
        (asked.key, planned.stack.keys["backend"]),
        f"the records of {channels}",
    )


def near_names(error: StackError, above: Sequence[Asked], names: Collection[str]) -> StackError:
    """Return a refusal of the index, with what the channels have under nearly the same name."""
    found = []
    for each in above:
        wanted = each.requirement.name.lower()
        near = difflib.get_close_matches(wanted, names, n=1, cutoff=0.8)
        if near and each.key in error.reasons[0].where:
            found.append(f'{each.key.partition("[")[0]}: "{near[0]}", which a channel has')
    return StackError(replace(error.reasons[0], nearest=tuple(found)), *error.reasons[1:])


def refused(question: Question, said: Refusal, shelf: Shelf) -> StackError:
    """Return a refusal as the smallest set of the user's own lines that cannot be together."""
    keys = _core(question, shelf)
    near = tuple(_nearest(question, keys, shelf))
    if (known := _of_one_line(question, keys, said)) is not None:
        return StackError(replace(known, nearest=near))
    loose = shelf.solved(replace(question, loose=True)) if question.gpu else said
    if not isinstance(loose, Refusal) and (found := cpu_builds(loose)):
        return StackError(replace(_cpu_only(question, found, keys, shelf), nearest=near))
    lines = _lines(question.plan.stack)
    error = no_solution(
        question.plan, lines, keys, _cause(said.text), f"rattler {rattler_version()}"
    )
    return StackError(replace(error.reasons[0], nearest=near))


def _of_one_line(question: Question, keys: tuple[str, ...], said: Refusal) -> Reason | None:
    """Return the refusal that has a code of its own: by the glibc, or by the cuDNN of the spec."""
    stack = question.plan.stack
    lines = _lines(stack)
    cause = _cause(said.text) or "the solver proves it"
    source = f"the records of {', '.join(stack.spec.lock.channels)}, rattler {rattler_version()}"
    others = [lines.get(key, key) for key in keys]
    if stack.keys["glibc"] in keys and (found := _GLIBC.search(said.text)):
        what = " and ".join(each for each in others if not each.startswith("glibc "))
        return refusals.glibc_too_old(what, found[1], str(stack.glibc), keys, source)
    if stack.keys["cudnn"] in keys and stack.cudnn is not None:
        what = " and ".join(each for each in others if not each.startswith("cuDNN "))
        return refusals.other_cudnn(what, stack.cudnn, cause, keys, source)
    return None


def _lines(stack: Stack) -> Mapping[str, str]:
    """Return key -> how a person wrote that line."""
    asked = {each.key: str(each.requirement) for each in (*stack.frameworks, *stack.packages)}
    words = {
        "python": f"Python {stack.python}",
        "cuda": f"CUDA {stack.cuda}",
        "cudnn": f"cuDNN {stack.cudnn}",
        "nccl": f"NCCL {stack.nccl}",
        "driver": f"driver {stack.driver}",
        "glibc": f"glibc {stack.glibc}",
    }
    return asked | {stack.keys[word]: text for word, text in words.items()}


def _core(question: Question, shelf: Shelf) -> tuple[str, ...]:
    left: list[str] = []
    for key in question.keys:
        if isinstance(shelf.solved(question, [*left, key]), Refusal):
            left.append(key)
    return tuple(key for key in question.keys if key not in left)


def _cpu_only(
    question: Question, found: Sequence[Record], keys: tuple[str, ...], shelf: Shelf
) -> Reason:
    first, plan = found[0], question.plan
    builds = shelf.channels.builds(addresses(plan), SUBDIRS[plan.stack.platform], first.name)
    offered = {(each.version, str(on)) for each in builds if (on := variant(each))}
    told = ", ".join(f"{version} for CUDA {on}" for version, on in sorted(offered))
    cause = "of all builds that the other lines admit only that one is left"
    cause += f"; the channel's GPU builds are {told}" if told else "; the channel has no GPU build"
    return refusals.cpu_only(
        f"{first.name} {first.version} would be the CPU build {first.build}",
        cause,
        keys,
        f"the records of {', '.join(plan.stack.spec.lock.channels)}",
        "change or drop one of these lines" if len(keys) > 1 else "change or drop this line",
    )


def _nearest(question: Question, keys: Sequence[str], shelf: Shelf) -> Iterator[str]:
    """Yield what each line would have to say, by what comes without it."""
    stack = question.plan.stack
    for key in keys:
        edited = _freed(question, key)
        found = shelf.solved(edited, () if edited is not question else [key])
        if isinstance(found, Refusal):
            continue
        versions = {each.name: each.version for each in found}
        if key == stack.keys["cuda"] and (toolkit := toolkit_of(found)) is not None:
            yield f'cuda = "{toolkit}"'
        elif key == stack.keys["python"] and "python" in versions:
            yield f'python = "{".".join(versions["python"].split(".")[:2])}"'
        elif edited is not question:
            line = next(each for each in question.lines if each.key == key)
            name = index_name(line.name)
            yield f'{key.partition("[")[0]}: "{name}=={versions[line.name]}"'
        elif key in {stack.keys["cudnn"], stack.keys["nccl"]}:
            yield f"leave `{key}` out"


def _freed(question: Question, key: str) -> Question:
    """Return ``question`` with any version of the package that a line names; itself if it may."""
    words = question.plan.stack.keys
    if key in {words[each] for each in ("python", "cuda", "cudnn", "nccl")}:
        return question
    lines = tuple(
        replace(each, text=f"{each.name} *") if each.key == key else each for each in question.lines
    )
    return question if lines == question.lines else replace(question, lines=lines)


def _cause(text: str) -> str:
    """Return the facts at the ends of a solver's tree: what requires what nobody has."""
    facts, above = [], ""
    for line in text.splitlines():
        found = _LEAF.match(line)
        what = found["what"] if found else ""
        if what.endswith((" would require", " would constrain")):
            above = what.rpartition(" would ")[0]
        elif ", for which no candidates were found" in what and above:
            facts.append(f"{above} requires {what.partition(', for which')[0]}")
        elif "is excluded because" in what or "No candidates were found for" in what:
            facts.append(what.partition(": ")[2] or what)
    told = list(dict.fromkeys(each.rstrip(". ") for each in facts))
    return "; ".join(told[:_MOST])
