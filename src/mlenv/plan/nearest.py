"""The nearest stacks that can be: one line of the spec changed, tried against the facts.

Nothing is guessed: an edit stands here only if the plan of the edited stack is good. Edits that
keep more of what was asked come first: a toolkit or a release of the same major, then others.
"""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from mlenv.errors import StackError
from mlenv.machine import ARCHITECTURES, Drivers, Glibc, Prefix, Python
from mlenv.plan.decide import plan
from mlenv.plan.toolkits import toolkits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mlenv.catalog.load import Catalog
    from mlenv.plan.decide import Wish
    from mlenv.spec.stack import Asked, Stack

    Edits = Iterable[tuple[str, Stack]]

MOST = 4
"""How many edits are shown."""
TRIES = 400
"""How many pairs of edits are tried before none is shown."""


def nearest(stack: Stack, catalog: Catalog, wish: Wish) -> tuple[str, ...]:
    """Return the edits that make a refused stack good, best first: of one line, else of two.

    Each is written as the spec would hold it (``cuda = "12.6"``), or as ``leave `cuda` out``.
    """
    if _can_be(stack, catalog, wish):  # something else than the facts refused it
        return ()
    found: list[str] = []
    for edits in _kinds(stack, catalog):
        good = (text for text, edited in edits if _can_be(edited, catalog, wish))
        found += [text for text in (next(good, None),) if text]
    if not found:
        every = chain(_together(stack, catalog, wish), islice(_pairs(stack, catalog), TRIES))
        good = (text for text, edited in every if _can_be(edited, catalog, wish))
        found += [text for text in (next(good, None),) if text]
    return tuple(found[:MOST])


def _can_be(stack: Stack, catalog: Catalog, wish: Wish) -> bool:
    try:
        return plan(stack, catalog, wish).verdict == "ok"
    except StackError:
        return False


def _kinds(stack: Stack, catalog: Catalog) -> Iterator[Edits]:
    """Yield every kind of edit, those that keep more of what was asked first."""
    yield _image(stack)
    yield _toolkits(stack, catalog)
    for index in range(len(stack.frameworks)):
        yield _releases(stack, index, catalog)
    for index in range(len(stack.packages)):
        yield _versions(stack, index, catalog)
    yield _cudnn(stack)
    yield _drivers(stack, catalog)
    yield _pythons(stack)
    yield _glibcs(stack)
    if stack.driver is not None and not stack.cuda_compat:
        yield [("cuda-compat = true", replace(stack, cuda_compat=True))]
    if stack.target is not None:
        others = [each for each in ARCHITECTURES if each != stack.platform]
        yield [(f'platform = "{each}"', replace(stack, platform=each)) for each in others]


def _together(stack: Stack, catalog: Catalog, wish: Wish) -> Iterator[tuple[str, Stack]]:
    """Yield the newest releases of all frameworks that can be together, where there are several."""
    if len(stack.frameworks) < 2:
        return
    free = tuple(
        replace(each, requirement=Requirement(each.requirement.name)) for each in stack.frameworks
    )
    for cuda in dict.fromkeys((stack.cuda, None)):
        edited = replace(stack, frameworks=free, cuda=cuda)
        try:
            found = plan(edited, catalog, wish)
        except StackError:
            continue
        known = {each.asked.key: each.candidate for each in found.frameworks if each.candidate}
        names = [
            f"{each.requirement.name}=={known[each.key].version}" if each.key in known else ""
            for each in free
        ]
        if all(names):
            every = tuple(
                replace(each, requirement=Requirement(name))
                for each, name in zip(free, names, strict=True)
            )
            left = "" if cuda == stack.cuda else ", and leave `cuda` out"
            yield f"framework = {json.dumps(names)}{left}", replace(edited, frameworks=every)


def _pairs(stack: Stack, catalog: Catalog) -> Edits:
    """Yield edits of two lines: the image's or the drivers' and another, then releases with it."""
    yield from _both(_image(stack), lambda e: chain(_toolkits(e, catalog), _drivers(e, catalog)))
    yield from _both(_drivers(stack, catalog), lambda e: _toolkits(e, catalog))
    for index in range(len(stack.frameworks)):
        edits = list(_releases(stack, index, catalog))
        yield from _both(edits, lambda e: chain(_no_toolkit(e), _drivers(e, catalog)))
        yield from _both(edits, _pythons)


def _both(edits: Edits, others: Callable[[Stack], Edits]) -> Edits:
    for text, edited in edits:
        for second, both in others(edited):
            yield f"{text}, and {second}", both


