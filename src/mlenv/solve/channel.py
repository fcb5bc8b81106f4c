"""A conda stack to a set of builds that fit: plan, ask the channels, look at the answer.

The frameworks' GPU builds are asked for by their build strings, whoever brings them in, so a
solver never falls back to a CPU build in silence. What no channel has comes from the package
index, on top (``solve.on_top``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from packaging.utils import canonicalize_name

from mlenv.audit import forbids
from mlenv.audit.channel import examined, minors, toolkit_of, unhashed
from mlenv.audit.closure import older
from mlenv.backends import conda
from mlenv.errors import HostError, StackError
from mlenv.host.conda import Refusal, open_channels, rattler_version
from mlenv.plan import refusals
from mlenv.plan.bounds import named_index
from mlenv.plan.conda import unread
from mlenv.plan.decide import plan
from mlenv.plan.model import Decision
from mlenv.repodata import aliases
from mlenv.solve.asking import broke
from mlenv.solve.channel_refusal import Shelf, absent, near_names, refused
from mlenv.solve.on_top import on_top

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from packaging.requirements import Requirement

    from mlenv.backends.conda import Question
    from mlenv.catalog.load import Catalog
    from mlenv.errors import Reason
    from mlenv.plan.decide import Wish
    from mlenv.plan.model import Plan
    from mlenv.repodata import Record
    from mlenv.solve.asking import Desk
    from mlenv.solve.solution import Picked
    from mlenv.spec.stack import Asked, Stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """What a target installs from channels, and on top of that from indexes."""

    plan: Plan
    question: Question
    records: tuple[Record, ...]
    """Sorted by name."""
    dev: frozenset[str]
    """The conda packages that nothing but [dev] needs."""
    picked: tuple[Picked, ...]
    """The wheels on top."""
    virtual: tuple[tuple[str, str], ...]
    """The virtual packages that the channels were asked with."""
    pixi: str
    """``pixi.lock``, with the constraints of every record."""
    rattler: str
    """The solver's version."""
    warnings: tuple[Reason, ...]

    @property
    def verdict(self) -> Literal["ok", "unknown"]:
        """``unknown`` where something is left that neither source nor solver could tell."""
        return "unknown" if any(each.code == "fact-unknown" for each in self.warnings) else "ok"


def solve(stack: Stack, catalog: Catalog, wish: Wish, desk: Desk) -> Solution:
    """Return builds that fit for one target.

    Raises:
        StackError: no such stack, with the reasons.
        HostError: nothing is known: network, disk, rattler, uv.
        UsageError: the spec names what the catalog does not know.
    """
    first = plan(stack, catalog, wish)
    shelf = Shelf(channels=open_channels(desk.cache, offline=desk.offline), catalog=catalog)
    desk.say(f"reading {', '.join(stack.spec.lock.channels)}")
    question, above = _asked(first, shelf)
    desk.say(f"solving {stack.spec.name}" + (f" for {stack.target}" if stack.target else ""))
    asked = question.wish(catalog)
    found = shelf.channels.solve(asked)
    if isinstance(found, Refusal):
        desk.tell(found.text)
        desk.say("looking for the lines that conflict")
        raise refused(question, found, shelf)
    lacking = shelf.channels.lacking(found)
    if lacking:
        raise broke("rattler", lacking)
    if bad := tuple(unhashed(found)):
        raise HostError(*bad)
    planned = _settled(stack, catalog, wish, first, found)
    findings = tuple(examined(planned, found, catalog)) if question.gpu else ()
    if against := [each for each in findings if forbids(each)]:
        raise StackError(*against)
    picked: tuple[Picked, ...] = ()
    cautions: tuple[Reason, ...] = ()
    if above:
        try:
            picked, cautions = on_top(planned, above, found, desk, catalog)
        except StackError as error:
            raise near_names(error, above, shelf.names(first)) from None
    return Solution(
        plan=planned,
        question=question,
        records=found,
        dev=_dev(question, found),
        picked=picked,
        virtual=asked.virtual,
        pixi=shelf.channels.pixi_lock(found, asked),
        rattler=rattler_version(),
        warnings=(*planned.warnings, *findings, *_regressions(question, found, shelf), *cautions),
    )


