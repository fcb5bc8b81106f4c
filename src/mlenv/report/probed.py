"""What a probe's report says, as values: ``mlenv.report/1``, written in the environment itself.

It comes from a machine that may be broken, so nothing of it is believed but its form; whether it
answers this very plan is the judge's first question.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from mlenv.errors import HostError, Reason
from mlenv.model import Model

REPORT_SCHEMA = "mlenv.report/1"

Status = Literal["pass", "fail", "skip", "blocked", "crash", "timeout", "error"]

BAD = frozenset(("fail", "crash", "timeout", "error"))
"""Statuses of a probe that ran, and was wrong."""

_OPEN = ConfigDict(extra="ignore", alias_generator=None)


class Probed(Model):
    """What came of one probe."""

    model_config = _OPEN

    name: str
    level: int | None = None
    status: Status
    reason: str | None = ""
    """Why it is no pass, in kebab-case."""
    message: str | None = ""
    seconds: Annotated[float, Field(ge=0)] = 0.0
    facts: dict[str, Any] | None = None
    stdout: str | None = ""
    stderr: str | None = ""
    """The end of what it said there."""

    @property
    def text(self) -> str:
        """All its words, for the catalogue of causes."""
        return "\n".join(filter(None, (self.reason, self.message, self.stderr, self.stdout)))


class ProbeReport(Model):
    """A whole report."""

    model_config = _OPEN

    schema_: Annotated[Literal["mlenv.report/1"], Field(alias="schema")] = "mlenv.report/1"
    nonce: str | None = None
    lock_digest: str | None = None
    probe_sha256: str | None = None
    started: str | None = None
    seconds: Annotated[float, Field(ge=0)] = 0.0
    complete: bool = False
    host: dict[str, Any] = Field(default_factory=dict)
    probes: tuple[Probed, ...] = ()

    def named(self, name: str) -> Probed | None:
        """Return what came of the probe ``name``; None where it did not run."""
        return next((each for each in self.probes if each.name == name), None)

    def facts(self, name: str) -> dict[str, Any]:
        """Return the facts that a probe found; none where it did not run."""
        found = self.named(name)
        return found.facts or {} if found else {}


def parse_report(text: str) -> ProbeReport:
    """Return the report in ``text``.

    Raises:
        HostError: ``report-unusable``.
    """
    try:
        return ProbeReport.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise unusable(f"{where}: {first['msg']}" if where else str(first["msg"])) from error


def unusable(cause: str) -> HostError:
    """Return the error of an answer that says nothing about the plan that was sent."""
    return HostError(
        Reason(
            code="report-unusable",
            what="what came back is no report of this verification",
            cause=cause,
            fix="verify again; a report of another run or another mlenv cannot be judged",
        )
    )
