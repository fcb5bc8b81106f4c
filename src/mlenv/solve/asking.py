"""Questions to uv: put one, tell a refusal from a breakdown, and find the lines that conflict.

What a refusal is called to a person is said in ``refusal``.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from mlenv.backends import uv, uv_answer
from mlenv.errors import HostError, Reason
from mlenv.host import disk, outage, process, tools

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from mlenv.host.http import Web

SOLVE_SECONDS = 900.0
"""The longest a solve may take; the slowest seen cold was 7 s."""
AT_ONCE = 4
"""Solves that run side by side while the conflicting lines are looked for."""

_LACKING = re.compile(r"no versions? of|not found|unavailable|not available")


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


def ask(
    question: uv.Question, desk: Desk, *, offline: bool | None = None
) -> tuple[uv_answer.Answer, str]:
    """Return what uv says to ``question``, and its canonical lock where it found one.

    Raises:
        HostError: ``solver-broke``, ``network-failed``, ``network-off``, ``disk-failed``,
            ``tool-missing`` or ``tool-timeout``.
    """
    words = uv.command(tools.uv(), tools.python(), offline=desk.offline or bool(offline))
    with tools.scratch() as folder:
        disk.write(folder / uv.PROJECT, uv.project(question, version=tools.uv_version()).text)
        if seed := uv.seed(question):
            disk.write(folder / uv.ANSWER, seed)
        done = process.run(words, cwd=folder, seconds=SOLVE_SECONDS, inherit=passes)
        answer = uv_answer.answer(done.status, done.stderr, bare=_bare(question))
        if answer.kind == "broke":
            desk.tell(answer.text)
            if offline and not desk.offline:
                return answer, ""
            raise broken(answer)
        text = disk.text(folder / uv.ANSWER) if answer.kind == "found" else ""
    return answer, uv.canonical(text)


def _bare(question: uv.Question) -> set[str]:
    """Return the URLs of the frameworks' own indexes: buckets that nobody may list."""
    own = question.plan.stack.spec.indexes
    return {each.url.rstrip("/") for each in question.plan.indexes if each.alias not in own}


def passes(name: str) -> bool:
    """Tell whether uv may see a variable of this process."""
    return uv.PASSED_ON.match(name) is not None


def broken(answer: uv_answer.Answer) -> HostError:
    """Return what a breakdown of uv means for the user."""
    cause = answer.cause or "uv gave no reason"
    if answer.code == "network-off":
        return outage.off("what uv asks the index for")
    if answer.denied:
        return outage.of_status(*answer.denied)
    if answer.code == "network-failed":
        return outage.failed("the package index", cause)
    if answer.code == "disk-failed":
        return disk.refused(Path("uv's cache"), cause, "free some space, or set UV_CACHE_DIR")
    return broke("uv", cause)


def broke(solver: str, cause: str) -> HostError:
    """Return that a solver failed without an answer about the stack."""
    return HostError(
        Reason(
            code="solver-broke",
            what=f"{solver} failed without an answer",
            cause=cause,
            fix=f"`--verbose` shows {solver}'s own words",
        )
    )


def core(question: uv.Question, words: str, desk: Desk) -> tuple[str, ...]:
    """Return the keys of a minimal set of the user's lines that uv refuses.

    What uv's ``words`` of the refusal speak of is asked for first: where these lines alone are
    refused, no other is looked at. Then every line is left out once, side by side: one without
    which the rest can be solved is in every conflicting set. Where these lines alone are refused
    they are the answer; else a deletion filter: one line after the other is left out, and stays
    out where the rest is still refused.

    From uv's cache alone where that surely knows enough; else every line is left out online first,
    so that the offline solves that follow find all metadata.
    """
    every = _keys(question)
    named = _named(question, every, words)
    if 0 < len(named) < len(every) and _surely(question, set(named), desk):
        every = named
    if len(every) < 2:
        return every
    sides = [set(every) - {key} for key in every]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        without = list(pool.map(lambda side: _cached(question, side, desk), sides))
        known = None not in without
        if not known:
            without = list(pool.map(lambda side: _refused(question, side, desk), sides))
    needed = {key for key, each in zip(every, without, strict=True) if not each}
    if len(needed) == len(every):  # without any of them the rest can be solved
        return every
    if needed and _surely(question, needed, desk, known=not known):
        return tuple(key for key in every if key in needed)
    kept = set(every)
    for key in every:
        if key not in needed and _surely(question, kept - {key}, desk, known=not known):
            kept -= {key}
    return tuple(key for key in every if key in kept)


def _named(question: uv.Question, every: Collection[str], words: str) -> tuple[str, ...]:
    """Return the lines whose package the words name; a bound on one is the toolkit's too."""
    said = uv_answer.named(words)
    own = {each.key for each in question.requirements if _package(each.text) in said}
    if any(_package(each.text) in said for each in question.constraints):
        own |= set(question.plan.stack.keys.values())
    return tuple(key for key in every if key in own)


def _package(text: str) -> str:
    return str(canonicalize_name(uv.name(text)))


def _surely(question: uv.Question, keys: set[str], desk: Desk, *, known: bool = False) -> bool:
    """Tell whether uv refuses the lines in ``keys``: by its cache, else online."""
    found = _cached(question, keys, desk, known=known)
    return _refused(question, keys, desk) if found is None else found


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


def _refused(question: uv.Question, keys: set[str], desk: Desk) -> bool:
    """Tell whether uv refuses the lines in ``keys``; bounds of no line always count."""
    return ask(narrowed(question, keys), desk)[0].kind == "refused"


def _cached(
    question: uv.Question, keys: set[str], desk: Desk, *, known: bool = False
) -> bool | None:
    """Tell whether uv refuses the lines in ``keys``, by its cache; None where that is not sure.

    What it finds is a set. A refusal may rest on a page that the cache lacks (unless all of it is
    ``known`` to be there): it reads as a package without versions, with no word of the network.
    Source: read off uv 0.13.9, 2026-11-22.
    """
    answer, _ = ask(narrowed(question, keys), desk, offline=True)
    if answer.kind == "broke":
        return None
    if answer.kind == "found":
        return False
    return None if not known and _LACKING.search(" ".join(answer.text.split())) else True


def narrowed(question: uv.Question, keys: Collection[str]) -> uv.Question:
    """Return ``question`` with the lines in ``keys`` alone, and the bounds that come of them."""
    own = set(_keys(question))
    stack = question.plan.stack
    toolkit = {stack.keys["cuda"]} if stack.cuda is not None else set()
    lines = {each.key for each in question.requirements}

    def holds(key: str) -> bool:
        # below which release a framework may not fall comes of its line and of the toolkit's
        return key not in own or {key, *(toolkit if key in lines else ())} <= set(keys)

    return replace(
        question,
        requirements=tuple(each for each in question.requirements if each.key in keys),
        constraints=tuple(each for each in question.constraints if holds(each.key)),
    )