def _asked(planned: Plan, shelf: Shelf) -> tuple[Question, tuple[Asked, ...]]:
    """Return what is asked of the channels, and the lines that an index has to answer.

    Raises:
        StackError: ``extra-missing``, or a framework that no channel has.
    """
    stack = planned.stack
    names = shelf.names(planned)
    below, above, wrong = [], [], []
    for each in (*stack.frameworks, *stack.packages):
        requirement = each.requirement
        if requirement.marker and not requirement.marker.evaluate(conda.environment(planned)):
            continue
        own = next((name for name in conda.conda_names(requirement) if name in names), None)
        if named_index(stack, canonicalize_name(requirement.name)):
            above.append(each)
        elif own is None and each.layer == "framework":
            wrong.append(absent(planned, each, names))
        elif own is None:
            above.append(each)
        elif requirement.extras:
            wrong.append(_extras(stack, each, own, requirement))
        else:
            below.append((each, own))
    if wrong:
        raise StackError(*wrong)
    return conda.question(planned, below, shelf.catalog), tuple(above)


def _extras(stack: Stack, asked: Asked, own: str, requirement: Requirement) -> Reason:
    extras = ",".join(sorted(requirement.extras))
    found = refusals.extra_missing(
        own, extras, (asked.key, stack.keys["backend"]), "conda's package format"
    )
    return replace(
        found,
        cause="a conda package has no extras: what one stands for are packages of their own",
        fix=f"write `{_bare(requirement)}`, and name the packages that [{extras}] brings",
    )


def _bare(requirement: Requirement) -> str:
    """Return a requirement's text without its extras."""
    return f"{requirement.name}{requirement.specifier}"


def _settled(
    stack: Stack, catalog: Catalog, wish: Wish, first: Plan, found: Sequence[Record]
) -> Plan:
    """Return the plan with the toolkit that came, and a decision for each framework's build.

    Raises:
        StackError: the drivers do not start that toolkit.
    """
    toolkit = toolkit_of(found) if first.toolkit_text != "cpu" else None
    planned = first
    if toolkit is not None and toolkit != first.toolkit:
        planned = plan(stack, catalog, replace(wish, held=toolkit))
    by_name = {each.name: each for each in found}
    told = [_decision(stack, each, by_name) for each in stack.frameworks]
    topics = {each.topic for each in told}
    kept = tuple(each for each in planned.decisions if each.topic not in topics)
    said = tuple(each for each in planned.warnings if each != unread(stack))
    return replace(planned, decisions=(*kept, *told), warnings=said)


def _regressions(question: Question, found: Sequence[Record], shelf: Shelf) -> Iterator[Reason]:
    """Say which frameworks are older than the newest of their lines that fits by itself."""
    stack = question.plan.stack
    came = {each.name: each.version for each in found}
    for asked in stack.frameworks:
        keys = {stack.keys["python"], asked.key}
        lines = tuple(line for line in question.lines if line.key in keys)
        alone = shelf.solved(replace(question, lines=lines, bounds=()))
        if isinstance(alone, Refusal):
            continue
        own = lines[1].name
        newest = next(each.version for each in alone if each.name == own)
        if minors(came[own]) < minors(newest):
            name = asked.requirement.name
            yield older(name, came[own], newest, name, asked.key)


def _decision(stack: Stack, asked: Asked, found: dict[str, Record]) -> Decision:
    own = next(found[name] for name in conda.conda_names(asked.requirement) if name in found)
    return Decision(
        topic=asked.requirement.name,
        choice=f"{own.name} {own.version} {own.build}",
        why="the newest build that all lines and the target's virtual packages admit, "
        "in strict channel priority",
        source=f"the records of {', '.join(aliases(stack.spec.lock.channels).values())}, "
        f"solved by rattler {rattler_version()}",
    )


def _dev(question: Question, found: Sequence[Record]) -> frozenset[str]:
    by_name = {each.name: each for each in found}
    waiting = [line.name for line in question.lines if not line.dev]
    reached: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in by_name and name not in reached:
            reached.add(name)
            waiting += by_name[name].needs()
    return frozenset(by_name.keys() - reached)
