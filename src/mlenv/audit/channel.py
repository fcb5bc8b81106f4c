"""The rules over what a conda solver answered: hashes, GPU builds, one toolkit, code for every GPU.

A build string says what a build was made for (``cuda126_mkl_py312_h8bb5dc9_300``), and the package
``cuda-version`` which toolkit the environment holds: two numbers, of which both have to fit.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from mlenv.catalog.conda import conda_frameworks
from mlenv.cuda import Code, Cuda
from mlenv.errors import Reason
from mlenv.machine import ARCHITECTURES
from mlenv.plan import refusals

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlenv.catalog.load import Catalog
    from mlenv.plan.model import Plan
    from mlenv.repodata import Record

_VARIANT = re.compile(r"cuda(1\d)(\d)(?!\d)")


def variant(record: Record) -> Cuda | None:
    """Return the toolkit that a build was made with, as its build string says; None if it does not.

    ``cuda126_...`` is 12.6; ``cuda12_...`` and ``cpu_...`` say nothing.
    """
    found = _VARIANT.search(record.build)
    return Cuda(int(found[1]), int(found[2])) if found else None


def toolkit_of(records: Sequence[Record]) -> Cuda | None:
    """Return the toolkit that an environment holds: what ``cuda-version`` is; None without it."""
    found = next((each.version for each in records if each.name == "cuda-version"), None)
    if found is None:
        return None
    return Cuda.parse(".".join(found.split(".")[:2]))


def minors(version: str) -> tuple[int, ...]:
    """Return the major and the minor of a version, for a comparison; nothing of what has none."""
    try:
        return Version(version).release[:2]
    except InvalidVersion:
        return ()


def cpu_builds(records: Sequence[Record]) -> tuple[Record, ...]:
    """Return the builds of frameworks that are no GPU builds, whoever brought them in."""
    globs = {name: glob for row in conda_frameworks() for name, glob in row.gpu.items()}
    return tuple(
        each
        for each in records
        if each.name in globs and not fnmatchcase(each.build, globs[each.name])
    )


def unhashed(records: Sequence[Record]) -> Iterator[Reason]:
    """Say which files nobody could verify: a lock without their hashes would be none."""
    bad = [each.filename for each in records if not (each.sha256 and each.md5 and each.size)]
    if bad:
        more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        yield Reason(
            code="hash-missing",
            what=f"the channel gives no hash, or no size, of {', '.join(bad[:3])}{more}",
            cause="conda-lock's format needs MD5, and mlenv verifies SHA-256 before it installs",
            fix="have the channel indexed again (`conda index`, `rattler-index`)",
        )


def examined(plan: Plan, records: Sequence[Record], catalog: Catalog) -> Iterator[Reason]:
    """Yield what is wrong or unknown of a GPU stack's builds."""
    for each in cpu_builds(records):
        yield refusals.cpu_only(
            f"{each.name} {each.version} would be the CPU build {each.build}",
            "its build string is none of a GPU build, though a GPU is asked",
            (plan.stack.keys["cuda"],),
            f"the records of {each.channel}",
            "leave `cuda` out, or choose another release in `framework`",
        )
    names = {name for row in conda_frameworks() for name in row.gpu}
    for each in records:
        if each.name in names:
            yield from _code(plan, each, catalog)
    here = {each.name for each in records}
    if names & here and "cuda-version" not in here:
        yield refusals.fact_unknown(
            f"which CUDA {', '.join(sorted(names & here))} brings",
            "the channel's builds do not depend on `cuda-version`",
            (plan.stack.keys["framework"],),
        )


def _code(plan: Plan, record: Record, catalog: Catalog) -> Iterator[Reason]:
    if not plan.gpus:
        return
    architecture = ARCHITECTURES[plan.stack.platform]
    on = variant(record)
    keys = (plan.stack.keys["framework"], plan.stack.keys["gpus"])
    code: tuple[Code, ...] = ()
    source = ""
    for row in catalog.facts.code:
        if (
            (row.package, row.architecture) == (record.name, architecture)
            and on in row.toolkits
            and _within(record.version, row.versions)
            and record.channel.rpartition("/")[2] == "conda-forge"
        ):
            code, source = row.code, row.cited
    what = f"{record.name} {record.version} ({record.build})"
    if not code:
        yield refusals.fact_unknown(
            f"no source says for which GPUs {what} has code", "its record does not say it", keys
        )
    for gpu in plan.gpus:
        if code and not any(each.runs_on(gpu.arch) for each in code):
            yield refusals.no_code(what, code, gpu, keys, source)


def _within(version: str, versions: str) -> bool:
    try:
        return Version(version) in SpecifierSet(versions)
    except InvalidVersion:
        return False