def _no_toolkit(stack: Stack) -> Iterator[tuple[str, Stack]]:
    if stack.cuda is not None:
        yield "leave `cuda` out", replace(stack, cuda=None)


def _image(stack: Stack) -> Iterator[tuple[str, Stack]]:
    if stack.backend == "conda":
        yield 'backend = "uv"', replace(stack, backend="uv")
    if stack.base != "auto":
        yield 'base = "auto"', replace(stack, base="auto")
    if stack.cuda_compat:
        yield "cuda-compat = false", replace(stack, cuda_compat=False)


def _toolkits(stack: Stack, catalog: Catalog) -> Iterator[tuple[str, Stack]]:
    asked = stack.cuda
    if not isinstance(asked, Prefix):
        yield from _no_toolkit(stack)
        return
    major = asked.parts[0]
    for each in sorted(toolkits(catalog), key=lambda t: (abs(t.major - major), -t.minor)):
        if (each.major, each.minor)[: len(asked.parts)] != asked.parts:
            edited = Prefix((each.major, each.minor))
            yield f'cuda = "{each}"', replace(stack, cuda=edited)
    yield from _no_toolkit(stack)


def _releases(stack: Stack, index: int, catalog: Catalog) -> Iterator[tuple[str, Stack]]:
    for text, edited in _others(stack.frameworks[index], catalog):
        every = _with(stack.frameworks, index, edited)
        lines = [str(each.requirement) for each in every]
        shown = json.dumps(lines) if len(lines) > 1 else f'"{text}"'
        yield f"framework = {shown}", replace(stack, frameworks=every)


def _versions(stack: Stack, index: int, catalog: Catalog) -> Iterator[tuple[str, Stack]]:
    asked = stack.packages[index]
    if asked.requirement.specifier:
        for text, edited in _others(asked, catalog):
            every = _with(stack.packages, index, edited)
            yield f'"{text}" instead of "{asked.requirement}"', replace(stack, packages=every)


def _others(asked: Asked, catalog: Catalog) -> Iterator[tuple[str, Asked]]:
    """Yield the other releases of a framework or catalogued package, newest first."""
    name = asked.requirement.name
    row = catalog.framework(name)
    packages = dict.fromkeys(row.distribution.values() if row else (name,))
    releases = [each for package in packages for each in catalog.releases(package)]
    seen: set[str] = set()
    for each in sorted(releases, key=lambda r: r.version, reverse=True):
        if each.text in seen or asked.requirement.specifier.contains(each.version):
            continue
        seen.add(each.text)
        text = f"{name}=={each.text}"
        yield text, replace(asked, requirement=Requirement(text))


def _with(every: tuple[Asked, ...], index: int, edited: Asked) -> tuple[Asked, ...]:
    return (*every[:index], edited, *every[index + 1 :])


def _cudnn(stack: Stack) -> Iterator[tuple[str, Stack]]:
    if stack.cudnn is not None:
        yield "leave `cudnn` out", replace(stack, cudnn=None)


def _drivers(stack: Stack, catalog: Catalog) -> Iterator[tuple[str, Stack]]:
    if stack.driver is None or stack.driver.lowest is None:
        return
    floors = {row.driver for row in catalog.facts.driver_floor}
    floors |= {str(row.first_driver) for row in catalog.facts.architecture if row.first_driver}
    lasts = {row.last_driver for row in catalog.facts.architecture if row.last_driver}
    texts = [f">={each}" for each in sorted(floors, key=lambda f: Drivers(f">={f}").lowest or 0)]
    lowest = stack.driver.lowest_text
    texts += [f">={lowest},<{each + 1}" for each in sorted(lasts, reverse=True)]
    for text in texts:
        edited = Drivers.parse(text)
        if edited.lowest and edited.lowest >= stack.driver.lowest and edited != stack.driver:
            yield f'driver = "{text}"', replace(stack, driver=edited)


def _pythons(stack: Stack) -> Iterator[tuple[str, Stack]]:
    own = stack.python
    if own.free_threaded:
        yield f'python = "{own.short}"', replace(stack, python=Python(own.minor))
    minors = sorted(range(9, 16), key=lambda each: (abs(each - own.minor), -each))
    for free in dict.fromkeys((own.free_threaded, False)):
        for edited in (Python(minor, free) for minor in minors):
            if edited != own:
                yield f'python = "{edited}"', replace(stack, python=edited)


def _glibcs(stack: Stack) -> Iterator[tuple[str, Stack]]:
    if stack.glibc is None:
        return
    for minor in range(stack.glibc.minor + 1, 42):
        edited = Glibc(2, minor)
        yield f'glibc = "{edited}"', replace(stack, glibc=edited)
