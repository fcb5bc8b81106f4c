"""Results folders for tests: nights of cells, written as a run writes them."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING, Any

from mlenv.matrix.cell import cell_id
from mlenv.matrix.result import CellResult, Row, Rows, Run, Why
from mlenv.matrix.results import Results

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

FIRST = dt.date(2026, 11, 1)

WHY = Why(
    code="probe-failed",
    what="numpy cannot be imported",
    cause="ImportError: numpy.core.multiarray failed to import",
    fix="hold numpy below 2.5",
)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def rows(packages: Mapping[str, str], *, layers: Mapping[str, str] | None = None) -> Rows:
    """Return the packages of a lock; a size stands for itself, 1 MB for each letter of a name."""
    return Rows(
        artefacts_sha256=digest(repr(sorted(packages.items()))),
        backend="uv",
        package=tuple(
            Row(
                name=name,
                version=version,
                layer=(layers or {}).get(name, "rest"),
                size=1_000_000 * len(name),
                index="default",
                filename=f"{name}-{version}-py3-none-any.whl",
                sha256=digest(f"{name} {version}"),
            )
            for name, version in packages.items()
        ),
    )


def run_of(number: int, cells: Iterable[str], **more: Any) -> Run:  # noqa: ANN401
    """Return the run of night ``number``."""
    night = (FIRST + dt.timedelta(days=number)).isoformat()
    asked: dict[str, Any] = {
        "run": f"{night.replace('-', '')}-020000",
        "level": "static",
        "on": "local",
        "specs": ("specs/",),
        **more,
    }
    began = f"{night}T02:00:00Z"
    return Run(night=night, began=began, mlenv="0.1", cells=tuple(cells), **asked)


def result(run: Run, spec: str, axes: Mapping[str, str], **more: Any) -> CellResult:  # noqa: ANN401
    """Return the result of a cell: ``ok``, where ``more`` says nothing else."""
    told: dict[str, Any] = {"verdict": "ok", "phase": "verify", **more}
    if told["verdict"] == "failed":
        told.setdefault("why", WHY)
    told.setdefault("cell", cell_id(spec, told.get("target"), axes))
    return CellResult(
        run=run.run,
        night=run.night,
        spec=spec,
        axes=dict(axes),
        began=run.began,
        **told,
    )


class Nights:
    """A folder, filled night by night."""

    def __init__(self, folder: Path) -> None:
        self.results = Results(folder=folder)
        self.count = 0

    def night(
        self,
        *cells: tuple[str, Mapping[str, str], Mapping[str, str] | None, Mapping[str, Any]],
        **more: Any,  # noqa: ANN401
    ) -> Run:
        """Write one run: of each cell its spec, axes, packages (None: no lock) and the rest."""
        names = [cell_id(spec, kind.get("target"), axes) for spec, axes, _, kind in cells]
        run = run_of(self.count, names, **more)
        self.count += 1
        self.results.put_run(run)
        for spec, axes, packages, kind in cells:
            held = None if packages is None else rows(packages, layers=kind.get("layers"))
            own = {key: value for key, value in kind.items() if key != "layers"}
            lock = held.artefacts_sha256 if held else None
            self.results.put(result(run, spec, axes, lock=lock, **own), held)
        return run
