"""Which reader is for which file, and which file of a folder is its best word."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlenv.intake import (
    cog,
    conda_lock,
    dockerfile,
    environment_yml,
    installed,
    pixi,
    pyproject,
    requirements_txt,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mlenv.intake.draft import Draft, Source

READERS: Mapping[str, Callable[[Source], Draft]] = {
    "cog.yaml": cog.read,
    "pixi.toml": pixi.read,
    "environment.yml": environment_yml.read,
    "conda-lock.yml": conda_lock.read,
    "pyproject.toml": pyproject.read,
    "requirements.txt": requirements_txt.read,
    "Dockerfile": dockerfile.read,
    "env": installed.read,
}
"""Kind -> reader, in the order in which a folder is asked."""

_NAMES = {
    "cog.yaml": r"cog\.ya?ml",
    "pixi.toml": r"pixi\.toml",
    "environment.yml": r"(.*[-_.])?env(ironment)?([-_.].*)?\.ya?ml",
    "conda-lock.yml": r"(.*[-_.])?conda-lock\.ya?ml",
    "pyproject.toml": r"pyproject\.toml",
    "requirements.txt": r"(.*[-_.])?(requirements?|constraints?)([-_.].*)?\.(txt|in)|.*\.in",
    "Dockerfile": r"(.*\.)?(Docker|Container)file(\..*)?|.*\.dockerfile",
}
FOLDER = (
    *("cog.yaml", "pixi.toml", "environment.yml", "pyproject.toml"),
    *("Dockerfile", "requirements.txt", "conda-lock.yml"),
)
"""What is looked for in a folder, the most telling first."""


def of_folder(names: list[str]) -> list[str]:
    """Return those of a folder's files that may say what a stack is made of, the best first."""
    kinds = {each: kind_of(each, "") for each in names if not each.endswith((".in", ".lock"))}
    known = [each for each, kind in kinds.items() if kind in FOLDER and _named(each)]
    return sorted(
        known, key=lambda each: (FOLDER.index(kinds[each] or ""), each != kinds[each], each)
    )


def _named(name: str) -> bool:
    return any(re.fullmatch(each, name, re.IGNORECASE) for each in _NAMES.values())


def says_enough(name: str, draft: Draft, names: list[str]) -> bool:
    """Tell whether a file is worth being the one that is read of its folder.

    A Dockerfile is where it reads the requirements.txt beside it, or where there is none.
    """
    if kind_of(name, "") == "Dockerfile" and "requirements.txt" in names:
        return any(each.at.partition(":")[0] != draft.file for each in draft.requirements)
    return bool(draft.requirements or draft.cuda)


def kind_of(name: str, text: str) -> str | None:
    """Return the kind of a file, by its name, else by what is in it; None for none."""
    for kind, pattern in _NAMES.items():
        if kind != "conda-lock.yml" and re.fullmatch(_NAMES["conda-lock.yml"], name):
            continue
        if re.fullmatch(pattern, name, re.IGNORECASE):
            return kind
    if name.endswith((".yml", ".yaml")):
        return _yaml(text)
    if name.endswith(".toml"):
        return "pixi.toml" if re.search(r"(?m)^\[(workspace|dependencies)\]", text) else None
    if re.search(r"(?im)^FROM\s+\S+", text):
        return "Dockerfile"
    return "requirements.txt" if name.endswith(".txt") else None


def _yaml(text: str) -> str | None:
    if re.search(r"(?m)^package:", text) and re.search(r"(?m)^metadata:", text):
        return "conda-lock.yml"
    if re.search(r"(?m)^build:", text):
        return "cog.yaml"
    return "environment.yml" if re.search(r"(?m)^dependencies:", text) else None
