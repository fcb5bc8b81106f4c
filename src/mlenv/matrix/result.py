"""What crosses a file: what became of a cell in one run, and what its lock held.

A result is small (about 1 kB), because the packages of its lock lie beside it once for all results
with the same artefacts: most cells have the same lock for many nights.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mlenv.errors import CODES, Exit
from mlenv.lock import Sha256
from mlenv.model import Model

RESULT_SCHEMA = "mlenv.cell/1"
RUN_SCHEMA = "mlenv.run/1"
ROWS_SCHEMA = "mlenv.rows/1"

Verdict = Literal["ok", "failed", "unknown", "impossible"]
Phase = Literal["plan", "lock", "build", "verify"]
Level = Literal["none", "static", "gpu"]

PHASES: tuple[Phase, ...] = ("plan", "lock", "build", "verify")
LOG_BYTES = 4000
"""What is kept of the end of a log."""


class Why(Model):
    """The first reason of a verdict that is not ``ok``; fields as those of an error."""

    code: str
    what: str
    cause: str
    fix: str
    where: tuple[str, ...] = ()
    source: str | None = None
    nearest: tuple[str, ...] = ()


class CellResult(Model):
    """What became of one cell in one run."""

    schema_: Annotated[Literal["mlenv.cell/1"], Field(alias="schema")] = "mlenv.cell/1"
    run: str
    night: str
    """The day it was locked at, ``2026-11-28``: one run may end on the next."""
    cell: str
    spec: str
    """The name of the spec."""
    origin: str = ""
    """The file of the spec, as it was named."""
    target: str | None = None
    axes: dict[str, str] = Field(default_factory=dict)
    allow_failure: bool = False
    level: Level = "static"
    """How much was to be proven."""
    verdict: Verdict
    phase: Phase
    """The phase that was reached: that of the verdict."""
    why: Why | None = None
    """None where the verdict is ``ok``."""
    also: int = 0
    """How many further reasons there were."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Key packages -> version: the frameworks and their CUDA libraries, ``toolkit``, ``python``."""
    lock: Sha256 | None = None
    """The digest over the artefacts of its lock; the packages are in ``locks/DIGEST.json``."""
    cell_spec: Sha256 | None = None
    """The digest of the cell as a spec; its text is in ``specs/DIGEST.toml``."""
    stack: str = ""
    """The digest of what was planned."""
    shared: str | None = None
    """The cell that was run in place of this one, because both plan to the same stack."""
    began: str = ""
    """RFC 3339, UTC."""
    seconds: dict[Phase, float] = Field(default_factory=dict)
    where: str = ""
    """Where it was verified: an interpreter, an image, a node."""
    log: str = ""
    """The end of what was said."""

    @property
    def red(self) -> bool:
        """Whether it makes a run fail."""
        return self.verdict == "failed" and not self.allow_failure

    @property
    def broken(self) -> bool:
        """Whether nothing is known of it because a tool, the network or the disk failed."""
        status = CODES[self.why.code][0] if self.why and self.why.code in CODES else Exit.UNPROVEN
        return self.verdict == "unknown" and status != Exit.UNPROVEN


class Row(Model):
    """A package of a lock."""

    name: str
    version: str
    layer: str = "rest"
    """The layer of the image that it lies in: what moved in a heavy one is suspected first."""
    size: Annotated[int, Field(ge=0)]
    index: str
    """The alias of the index that serves it."""
    filename: str
    sha256: Sha256
    url: str | None = None
    """Where the file of a conda package lies; None for one of a package index."""


class Rows(Model):
    """The packages of a lock, once for all results that had it: ``locks/DIGEST.json``."""

    schema_: Annotated[Literal["mlenv.rows/1"], Field(alias="schema")] = "mlenv.rows/1"
    artefacts_sha256: Sha256
    backend: str
    indexes: dict[str, str] = Field(default_factory=dict)
    """Alias -> URL of every index beside the default one."""
    package: tuple[Row, ...]


class Run(Model):
    """A run over many cells: ``runs/RUN/run.json``, written before the first of them."""

    schema_: Annotated[Literal["mlenv.run/1"], Field(alias="schema")] = "mlenv.run/1"
    run: str
    night: str
    began: str
    mlenv: str
    level: Level
    on: str
    """``local``, ``slurm``."""
    specs: tuple[str, ...]
    cells: tuple[str, ...]
    """The ids of all cells, those that cannot be among them."""
    matrix_sha256: str = ""
    """Over the cells and what they ask: a run goes on only with the same."""
