"""A refusal of uv in the user's own words: the lines that conflict, or the one fact behind one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from mlenv.backends import uv, uv_answer, uv_lock
from mlenv.errors import Reason, StackError
from mlenv.host import tools
from mlenv.machine import ARCHITECTURES
from mlenv.plan import refusals
from mlenv.plan.model import PINS
from mlenv.plan.toolkits import cuda_major
from mlenv.selection import Target, select
from mlenv.solve.asking import ask, core, narrowed
from mlenv.solve.repair import missing, needs_build

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlenv.catalog.load import Catalog
    from mlenv.plan.model import Plan
    from mlenv.solve.asking import Desk


def explained(
    question: uv.Question, answer: uv_answer.Answer, desk: Desk, catalog: Catalog
) -> StackError:
    """Return a refusal as the smallest set of the user's own lines that cannot be together."""
    desk.tell(answer.text)
    if any(each.key == PINS for each in question.constraints):  # it is no line's doing
        return conflict(question, (), "the versions that are held leave no set")
    desk.say("looking for the lines that conflict")
    keys = core(question, answer.text, desk)
    fact = _fact(question, answer, keys, desk) if len(keys) == 1 else None
    return (
        StackError(fact)
        if fact
        else conflict(question, keys, _cause(question, answer, keys, catalog))
    )


def _fact(
    question: uv.Question, answer: uv_answer.Answer, keys: tuple[str, ...], desk: Desk
) -> Reason | None:
    """Return the single fact about a single package that refuses a single line, if it is one."""
    plan = question.plan
    listed = "the files that its index lists"
    if answer.code == "yanked":
        return refusals.withdrawn(answer.package, answer.cause, "widen the range", keys, listed)
    if answer.sources:
        policy = plan.stack.spec.lock.sdist
        cause = '`[lock] sdist` is "deny"' if policy == "deny" else "its metadata takes a build"
        what = f"{answer.sources[0]} is published as source only"
        return replace(needs_build(plan, answer.sources[0], what, cause), where=keys)
    if answer.code not in {"no-wheel", "python-unsupported"}:
        return None
    found = _without_file(question, keys, desk)
    if found or answer.code == "no-wheel":
        return found
    line = next((each.text for each in question.requirements if each.key in keys), "the stack")
    cause = "no release that the line admits does, by its Requires-Python or the tags of its wheels"
    keys = (*keys, plan.stack.keys["python"])
    return refusals.python_unsupported(line, plan.stack.python, cause, keys, listed)


def _without_file(question: uv.Question, keys: tuple[str, ...], desk: Desk) -> Reason | None:
    """Return why no file of a package is for the target, by the list of its files."""
    plan = question.plan
    found, text = ask(replace(narrowed(question, keys), anywhere=True), desk)
    target = Target(plan.stack.python, ARCHITECTURES[plan.stack.platform], plan.glibc)
    packages = uv_lock.read(text, {}) if found.kind == "found" else ()
    for each in packages:
        if each.wheels and not select((wheel.filename for wheel in each.wheels), target):
            reason = missing(plan, each, target)
            return replace(reason, where=tuple(dict.fromkeys((*keys, *reason.where))))
    return None


def conflict(question: uv.Question, keys: tuple[str, ...], cause: str) -> StackError:
    """Return the ``no-solution`` of ``keys``."""
    lines = {each.key: each.text for each in question.requirements}
    if question.plan.stack.cuda is not None:
        lines[question.plan.stack.keys["cuda"]] = f"cuda {question.plan.stack.cuda}"
    return no_solution(question.plan, lines, keys, cause, f"uv {tools.uv_version()}")


def no_solution(
    plan: Plan, lines: Mapping[str, str], keys: tuple[str, ...], cause: str, solver: str
) -> StackError:
    """Return the ``no-solution`` of ``keys``, whose ``lines`` a solver cannot satisfy together."""
    shown = [lines.get(key, key) for key in keys]
    what = "no set of versions satisfies the spec"
    if shown:
        one = len(shown) == 1
        what = f"{shown[0]} cannot be had" if one else f"{_and(shown)} cannot be together"
    where = f"for Python {plan.stack.python}, {plan.stack.platform}"
    return StackError(
        Reason(
            code="no-solution",
            what=f"{what} {where}",
            cause=cause or "the solver proves that no versions satisfy them all",
            fix="change or drop one of these lines; `--verbose` shows the solver's own proof",
            where=keys,
            source=f"{solver} over what was published before {plan.exclude_newer}",
        )
    )


def _and(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _cause(
    question: uv.Question, answer: uv_answer.Answer, keys: tuple[str, ...], catalog: Catalog
) -> str:
    toolkit = question.plan.toolkit
    majors = {name: cuda_major(name, catalog) or 0 for name in catalog.raw}
    blamed = uv_answer.majors_blamed(answer.text, {n: m for n, m in majors.items() if m})
    if toolkit is not None and blamed:
        package, major = blamed[0]
        return (
            f"what they need in common requires {package}, which is of CUDA {major}; "
            f"the toolkit is {toolkit}"
        )
    own = {canonicalize_name(uv.name(e.text)) for e in question.requirements if e.key in keys}
    among = [fact for fact in answer.facts if {canonicalize_name(uv.name(w)) for w in fact} <= own]
    return answer.cause or uv_answer.in_words(among[:2])
