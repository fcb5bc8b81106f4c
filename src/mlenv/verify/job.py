"""The job: a locked folder to a plan, a runner to a report, and the two to a verdict."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlenv.host import disk, tools
from mlenv.report.judge import judge
from mlenv.report.plan import Asked, plan, plan_text
from mlenv.report.probed import parse_report
from mlenv.report.runner import PROBE_FILE, Task
from mlenv.verify.pack import probe_file

if TYPE_CHECKING:
    from mlenv.report.plan import Scope
    from mlenv.report.runner import Runner
    from mlenv.report.verdict import Verdict
    from mlenv.verify.subject import Subject

SECONDS = 3600.0
"""For a whole run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How much is to be proven."""

    scope: Scope = "gpu"
    quick: bool = False
    variant: str = "runtime"
    gpus: int = 1
    seconds: float = SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A verdict, and how it was come by."""

    verdict: Verdict
    runner: str
    where: str
    log: str
    raw: str
    """The probe's report as it came."""


def verify(found: Subject, runner: Runner, wish: Wish) -> Verified:
    """Ask an environment all that its lock demands, and judge the answer.

    Raises:
        HostError: ``report-unusable``, ``runner-failed``, and whatever the runner met.
    """
    probe = probe_file()
    asked = plan(
        found.lock,
        found.smoke,
        Asked(
            nonce=secrets.token_hex(16),
            probe_sha256=hashlib.sha256(probe).hexdigest(),
            scope=wish.scope,
            quick=wish.quick,
            variant=wish.variant,
            min_gpus=wish.gpus,
        ),
    )
    gpus = asked.min_gpus if asked.scope == "gpu" else 0
    with tools.scratch() as folder:
        path = folder / PROBE_FILE
        disk.write(path, probe, durable=False)
        folder.chmod(0o755)  # an image's user may be another
        ran = runner.run(Task(plan=plan_text(asked), probe=path, seconds=wish.seconds, gpus=gpus))
    text = ran.report or ""
    verdict = judge(asked, parse_report(text), trouble=ran.trouble)
    return Verified(verdict=verdict, runner=runner.name, where=ran.where, log=ran.log, raw=text)
