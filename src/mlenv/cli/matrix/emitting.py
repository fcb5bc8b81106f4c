"""A matrix for a platform, in words: from a command line to the text of its file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from mlenv.cli import opening
from mlenv.cli.matrix.choosing import Choice
from mlenv.host import disk
from mlenv.matrix.hosts import Runners, parse_runners
from mlenv.matrix.platforms.order import Event, Order

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mlenv.matrix.cell import Cell
    from mlenv.matrix.result import Level

_RUN = r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Emitting:
    """One ``emit``, in the words of a command line."""

    specs: tuple[Path, ...]
    filters: tuple[str, ...]
    subset: str
    shard: str | None
    platform: str
    include: bool
    parts: int
    level: Level
    event: Event
    cron: str
    install: str
    runners: Path | None
    image: str | None
    run_id: str | None

    def text(self) -> str:
        """Return the text of the file.

        Raises:
            UsageError: every mistake of the specs; ``matrix-order``.
        """
        self._check()
        choice = Choice(
            specs=self.specs, filters=self.filters, subset=self.subset, shard=self.shard
        )
        cells = choice.cells()
        order = self._order()
        if self.platform == "kubernetes":
            return self._manifests(cells, order)
        if self.platform == "gitlab":
            from mlenv.matrix.platforms import gitlab  # noqa: PLC0415 (loaded when used)

            return gitlab.child(cells, order) if self.include else gitlab.parent(order)
        from mlenv.matrix.platforms import github  # noqa: PLC0415 (loaded when used)

        if self.include:
            return github.outputs(cells, order, self.parts)
        return github.workflow(cells, order)

    def _check(self) -> None:
        if self.platform == "kubernetes" and not self.image:
            raise click.UsageError("--to kubernetes needs --image REF: an image that holds mlenv")
        if self.platform == "kubernetes" and self.include:
            raise click.UsageError("--include is for GitHub and GitLab")
        if self.run_id is not None and not re.fullmatch(
            r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", self.run_id
        ):
            raise click.UsageError("--run becomes a name in Kubernetes: a-z, 0-9 and '-'")
        for word in (self.install, self.cron):
            if "\n" in word or "${{" in word:
                raise click.UsageError(f"'{word}' is to be one line, without ${{{{ }}}}")

    def _order(self) -> Order:
        rules = Runners()
        if self.runners is not None:
            rules = parse_runners(disk.text(self.runners), origin=str(self.runners))
        return Order(
            specs=tuple(each.as_posix() for each in self.specs),
            level=self.level,
            filters=self.filters,
            subset=self.subset,
            event=self.event,
            runners=rules,
            runners_file=self.runners.as_posix() if self.runners else None,
            install=self.install,
            cron=self.cron,
            image=self.image or "",
        )

    def _manifests(self, cells: Sequence[Cell], order: Order) -> str:
        from mlenv.matrix.platforms import kubernetes  # noqa: PLC0415 (loaded when used)

        date = opening.today()[:10]
        files = {
            path
            for each in self.specs
            for path in ([each] if each.is_file() else each.glob("*.toml"))
        }
        return kubernetes.manifests(
            cells,
            order,
            specs={path.name: opening.read(path) for path in sorted(files)},
            run=self.run_id or opening.now().lower().replace(":", "").rstrip("z"),
            date=date,
        )
