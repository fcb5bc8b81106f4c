"""A draft to the tables of a spec: frameworks by the catalog, one toolkit, one Python.

What a spec does not take is left with its reason, and nothing is guessed: where two places of a
file name two toolkits, the more telling one is taken and the other one is shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlenv.intake.draft import Note, Said, one_line
from mlenv.intake.pythons import candidates
from mlenv.intake.sorting import Sorter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlenv.catalog.load import Catalog
    from mlenv.intake.draft import Draft
    from mlenv.intake.sorting import Line

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:\d{2}))?")
_URL = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~%+,=:-]*)*")
_COMPILERS = frozenset({"build-essential", "gcc", "g++", "clang"})
_PYTHON = re.compile(r"(lib)?python3?[\d.]*(-(dev|pip|venv|distutils|minimal|setuptools))?")
_APT = re.compile(r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A spec as it is going to be written, and what is to be said of it."""

    document: dict[str, Any]
    pythons: tuple[str, ...]
    """What ``python`` may be, the most wanted first."""
    packages: int
    understood: tuple[Note, ...]
    left: tuple[Note, ...]


def settle(draft: Draft, catalog: Catalog, *, name: str) -> Settled:
    """Return ``draft`` as the tables of a spec called ``name``."""
    understood, left = list(draft.understood), list(draft.left)
    pythons = candidates(draft.pythons, left)
    sorter = Sorter(draft=draft, catalog=catalog, python=pythons[0], left=left, notes=understood)
    sorter.sort()
    document: dict[str, Any] = {"name": name, "python": pythons[0]}
    if draft.backend == "conda":
        document["backend"] = "conda"
    frameworks = [each.text for each in sorter.frameworks.values()]
    if frameworks:
        document["framework"] = frameworks[0] if len(frameworks) == 1 else frameworks
    _toolkit(document, draft, sorter, left, understood)
    document["packages"] = [each.text for each in sorter.packages]
    _machine(document, draft, left)
    _dated(document, draft, left)
    _channels(document, draft)
    _indexes(document, draft, left, understood)
    _image(document, draft, sorter.dev, left, understood)
    return Settled(
        document={key: value for key, value in document.items() if value not in ([], {})},
        pythons=pythons,
        packages=len(sorter.packages) + len(sorter.dev),
        understood=_ordered(understood),
        left=_ordered(left),
    )


def _ordered(notes: Iterable[Note]) -> tuple[Note, ...]:
    """Return notes by file and line, each once."""
    once = list(dict.fromkeys(notes))
    files = list(dict.fromkeys(each.at.partition(":")[0] for each in once))

    def place(each: Note) -> tuple[int, int]:
        file, _, line = each.at.partition(":")
        return files.index(file), int(line) if line.isdigit() else 0

    return tuple(sorted(once, key=place))


def _toolkit(
    document: dict[str, Any],
    draft: Draft,
    sorter: Sorter,
    left: list[Note],
    understood: list[Note],
) -> None:
    claims = [*sorter.cuda, *draft.cuda, *sorter.weak]
    if not sorter.frameworks and all(each.text == "cpu" for each in claims):
        claims = []
    taken = _agreed(claims)
    if taken is not None:
        document["cuda"] = taken.text
    for each in claims:
        if taken is not None and not _covers(taken.text, each.text):
            why = f"cuda {taken.text} was taken, from {taken.at}"
            left.append(Note(at=each.at, what=f"cuda {each.text}", why=why))
    if draft.cudnn and taken is not None and taken.text != "cpu":
        first = draft.cudnn[0].text
        if re.fullmatch(r"\d+(\.\d+){0,3}", first):
            document["cudnn"] = first
    if document.get("cudnn") and not sorter.frameworks:
        del document["cudnn"]
        understood.append(Note(at=draft.cudnn[0].at, what="no framework takes a cuDNN"))


def _agreed(claims: list[Said]) -> Said | None:
    """Return the toolkit that counts: a GPU's before ``cpu``, then the first; said the finest."""
    first = next((each for each in claims if each.text != "cpu"), None)
    if first is None:
        return claims[0] if claims else None
    finer = (each for each in claims if _covers(each.text, first.text))
    return max(finer, key=lambda each: each.text.count("."), default=first)


