"""environment.yml of conda, and of repo2docker and conda-lock, which read it too.

A line with a selector (``# [win]``) counts where it is for Linux: conda-lock reads those.
Source: https://conda.github.io/conda-lock/src_environment_yaml/ (2026-11-28).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from mlenv.intake import conda_names, requirements_txt, versions
from mlenv.intake.draft import Draft
from mlenv.intake.yaml_text import line, mapping, strings, table

if TYPE_CHECKING:
    from mlenv.intake.draft import Source

_SELECTOR = re.compile(r"\s#\s*\[([\w\s-]+)\]\s*$")
_HERE = {"linux", "linux64", "linux-64", "unix", "x86_64"}
_KNOWN = {"name", "channels", "dependencies", "platforms", "prefix", "category"}


def read(source: Source) -> Draft:
    """Return what an environment.yml says."""
    draft = Draft(file=source.name)
    content = mapping(replace(source, text=_selected(draft, source.text)))
    name = next(strings(content.get("name")), None)
    draft.name = name or ""
    for each in strings(content.get("channels")):
        conda_names.channel(draft, each, line(each))
    draft.platforms += [str(each) for each in strings(content.get("platforms"))]
    dev = content.get("category") in {"dev", "test"}
    listed = content.get("dependencies")
    exported = _is_export(listed)
    if exported:
        why = "it is an export: the solver picks builds; `--from-history` exports what was asked"
        draft.leave(None, "the builds of its packages", why)
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict):
            _pip(draft, source, each)
            continue
        for text in strings(each):
            _one(draft, text, dev=dev, exported=exported)
    for key in content.keys() - _KNOWN:
        draft.leave(line(key), str(key), "it is no part of a stack")
    return draft


def _selected(draft: Draft, text: str) -> str:
    """Return the text without the lines that are for another system."""
    rows = text.split("\n")
    for number, row in enumerate(rows, start=1):
        found = _SELECTOR.search(row)
        if found and not _HERE & set(found[1].split()):
            draft.leave(number, row.strip().lstrip("- "), "it is not for Linux")
            rows[number - 1] = ""
    return "\n".join(rows)


def _is_export(listed: object) -> bool:
    """Tell whether ``conda env export`` wrote a list: then all has a version and a build."""
    several = list(strings(listed))
    return len(several) > 3 and all(re.fullmatch(r"[^=]+=[^=]+=[^=]+", each) for each in several)


def _one(draft: Draft, text: str, *, dev: bool, exported: bool) -> None:
    at = line(text)
    if exported and text.startswith("_"):
        return  # conda's own marks, such as _libgcc_mutex
    try:
        found = versions.conda(text)
    except ValueError as error:
        named = re.match(r"[A-Za-z0-9][\w.-]*", text)
        if named is None or "|" not in text:
            draft.leave(at, text, str(error))
            return
        draft.leave(at, text, f"{error}: {named[0]} stays, of any version")
        found = versions.MatchSpec(name=named[0], specifier="")
    if exported and not re.search(r"cuda|cpu", found.build):
        found = replace(found, build="")
    conda_names.take(draft, found, at, dev=dev)


def _pip(draft: Draft, source: Source, listed: object) -> None:
    """Add the packages below ``- pip:``, which are lines of a requirements.txt."""
    for each in strings(table(listed).get("pip")):
        below = requirements_txt.read(replace(source, text=str(each)))
        shifted = (line(each) or 1) - 1
        draft.take(moved(below, shifted))


def moved(draft: Draft, lines: int) -> Draft:
    """Return a draft of one line of a file with its places in that file."""
    at = f"{draft.file}:{1 + lines}"
    for word in ("requirements", "bounds", "cuda", "cudnn", "understood", "left"):
        rows = getattr(draft, word)
        here = [replace(each, at=at) if each.at == f"{draft.file}:1" else each for each in rows]
        setattr(draft, word, here)
    return draft
