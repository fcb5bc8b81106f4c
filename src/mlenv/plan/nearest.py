"""The nearest stacks that can be: one line of the spec changed, tried against the facts.

Nothing is guessed: an edit stands here only if the plan of the edited stack is good. Edits that
keep more of what was asked come first: a toolkit or a release of the same major, then others.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from mlenv.errors import StackError
from mlenv.machine import Drivers, Glibc, Prefix, Python
from mlenv.plan.decide import plan
from mlenv.plan.toolkits import toolkits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlenv.catalog.load import Catalog
    from mlenv.plan.decide import Wish
    from mlenv.spec.stack import Asked, Stack

MOST = 4
"""How many edits are shown."""


def nearest(stack: Stack, catalog: Catalog, wish: Wish) -> tuple[str, ...]:
    """Return the edits that make a refused stack good, best first: of one line, else of two."""
    found: list[str] = []
    if _can_be(stack, catalog, wish):  # something else than the facts refused it
        return ()
    for edits in (
        _toolkits(stack, catalog),
        *(_releases(stack, i, catalog) for i in range(len(stack.frameworks))),
        _cudnn(stack),
        _drivers(stack, catalog),
        _pythons(stack),
        _glibcs(stack),
    ):
        good = (text for text, edited in edits if _can_be(edited, catalog, wish))
        found += [text for text in (next(good, None),) if text]
    if not found:
        good = (text for text, edited in _pairs(stack, catalog) if _can_be(edited, catalog, wish))
        found += [text for text in (next(good, None),) if text]
    return tuple(found[:MOST])


def _can_be(stack: Stack, catalog: Catalog, wish: Wish) -> bool:
    try:
        return plan(stack, catalog, wish).verdict == "ok"
    except StackError:
        return False


def _toolkits(stack: Stack, catalog: Catalog) -> Iterator[tuple[str, Stack]]:
    asked = stack.cuda
    if not isinstance(asked, Prefix):
        return
    major = asked.parts[0]
    for each in sorted(toolkits(catalog), key=lambda t: (abs(t.major - major), -t.minor)):
        if (each.major, each.minor)[: len(asked.parts)] != asked.parts:
            edited = Prefix((each.major, each.minor))
            yield f'cuda = "{each}"', replace(stack, cuda=edited)


def _releases(stack: Stack, index: int, catalog: Catalog) -> Iterator[tuple[str, Stack]]:
    asked = stack.frameworks[index]
    row = catalog.framework(asked.requirement.name)
    if row is None:
        return
    packages = dict.fromkeys(row.distribution.values())
    releases = [each for package in packages for each in catalog.releases(package)]
    seen: set[str] = set()
    for each in sorted(releases, key=lambda r: r.version, reverse=True):
        if each.text in seen or asked.requirement.specifier.contains(each.version):
            continue
        seen.add(each.text)
        text = f"{asked.requirement.name}=={each.text}"
        yield f'framework = "{text}"', replace(stack, frameworks=_with(stack, index, text))


def _pairs(stack: Stack, catalog: Catalog) -> Iterator[tuple[str, Stack]]:
    """Yield edits of two lines: a release, and with it the toolkit left open or newer drivers."""
    for index in range(len(stack.frameworks)):
        for text, edited in _releases(stack, index, catalog):
            if stack.cuda is not None:
                yield f"{text}, and leave `cuda` out", replace(edited, cuda=None)
            for second, both in _drivers(edited, catalog):
                yield f"{text}, and {second}", both


def _with(stack: Stack, index: int, text: str) -> tuple[Asked, ...]:
    every = list(stack.frameworks)
    every[index] = replace(every[index], requirement=Requirement(text))
    return tuple(every)


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
    for minor in sorted(range(9, 16), key=lambda each: (abs(each - own.minor), -each)):
        edited = Python(minor, own.free_threaded)
        if edited != own:
            yield f'python = "{edited}"', replace(stack, python=edited)


def _glibcs(stack: Stack) -> Iterator[tuple[str, Stack]]:
    if stack.glibc is None:
        return
    for minor in range(stack.glibc.minor + 1, 42):
        edited = Glibc(2, minor)
        yield f'glibc = "{edited}"', replace(stack, glibc=edited)
