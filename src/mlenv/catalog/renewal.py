"""Former rows and a page: what is carried over, and which wheels have to be read for the rest.

Pure. A release is carried over while the same wheels stand for it; only what the page says of it
(a yank, a wheel for a new Python) is taken anew. So a refresh reads new wheels, and no others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlenv.catalog import inside, scan, scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlenv.catalog.scan import Row, Wheel
    from mlenv.host.parts import Parts
    from mlenv.simple import Published


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One release of a page on its way to a row."""

    package: str
    version: str
    row: Row
    """What the page and the former row say."""
    reads: tuple[Wheel, ...]
    """The wheels of which something has to be read; nothing where the former row serves."""
    former: Row | None


def steps(
    package: str,
    files: Iterable[Published],
    former: Mapping[str, Row],
    *,
    today: str,
    anew: bool,
) -> tuple[Step, ...]:
    """Return every catalogued release of a package's page, ascending.

    Args:
        package: its canonical name.
        files: those of its page.
        former: version -> row of an earlier scan.
        today: ``YYYY-MM-DD``; the date of what no page dates.
        anew: carry nothing over.
    """
    found = scan.releases(files, scope.SEEDS.get(package))
    return tuple(
        _step(package, str(version), of, former.get(str(version)), today=today, anew=anew)
        for version, of in found.items()
    )


def finished(step: Step, read: Mapping[str, Parts]) -> Row:
    """Return the row of a release, whose wheels were read: file name -> parts."""
    row = {**step.row}
    if not step.reads:
        return row
    sizes = {w.architecture: read[w.file.filename].size for w in step.reads}
    row["wheels"] = {
        key: {**of, "mb": _megabytes(sizes[key])} if key in sizes else of
        for key, of in row["wheels"].items()
    }
    if scope.is_read(step.package):
        made = {
            w.architecture: _with_code(
                inside.metadata_row(step.package, w, read[w.file.filename]),
                _metadata(step.former, w.architecture),
            )
            for w in step.reads
        }
        row["metadata"] = dict(sorted({**row.get("metadata", {}), **made}.items()))
    return row


def _step(  # noqa: PLR0913 (a release and what was known of it)
    package: str,
    version: str,
    files: tuple[Published, ...],
    former: Row | None,
    *,
    today: str,
    anew: bool,
) -> Step:
    row = scan.page_row(files, former, today)
    chosen = scan.representatives(scan.wheels(files))
    # a page shows each architecture's wheels, though none of them may stand for the release
    kept = None if anew else former
    reads: list[Wheel] = []
    metadata: Row = {}
    for key, of in row.get("wheels", {}).items():
        before = (kept or {}).get("wheels", {}).get(key)
        wheel = chosen.get(key)
        said = _metadata(kept, key)
        if wheel is None:
            of["mb"] = before["mb"] if before else _megabytes(_largest(files, key))
            continue
        served = said is not None and said["file"] == wheel.file.filename
        if before is not None and (served or not scope.is_read(package)):
            same = {**before, "mb": 0} == {**of, "mb": 0}
            if same or wheel.file.size is None:
                of["mb"] = before["mb"]
            else:
                of["mb"] = _megabytes(wheel.file.size)
            metadata |= {key: said} if said is not None else {}
        elif wheel.file.size is not None and not scope.is_read(package):
            of["mb"] = _megabytes(wheel.file.size)
        else:
            reads.append(wheel)
    if metadata:
        row["metadata"] = metadata
    return Step(package=package, version=version, row=row, reads=tuple(reads), former=former)


def _largest(files: Iterable[Published], key: str) -> int:
    sizes = (w.file.size or 0 for w in scan.wheels(files) if w.architecture == key)
    return max(sizes, default=0)


def _metadata(row: Row | None, key: str) -> Row | None:
    found: Row | None = (row or {}).get("metadata", {}).get(key)
    return found


def _with_code(made: Row, former: Row | None) -> Row:
    """Return ``made`` with the GPU code that was read of the same release before (tier D)."""
    if former is None or "code" in made or "code" not in former:
        return made
    same = former.get("built-for") == made.get("built-for")
    return dict(sorted({**made, "code": former["code"]}.items())) if same else made


def _megabytes(size: int) -> float:
    return round(size / 1e6, 1)
