"""uv: a plan as ``pyproject.toml``, and its lock in canonical form. Pure: runs nothing.

What is written here was measured key by key on uv 0.13.9 (2026-11-22). No default index is
named: the one that uv is configured with stands, and nothing of it reaches ``mlenv.lock``.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import tomli_w
from packaging.utils import canonicalize_name
from packaging.version import Version

from mlenv.files import File
from mlenv.machine import ARCHITECTURES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlenv.backends.uv_lock import Solved
    from mlenv.plan.model import Constraint, IndexUse, Plan, Preferred, Wanted

PROJECT = "pyproject.toml"
ANSWER = "uv.lock"
INTERPRETER = ".python-version"
BUILD_GROUP = "build-of-sources"
"""The group that pins what source packages are built with."""
OLDEST_HOST = 11
"""mlenv runs on CPython 3.11 and newer; uv wants the interpreter that runs it to be admitted."""

_ENVIRONMENTS = ("environments", "required-environments")
_PRERELEASE = re.compile(r"\d(a|b|rc|\.dev)\d")

PASSED_ON = re.compile(
    r"(?!UV_|VIRTUAL_ENV$|PYTHON|CONDA_)"
    r"|UV_(DEFAULT_INDEX|INDEX|INDEX_URL|EXTRA_INDEX_URL|INDEX_\w+_(USERNAME|PASSWORD))$"
    r"|UV_(KEYRING_PROVIDER|CACHE_DIR|NATIVE_TLS|SYSTEM_CERTS|INSECURE_HOST|CONFIG_FILE)$"
    r"|UV_(HTTP_\w+|CONCURRENT_\w+|REQUEST_TIMEOUT|CREDENTIALS_DIR|NO_CONFIG)$"
)
"""Variables of this machine that uv may see: where packages come from, never what is chosen."""


_SOME_INDEX = "https://index.invalid/simple"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of uv: a plan, and what former answers taught."""

    plan: Plan
    requirements: tuple[Wanted, ...]
    constraints: tuple[Constraint, ...]
    sources: tuple[str, ...] = ()
    """Packages that are taken as source, because nothing else is published."""
    build: tuple[str, ...] = ()
    """Requirements of the builds of those, PEP 508."""
    prereleases: bool = False
    """Whether a prerelease is taken where no release satisfies."""
    excluded: tuple[str, ...] = ()
    """Packages that somebody else installs: neither they nor what only they need is solved."""
    anywhere: bool = False
    """Whether releases without any file for the target are taken, to learn what they lack."""
    preferred: tuple[Preferred, ...] = ()
    """What is taken where nothing speaks against it."""
    searching: bool = False
    """Whether source packages may be built to read their metadata: what is written never says so.

    Without, uv steps back in silence to a release that needs none: hydra-core 1.3 to 0.11.
    """


def project(question: Question, *, version: str) -> File:
    """Return the ``pyproject.toml`` that puts ``question`` to uv ``version``."""
    plan = question.plan
    # uv refuses a lock whose project is called like a package it depends on
    head = {
        "name": f"mlenv-{plan.stack.spec.name}",
        "version": "0",
        "requires-python": _requires(question),
        "dependencies": [each.text for each in question.requirements if not each.dev],
    }
    document: dict[str, object] = {"project": head}
    groups = {
        "dev": [each.text for each in question.requirements if each.dev],
        BUILD_GROUP: list(question.build),
    }
    if any(groups.values()):
        document["dependency-groups"] = {key: each for key, each in groups.items() if each}
    document["tool"] = {"uv": _settings(question, version)}
    note = f"# written by mlenv for {plan.stack.spec.name}; edit the spec, not this file\n\n"
    return File(PROJECT, note + tomli_w.dumps(document, indent=4))


def seed(question: Question) -> str:
    """Return a ``uv.lock`` that holds what is preferred, and no file; empty where nothing is.

    uv takes the versions of a lock that lies there where they still satisfy, and writes all else
    anew; it looks away from one whose options are others. Source: uv 0.13.9, tried 2026-11-28.
    """
    if not question.preferred:
        return ""
    settings = _settings(question, "")
    urls = {each.alias: each.url for each in question.plan.indexes}
    options = {
        "prerelease-mode": settings["prerelease"],
        "exclude-newer": settings["exclude-newer"],
    }
    if "exclude-newer-package" in settings:
        options["exclude-newer-package"] = settings["exclude-newer-package"]
    rows = [
        {
            "name": each.name,
            "version": each.version,
            # which default index it was is not looked at; that of a named one is
            "source": {"registry": urls.get(each.index, _SOME_INDEX)},
        }
        for each in question.preferred
    ]
    head = {"version": 1, "revision": 1, "requires-python": _requires(question), "options": options}
    return tomli_w.dumps({**head, "package": rows})


