"""Questions to uv: put one, tell a refusal from a breakdown, and find the lines that conflict."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlenv.backends import uv
from mlenv.errors import HostError, Reason, StackError
from mlenv.host import disk, outage, process, tools
from mlenv.plan.toolkits import cuda_major

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlenv.catalog.load import Catalog
    from mlenv.host.http import Web

SOLVE_SECONDS = 900.0
"""The longest a solve may take; the slowest seen cold was 7 s."""
AT_ONCE = 4
"""Solves that run side by side while the conflicting lines are looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What a solve works with."""

    web: Web
    cache: Path
    offline: bool
    say: Callable[[str], None]
    """Shows one line of progress."""
    tell: Callable[[str], None]
    """Shows a tool's own words, under ``--verbose``."""


def ask(question: uv.Question, desk: Desk, *, offline: bool | None = None) -> tuple[uv.Answer, str]:
    """Return what uv says to ``question``, and its canonical lock where it found one.

    Raises:
        HostError: ``solver-broke``, ``network-failed``, ``network-off``, ``disk-failed``,
            ``tool-missing`` or ``tool-timeout``.
    """
    words = uv.command(tools.uv(), tools.python(), offline=desk.offline or bool(offline))
    with tools.scratch() as folder:
        disk.write(folder / uv.PROJECT, uv.project(question, version=tools.uv_version()).text)
        done = process.run(words, cwd=folder, seconds=SOLVE_SECONDS, inherit=_passes)
        answer = uv.answer(done.status, done.stderr)
        if answer.kind == "broke":
            desk.tell(answer.text)
            if offline and not desk.offline:
                return answer, ""
            raise _broken(answer)
        text = disk.text(folder / uv.ANSWER) if answer.kind == "found" else ""
    return answer, uv.canonical(text)


def _passes(name: str) -> bool:
    return uv.PASSED_ON.match(name) is not None


def _broken(answer: uv.Answer) -> HostError:
    cause = answer.cause or "uv gave no reason"
    if answer.code == "network-off":
        return outage.off("what uv asks the index for")
    if answer.code == "network-failed":
        return outage.failed("the package index", cause)
    if answer.code == "disk-failed":
        return disk.refused(Path("uv's cache"), cause, "free some space, or set UV_CACHE_DIR")
    return HostError(
        Reason(
            code="solver-broke",
            what="uv failed without an answer",
            cause=cause,
            fix="`--verbose` shows uv's own words",
        )
    )


def explained(question: uv.Question, answer: uv.Answer, desk: Desk, catalog: Catalog) -> StackError:
    """Return a refusal as the smallest set of the user's own lines that cannot be together."""
    desk.tell(answer.text)
    desk.say("looking for the lines that conflict")
    keys = core(question, desk)
    return conflict(question, keys, _cause(question, answer, catalog))


def conflict(question: uv.Question, keys: tuple[str, ...], cause: str) -> StackError:
    """Return the ``no-solution`` of ``keys``."""
    lines = {each.key: each.text for each in question.requirements}
    if question.plan.stack.cuda is not None:
        lines[question.plan.stack.keys["cuda"]] = f"cuda {question.plan.stack.cuda}"
    shown = [lines.get(key, key) for key in keys]
    one = len(shown) == 1
    what = f"{shown[0]} cannot be had" if one else f"{_and(shown)} cannot be together"
    if not shown:
        what = "no set of versions satisfies the spec"
    python = question.plan.stack.python
    where = f"for Python {python}, {question.plan.stack.platform}"
    return StackError(
        Reason(
            code="no-solution",
            what=f"{what} {where}",
            cause=cause or "the solver proves that no versions satisfy them all",
            fix="change or drop one of these lines; `--verbose` shows the solver's own proof",
            where=keys,
            source=f"uv {tools.uv_version()} over what was published before "
            f"{question.plan.exclude_newer}",
        )
    )


def _and(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _cause(question: uv.Question, answer: uv.Answer, catalog: Catalog) -> str:
    toolkit = question.plan.toolkit
    majors = {name: cuda_major(name, catalog) or 0 for name in catalog.raw}
    blamed = uv.majors_blamed(answer.text, {n: m for n, m in majors.items() if m})
    if toolkit is not None and blamed:
        package, major = blamed[0]
        return (
            f"what they need in common requires {package}, which is of CUDA {major}; "
            f"the toolkit is {toolkit}"
        )
    return answer.cause


def core(question: uv.Question, desk: Desk) -> tuple[str, ...]:
    """Return the keys of a minimal set of the user's lines that uv refuses.

    A deletion filter: one line after the other is left out, and stays out where the rest is still
    refused. Every line is left out once online first, side by side, so that the offline solves
    that follow find all metadata; else a missing page would look like a conflict.
    """
    every = _keys(question)
    if len(every) < 2:
        return every
    with ThreadPoolExecutor(AT_ONCE) as pool:
        without = list(pool.map(lambda key: _refused(question, set(every) - {key}, desk), every))
    # a line without which the rest can be solved is in every conflicting set
    needed = {key for key, refused in zip(every, without, strict=True) if not refused}
    kept = set(every)
    for key in every:
        if key not in needed and _refused(question, kept - {key}, desk, offline=True):
            kept -= {key}
    return tuple(key for key in every if key in kept)


def _keys(question: uv.Question) -> tuple[str, ...]:
    written = {each.key for each in question.requirements}
    stack = question.plan.stack
    if stack.cuda is not None:
        written.add(stack.keys["cuda"])
    if stack.cudnn is not None:
        written.add(stack.keys["cudnn"])
    if stack.nccl is not None:
        written.add(stack.keys["nccl"])
    return tuple(sorted(written, key=lambda key: (key not in stack.keys.values(), key)))


def _refused(question: uv.Question, keys: set[str], desk: Desk, *, offline: bool = False) -> bool:
    """Tell whether uv refuses the lines in ``keys``; bounds of no line always count."""
    own = set(_keys(question))
    smaller = replace(
        question,
        requirements=tuple(e for e in question.requirements if e.key in keys),
        constraints=tuple(e for e in question.constraints if e.key in keys or e.key not in own),
    )
    answer, _ = ask(smaller, desk, offline=offline)
    if answer.kind == "broke":  # only offline: something is not in the cache after all
        answer, _ = ask(smaller, desk)
    return answer.kind == "refused"
