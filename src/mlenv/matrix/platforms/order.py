"""What is to be emitted, and which machine each cell is for."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from mlenv.matrix.hosts import Runners

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlenv.matrix.cell import Cell
    from mlenv.matrix.result import Level

INSTALL = "pip install 'mlenv[conda]'"
CRON = "17 2 * * *"

Event = Literal["nightly", "pull-request"]

_HOSTED = {"linux/amd64": ("ubuntu-24.04",), "linux/arm64": ("ubuntu-24.04-arm",)}
"""GitHub's own runners. Source: docs.github.com, "GitHub-hosted runners reference"."""
_SELF = {"linux/amd64": "x64", "linux/arm64": "arm64"}
"""What GitHub calls the architecture of a self-hosted runner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be emitted."""

    specs: tuple[str, ...]
    level: Level
    filters: tuple[str, ...] = ()
    subset: str = "all"
    event: Event = "nightly"
    runners: Runners = field(default_factory=Runners)
    runners_file: str | None = None
    install: str = INSTALL
    """How a job gets mlenv: a line of shell, the operator's own."""
    cron: str = CRON
    image: str = ""
    """For Kubernetes: an image that holds mlenv."""

    def choice(self) -> str:
        """Return the words of a command line that name the cells."""
        words = [*self.specs]
        words += [word for each in self.filters for word in ("--filter", each)]
        words += ["--subset", self.subset] if self.subset != "all" else []
        return shlex.join(words)

    def command(self, platform: str) -> str:
        """Return the command that emits the same again."""
        words = [self.emitted(), "--to", platform]
        words += ["--event", self.event] if self.event != "nightly" else []
        words += ["--cron", shlex.quote(self.cron)] if self.cron != CRON else []
        words += ["--install", shlex.quote(self.install)] if self.install != INSTALL else []
        return f"mlenv matrix emit {' '.join(words)}"

    def emitted(self) -> str:
        """Return the words for what is emitted when a workflow runs."""
        words = ["--verify", self.level]
        words += ["--runners", self.runners_file] if self.runners_file else []
        return f"{self.choice()} {shlex.join(words)}"


def labels(cell: Cell, order: Order) -> tuple[str, ...]:
    """Return the labels of the machine for a cell: by the rules, else by what it needs.

    A cell that must run on several architectures is run on the oldest of them.
    """
    needs = cell.needs
    own = order.runners.of(needs).labels
    if own:
        return own
    if order.level != "gpu" or not needs.gpus:
        return _HOSTED[needs.platform]
    found = ["self-hosted", "linux", _SELF[needs.platform], "gpu", needs.gpus[0]]
    found += [f"gpus-{needs.count}"] if needs.count > 1 else []
    found += [f"driver-{needs.driver}"] if needs.driver else []
    return tuple(found)


def led(cells: Sequence[Cell]) -> Iterator[tuple[Cell, tuple[Cell, ...]]]:
    """Yield what is run: the first cell of each stack, with all the cells that share it."""
    groups: dict[str, list[Cell]] = {}
    for each in cells:
        if each.runs:
            groups.setdefault(each.stack, []).append(each)
    yield from ((members[0], tuple(members)) for members in groups.values())
