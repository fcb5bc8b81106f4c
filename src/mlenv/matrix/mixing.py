"""Two locks mixed: a cell as a spec whose packages are partly those of the one, partly the other.

Pure. Frameworks are held by the spec's own lines, so that planning follows (a toolkit comes with
them); all else by constraints, which ask for nothing that is not needed. What is in one of the
locks only follows from the rest, so it is no item of its own: neither is another file of the same
version, which a solver cannot be asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from mlenv.machine import Prefix
from mlenv.plan.model import PINS, Constraint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlenv.changes import Move
    from mlenv.matrix.result import CellResult, Rows
    from mlenv.spec.parse import SpecFile

_ORDER = ("cuda", "cudnn", "comm", "framework", "domain")
"""Layers that move together stand side by side: what no solver parts is then one stretch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixer:
    """What two locks of a cell differ in."""

    file: SpecFile
    """The cell as a spec of its own."""
    good: Rows
    bad: Rows
    toolkits: tuple[str, str]
    """The toolkit of the good lock, and of the bad one."""
    moves: tuple[Move, ...]
    """All that moved between the two."""

    @property
    def items(self) -> tuple[str, ...]:
        """The packages whose version can be chosen, in the order of the search."""
        found = [m for m in self.moves if m.before and m.after and m.before != m.after]
        rank = {name: number for number, name in enumerate(_ORDER)}
        found.sort(key=lambda each: (rank.get(each.layer, len(rank)), each.name))
        return tuple(each.name for each in found)

    def versions(self, new: Iterable[str]) -> Mapping[str, str]:
        """Return package -> version where the packages ``new`` are those of the bad lock."""
        old = {each.name: each.version for each in self.good.package}
        late = {each.name: each.version for each in self.bad.package}
        chosen = set(new)
        return {
            name: late[name] if name in chosen or name not in old else old[name]
            for name in sorted(old.keys() | late.keys())
        }

    def pins(self, new: Iterable[str]) -> tuple[Constraint, ...]:
        """Return the constraints that hold the versions of a mix."""
        return tuple(
            Constraint(key=PINS, text=f"{name}=={version}", why="it is held while looking")
            for name, version in self.versions(new).items()
        )

    def spec(self, new: Iterable[str]) -> SpecFile:
        """Return the cell, with its frameworks and its toolkit as in a mix."""
        chosen = set(new)
        versions = self.versions(chosen)
        spec = self.file.spec
        held: dict[str, object] = {"framework": _held(spec.framework, versions), "matrix": None}
        if toolkit := self._toolkit(chosen):
            held["cuda"] = toolkit
        targets = {
            name: target
            if target.framework is None
            else target.model_copy(update={"framework": _held(target.framework, versions)})
            for name, target in spec.targets.items()
        }
        return replace(self.file, spec=spec.model_copy(update={**held, "targets": targets}))

    def _toolkit(self, new: set[str]) -> Prefix | None:
        """Return the toolkit that comes with the frameworks of a mix; None where it is one."""
        old, late = self.toolkits
        if old == late or self.file.spec.cuda is not None:
            return None
        led = [each.name for each in self.moves if each.layer == "framework"]
        text = late if not led or new & set(led) else old
        return Prefix.parse(text) if text[:1].isdigit() else None


def _held(asked: Iterable[Requirement], versions: Mapping[str, str]) -> tuple[Requirement, ...]:
    found = []
    for each in asked:
        version = versions.get(str(canonicalize_name(each.name)))
        extras = f"[{','.join(sorted(each.extras))}]" if each.extras else ""
        text = f"{each.name}{extras}=={Version(version).public}" if version else str(each)
        found.append(Requirement(text))
    return tuple(found)


def mixer(
    file: SpecFile,
    good: CellResult,
    bad: CellResult,
    rows: tuple[Rows, Rows],
    moves: tuple[Move, ...],
) -> Mixer:
    """Return the mixer of a good and a bad result."""
    return Mixer(
        file=file,
        good=rows[0],
        bad=rows[1],
        toolkits=(good.versions.get("toolkit", ""), bad.versions.get("toolkit", "")),
        moves=moves,
    )
