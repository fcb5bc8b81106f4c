"""A spec edited as a text: requirements in and out, every comment and blank kept.

Nothing is checked here but that a requirement is one: the new text is parsed as any spec.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import tomlkit
from tomlkit.items import AbstractTable, Array

from mlenv.errors import Reason, UsageError
from mlenv.intake.draft import Draft, one_line
from mlenv.intake.requires import package
from mlenv.intake.sorting import Sorter
from mlenv.intake.usual import layer_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tomlkit import TOMLDocument

    from mlenv.catalog.load import Catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """A spec's new text, and what was done to it, a sentence each."""

    text: str
    did: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where new requirements go, if not where such packages are."""

    layer: str | None = None
    """A layer of [stack]."""
    dev: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A requirement of a spec."""

    key: str
    table: Any
    word: str
    index: int | None
    """None where the value is the string itself."""
    text: str


def add(text: str, wanted: Sequence[str], catalog: Catalog, place: Place) -> Edited:
    """Return a spec with requirements added, or changed where their packages are in it.

    Args:
        text: the spec; valid TOML.
        wanted: requirements; ``jax[cuda12]`` and ``torch==2.8.0+cu126`` say ``cuda`` too.
        catalog: knows the frameworks.
        place: where they go, if not where such packages are.

    Raises:
        UsageError: ``edit-order``: some of them are no requirements.
    """
    document = tomlkit.parse(text)
    sorter = _sorted(wanted, catalog, str(document.get("python", "3.12")))
    did: list[str] = []
    for name, framework in sorter.frameworks.items():
        did += _framework(document, name, framework.text)
    for line in sorter.packages:
        did += _package(document, line.text, place)
    claims = [*sorter.cuda, *sorter.weak]
    if claims and "cuda" not in document:
        document.add("cuda", claims[0].text)
        did.append(f'cuda is "{claims[0].text}" now')
    elif claims and document["cuda"] != claims[0].text:
        did.append(f'cuda stays "{document["cuda"]}", though {claims[0].text} was asked for')
    if place.dev and sorter.packages:
        did += _variant(document)
    return Edited(text=tomlkit.dumps(document), did=tuple(did))


def remove(text: str, names: Sequence[str]) -> Edited:
    """Return a spec without packages, wherever it has them.

    Raises:
        UsageError: ``edit-order``: it has one of them nowhere.
    """
    document = tomlkit.parse(text)
    did, wrong = [], []
    for name in names:
        found = [each for each in _requirements(document) if package(each.text) == package(name)]
        if not found:
            known = sorted({package(each.text) for each in _requirements(document)})
            near = difflib.get_close_matches(package(name), known, n=1)
            guess = f"did you mean `{near[0]}`?" if near else f"it has {', '.join(known) or 'none'}"
            wrong.append((one_line(name), "no line of the spec names it", guess))
        # from the last, so that places before it stay
        for each in reversed(found):
            _drop(each)
            did.append(f"{each.key}: {each.text} is gone")
    if wrong:
        raise UsageError(*(_refused(f"there is no `{a}` to remove", b, c) for a, b, c in wrong))
    return Edited(text=tomlkit.dumps(document), did=tuple(did))


def _sorted(wanted: Sequence[str], catalog: Catalog, python: str) -> Sorter:
    draft = Draft(file="")
    for each in wanted:
        draft.require(each, None)
    sorter = Sorter(draft=draft, catalog=catalog, python=python, left=[], notes=[])
    sorter.sort()
    if sorter.left:
        fix = 'write it like "transformers>=4.55"'
        raise UsageError(
            *(_refused(f"`{each.what}` cannot be added", each.why, fix) for each in sorter.left)
        )
    return sorter


def _refused(what: str, cause: str, fix: str) -> Reason:
    return Reason(code="edit-order", what=what, cause=cause, fix=fix)


def _requirements(document: TOMLDocument) -> Iterator[_Found]:
    """Yield every requirement of a spec, in the order of its keys."""
    tables: list[tuple[str, Any, tuple[str, ...]]] = [
        ("", document, ("framework", "packages")),
        ("stack.", document.get("stack"), ()),
        ("dev.", document.get("dev"), ("packages",)),
    ]
    targets = document.get("targets")
    for name, target in targets.items() if isinstance(targets, AbstractTable) else ():
        tables.append((f"targets.{name}.", target, ("framework", "packages")))
    for prefix, table, words in tables:
        if not isinstance(table, AbstractTable | tomlkit.TOMLDocument):
            continue
        for word in words or tuple(table):
            value = table.get(word)
            if isinstance(value, str):
                yield _Found(key=prefix + word, table=table, word=word, index=None, text=value)
            for index, each in enumerate(value if isinstance(value, Array) else ()):
                key = f"{prefix}{word}"
                yield _Found(key=key, table=table, word=word, index=index, text=str(each))


def _drop(found: _Found) -> None:
    if found.index is None:
        del found.table[found.word]
        return
    del found.table[found.word][found.index]
    if not found.table[found.word]:
        del found.table[found.word]


def _replaced(document: TOMLDocument, text: str, key: str | None = None) -> list[str]:
    """Change a package wherever it is already, or below ``key``; say so."""
    said = []
    for each in list(_requirements(document)):
        if package(each.text) != package(text) or key not in {None, each.key}:
            continue
        if each.text == text:
            said.append(f"{each.key}: {text} is there already")
            continue
        if each.index is None:
            each.table[each.word] = text
        else:
            each.table[each.word][each.index] = text
        said.append(f"{each.key}: {each.text} is {text} now")
    return said


def _framework(document: TOMLDocument, name: str, text: str) -> list[str]:
    if changed := _replaced(document, text):
        return changed
    there = document.get("framework")
    if there is None:
        document.add("framework", text)
    elif isinstance(there, Array):
        there.append(text)
    else:
        document["framework"] = [str(there), text]
    return [f"framework: {text} is new ({name} is a framework)"]


def _package(document: TOMLDocument, text: str, place: Place) -> list[str]:
    if not place.layer and not place.dev and (changed := _replaced(document, text)):
        return changed
    layer = place.layer
    if layer is None and not place.dev and isinstance(document.get("stack"), AbstractTable):
        layer = layer_of(package(text))
    table: Any = document
    word, key = "packages", "packages"
    if place.dev:
        table, key = _table(document, "dev"), "dev.packages"
    elif layer is not None:
        table, word, key = _table(document, "stack"), layer, f"stack.{layer}"
    if changed := _replaced(document, text, key):
        return changed
    if isinstance(table.get(word), Array):
        table[word].append(text)
    else:
        array = tomlkit.array()
        array.append(text)
        table.add(word, array)
    return [f"{key}: {text} is new"]


def _table(document: TOMLDocument, name: str) -> Any:  # noqa: ANN401 (one of tomlkit's tables)
    if not isinstance(document.get(name), AbstractTable):
        document[name] = tomlkit.table()
    return document[name]


def _variant(document: TOMLDocument) -> list[str]:
    """Let the image have its ``dev`` variant, without which nothing of [dev] is locked."""
    image = _table(document, "image")
    there = image.get("variants")
    if isinstance(there, Array) and "dev" in there:
        return []
    if isinstance(there, Array):
        there.append("dev")
    else:
        image["variants"] = ["runtime", "dev"]
    return ["image.variants: dev is new, since only that variant holds [dev]"]
