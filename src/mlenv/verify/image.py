"""The static part of a verification in an image that was just made, before it is pushed or named.

Only what is shown in seconds is asked; what a stack does at a desk, and on a GPU, `verify` asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlenv.errors import ImageError, Reason
from mlenv.verify.job import Wish, verify
from mlenv.verify.subject import subject

if TYPE_CHECKING:
    from pathlib import Path

    from mlenv.report.runner import Runner
    from mlenv.report.verdict import Verdict


def prove_static(folder: Path, runner: Runner, variant: str) -> Verdict:
    """Run the static probes in the image that ``runner`` runs.

    Raises:
        ImageError: ``image-differs``: something ran there, and was wrong.
        HostError: ``runner-failed``, ``report-unusable``, ``engine-failed``.
    """
    found = subject(folder)
    wish = Wish(scope="static", quick=True, variant=variant)
    done = verify(found, runner, wish)
    root = done.verdict.root
    if root is not None and done.verdict.word == "failed":
        raise ImageError(
            Reason(
                code="image-differs",
                what=f"the image of {found.lock.title} is not as locked: {root.what}",
                cause=root.cause,
                fix=root.fix,
            )
        )
    return done.verdict
