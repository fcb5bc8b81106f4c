"""Why a registry did not give or take what was asked, in words that hold no credential.

Of what a registry says itself only its error code is shown, a word like ``MANIFEST_UNKNOWN``.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from mlenv.errors import HostError, Reason

if TYPE_CHECKING:
    from collections.abc import Sequence


LATER = "try again later"


class AbsentError(HostError):
    """The registry answered, and has no such image, platform or blob."""


class DeniedError(HostError):
    """The registry does not let this user; the ``registry-denied``."""


class PassingError(HostError):
    """What may pass: too busy, broken off, an error of the server's."""

    wait_seconds = 0.0
    """How long the server asks to wait."""


def failed(what: str, cause: str, fix: str = LATER, kind: type[HostError] = HostError) -> HostError:
    """Return a ``registry-failed``."""
    return kind(Reason(code="registry-failed", what=what, cause=cause, fix=fix))


def denied(what: str, cause: str, fix: str) -> HostError:
    """Return a ``registry-denied``."""
    return DeniedError(Reason(code="registry-denied", what=what, cause=cause, fix=fix))


def of_status(
    what: str, status: int, body: bytes, registry: str, *, trouble: str = ""
) -> HostError:
    """Return what a status other than success means.

    Args:
        what: what was tried.
        status: the status.
        body: the answer, which may hold an error code.
        registry: who answered.
        trouble: why the login that is there could not be read.
    """
    from http import HTTPStatus  # noqa: PLC0415 - met on failure only

    known = {each.value: each.phrase for each in HTTPStatus}
    said = " ".join(each for each in (str(status), known.get(status, ""), _code(body)) if each)
    cause = f"{registry} answered {said}"
    if status in {401, 403}:
        return not_let(what, f"{cause}; {trouble}" if trouble else cause, registry)
    if status in {404, 410}:
        return failed(what, cause, "check the name and the tag of the image", AbsentError)
    if status == 429:
        fix = f"log in with `docker login {registry}`, or {LATER}"
        return failed(what, cause, fix, PassingError)
    return failed(what, cause, kind=PassingError if status >= 500 else HostError)


def together(refused: Sequence[HostError]) -> HostError:
    """Return the last, which is the registry's own, with the causes of the mirrors before it."""
    reason = refused[-1].reasons[0]
    causes = dict.fromkeys(each.reasons[0].cause for each in refused)
    return type(refused[-1])(replace(reason, cause="; ".join(causes)))


def not_let(what: str, cause: str, registry: str) -> HostError:
    """Return the ``registry-denied`` of a registry that wants another login, or any."""
    fix = f"check the name of the image; where it is private, run `docker login {registry}`"
    return denied(what, cause, fix)


def _code(body: bytes) -> str:
    """Return the first error code of a body as the distribution specification has it."""
    try:
        code = json.loads(body)["errors"][0]["code"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    usual = isinstance(code, str) and re.fullmatch(r"[A-Z_]{1,40}", code, re.ASCII)
    return f"({code})" if usual else ""
