"""A run of a matrix in words: from a command line to tasks, and from results to what is shown."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from mlenv.cli import words
from mlenv.cli.matrix.choosing import Choice
from mlenv.cli.matrix.screen import screen
from mlenv.cli.matrix.surviving import show, surviving
from mlenv.errors import Exit
from mlenv.matrix import local
from mlenv.matrix.beginning import Asked, begin, date_of, open_cells, put_impossible
from mlenv.matrix.progress import Progress
from mlenv.matrix.results import Results
from mlenv.matrix.task import Terms, tasks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mlenv.matrix.cell import Cell
    from mlenv.matrix.result import CellResult, Level, Run, Verdict
    from mlenv.matrix.survival import Survival


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """One run, in the words of a command line."""

    specs: tuple[Path, ...]
    filters: tuple[str, ...]
    subset: str
    shard: str | None
    only: tuple[str, ...]
    on: str
    results: Path
    level: Level | None
    image: bool
    engine: str | None
    run_id: str | None
    new: bool
    date: str | None
    jobs: int | None
    keep: bool
    check_artifacts: bool
    runners: Path | None
    offline: bool

    def run(self, *, as_json: bool) -> int:
        """Run the cells; return the status that they come to."""
        if self.engine and not self.image:
            raise click.UsageError("--engine is for --image")
        if self.runners and self.on != "slurm":
            raise click.UsageError("--runners is for --on slurm")
        now = datetime.now(UTC)
        results = Results(folder=self.results)
        asked = self._asked()
        if self.on == "local":
            local.warm()
        night = date_of(asked, results, now)
        choice = Choice(specs=self.specs, filters=self.filters, subset=self.subset)
        every = choice.cells(today=f"{night}T00:00:00Z")
        run, goes_on = begin(every, asked, results, now)
        mine = self._mine(every)
        self._told(run, mine, goes_on=goes_on, results=results)
        put_impossible(open_cells(every, run, results), run, results)
        self._run(mine, run, results)
        found = [each for each in results.cells(run.run) if each.cell in {e.id for e in mine}]
        results.put_told(run.run)
        lasting = (
            surviving(results, run.run, offline=self.offline) if self.check_artifacts else None
        )
        return self._shown(run, mine, found, lasting, as_json=as_json)

    def _asked(self) -> Asked:
        return Asked(
            level=self.level or self._level(),
            on=self.on,
            specs=tuple(each.as_posix() for each in self.specs),
            date=self.date,
            run=self.run_id,
            new=self.new,
        )

    def _level(self) -> Level:
        from mlenv.host import nvml  # noqa: PLC0415 (where it is not said)

        return "gpu" if self.on == "slurm" or nvml.ask(nvml.library()).devices else "static"

    def _mine(self, every: Sequence[Cell]) -> tuple[Cell, ...]:
        """Return the cells of this part of the run."""
        from mlenv.matrix.choice import shard  # noqa: PLC0415 (loaded when used)

        known = {each.id for each in every}
        unknown = [each for each in self.only if each not in known]
        if unknown:
            raise click.UsageError(
                f"no cell is called {', '.join(unknown)}; `mlenv matrix plan` shows them"
            )
        found = tuple(each for each in every if not self.only or each.id in self.only)
        return shard(found, self.shard) if self.shard else found

    def _told(self, run: Run, mine: Sequence[Cell], *, goes_on: bool, results: Results) -> None:
        left = len(open_cells(mine, run, results))
        if goes_on and left < len(mine):
            done = len(mine) - left
            words.say(f"run {run.run} goes on: {done} of {len(mine)} cells have their result")
        if not mine:
            words.say("no cell is left by these options; nothing is run")

    def _run(self, mine: Sequence[Cell], run: Run, results: Results) -> None:
        terms = Terms(
            run=run.run,
            night=run.night,
            today=f"{run.night}T00:00:00Z",
            level=run.level,
            offline=self.offline,
            results=str(self.results.absolute()),
            image=self.image,
            engine=self.engine,
            keep=self.keep,
        )
        open_ = open_cells(mine, run, results)
        left, settled = tasks(open_), {each.id for each in mine} - {each.id for each in open_}
        with screen() as shown:
            progress = Progress(total=len(mine), screen=shown)
            for each in results.cells(run.run):
                if each.cell in settled:
                    progress.count(each)
            if self.on == "slurm" and left:
                from mlenv.cli.matrix.submitting import site  # noqa: PLC0415 (where it is asked)
                from mlenv.matrix import cluster  # noqa: PLC0415

                needs = {each.stack: each.needs for each in mine}
                cluster.run(left, terms, progress, site(needs, self.runners, self.jobs))
            elif left:
                local.run(left, terms, progress, self.jobs)

    def _shown(
        self,
        run: Run,
        mine: Sequence[Cell],
        found: Sequence[CellResult],
        lasting: Survival | None,
        *,
        as_json: bool,
    ) -> int:
        missing = sorted({each.id for each in mine} - {each.cell for each in found})
        status = worst(found, missing)
        counts = dict(Counter(each.verdict for each in found))
        folder = Results(folder=self.results).run_folder(run.run)
        if as_json:
            told = {"artifacts": asdict(lasting)} if lasting else {}
            words.emit(_document(run, folder, counts, found, missing) | told)
        else:
            for each in sorted(found, key=lambda one: (one.verdict, one.cell)):
                why = f"  {each.why.code}: {each.why.what}" if each.why else ""
                may = " (may fail)" if each.allow_failure else ""
                click.echo(f"{each.verdict:<11}{each.cell}{may}{why}")
            click.echo(str(folder))
        for name in missing:
            words.say(f"{name} has no result; give the same command again")
        words.say(", ".join(f"{n} {word}" for word, n in sorted(counts.items())) or "no cells")
        gone = show(lasting) if lasting else Exit.DONE
        return gone if gone == Exit.FAILED or status == Exit.DONE else status


def worst(found: Sequence[CellResult], missing: Sequence[str]) -> Exit:
    """Return what results come to: red ones first, then what nothing is known of."""
    if any(each.red for each in found):
        return Exit.FAILED
    if missing:
        return Exit.BROKEN
    doubtful = [each for each in found if each.verdict == "unknown" and not each.allow_failure]
    if any(each.broken for each in doubtful):
        return Exit.BROKEN
    return Exit.UNPROVEN if doubtful else Exit.DONE


def _document(
    run: Run,
    folder: Path,
    counts: Mapping[Verdict, int],
    found: Sequence[CellResult],
    missing: Sequence[str],
) -> dict[str, Any]:
    return {
        "run": run.run,
        "night": run.night,
        "folder": str(folder),
        "counts": dict(counts),
        "red": [each.cell for each in found if each.red],
        "missing": list(missing),
        "cells": [each.model_dump(mode="json", by_alias=True, exclude={"log"}) for each in found],
    }
