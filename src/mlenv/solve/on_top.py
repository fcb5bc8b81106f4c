"""What no channel has, from the package index, on top of what conda installs.

What conda provides is a fact for uv: Python packages are pinned to conda's versions and left out of
the answer, the frameworks are not solved at all (PyPI's torch would bring a second CUDA), and their
versions are held against what the wheels on top require.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from mlenv.backends import conda, uv, uv_lock
from mlenv.catalog.conda import conda_frameworks, index_name
from mlenv.errors import Reason, StackError
from mlenv.host import tools
from mlenv.machine import ARCHITECTURES
from mlenv.plan import refusals
from mlenv.plan.bounds import indexes, requirements
from mlenv.plan.model import Constraint
from mlenv.selection import Target, select
from mlenv.solve.asking import ask, broke
from mlenv.solve.evidence import gather
from mlenv.solve.refusal import explained, no_solution
from mlenv.solve.repair import missing
from mlenv.solve.solution import Picked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mlenv.audit import Inside
    from mlenv.backends.uv_lock import Artefact, Solved
    from mlenv.catalog.load import Catalog
    from mlenv.plan.model import Plan
    from mlenv.repodata import Record
    from mlenv.solve.asking import Desk
    from mlenv.spec.stack import Asked

ROUNDS = 8
"""How often a wheel that wants another framework is stepped back from."""

_CUDA = re.compile(r"nvidia-(?!ml-py$|modelopt)[a-z0-9-]+|cuda-toolkit")


def on_top(
    planned: Plan,
    above: Sequence[Asked],
    records: Sequence[Record],
    desk: Desk,
    catalog: Catalog,
) -> tuple[tuple[Picked, ...], tuple[Reason, ...]]:
    """Return the wheels that answer ``above`` beside ``records``, and what is unknown of them.

    Raises:
        StackError: uv refuses them, they have no wheel for the target, they want another version
            of what conda provides, or they would lie over it (``shadows-conda``).
        HostError: nothing is known: network, disk, uv.
    """
    provided = _provided(records)
    question = _question(planned, above, provided)
    first: StackError | None = None
    for _ in range(ROUNDS):
        desk.say("solving what no channel has")
        answer, text = ask(question, desk)
        if answer.kind == "refused":
            raise first or explained(question, answer, desk, catalog)
        aliases = {each.url.rstrip("/"): each.alias for each in question.plan.indexes}
        solved = [each for each in uv_lock.read(text, aliases) if each.name not in provided]
        wheels = dict(_wheels(planned, solved))
        inside = gather(
            [(name, artefact) for name, (_, artefact) in wheels.items()],
            web=desk.web,
            cache=desk.cache,
            catalog=catalog,
            say=desk.say,
        )
        if bad := tuple(_shadows(planned, wheels, records)):
            raise StackError(*bad)
        unmet = dict(_unmet(planned, {name: seen for name, (_, seen) in inside.items()}, provided))
        if not unmet:
            picked = tuple(
                Picked(solved=each, artefact=artefact, size=inside[name][0], wheel=True)
                for name, (each, artefact) in sorted(wheels.items())
            )
            return picked, tuple(_foreign(planned, picked, inside, question.excluded))
        versions = {name: wheels[name][0].version for name in unmet}
        first = first or _refused(planned, above, versions, unmet)
        barred = [f"{name}!={version}" for name, version in versions.items()]
        more = [Constraint(key="backend", text=each, why="it is unmet") for each in barred]
        question = replace(question, constraints=(*question.constraints, *more))
    raise first or broke("uv", "every answer led to another")


def _foreign(
    planned: Plan,
    picked: Sequence[Picked],
    inside: Mapping[str, tuple[int, Inside]],
    frameworks: Sequence[str],
) -> Iterator[Reason]:
    """Say which compiled wheels were linked to a framework that is another build than conda's."""
    for each in picked:
        name = each.solved.name
        needs = {uv.name(text).lower() for text in inside[name][1].requires}
        found = sorted(needs & {*frameworks})
        if found and not each.artefact.filename.endswith("-none-any.whl"):
            yield refusals.fact_unknown(
                f"whether {name} {each.solved.version} of the index fits conda's {found[0]}",
                f"its wheel was compiled against the index's {found[0]}, which is another build",
                (planned.stack.keys["backend"],),
            )


