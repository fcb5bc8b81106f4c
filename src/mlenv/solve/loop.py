"""A stack to a set of files that fit: plan, ask uv, look at the answer, ask again where needed.

uv's answer is a set of versions for a project; a target needs one file of each that runs there.
Where the two differ (a package without a wheel for this ABI, glibc or Python; a framework that
came in by itself; a toolkit the rest cannot take) the question is put again with what was learnt.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from mlenv.backends import uv, uv_answer, uv_lock
from mlenv.errors import HostError, StackError
from mlenv.machine import ARCHITECTURES
from mlenv.plan.decide import plan
from mlenv.selection import Target, select
from mlenv.solve.arrivals import arrivals
from mlenv.solve.asking import ask
from mlenv.solve.building import against, built
from mlenv.solve.evidence import gather
from mlenv.solve.judging import Heard, Unsuited, judged
from mlenv.solve.refusal import conflict, explained
from mlenv.solve.repair import missing, not_this, older, other, pinned, too_old, unfit
from mlenv.solve.solution import Picked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlenv.audit import Inside
    from mlenv.backends.uv_lock import Artefact, Solved
    from mlenv.catalog.load import Catalog
    from mlenv.errors import Reason
    from mlenv.host.sources import Source
    from mlenv.plan.decide import Wish
    from mlenv.plan.model import Constraint, Plan
    from mlenv.solve.asking import Desk
    from mlenv.solve.solution import Solution
    from mlenv.spec.stack import Stack

ROUNDS = 24
"""How often a question is put before mlenv gives up; the longest seen needed six."""

STEPS = 4
"""How many releases with the wrong binaries are left out before the toolkit is blamed."""

Wheels = dict[str, tuple["Solved", "Artefact"]]


def solve(stack: Stack, catalog: Catalog, wish: Wish, desk: Desk) -> Solution:
    """Return files that fit for one target.

    Raises:
        StackError: no such stack, with the reasons.
        HostError: nothing is known: network, disk, uv.
        UsageError: the spec names what the catalog does not know.
    """
    searching = stack.spec.lock.sdist != "deny"
    loop = _Loop(stack=stack, catalog=catalog, wish=wish, desk=desk, searching=searching)
    for _ in range(ROUNDS):
        try:
            found = loop.round()
        except HostError as error:
            if loop.first is None:
                raise
            # another toolkit might have done, but nobody can say: both are told
            raise HostError(*error.reasons, *loop.first.reasons) from error
        if found is not None:
            return found
    raise loop.first or conflict(loop.question(loop.planned()), (), "every answer led to another")


@dataclass(slots=True, kw_only=True)
class _Loop:
    """What earlier answers taught, for the next question."""

    stack: Stack
    catalog: Catalog
    wish: Wish
    desk: Desk
    bounds: list[Constraint] = field(default_factory=list)
    steps: list[Constraint] = field(default_factory=list)
    """Releases that are left out for their binaries, with this toolkit."""
    sources: dict[str, Source] = field(default_factory=dict)
    """Source packages that are taken, with what building them showed."""
    searching: bool
    """Whether source packages may still be met; it ends once it is known which to take."""
    strict: tuple[uv.Question, uv_answer.Answer] | None = None
    """The refusal that a prerelease might mend: something of the set may pin one."""
    first: StackError | None = None
    """The first refusal: where nothing else works either, it is what is told."""

    def planned(self) -> Plan:
        try:
            return plan(self.stack, self.catalog, self.wish)
        except StackError:
            if self.unpinned():
                return self.planned()
            if self.first:
                raise self.first from None
            raise

    def unpinned(self) -> bool:
        """Let frameworks that came in by themselves move; tell whether any was held."""
        held = [each for each in self.wish.implied if each.requirement.specifier]
        free = tuple(
            replace(each, requirement=Requirement(each.requirement.name))
            for each in self.wish.implied
        )
        self.wish = replace(self.wish, implied=free)
        return bool(held)

    def question(self, planned: Plan) -> uv.Question:
        requires = {text for each in self.sources.values() for text in each.requires}
        return uv.Question(
            plan=planned,
            requirements=planned.requirements,
            constraints=(*planned.constraints, *self.bounds, *self.steps),
            sources=tuple(sorted(self.sources)),
            build=tuple(sorted(requires)),
            searching=self.searching,
            prereleases=self.strict is not None,
            preferred=self.wish.preferred,
        )

    def round(self) -> Solution | None:
        """Put the question once; None where it is to be put again with what was learnt."""
        planned = self.planned()
        question = self.question(planned)
        target = self.stack.target
        self.desk.say(f"solving {self.stack.spec.name}" + (f" for {target}" if target else ""))
        answer, text = self.asked(question)
        if answer.kind == "refused":
            self.refused(question, answer)
            return None
        if not self.bounds and not self.steps:  # another toolkit does it: its refusals are its own
            self.first = None
        aliases = {each.url.rstrip("/"): each.alias for each in planned.indexes}
        packages = uv_lock.read(text, aliases)
        if self.strict and uv.unasked_prereleases(question, packages):
            raise explained(*self.strict, self.desk, self.catalog)
        if self.brought_in(planned, packages):
            return None
        return self.fitted(Heard(question=question, answer=answer, text=text, packages=packages))

    def asked(self, question: uv.Question) -> tuple[uv_answer.Answer, str]:
        """Return uv's answer; from its cache where the same set was solved a moment ago.

        Only there: offline, a page that is missing from the cache looks like a package without
        versions, and uv would step back to a release that does not need it.
        """
        if self.sources and not self.searching and not self.bounds:
            answer, text = ask(question, self.desk, offline=True)
            if answer.kind == "found":
                return answer, text
        return ask(question, self.desk)

    def refused(self, question: uv.Question, answer: uv_answer.Answer) -> None:
        """Learn from a refusal what to ask next, or raise it where nothing is left."""
        if self.steps and self.first:  # no other release will do with this toolkit
            if not self.is_free(question):
                raise self.first
            self.next_toolkit(question)
            return
        if answer.code == "needs-build" and self.searching:
            self.searching = False
            return
        if self.strict is None:
            self.strict = (question, answer)
            return
        # what is told is the first answer's; what conflicts, conflicts with prereleases too
        told = self.strict[1] if self.strict[0] == replace(question, prereleases=False) else answer
        self.strict = None  # what is asked next is another question
        if self.unpinned():
            return
        if self.first and (self.bounds or not self.is_free(question)):
            raise self.first
        self.first = self.first or explained(question, told, self.desk, self.catalog)
        if not self.is_free(question):
            raise self.first
        self.next_toolkit(question)

    def next_toolkit(self, question: uv.Question) -> None:
        """Ask with another toolkit from now on."""
        self.steps = []
        toolkit = question.plan.toolkit
        held = self.wish.skip if toolkit is None else self.wish.skip | {toolkit}
        self.wish = replace(self.wish, skip=held)

    def is_free(self, question: uv.Question) -> bool:
        """Tell whether mlenv chose the toolkit itself, and can choose another."""
        plan = question.plan
        return self.stack.cuda is None and plan.toolkit is not None and bool(plan.frameworks)

    def brought_in(self, planned: Plan, packages: Sequence[Solved]) -> bool:
        """Note what came in by itself; tell whether the question changes by that."""
        came = arrivals(planned, packages, self.catalog)
        self.wish = replace(
            self.wish,
            implied=(*self.wish.implied, *came.frameworks),
            direct=(*self.wish.direct, *came.members),
        )
        return bool(came.frameworks or came.members)

    def fitted(self, heard: Heard) -> Solution | None:
        """Choose each package's one file; None where something else has to be asked for."""
        planned = heard.question.plan
        target = Target(self.stack.python, ARCHITECTURES[self.stack.platform], planned.glibc)
        wheels: Wheels = {}
        unbuilt: list[tuple[Solved, Artefact]] = []
        for each in heard.packages:
            chosen = select((w.filename for w in each.wheels), target)
            if chosen is not None and each.name not in self.sources:
                wheels[each.name] = each, next(w for w in each.wheels if w.filename == chosen)
            elif each.sdist and (each.name in self.sources or (self.searching and not each.wheels)):
                unbuilt.append((each, each.sdist))
            else:
                self.look_for_older(missing(planned, each, target), each, target)
                return None
        if self.learns_to_build(planned, unbuilt):
            return None
        inside = gather(
            [(name, artefact) for name, (_, artefact) in wheels.items()],
            web=self.desk.web,
            cache=self.desk.cache,
            catalog=self.catalog,
            say=self.desk.say,
        )
        for name, (each, _) in wheels.items():
            requires = inside[name][1].requires_python
            if too_old(requires, self.stack.python):
                self.look_for_older(unfit(planned, each, requires), each, target)
                return None
        picked = self.picked(wheels, unbuilt, inside)
        found = judged(heard, picked, inside, desk=self.desk, catalog=self.catalog)
        if isinstance(found, Unsuited):
            self.look_elsewhere(found, heard)
            return None
        return found

    def look_elsewhere(self, unsuited: Unsuited, heard: Heard) -> None:
        """Ask for other releases of what has the wrong binaries, else with another toolkit."""
        self.first = self.first or unsuited.error
        question = heard.question
        loose = [
            each
            for each in heard.packages
            if each.name in unsuited.packages and not pinned(question, each.name)
        ]
        if loose and len(self.steps) < STEPS:
            self.searching = False
            self.steps += [other(each) for each in loose]
        elif self.is_free(question):
            self.next_toolkit(question)
        else:
            raise self.first

    def look_for_older(self, reason: Reason, package: Solved, target: Target) -> None:
        """Bound a package to what has a file for the target, or raise why there is none."""
        self.first = self.first or StackError(reason)
        bound = older(package, target, self.stack.python, self.desk)
        if bound is None:
            raise self.first
        if any(bound.text == known.text for known in self.bounds):
            bound = not_this(package)
        self.bounds.append(bound)

    def learns_to_build(self, planned: Plan, unbuilt: Sequence[tuple[Solved, Artefact]]) -> bool:
        """Build source packages once; tell whether the question changes by what that shows."""
        news = [(each, artefact) for each, artefact in unbuilt if each.name not in self.sources]
        for package, artefact in news:
            shown = built(planned, package, artefact, self.desk)
            reason = against(planned, package, shown)
            if reason is None:
                self.sources[package.name] = shown
            else:
                self.first = self.first or StackError(reason)
        if news:
            self.searching = False
        return bool(news)

    def picked(
        self,
        wheels: Wheels,
        unbuilt: Sequence[tuple[Solved, Artefact]],
        inside: Mapping[str, tuple[int, Inside]],
    ) -> tuple[Picked, ...]:
        found = [
            Picked(solved=each, artefact=artefact, size=inside[name][0], wheel=True)
            for name, (each, artefact) in wheels.items()
        ]
        for each, artefact in unbuilt:
            size = self.sources[each.name].size
            found.append(Picked(solved=each, artefact=artefact, size=size, wheel=False))
        return tuple(sorted(found, key=lambda each: each.solved.name))
