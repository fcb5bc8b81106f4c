"""pyproject.toml: PEP 621 and PEP 735, uv's sources and indexes; Poetry's and pixi's tables.

Where a table of a tool says more than the standard's, it is that tool's reader that speaks.
Source: https://docs.astral.sh/uv/concepts/projects/dependencies/ (2026-11-28).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from mlenv.intake import hints, pixi, poetry, requirements_txt
from mlenv.intake.draft import Draft, Said
from mlenv.intake.requires import applies, package
from mlenv.intake.toml_text import document, rows, strings, table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mlenv.intake.draft import Source

    Line = Callable[[str], int | None]

DEV = frozenset({"dev", "develop", "development", "test", "tests", "testing", "lint", "typing"})
"""Names of extras and groups that hold what a person works with."""
_PLACED = ("git", "path", "url", "workspace")
"""A source that is no index."""


def read(source: Source) -> Draft:
    """Return what a pyproject.toml says."""
    content, line = document(source)
    draft = Draft(file=source.name)
    tool = table(content, "tool")
    _project(draft, source, table(content, "project"), line)
    _groups(draft, source, table(content, "dependency-groups"), line)
    if "poetry" in tool:
        poetry.fill(draft, source, table(tool, "poetry"), line)
    if "pixi" in tool:
        pixi.fill(draft, source, table(tool, "pixi"), line, "tool.pixi.")
    if "uv" in tool:
        _uv(draft, source, table(tool, "uv"), line)
    _dynamic(draft, source, content)
    return draft


def _project(draft: Draft, source: Source, project: Mapping[str, Any], line: Line) -> None:
    if isinstance(name := project.get("name"), str):
        draft.name = name
    if isinstance(wanted := project.get("requires-python"), str):
        draft.pythons.append(Said(text=wanted, at=draft.at(line("project.requires-python"))))
    for index, each in enumerate(strings(project.get("dependencies"))):
        draft.require(each, line(f"project.dependencies[{index}]"))
    optional = table(project, "optional-dependencies")
    for extra, listed in optional.items():
        key = f"project.optional-dependencies.{extra}"
        if extra in source.extras or extra in DEV:
            for index, each in enumerate(strings(listed)):
                dev = extra not in source.extras
                draft.require(each, line(f"{key}[{index}]"), dev=dev)
        else:
            draft.unasked(line(key), f"the extra `{extra}`", extra)


def _groups(draft: Draft, source: Source, groups: Mapping[str, Any], line: Line) -> None:
    for name in groups:
        key = f"dependency-groups.{name}"
        if name not in DEV | source.extras:
            draft.unasked(line(key), f"the group `{name}`", name)
            continue
        for group in _included(groups, name, ()):
            for index, each in enumerate(strings(groups.get(group))):
                at = line(f"dependency-groups.{group}[{index}]")
                draft.require(each, at, dev=name not in source.extras)


def _included(groups: Mapping[str, Any], name: str, seen: tuple[str, ...]) -> list[str]:
    """Return a group and those it includes, each once."""
    if name in seen:
        return []
    found = [name]
    for row in rows(groups.get(name)):
        if isinstance(other := row.get("include-group"), str):
            found += [each for each in _included(groups, other, (*seen, name)) if each not in found]
    return found


def _dynamic(draft: Draft, source: Source, content: Mapping[str, Any]) -> None:
    """Read the files that setuptools takes dependencies from."""
    if "dependencies" not in strings(table(content, "project").get("dynamic")):
        return
    named = table(content, "tool", "setuptools", "dynamic", "dependencies").get("file")
    for each in [named] if isinstance(named, str) else strings(named):
        found = source.near(each)
        if found is None:
            draft.leave(None, each, "no such file lies in the folder of this one")
        else:
            draft.take(requirements_txt.read(found))


def _uv(draft: Draft, source: Source, uv: Mapping[str, Any], line: Line) -> None:
    indexes = {
        str(row.get("name", f"index-{number}")): (str(row.get("url", "")), number)
        for number, row in enumerate(rows(uv.get("index", [])))
    }
    served: dict[str, list[str]] = {}
    for name, value in table(uv, "sources").items():
        _source(draft, source, name, value, indexes, served, line)
    for alias, (url, number) in indexes.items():
        at = line(f"tool.uv.index[{number}]")
        _index(draft, alias, url, served.get(alias, []), at, named=alias in served)
    if isinstance(dated := uv.get("exclude-newer"), str):
        draft.exclude_newer = dated
        draft.note(line("tool.uv.exclude-newer"), f"exclude-newer is {dated}")
    key = "constraint-dependencies"
    requirements_txt.bound(draft, strings(uv.get(key)), line(f"tool.uv.{key}"))
    for word in ("override-dependencies", "no-build-isolation-package", "extra-build-dependencies"):
        if word in uv:
            draft.leave(line(f"tool.uv.{word}"), f"tool.uv.{word}", "a spec has no such key")
    for each in strings(uv.get("dev-dependencies")):
        draft.require(each, line("tool.uv.dev-dependencies"), dev=True)


def _source(  # noqa: PLR0913, PLR0917 (what is known of uv's tables)
    draft: Draft,
    source: Source,
    name: str,
    value: object,
    indexes: Mapping[str, tuple[str, int]],
    served: dict[str, list[str]],
    line: Line,
) -> None:
    at = line(f"tool.uv.sources.{name}")
    for row in rows(value):
        extra = row.get("extra") or row.get("group")
        if not applies(str(row.get("marker", "")), source.extras):
            continue
        if isinstance(extra, str) and extra not in source.extras:
            served.setdefault(str(row.get("index")), [])  # its extra was named already
        elif placed := next((each for each in _PLACED if each in row), None):
            what = f"{name} from {placed} {row[placed]}"
            draft.leave(at, what, "no hash and no mirror covers it")
            draft.requirements = [
                each for each in draft.requirements if package(each.text) != canonicalize_name(name)
            ]
        elif isinstance(alias := row.get("index"), str) and alias in indexes:
            served.setdefault(alias, []).append(name)


def _index(  # noqa: PLR0913 (the parts of a row)
    draft: Draft, alias: str, url: str, packages: list[str], at: int | None, *, named: bool
) -> None:
    cuda = hints.index_cuda(url)
    if cuda is not None and packages:
        draft.claim(cuda, at, f"{', '.join(packages)} from {url}")
    elif named and not packages:
        return
    elif hints.is_pytorch(url):
        draft.leave(at, f"the index {alias}", "nothing that was taken comes from it")
    elif packages:
        draft.indexes[alias] = (url, packages)
        draft.note(at, f"the index {alias} serves {', '.join(packages)}")
    else:
        why = 'it says not what it serves: write [indexes.NAME] with `url` and `packages = ["…"]`'
        draft.leave(at, f"the index {alias} ({url})", why)