def _requires(question: Question) -> str:
    return f">=3.{min(question.plan.stack.python.minor, OLDEST_HOST)}"


def _settings(question: Question, version: str) -> dict[str, object]:
    plan = question.plan
    marker = environment(plan)
    found: dict[str, object] = {
        "required-version": f"=={version}",
        "package": False,
        **({} if question.anywhere else {key: [marker] for key in _ENVIRONMENTS}),
        "exclude-newer": plan.exclude_newer,
        **({"exclude-newer-package": dict(plan.moved)} if plan.moved else {}),
        "index-strategy": "first-index",
        "prerelease": _prerelease(question),
    }
    if not question.searching:
        # with no-binary-package it is an allow-list: no source is built but of these
        found["no-build"] = True
    if question.sources:
        found["no-binary-package"] = sorted(question.sources)
    if question.constraints:
        found["constraint-dependencies"] = sorted({each.text for each in question.constraints})
    if question.excluded:
        found["exclude-dependencies"] = sorted(question.excluded)
    if plan.indexes:
        found["index"] = [_index(each) for each in plan.indexes]
    named = {name(each.text): each.index for each in question.requirements if each.index}
    if named:
        found["sources"] = {key: {"index": alias} for key, alias in sorted(named.items())}
    return found


def _index(used: IndexUse) -> dict[str, object]:
    row: dict[str, object] = {"name": used.alias, "url": used.url, "explicit": True}
    if used.dated is not None:
        row["exclude-newer"] = used.dated
    return row


def _prerelease(question: Question) -> str:
    if question.prereleases:
        return "if-necessary"
    asked = any(_PRERELEASE.search(each.text) for each in question.requirements)
    return "explicit" if asked else "disallow"


def unasked_prereleases(question: Question, packages: Iterable[Solved]) -> tuple[str, ...]:
    """Return the user's own requirements that a prerelease would answer though none was asked.

    A prerelease that something else pins is taken, and said; one in place of what was asked is
    not: on Python 3.14 uv gave tensorflow 2.22.0rc0 in silence. Source: uv 0.13.9, 2026-11-22.
    """
    own = {str(canonicalize_name(name(e.text))): e.text for e in question.requirements}
    return tuple(
        each.name
        for each in packages
        if each.name in own
        and Version(each.version).is_prerelease
        and not _PRERELEASE.search(own[each.name])
    )


def name(requirement: str) -> str:
    """Return the package of a requirement's text."""
    return re.split(r"[\s\[<>=!~;@]", requirement, maxsplit=1)[0]


def environment(plan: Plan) -> str:
    """Return the one marker that the lock is for."""
    return (
        "sys_platform == 'linux' "
        f"and platform_machine == '{ARCHITECTURES[plan.stack.platform]}' "
        "and implementation_name == 'cpython' "
        f"and python_version == '{plan.stack.python.short}'"
    )


def interpreter(plan: Plan) -> File:
    """Return the file by which a plain ``uv sync`` picks the interpreter of the lock."""
    return File(INTERPRETER, f"{plan.stack.python}\n")


def indexes(text: str) -> dict[str, str]:
    """Return alias -> URL of the indexes that a ``pyproject.toml`` names; none of a damaged one."""
    try:
        rows = tomllib.loads(text).get("tool", {}).get("uv", {}).get("index", ())
        return {str(row["name"]): str(row["url"]) for row in rows}
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError):
        return {}


def command(uv: str, python: str, *, offline: bool) -> tuple[str, ...]:
    """Return the words that solve in the folder they run in, on whatever interpreter is there."""
    words = (uv, "lock", "--python", python, "--no-python-downloads", "--color", "never")
    return (*words, "--no-progress", *(("--offline",) if offline else ()))


def canonical(text: str) -> str:
    """Return a ``uv.lock`` without sizes.

    An index that answers in JSON gives sizes, one that answers in HTML gives none, and a mirror may
    do the one today and the other tomorrow: the bytes would differ. ``mlenv.lock`` keeps sizes.
    """
    return re.sub(r", size = \d+(?=[ ,}])", "", text)
