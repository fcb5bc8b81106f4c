"""The images that a recipe starts from: as a former lock has them, or asked for meanwhile.

A lock that lies there keeps its digests, and that it has none, until it is told otherwise: the
same spec gives the same folder, whoever builds it and whenever.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mlenv.image.pins import Pin, Pins, approve, named, uv_image
from mlenv.plan.ground import footing, system_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlenv.catalog.load import Catalog
    from mlenv.image.pins import Pinning
    from mlenv.lock import Lock, Pinned
    from mlenv.plan.model import Plan
    from mlenv.spec.stack import Stack

BEFORE = "the lock that lies there has none"


def begin(
    stack: Stack,
    catalog: Catalog,
    former: Lock | None,
    pinning: Pinning,
    *,
    uv_version: str,
) -> Callable[[Plan], Pins]:
    """Begin to ask for what ``former`` does not keep; return what waits for the answer.

    Args:
        stack: whose base is asked for at once, where it does not hang on the toolkit.
        catalog: the facts.
        former: the lock of an earlier recipe; None where nothing of it is to be kept.
        pinning: who asks.
        uv_version: whose image fills an image.

    Returns:
        Plan -> its images. Raises ``base-unusable`` and ``base-image-gate``.
    """
    uv = uv_image(uv_version)
    guess = None if system_key(stack) else footing(stack, catalog, None).reference

    def ask(base: str) -> Callable[[], Pins]:
        return pinning(base=base, uv=uv, platform=stack.platform)

    early = ask(guess) if guess and not all(_both(former, guess, uv)) else None

    def settle(plan: Plan) -> Pins:
        base, own = _both(former, plan.base, uv)
        if base and own:
            return Pins(base=base, uv=own)
        found = early() if early and plan.base == guess else ask(plan.base)()
        if base is None:
            approve(found.base, plan, catalog)
        return replace(found, base=base or found.base, uv=own or found.uv)

    return settle


def _both(former: Lock | None, base: str, uv: str) -> tuple[Pin | None, Pin | None]:
    if former is None:
        return None, None
    return _kept(former.base, base), _kept(former.uv, uv)


def _kept(former: Pinned | None, reference: str) -> Pin | None:
    """Return what a lock says of an image; None where it speaks of another."""
    asked = named(reference, why_not=BEFORE)
    if former is None or former.reference != asked.reference:
        return None
    if asked.digest not in {None, former.digest}:
        return None
    why_not = "" if former.digest else BEFORE
    return replace(
        asked, digest=former.digest, python=getattr(former, "python", None), why_not=why_not
    )
