"""Source packages in an answer: built once, and taken or not as ``[lock] sdist`` says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from mlenv.backends import uv_answer
from mlenv.host import process, sources, tools
from mlenv.solve.asking import broken, passes
from mlenv.solve.repair import needs_build

if TYPE_CHECKING:
    from pathlib import Path

    from mlenv.backends.uv_lock import Artefact, Solved
    from mlenv.errors import Reason
    from mlenv.host.sources import Source
    from mlenv.plan.model import Plan
    from mlenv.solve.asking import Desk

BUILD_SECONDS = 600.0
"""The longest a source package may build."""


def built(plan: Plan, package: Solved, artefact: Artefact, desk: Desk) -> Source:
    """Return what building a source package shows; from the cache where it was built before.

    Raises:
        HostError: it could not be fetched, or building took too long.
    """
    desk.say(f"building {package.name} {package.version} once")

    def build(archive: Path, out: Path) -> process.Finished:
        words: tuple[str, ...] = (tools.uv(), "build", "--wheel", "--quiet", "--color", "never")
        words += ("--python", tools.python(), "--no-python-downloads", "--out-dir", str(out))
        words += ("--exclude-newer", plan.exclude_newer, str(archive))
        words += ("--offline",) if desk.offline else ()
        done = process.run(words, cwd=archive.parent, seconds=BUILD_SECONDS, inherit=passes)
        answer = uv_answer.answer(done.status, done.stderr)
        if answer.kind == "broke" and answer.code != "solver-broke":
            raise broken(answer)  # what it is built with could not be fetched
        return done

    return sources.examine(
        desk.web,
        desk.cache,
        url=artefact.url,
        filename=artefact.filename,
        sha256=artefact.sha256,
        build=build,
    )


def against(plan: Plan, package: Solved, shown: Source) -> Reason | None:
    """Return why ``[lock] sdist`` does not take a source package that built like this."""
    policy = plan.stack.spec.lock.sdist
    listed = () if isinstance(policy, str) else policy
    if package.name in {canonicalize_name(each.name) for each in listed}:
        return None
    what = f"{package.name} {package.version}"
    if shown.failure:
        return needs_build(plan, package.name, f"{what} does not build", shown.failure)
    if not shown.pure:
        cause = "it is published as source only, and its wheel is compiled for one platform"
        return needs_build(plan, package.name, f"{what} is no pure Python", cause)
    return None
