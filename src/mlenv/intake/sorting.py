"""Requirements to the lists of a spec: frameworks, packages, dev; and the toolkit they name.

A framework takes no extras and no local version in a spec: ``torch==2.8.0+cu126`` is torch 2.8.0
and CUDA 12.6, ``jax[cuda12]`` is jax and CUDA 12. CUDA's own libraries are dropped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from mlenv.intake import hints
from mlenv.intake.draft import Note, Said, one_line
from mlenv.intake.requires import applies, package
from mlenv.model import WrongValueError
from mlenv.spec.requires import requirement

if TYPE_CHECKING:
    from packaging.requirements import Requirement

    from mlenv.catalog.load import Catalog
    from mlenv.catalog.rows import FrameworkRow
    from mlenv.intake.draft import Draft, Required

RENAMED = {"tensorflow-gpu": "tensorflow", "tensorflow-cpu": "tensorflow"}
_EXTRA = re.compile(r"(?:and-)?cuda(\d\d)?(?:-local|[-_]pip)?|ctk|gpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A requirement as a spec has it, and where it comes from."""

    text: str
    at: str


@dataclass(slots=True, kw_only=True)
class Sorter:
    """The lists of a spec, as they fill."""

    draft: Draft
    catalog: Catalog
    python: str
    left: list[Note]
    notes: list[Note]
    frameworks: dict[str, Line] = field(default_factory=dict)
    packages: list[Line] = field(default_factory=list)
    dev: list[Line] = field(default_factory=list)
    cuda: list[Said] = field(default_factory=list)
    """Toolkits of local versions, which are exact."""
    weak: list[Said] = field(default_factory=list)
    """Toolkits of extras and of component pins."""

    def sort(self) -> None:
        """Sort all requirements of the draft."""
        bounds: dict[str, list[str]] = {}
        for each in self.draft.bounds:
            text = _without_local(each.text)
            found = re.match(r"[\w.-]+\s*(?:\[[^\]]*\])?\s*([<>=!~][^;]*)", text)
            if found and applies(_marker(each.text), python=self.python):
                bounds.setdefault(package(each.text), []).append(found[1].strip())
        for each in self.draft.requirements:
            self._one(each, bounds)
        self._unplumbed()

    def _one(self, each: Required, bounds: dict[str, list[str]]) -> None:
        text = hints.plain(each.text)
        if re.fullmatch(r"pkg[-_]resources\s*==\s*0\.0\.0", text):
            self._leave(each, "a mistake of an old pip on Debian: there is no such package")
            return
        name = RENAMED.get(package(text), package(text))
        row = self.catalog.framework(name)
        if row is None and not each.direct:
            self._component(each, name, text)
            return
        parsed = self._parsed(each, text)
        if parsed is None:
            return
        if self._component(each, name, text) or self._elsewhere(each, parsed):
            return
        if bounds.get(name):
            parsed.specifier = parsed.specifier & ",".join(bounds[name])
        if row is not None:
            self._framework(each, row, parsed)
        else:
            self._package(each, parsed)

    def _parsed(self, each: Required, text: str) -> Requirement | None:
        try:
            return requirement(text)
        except WrongValueError as error:
            self._leave(each, error.cause)
            return None

    def _leave(self, each: Required, why: str) -> None:
        self.left.append(Note(at=each.at, what=one_line(each.text), why=one_line(why)))

    def _component(self, each: Required, name: str, text: str) -> bool:
        """Drop CUDA's own libraries; the version of its runtime says which toolkit."""
        if not hints.COMPONENT.fullmatch(name) and name != "cuda-toolkit":
            return False
        pinned = re.search(r"==\s*([\w.]+)", text)
        cuda = hints.component_cuda(name, pinned[1]) if pinned else None
        if cuda is not None:
            self.weak.append(Said(text=cuda, at=each.at))
            self.notes.append(Note(at=each.at, what=f'{each.text} is `cuda = "{cuda}"`'))
        elif each.direct:
            self._leave(each, "CUDA's libraries are the lock's work: one toolkit, one of each")
        return True

    def _elsewhere(self, each: Required, parsed: Requirement) -> bool:
        """Tell whether a marker speaks of other systems; drop it where it speaks of this one."""
        if parsed.marker is None:
            return False
        if not applies(str(parsed.marker), python=self.python):
            self._leave(each, f"its marker is not for Linux with Python {self.python}")
            return True
        parsed.marker = None
        return False

    def _local(self, each: Required, parsed: Requirement) -> bool:
        """Take the local version away, and keep the toolkit it names; tell whether one was."""
        found = re.search(r"\+([\w.]+)", str(parsed.specifier))
        if found is None:
            return False
        parsed.specifier = type(parsed.specifier)(_without_local(str(parsed.specifier)))
        cuda = hints.local_cuda(found[1])
        if cuda is not None:
            self.cuda.append(Said(text=cuda, at=each.at))
        else:
            self._leave(each, f"+{found[1]} is no build for CUDA; its version stays without it")
        return True

    def _framework(self, each: Required, row: FrameworkRow, parsed: Requirement) -> None:
        before = len(self.cuda) + len(self.weak)
        self._local(each, parsed)
        original = package(hints.plain(each.text))
        if original == "tensorflow-cpu":
            self.weak.append(Said(text="cpu", at=each.at))
        for major, distribution in row.distribution.items():
            if distribution == original and major != "any":
                self.weak.append(Said(text=str(major), at=each.at))
        for extra in parsed.extras:
            found = _EXTRA.fullmatch(extra)
            if found is None:
                self._leave(each, f"a framework takes no extras here: [{extra}]")
            elif found[1]:
                self.weak.append(Said(text=found[1], at=each.at))
        known = self.frameworks.get(row.name)
        before_it = SpecifierSet(known.text[len(row.name) :] if known else "")
        specifier = ordered(before_it & parsed.specifier)
        self.frameworks[row.name] = Line(text=f"{row.name}{specifier}", at=each.at)
        claims = [*self.cuda, *self.weak][before:]
        said = f' and `cuda = "{claims[-1].text}"`' if claims else ""
        same = each.text == f"{row.name}{specifier}"
        what = f"{each.text} is {'a' if same else 'the'} framework"
        what += said if same else f" {row.name}{specifier}{said}"
        self.notes.append(Note(at=each.at, what=one_line(what)))

    def _package(self, each: Required, parsed: Requirement) -> None:
        if self._local(each, parsed):
            self.notes.append(Note(at=each.at, what=f"{each.text} is {written(parsed)}"))
        into = self.dev if each.dev else self.packages
        line = Line(text=written(parsed), at=each.at)
        if line.text not in {one.text for one in (*self.packages, *self.dev)}:
            into.append(line)

    def _unplumbed(self) -> None:
        """Drop parts of a framework that come with it."""
        if not self.frameworks:
            return
        for line in list(self.packages):
            name = str(canonicalize_name(package(line.text)))
            if hints.BROUGHT.fullmatch(name):
                self.packages.remove(line)
                why = "it comes with its framework, in the version that fits"
                self.left.append(Note(at=line.at, what=line.text, why=why))


_OPERATORS = ("===", "==", "~=", ">=", ">", "!=", "<=", "<")


def ordered(specifier: SpecifierSet) -> str:
    """Return a specifier as people write it: a pin alone, where it is in all of it."""
    for each in specifier:
        exact = each.operator == "==" and not each.version.endswith("*")
        if exact and specifier.contains(each.version, prereleases=True):
            return str(each)
    return ",".join(
        map(str, sorted(specifier, key=lambda e: (_OPERATORS.index(e.operator), e.version)))
    )


def written(parsed: Requirement) -> str:
    """Return a requirement as people write it."""
    extras = f"[{','.join(sorted(parsed.extras))}]" if parsed.extras else ""
    marker = f"; {parsed.marker}" if parsed.marker else ""
    return f"{parsed.name}{extras}{ordered(parsed.specifier)}{marker}"


def _marker(text: str) -> str:
    return text.partition(";")[2].strip()


def _without_local(text: str) -> str:
    return re.sub(r"\+[A-Za-z0-9.]+", "", text)
