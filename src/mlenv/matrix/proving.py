"""The last phases of a cell: an environment or an image of its lock, and what it shows."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from mlenv.errors import MlenvError
from mlenv.host import disk
from mlenv.matrix.outcome import Found
from mlenv.matrix.result import Why
from mlenv.runners.local import Local
from mlenv.runners.venv import check_machine, synced
from mlenv.verify.job import Wish, verify
from mlenv.verify.subject import subject

if TYPE_CHECKING:
    from pathlib import Path

    from mlenv.matrix.bench import Bench
    from mlenv.matrix.notes import Notes
    from mlenv.report.runner import Runner
    from mlenv.verify.subject import Subject


def proven(bench: Bench, folder: Path, notes: Notes) -> Found:
    """Build and verify a locked folder.

    Raises:
        HostError: nothing is known, or not here (``other-machine``).
        ImageError: the image could not be built.
    """
    found = subject(folder)
    check_machine(found.lock)
    with notes.during("build"):
        runner = (
            _imaged(bench, folder, notes) if bench.terms.image else _installed(bench, found, notes)
        )
    if bench.terms.level == "none":
        return Found(verdict="ok", phase="build")
    wish = Wish(
        scope="gpu" if bench.terms.level == "gpu" else "static",
        quick=True,
        gpus=max(1, bench.task.count),
    )
    notes.say(f"running the probes of {found.lock.title}")
    with notes.during("verify"):
        done = verify(found, runner, wish)
    notes.lines += done.log.splitlines()
    shown = Found.of_verdict(done.verdict, where=_where(done.where))
    return _with_doubt(shown, found) if bench.terms.level != "gpu" else shown


def _where(text: str) -> str:
    """Return where a probe ran, without the path of an environment that is gone."""
    home = str(disk.cache_folder())
    return "an environment of the lock" if text.startswith(home) else text


def _with_doubt(shown: Found, found: Subject) -> Found:
    """Return ``unknown`` where nothing wrong was seen, and the lock itself leaves a doubt."""
    if shown.verdict != "ok" or found.lock.verdict == "ok":
        return shown
    said = next((each for each in found.lock.said if each.code == "fact-unknown"), None)
    why = Why(
        code="fact-unknown",
        what=said.what if said else f"no fact says whether {found.lock.title} runs on its GPUs",
        cause="only a run on such a GPU can tell",
        fix="run it where there is one, with `--verify gpu`",
    )
    return Found(verdict="unknown", phase="verify", why=why, where=shown.where)


def _installed(bench: Bench, found: Subject, notes: Notes) -> Runner:
    python = synced(found.lock, found.folder, bench.cache, variant="runtime", say=notes.say)
    return Local(python=python)


def _imaged(bench: Bench, folder: Path, notes: Notes) -> Runner:
    from mlenv.host.http import Web  # noqa: PLC0415 (only where an image is made)
    from mlenv.host.login import from_environment  # noqa: PLC0415
    from mlenv.host.sandbox import find_sandbox  # noqa: PLC0415
    from mlenv.imaging.job import make  # noqa: PLC0415
    from mlenv.imaging.locked import locked  # noqa: PLC0415
    from mlenv.imaging.order import Desk, Order  # noqa: PLC0415
    from mlenv.runners.container import Container  # noqa: PLC0415

    kept = locked(folder)
    tag = _tag(bench)
    with Web(offline=bench.terms.offline, credentials=from_environment(kept.indexes)) as web:
        desk = Desk(
            web=web,
            cache=disk.cache_folder(),
            offline=bench.terms.offline,
            say=notes.say,
            tell=notes.say,
        )
        made = make(kept, Order(engine=bench.terms.engine, tag=tag, imports=False), desk)
    name = (made.loaded or "").partition(" ")[0] or None
    return Container(sandbox=find_sandbox(name), image=made.tag or tag)


def _tag(bench: Bench) -> str:
    return f"mlenv-matrix:{bench.task.stack[:16]}"


def forget_image(bench: Bench) -> None:
    """Remove the image of a task; that there is none is no error."""
    from mlenv.host.engine import find_engine  # noqa: PLC0415 (only where an image is made)

    with suppress(MlenvError):
        find_engine(bench.terms.engine).remove(_tag(bench))