def _covers(fine: str, coarse: str) -> bool:
    """Tell whether ``fine`` is ``coarse``, or says more of the same."""
    return fine == coarse or fine.startswith(f"{coarse}.") or coarse.startswith(f"{fine}.")


def _machine(document: dict[str, Any], draft: Draft, left: list[Note]) -> None:
    named = dict.fromkeys(draft.platforms)
    if "linux-aarch64" in named and "linux-64" not in named:
        document["targets"] = {"arm64": {"platform": "linux/arm64"}}
    for each in named:
        if each == "linux-aarch64" and "linux-64" in named:
            why = 'add [targets.NAME] with `platform = "linux/arm64"` for a lock of it too'
            left.append(Note(at=draft.file, what=f"platform {each}", why=why))
        elif not each.startswith("linux-"):
            why = "a stack is for Linux"
            left.append(Note(at=draft.file, what=f"platform {one_line(each)}", why=why))


def _dated(document: dict[str, Any], draft: Draft, left: list[Note]) -> None:
    if not draft.exclude_newer:
        return
    if _DATE.fullmatch(draft.exclude_newer):
        document["lock"] = {"exclude-newer": draft.exclude_newer}
    else:
        what = f"exclude-newer {one_line(draft.exclude_newer)}"
        left.append(Note(at=draft.file, what=what, why="a lock is of one date: write it"))


def _channels(document: dict[str, Any], draft: Draft) -> None:
    if draft.backend == "conda" and draft.channels not in ([], ["conda-forge"]):
        document.setdefault("lock", {})["channels"] = list(draft.channels)


def _indexes(
    document: dict[str, Any], draft: Draft, left: list[Note], understood: list[Note]
) -> None:
    found = {}
    for alias, (url, packages) in draft.indexes.items():
        name = _alias(alias)
        plain = re.sub(r"://[^/@]*@", "://", url)
        if plain != url:
            variable = f"UV_INDEX_{name.upper().replace('-', '_')}_PASSWORD"
            what = f"the credential of {name} stays out: {variable} or netrc has it"
            understood.append(Note(at=draft.file, what=what))
        if not _URL.fullmatch(plain) or ".." in plain:
            left.append(Note(at=draft.file, what=one_line(plain), why="it is no plain address"))
            continue
        found[name] = {"url": plain, "packages": sorted(set(packages))}
    document["indexes"] = found


def _alias(text: str) -> str:
    """Return the name of an index as a spec may have it."""
    name = re.sub(r"[^a-z0-9-]+", "-", text.lower()).strip("-")
    reserved = name == "default" or name.startswith("pytorch-") or not name[:1].isalpha()
    return (f"index-{name}" if reserved else name)[:31].rstrip("-")


def _image(
    document: dict[str, Any],
    draft: Draft,
    dev: list[Line],
    left: list[Note],
    understood: list[Note],
) -> None:
    image: dict[str, Any] = {}
    apt = []
    for each in draft.apt:
        name, versioned, _ = each.text.partition("=")
        if name in _COMPILERS:
            image["compile"] = True
            understood.append(Note(at=each.at, what=f"{name} is `compile = true` under [image]"))
        elif _PYTHON.fullmatch(name):
            understood.append(Note(at=each.at, what=f"{name}: the image brings the spec's Python"))
        elif _APT.fullmatch(name) and ".." not in name and len(name) <= 80:
            apt.append(name)
            if versioned:
                why = f"its version is of another base; {name} is taken"
                left.append(Note(at=each.at, what=each.text, why=why))
        else:
            why = "it is no name of a Debian package"
            left.append(Note(at=each.at, what=one_line(each.text), why=why))
    if apt:
        image["apt"] = sorted(set(apt))
    if draft.compile:
        image["compile"] = draft.compile
    if dev:
        document["dev"] = {"packages": [each.text for each in dev]}
        image["variants"] = ["runtime", "dev"]
    document["image"] = image


def spec_name(wanted: str) -> str:
    """Return ``wanted`` as the name of a spec: ``My_Project 2`` is ``my_project-2``."""
    text = re.sub(r"[^a-z0-9._-]+", "-", wanted.lower())[:63]
    text = re.sub(r"[._-]*-[._-]*|\.[._]+|_[._]*\.[._]*", "-", text).strip("-._")
    return re.sub(r"_{3,}", "__", text) or "stack"
