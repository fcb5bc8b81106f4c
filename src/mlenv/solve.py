"""A stack to a set of files that fit: plan, ask uv, look at the answer, ask again where needed.

uv's answer is a set of versions for a project; a target needs one file of each that runs there.
Where the two differ (a package without a wheel for this ABI, glibc or Python; a framework that
came in by itself; a toolkit that the rest of the spec cannot take) the question is put again
with what was learnt, until the answer holds or nothing is left to ask.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mlenv.asking import ask, conflict, explained
from mlenv.audit import Locked, audit, forbids
from mlenv.backends import uv, uv_lock
from mlenv.errors import StackError
from mlenv.evidence import gather
from mlenv.host import sources
from mlenv.machine import ARCHITECTURES
from mlenv.plan.candidate import DEFAULT
from mlenv.plan.decide import plan
from mlenv.repair import missing, needs_build, not_this, older, too_old, unfit
from mlenv.selection import Target, select
from mlenv.spec.stack import Asked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlenv.asking import Desk
    from mlenv.audit import Inside
    from mlenv.backends.uv_lock import Artefact, Solved
    from mlenv.catalog.load import Catalog
    from mlenv.errors import Reason
    from mlenv.host.sources import Source
    from mlenv.plan.decide import Wish
    from mlenv.plan.model import Constraint, Plan
    from mlenv.spec.stack import Stack

ROUNDS = 24
"""How often a question is put before mlenv gives up; the longest seen needed six."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """A package and the one file of it that the target installs."""

    solved: Solved
    artefact: Artefact
    size: int
    """The bytes of the file."""
    wheel: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """What a target installs, and how it was found."""

    plan: Plan
    question: uv.Question
    lock_text: str
    """The canonical ``uv.lock``."""
    picked: tuple[Picked, ...]
    build_tools: tuple[Picked, ...]
    """What the source packages are built with, and nothing else needs."""
    warnings: tuple[Reason, ...]


def solve(stack: Stack, catalog: Catalog, wish: Wish, desk: Desk) -> Solution:
    """Return files that fit for one target.

    Raises:
        StackError: no such stack, with the reasons.
        HostError: nothing is known: network, disk, uv.
        UsageError: the spec names what the catalog does not know.
    """
    loop = _Loop(stack=stack, catalog=catalog, wish=wish, desk=desk)
    for _ in range(ROUNDS):
        found = loop.round()
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
    built: dict[str, Source | None] = field(default_factory=dict)
    """Source packages that are taken, with what building them showed."""
    first: StackError | None = None
    """The first refusal: where nothing else works either, it is what is told."""

    def planned(self) -> Plan:
        try:
            return plan(self.stack, self.catalog, self.wish)
        except StackError:
            if self.first:
                raise self.first from None
            raise

    def question(self, planned: Plan) -> uv.Question:
        requires = {text for each in self.built.values() if each for text in each.requires}
        return uv.Question(
            plan=planned,
            requirements=planned.requirements,
            constraints=(*planned.constraints, *self.bounds),
            sources=tuple(sorted(self.built)),
            build=tuple(sorted(requires)),
        )

    def round(self) -> Solution | None:
        """Put the question once; None where it is to be put again with what was learnt."""
        planned = self.planned()
        question = self.question(planned)
        target = self.stack.target
        self.desk.say(f"solving {self.stack.spec.name}" + (f" for {target}" if target else ""))
        answer, text = ask(question, self.desk)
        if answer.kind == "refused":
            self.refused(question, answer)
            return None
        aliases = {each.url.rstrip("/"): each.alias for each in planned.indexes}
        packages = uv_lock.read(text, aliases)
        if self.brought_in(planned, packages):
            return None
        return self.fitted(question, answer, text, packages)

    def refused(self, question: uv.Question, answer: uv.Answer) -> None:
        """Learn from a refusal what to ask next, or raise it where nothing is left."""
        new = [name for name in answer.sources if name not in self.built]
        if new and self.stack.spec.lock.sdist != "deny":
            self.built |= dict.fromkeys(new)
            return
        if self.bounds and self.first:
            raise self.first
        toolkit = question.plan.toolkit
        free = self.stack.cuda is None and toolkit is not None and question.plan.frameworks
        if not free or toolkit is None:
            raise self.first or explained(question, answer, self.desk, self.catalog)
        self.first = self.first or explained(question, answer, self.desk, self.catalog)
        self.wish = replace(self.wish, skip=self.wish.skip | {toolkit})

    def brought_in(self, planned: Plan, packages: tuple[Solved, ...]) -> bool:
        """Note frameworks that no line names, and members of a family from the wrong index."""
        rows = {c.asked.requirement.name for c in planned.frameworks}
        rows = {row.name for each in rows if (row := self.catalog.framework(each))}
        implied = []
        for each in packages:
            row = self.catalog.framework(each.name)
            if row is not None and row.name not in rows:
                rows.add(row.name)
                implied.append(
                    Asked(key="packages", layer="implied", requirement=Requirement(row.name))
                )
        wanted = {canonicalize_name(uv.name(each.text)) for each in planned.requirements}
        family = {
            name
            for c in planned.frameworks
            if c.candidate and c.candidate.channel != DEFAULT
            for name in c.candidate.build.row.family
        }
        direct = [e.name for e in packages if e.name in family - wanted]
        self.wish = replace(
            self.wish,
            implied=(*self.wish.implied, *implied),
            direct=(*self.wish.direct, *direct),
        )
        return bool(implied or direct)

    def fitted(
        self, question: uv.Question, answer: uv.Answer, text: str, packages: tuple[Solved, ...]
    ) -> Solution | None:
        """Choose each package's one file; None where an older version has to be asked for."""
        planned = question.plan
        target = Target(
            self.stack.python, ARCHITECTURES[self.stack.platform], planned.glibc
        )
        wheels: dict[str, tuple[Solved, Artefact]] = {}
        unbuilt: list[tuple[Solved, Artefact]] = []
        for each in packages:
            chosen = select((w.filename for w in each.wheels), target)
            if chosen is not None and each.name not in self.built:
                wheels[each.name] = each, next(w for w in each.wheels if w.filename == chosen)
            elif each.sdist is not None and each.name in self.built:
                unbuilt.append((each, each.sdist))
            else:
                self.look_for_older(missing(planned, each, target), each, target)
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
        if self.learns_to_build(planned, unbuilt):
            return None
        return self.audited(question, answer, text, wheels, unbuilt, inside)

    def look_for_older(self, reason: Reason, package: Solved, target: Target) -> None:
        """Bound a package to what has a file for the target, or raise why there is none."""
        self.first = self.first or StackError(reason)
        bound = older(package, target, self.stack.python, self.desk)
        if bound is None:
            raise self.first
        if any(bound.text == known.text for known in self.bounds):
            bound = not_this(package)
        self.bounds.append(bound)

    def learns_to_build(self, planned: Plan, unbuilt: list[tuple[Solved, Artefact]]) -> bool:
        """Build source packages once; tell whether their build tools are to be locked now."""
        news = False
        for package, artefact in unbuilt:
            if self.built[package.name] is not None:
                continue
            self.desk.say(f"building {package.name} {package.version} once")
            shown = sources.examine(
                self.desk.web,
                self.desk.cache,
                url=artefact.url,
                filename=artefact.filename,
                sha256=artefact.sha256,
                exclude_newer=planned.exclude_newer,
                offline=self.desk.offline,
            )
            self.allowed(planned, package, shown)
            self.built[package.name] = shown
            news = True
        return news

    def allowed(self, planned: Plan, package: Solved, shown: Source) -> None:
        """Raise unless ``[lock] sdist`` takes a source package that built like this."""
        policy = self.stack.spec.lock.sdist
        listed = () if isinstance(policy, str) else policy
        if package.name in {canonicalize_name(each.name) for each in listed}:
            return
        what = f"{package.name} {package.version}"
        if shown.failure:
            reason = needs_build(planned, package, f"{what} does not build", shown.failure)
            raise StackError(reason)
        if not shown.pure:
            cause = "it is published as source only, and its wheel is compiled for one platform"
            raise StackError(
                needs_build(planned, package, f"{what} is no pure Python", cause)
            )

    def audited(
        self,
        question: uv.Question,
        answer: uv.Answer,
        text: str,
        wheels: Mapping[str, tuple[Solved, Artefact]],
        unbuilt: list[tuple[Solved, Artefact]],
        inside: Mapping[str, tuple[int, Inside]],
    ) -> Solution:
        """Return the solution if no finding of the audit forbids it."""
        picked = [
            Picked(solved=each, artefact=artefact, size=inside[name][0], wheel=True)
            for name, (each, artefact) in wheels.items()
        ]
        for each, artefact in unbuilt:
            shown = self.built[each.name]
            size = shown.size if shown else 0
            picked.append(Picked(solved=each, artefact=artefact, size=size, wheel=False))
        picked.sort(key=lambda each: each.solved.name)
        installed = tuple(each for each in picked if not each.solved.build_only)
        findings = audit(
            question.plan,
            tuple(
                Locked(
                    name=each.solved.name,
                    version=each.solved.version,
                    filename=each.artefact.filename,
                    inside=inside[each.solved.name][1] if each.wheel else None,
                )
                for each in installed
            ),
            answer.extras,
            self.catalog,
        )
        against = [each for each in findings if forbids(each)]
        if against:
            raise StackError(*against)
        return Solution(
            plan=question.plan,
            question=question,
            lock_text=text,
            picked=installed,
            build_tools=tuple(each for each in picked if each.solved.build_only),
            warnings=(*question.plan.warnings, *findings),
        )
