"""What an answer holds though no line names it: frameworks, and members of their families."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mlenv.backends import uv
from mlenv.plan.candidate import DEFAULT
from mlenv.spec.stack import Asked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlenv.backends.uv_lock import Solved
    from mlenv.catalog.load import Catalog
    from mlenv.plan.model import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """What came in by itself."""

    frameworks: tuple[Asked, ...]
    """Held to the version that came, which the rest of the spec can live with."""
    members: tuple[str, ...]
    """Packages that have to come from a framework's own index, and did not."""


def arrivals(planned: Plan, packages: Sequence[Solved], catalog: Catalog) -> Arrivals:
    """Return the frameworks and family members of an answer that the plan does not name."""
    names = {each.asked.requirement.name for each in planned.frameworks}
    rows = {row.name for each in names if (row := catalog.framework(each))}
    frameworks = []
    for each in packages:
        row = catalog.framework(each.name)
        if row is not None and row.name not in rows:
            rows.add(row.name)
            wanted = Requirement(f"{row.name}=={each.version}")
            frameworks.append(Asked(key="packages", layer="implied", requirement=wanted))
    known = {canonicalize_name(uv.name(each.text)) for each in planned.requirements}
    family = {
        name
        for each in planned.frameworks
        if each.candidate and each.candidate.channel != DEFAULT
        for name in each.candidate.build.row.family
    }
    members = tuple(each.name for each in packages if each.name in family - known)
    return Arrivals(frameworks=tuple(frameworks), members=members)
