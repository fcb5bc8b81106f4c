"""What is noted of a task while it goes on: lines, and the seconds of each phase."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlenv.matrix.result import Phase

_DIGITS = re.compile(r"\d+")


@dataclass(slots=True, kw_only=True)
class Notes:
    """What is noted while a task goes on."""

    began: str
    phase: Phase = "lock"
    lines: list[str] = field(default_factory=list)
    seconds: dict[Phase, float] = field(default_factory=dict)

    def say(self, text: str) -> None:
        """Keep a line; of one that counts (`3 of 29`), the last."""
        if self.lines and _DIGITS.sub("", self.lines[-1]) == _DIGITS.sub("", text):
            self.lines.pop()
        self.lines.append(text)

    @contextmanager
    def during(self, phase: Phase) -> Iterator[None]:
        """Count the time of a phase."""
        start = time.monotonic()
        self.phase = phase
        try:
            yield
        finally:
            self.seconds[phase] = round(time.monotonic() - start, 3)


def now() -> str:
    """Return this second, RFC 3339, UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