def _refused(
    planned: Plan, above: Sequence[Asked], versions: Mapping[str, str], unmet: Mapping[str, str]
) -> StackError:
    keys = tuple(each.key for each in above)
    lines = {each.key: str(each.requirement) for each in above}
    own = tuple(k for k in keys if canonicalize_name(uv.name(lines[k])) in unmet) or keys
    causes = [f"{name} {versions[name]} requires {why}" for name, why in unmet.items()]
    stack = planned.stack
    return no_solution(
        planned,
        lines | {stack.keys["framework"]: "what conda installs"},
        (*own, stack.keys["framework"]),
        "; ".join(causes),
        f"uv {tools.uv_version()}, beside the records of {', '.join(stack.spec.lock.channels)},",
    )


def _provided(records: Sequence[Record]) -> Mapping[str, str]:
    """Return index name -> version of the Python packages that conda installs."""
    return {
        index_name(each.name): each.version
        for each in records
        if "python" in each.needs() and each.name not in {"python", "python_abi"}
    }


def _question(planned: Plan, above: Sequence[Asked], provided: Mapping[str, str]) -> uv.Question:
    families = {index_name(name) for row in conda_frameworks() for name in row.members}
    pins = [
        Constraint(key="backend", text=f"{name}=={version}", why="conda installs it")
        for name, version in sorted(provided.items())
        if name not in families and _is_version(version)
    ]
    stack = planned.stack
    own = {each.key for each in above}
    return uv.Question(
        plan=replace(planned, indexes=indexes(stack, ())),
        requirements=tuple(each for each in requirements(stack, (), (), None) if each.key in own),
        constraints=tuple(pins),
        excluded=tuple(sorted(families & provided.keys())),
    )


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def _wheels(
    planned: Plan, solved: Sequence[Solved]
) -> Iterator[tuple[str, tuple[Solved, Artefact]]]:
    target = Target(planned.stack.python, ARCHITECTURES[planned.stack.platform], planned.glibc)
    for each in solved:
        chosen = select((wheel.filename for wheel in each.wheels), target)
        if chosen is None:
            raise StackError(missing(planned, each, target))
        yield each.name, (each, next(w for w in each.wheels if w.filename == chosen))


def _shadows(
    planned: Plan, wheels: Mapping[str, object], records: Sequence[Record]
) -> Iterator[Reason]:
    here = {each.name for each in records}
    bad = sorted(name for name in wheels if _CUDA.fullmatch(name)) if "cuda-version" in here else []
    if bad:
        yield Reason(
            code="shadows-conda",
            what=f"{', '.join(bad[:4])} would come from the package index, beside conda's CUDA",
            cause="two copies of one CUDA library in one process: which is loaded hangs on the "
            "order of imports",
            fix='take what needs them from a channel, or set `backend = "uv"`',
            where=(planned.stack.keys["backend"],),
        )


def _unmet(
    planned: Plan, inside: Mapping[str, Inside], provided: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield (wheel, what it requires of a package that conda installs in another version)."""
    markers = conda.environment(planned)
    for name, seen in inside.items():
        for text in seen.requires:
            try:
                wanted = Requirement(text)
            except InvalidRequirement:
                continue
            version = provided.get(canonicalize_name(wanted.name))
            if version is None or not _is_version(version):
                continue
            if wanted.marker is not None and not wanted.marker.evaluate(markers):
                continue
            if not wanted.specifier.contains(version, prereleases=True):
                yield name, f"{wanted.name}{wanted.specifier}, and conda installs {version}"
