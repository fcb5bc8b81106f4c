"""TOML text to a ``Spec``, or every mistake of it at once in the writer's own words."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from mlenv.errors import Reason, UsageError
from mlenv.files import digest
from mlenv.model import CONTROL
from mlenv.spec.lines import line_of, lines
from mlenv.spec.mistakes import mistakes, place
from mlenv.spec.model import Spec

if TYPE_CHECKING:
    from collections.abc import Mapping

_QUOTED = r"'([^']*)'"
_PATH = re.compile(r"\('[^']*'(, '[^']*')*,?\)")
"""How tomllib shows a key path: as a Python tuple."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecFile:
    """A spec, and where each of its keys was written."""

    spec: Spec
    sha256: str
    """Over the content; comments and layout do not count."""
    origin: str
    lines: Mapping[str, int]

    def places(self, reason: Reason) -> Reason:
        """Return ``reason`` with its key paths turned into ``FILE:LINE: KEY``."""
        return reason.located({key: self._place(key) for key in reason.where})

    def _place(self, key: str) -> str:
        # `framework[0]` of a spec that says `framework = "torch"`.
        alone = key.removesuffix("[0]")
        shown = alone if key not in self.lines and alone in self.lines else key
        return place(shown, self.lines, self.origin)

    def line(self, key: str) -> int | None:
        """Return the line of ``key``, or else of the nearest table or list around it."""
        return line_of(key, self.lines)


def parse_spec(text: str, *, origin: str) -> SpecFile:
    """Return the spec in ``text``; ``origin`` is what errors call the file.

    Raises:
        UsageError: ``spec-not-toml``, or one reason for every mistake: ``spec-invalid`` and
            ``spec-reserved``.
    """
    try:
        content = tomllib.loads(text)
        where = lines(text)
    except (ValueError, RecursionError) as error:  # ValueError: a number of 5000 digits
        raise UsageError(_not_toml(error, text, origin)) from None
    try:
        spec = Spec.model_validate(content, by_alias=True, by_name=False)
    except ValidationError as error:
        raise UsageError(*mistakes(error, where, origin)) from None
    return SpecFile(spec=spec, sha256=digest(content), origin=origin, lines=where)


def _dotted(found: re.Match[str]) -> str:
    return f"`{'.'.join(re.findall(_QUOTED, found[0]))}`"


def _not_toml(error: Exception, text: str, origin: str) -> Reason:
    found = re.search(r"line (\d+)", str(error))
    row = int(found[1]) if found else text.count("\n") + 1
    fix = f"mend line {row}; https://toml.io shows the format"
    cause = CONTROL.sub("?", _PATH.sub(_dotted, str(error)))
    if isinstance(error, RecursionError):
        cause, fix = "it is nested too deeply", "write it flat; no key of a spec is that deep"
    if text.startswith("\ufeff"):
        cause, fix = "it begins with a byte order mark", "save it as UTF-8 without one"
    elif "\0" in text or "\ufffd" in text:
        cause, fix = "it is no text in UTF-8", "save it as UTF-8"
    return Reason(
        code="spec-not-toml",
        what=f"{origin} is no TOML",
        cause=cause,
        fix=fix,
        where=(f"{origin}:{row}",),
    )
