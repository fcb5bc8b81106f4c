"""Packages whose newest version has no file for the target: the newest that has one, or why none.

uv looks at platforms and versions; the ABI of a free-threaded interpreter, the glibc of the target
and the upper bound of Requires-Python it leaves to whoever installs. Source: uv 0.13.9, 2026-11-22.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from mlenv import simple
from mlenv.host import outage
from mlenv.plan import refusals
from mlenv.plan.model import Constraint
from mlenv.selection import select, why_none

if TYPE_CHECKING:
    from mlenv.backends.uv import Question
    from mlenv.backends.uv_lock import Solved
    from mlenv.errors import Reason
    from mlenv.machine import Python
    from mlenv.plan.model import Plan
    from mlenv.selection import Target
    from mlenv.solve.asking import Desk


def too_old(requires: str | None, python: Python) -> bool:
    """Tell whether Requires-Python refuses ``python`` by either bound."""
    if not requires:
        return False
    try:
        allowed = SpecifierSet(requires)
    except InvalidSpecifier:
        return False
    return not any(allowed.contains(f"{python.short}.{patch}") for patch in (0, 99))


def unfit(plan: Plan, package: Solved, requires: str | None) -> Reason:
    """Return why a package whose Requires-Python refuses the target cannot be."""
    return refusals.python_unsupported(
        f"{package.name} {package.version}",
        plan.stack.python,
        f"its Requires-Python is {requires}",
        _keys(plan, package.name, "python"),
        "the metadata inside its wheel",
    )


def missing(plan: Plan, package: Solved, target: Target) -> Reason:
    """Return why none of a package's files is for the target."""
    names = [each.filename for each in package.wheels]
    what = f"{package.name} {package.version}"
    if not names:
        return _source_only(plan, package, what)
    why, has = why_none(names, target)
    python, listed = plan.stack.python, "the files that its index lists"
    cause = f"its wheels are for {has}"
    if why == "glibc":
        keys = _keys(plan, package.name, "glibc")
        return refusals.glibc_too_old(what, has, str(target.glibc), keys, listed)
    if why == "abi":
        keys = _keys(plan, package.name, "python")
        return refusals.no_wheel_for_abi(what, python, cause, keys, listed)
    if why == "python":
        keys = _keys(plan, package.name, "python")
        return refusals.python_unsupported(what, python, cause, keys, listed)
    keys = _keys(plan, package.name, "platform")
    return refusals.no_wheel_for_platform(what, plan.stack.platform, cause, keys, listed)


def _source_only(plan: Plan, package: Solved, what: str) -> Reason:
    cause = f'`[lock] sdist` is "{plan.stack.spec.lock.sdist}"'
    return needs_build(plan, package.name, f"{what} is published as source only", cause)


def needs_build(plan: Plan, package: str, what: str, cause: str) -> Reason:
    """Return why the source package of ``package`` is not taken."""
    return refusals.needs_build(
        what,
        cause,
        f'choose a release with wheels, or take it: `[lock] sdist = ["{package}"]`',
        _keys(plan, package),
        "the files that its index lists",
    )


def _keys(plan: Plan, package: str, word: str | None = None) -> tuple[str, ...]:
    from mlenv.backends.uv import name  # noqa: PLC0415 (only for a refusal)

    own = tuple(
        each.key for each in plan.requirements if canonicalize_name(name(each.text)) == package
    )
    written = word == "python" or (word == "glibc" and plan.stack.glibc is not None)
    written = written or (word == "platform" and plan.stack.target is not None)
    return (*own, *((plan.stack.keys[word],) if word and written else ()))


def older(package: Solved, target: Target, python: Python, desk: Desk) -> Constraint | None:
    """Return the bound that leads to the newest release with a file for the target; None for none.

    Raises:
        HostError: ``network-failed`` or ``network-off``.
    """
    address = simple.address(package.page, package.name)
    try:
        published = simple.files(*desk.web.page(address))
    except ValueError as error:
        raise outage.failed(address, str(error)) from error
    usable = {
        each.version
        for each in published
        if each.wheel
        and not each.yanked
        and not each.version.is_prerelease
        and not too_old(each.requires_python, python)
        and select((each.filename,), target)
    }
    below = [each for each in usable if each < Version(package.version)]
    if not below:
        return None
    return Constraint(
        key="",
        text=f"{package.name}<={max(below)}",
        why=f"{package.name} {package.version} has no file for this target",
    )


def not_this(package: Solved) -> Constraint:
    """Return the bound that excludes the version of an answer."""
    return Constraint(
        key="",
        text=f"{package.name}!={package.version}",
        why=f"{package.name} {package.version} does not take this Python",
    )


def other(package: Solved) -> Constraint:
    """Return the bound that leads to an older release than that of an answer."""
    return Constraint(
        key="",
        text=f"{package.name}<{package.version}",
        why=f"the binaries of {package.name} {package.version} are not for this stack",
    )


def pinned(question: Question, package: str) -> bool:
    """Tell whether a line of the spec names one release of ``package``, and no other will do."""
    return any(
        canonicalize_name(wanted.name) == package
        and any(
            each.operator in {"==", "==="} and not each.version.endswith(".*")
            for each in wanted.specifier
        )
        for wanted in (Requirement(each.text) for each in question.requirements)
    )
