"""pixi.toml, and ``[tool.pixi]`` of a pyproject.toml: conda's packages and an index's.

Source: https://pixi.sh/latest/reference/pixi_manifest/ (2026-11-28).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlenv.intake import conda_names, versions
from mlenv.intake.draft import Draft
from mlenv.intake.toml_text import document, strings, table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mlenv.intake.draft import Source

    Line = Callable[[str], int | None]

_PLACED = ("git", "path", "url")
_DEV = frozenset({"dev", "test", "tests", "lint"})
_HERE = frozenset({"linux", "unix", "linux-64"})


def read(source: Source) -> Draft:
    """Return what a pixi.toml says."""
    content, line = document(source)
    draft = Draft(file=source.name)
    fill(draft, source, content, line, "")
    return draft


def fill(draft: Draft, source: Source, content: Mapping[str, Any], line: Line, prefix: str) -> None:
    """Add to ``draft`` what pixi's tables say; ``prefix`` leads to them."""
    head = table(content, "workspace") or table(content, "project")
    if isinstance(name := head.get("name"), str):
        draft.name = draft.name or name
    channels = head.get("channels")
    for each in channels if isinstance(channels, list) else ():
        named = each if isinstance(each, str) else str(table(each).get("channel", ""))
        conda_names.channel(draft, named, line(f"{prefix}workspace.channels"))
    draft.platforms += strings(head.get("platforms"))
    reader = _Tables(draft, line)
    reader.fill(content, prefix, dev=False)
    for feature, below in table(content, "feature").items():
        key = f"{prefix}feature.{feature}"
        if feature in source.extras or feature in _DEV:
            reader.fill(below, f"{key}.", dev=feature not in source.extras)
        else:
            draft.unasked(
                line(key) or line(f"{key}.dependencies"), f"the feature `{feature}`", feature
            )
    for word in ("tasks", "activation"):
        if word in content:
            draft.leave(line(prefix + word), f"[{prefix}{word}]", "it is no part of a stack")


class _Tables:
    """The tables of dependencies, at the top, of a platform or of a feature."""

    def __init__(self, draft: Draft, line: Line) -> None:
        self.draft, self.line = draft, line

    def fill(self, content: object, prefix: str, *, dev: bool) -> None:
        """Add what the tables below ``prefix`` say."""
        self._system(table(content, "system-requirements"), prefix)
        for name, value in table(content, "dependencies").items():
            self._conda(name, value, self.line(f"{prefix}dependencies.{name}"), dev=dev)
        for name, value in table(content, "pypi-dependencies").items():
            self._index(name, value, self.line(f"{prefix}pypi-dependencies.{name}"), dev=dev)
        for platform, below in table(content, "target").items():
            if platform in _HERE:
                self.fill(below, f"{prefix}target.{platform}.", dev=dev)

    def _system(self, wanted: Mapping[str, Any], prefix: str) -> None:
        at = self.line(f"{prefix}system-requirements")
        if "cuda" in wanted:
            what = f"system-requirements.cuda {wanted['cuda']}"
            why = 'it is what the driver must run: write `driver = ">=…"` in a [targets.NAME]'
            self.draft.leave(at, what, why)

    def _conda(self, name: str, value: object, at: int | None, *, dev: bool) -> None:
        row = {"version": value} if isinstance(value, str) else table(value)
        version, build = str(row.get("version", "*")), str(row.get("build", ""))
        try:
            specifier = versions.conda_version(version)
        except ValueError as error:
            self.draft.leave(at, f"{name} {version}", str(error))
            return
        channel = str(row.get("channel", ""))
        found = versions.MatchSpec(name=name, specifier=specifier, build=build, channel=channel)
        conda_names.take(self.draft, found, at, dev=dev)

    def _index(self, name: str, value: object, at: int | None, *, dev: bool) -> None:
        row = {"version": value} if isinstance(value, str) else table(value)
        if placed := next((each for each in _PLACED if each in row), None):
            what = f"{name} from {placed} {row[placed]}"
            self.draft.leave(at, what, "no hash and no mirror covers it")
            return
        version = str(row.get("version", "*"))
        extras = ",".join(strings(row.get("extras")))
        specifier = "" if version == "*" else version
        self.draft.require(f"{name}{f'[{extras}]' if extras else ''}{specifier}", at, dev=dev)
