"""conda-lock.yml: of all that it pins, what nothing else in it asks for, and the frameworks.

Source: https://conda.github.io/conda-lock/output/ (version 1, 2026-11-28).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlenv.intake import conda_names
from mlenv.intake.draft import Draft, unreadable
from mlenv.intake.requires import package
from mlenv.intake.versions import MatchSpec
from mlenv.intake.yaml_text import line, mapping, strings, table

if TYPE_CHECKING:
    from mlenv.intake.draft import Source

_PLATFORMS = ("linux-64", "linux-aarch64")
_ALWAYS = frozenset({"python", "cuda-version", *conda_names.FRAMEWORKS})


def read(source: Source) -> Draft:
    """Return what a conda-lock.yml says.

    Raises:
        UsageError: ``intake-unreadable``: it is of another version, or holds nothing for Linux.
    """
    content = mapping(source)
    if content.get("version") != "1":
        cause = f"it is of version {content.get('version')} of the format, and not 1"
        raise unreadable(source.name, cause, "lock it anew, or name its environment.yml")
    draft = Draft(file=source.name, backend="conda")
    metadata = table(content.get("metadata"))
    for row in metadata.get("channels") or ():
        for each in strings(table(row).get("url")):
            conda_names.channel(draft, each, line(each))
    listed = content.get("package")
    rows = [table(each) for each in listed] if isinstance(listed, list) else []
    found = {each.get("platform") for each in rows}
    platform = next((each for each in _PLATFORMS if each in found), None)
    if platform is None:
        cause = "it holds no package for Linux"
        raise unreadable(source.name, cause, "lock it for linux-64, or name its environment.yml")
    draft.platforms.append(platform)
    _packages(draft, [each for each in rows if each.get("platform") == platform])
    return draft


def _packages(draft: Draft, rows: list[dict[str, Any]]) -> None:
    asked = {str(name) for row in rows for name in table(row.get("dependencies"))}
    count = 0
    for row in rows:
        name, version = row.get("name"), row.get("version")
        if not isinstance(name, str) or not isinstance(version, str):
            continue
        direct = name not in asked
        count += not direct
        dev = _is_dev(row)
        if row.get("manager") == "pip":
            draft.require(f"{package(name)}=={version}", line(name), dev=dev, direct=direct)
        elif direct or name in _ALWAYS:
            build = str(row.get("build") or _build(row))
            spec = MatchSpec(name=name, specifier=f"=={version}", build=build)
            if spec.build and not {"cuda", "cpu"} & _words(spec.build):
                spec = MatchSpec(name=name, specifier=f"=={version}")
            conda_names.take(draft, spec, line(name), dev=dev, direct=direct)
    draft.note(None, f"{count} packages come with others: the lock pins them anew")


def _words(build: str) -> set[str]:
    return {each for each in ("cuda", "cpu") if each in build}


def _build(row: dict[str, Any]) -> str:
    """Return the build string, which version 1 has in the address only."""
    stem = str(row.get("url", "")).rpartition("/")[2].removesuffix(".conda")
    return stem.removesuffix(".tar.bz2").rpartition("-")[2]


def _is_dev(row: dict[str, Any]) -> bool:
    named = [str(each) for each in strings(row.get("categories") or row.get("category"))]
    return bool(named) and "main" not in named
