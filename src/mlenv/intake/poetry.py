"""Poetry's tables of a pyproject.toml: carets and tildes as PEP 440, groups, sources.

Source: https://python-poetry.org/docs/dependency-specification/ (2026-11-28).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlenv.intake import hints, versions
from mlenv.intake.draft import Draft, Said
from mlenv.intake.requires import applies
from mlenv.intake.toml_text import rows, table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mlenv.intake.draft import Source

    Line = Callable[[str], int | None]

_PLACED = ("git", "path", "url", "file")


def fill(draft: Draft, source: Source, poetry: Mapping[str, Any], line: Line) -> None:
    """Add to ``draft`` what ``[tool.poetry]`` says."""
    if isinstance(name := poetry.get("name"), str):
        draft.name = draft.name or name
    served: dict[str, list[str]] = {}
    reader = _Reader(draft, source, line, served)
    reader.packages(table(poetry, "dependencies"), "tool.poetry.dependencies", dev=False)
    reader.packages(table(poetry, "dev-dependencies"), "tool.poetry.dev-dependencies", dev=True)
    for group, content in table(poetry, "group").items():
        key = f"tool.poetry.group.{group}.dependencies"
        if table(content).get("optional") and group not in source.extras:
            draft.unasked(line(key), f"the group `{group}`", group)
            continue
        dev = group not in {"main", *source.extras}
        reader.packages(table(content, "dependencies"), key, dev=dev)
    for number, row in enumerate(rows(poetry.get("source", []))):
        alias, url = str(row.get("name", "")), str(row.get("url", ""))
        reader.index(alias, url, line(f"tool.poetry.source[{number}]"))


class _Reader:
    """The tables of one file."""

    def __init__(
        self, draft: Draft, source: Source, line: Line, served: dict[str, list[str]]
    ) -> None:
        self.draft, self.source, self.line, self.served = draft, source, line, served

    def packages(self, listed: Mapping[str, Any], key: str, *, dev: bool) -> None:
        """Add the packages of one table."""
        for name, value in listed.items():
            at = self.line(f"{key}.{name}")
            several = value if isinstance(value, list) else [value]
            wanted = [each for each in several if self._holds(each)]
            for each in several[:0] if wanted else several[:1]:
                self.draft.leave(at, f"{name} {each}", "its markers are not for Linux")
            for each in wanted[:1]:
                self._one(name, each, at, dev=dev)
            for each in wanted[1:]:
                self.draft.leave(at, f"{name} {each}", "the first that is for Linux was taken")

    @staticmethod
    def _holds(value: object) -> bool:
        row = table(value)
        platform = str(row.get("platform", "linux"))
        return platform == "linux" and applies(str(row.get("markers", "")))

    def _one(self, name: str, value: object, at: int | None, *, dev: bool) -> None:
        row = {"version": value} if isinstance(value, str) else table(value)
        if placed := next((each for each in _PLACED if each in row), None):
            what = f"{name} from {placed} {row[placed]}"
            self.draft.leave(at, what, "no hash and no mirror covers it")
            return
        try:
            specifier = versions.poetry(str(row.get("version", "*")))
        except ValueError as error:
            self.draft.leave(at, f"{name} {row.get('version')}", f"{error}: {name} stays, of any")
            specifier = ""
        if name == "python":
            self.draft.pythons.append(Said(text=specifier, at=self.draft.at(at)))
            return
        if row.get("optional") is True and name not in self.source.extras:
            self.draft.leave(at, name, f"it is optional: --extra {name} takes it")
            return
        extras = ",".join(str(each) for each in row.get("extras", ()) if isinstance(each, str))
        self.draft.require(f"{name}{f'[{extras}]' if extras else ''}{specifier}", at, dev=dev)
        if isinstance(alias := row.get("source"), str):
            self.served.setdefault(alias, []).append(name)

    def index(self, alias: str, url: str, at: int | None) -> None:
        """Add what a source of the file means."""
        packages, cuda = self.served.get(alias, []), hints.index_cuda(url)
        if cuda is not None and packages:
            self.draft.claim(cuda, at, f"{', '.join(packages)} from {url}")
        elif packages and not hints.is_pytorch(url):
            self.draft.indexes[alias] = (url, packages)
            self.draft.note(at, f"the index {alias} serves {', '.join(packages)}")
        else:
            self.draft.leave(at, f"the source {alias}", "no package of the file names it")
