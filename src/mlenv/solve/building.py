"""Source packages in an answer: built once, and taken or not as ``[lock] sdist`` says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from mlenv.host import sources
from mlenv.solve.repair import needs_build

if TYPE_CHECKING:
    from mlenv.backends.uv_lock import Artefact, Solved
    from mlenv.errors import Reason
    from mlenv.host.sources import Source
    from mlenv.plan.model import Plan
    from mlenv.solve.asking import Desk


def built(plan: Plan, package: Solved, artefact: Artefact, desk: Desk) -> Source:
    """Return what building a source package shows; from the cache where it was built before.

    Raises:
        HostError: it could not be fetched, or building took too long.
    """
    desk.say(f"building {package.name} {package.version} once")
    return sources.examine(
        desk.web,
        desk.cache,
        url=artefact.url,
        filename=artefact.filename,
        sha256=artefact.sha256,
        exclude_newer=plan.exclude_newer,
        offline=desk.offline,
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
