"""The rules over a lock as a whole: one toolkit, GPU builds, no path owned twice, what was asked.

Versions, file lists and small texts decide here; the binaries inside the wheels do in ``binaries``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from mlenv.errors import Reason
from mlenv.plan import refusals
from mlenv.plan.toolkits import METAPACKAGE, components, cuda_major

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlenv.audit.inside import Locked
    from mlenv.catalog.load import Catalog
    from mlenv.catalog.rows import FrameworkRow
    from mlenv.cuda import Cuda
    from mlenv.plan.model import Chosen, Plan


def closure(
    plan: Plan, locked: tuple[Locked, ...], extras: Iterable[tuple[str, str]], catalog: Catalog
) -> tuple[Reason, ...]:
    """Return every finding that needs no binary: reasons that forbid the lock, and warnings."""
    return (
        *_extras(plan, extras, catalog),
        *_one_toolkit(plan, locked, catalog),
        *_gpu_builds(plan, locked, catalog),
        *_collisions(locked),
        *_regressions(plan, locked),
        *_prereleases(locked),
        *_sources(locked),
    )


def _extras(plan: Plan, extras: Iterable[tuple[str, str]], catalog: Catalog) -> Iterator[Reason]:
    for package, extra in extras:
        name, _, version = package.partition("==")
        keys = tuple(
            wanted.key
            for wanted in plan.requirements
            if canonicalize_name(Requirement(wanted.text).name) == canonicalize_name(name)
        )
        yield refusals.extra_missing(f"{name} {version}", extra, keys, catalog.cited)


def _one_toolkit(plan: Plan, locked: tuple[Locked, ...], catalog: Catalog) -> Iterator[Reason]:
    parts = components(catalog, plan.toolkit) if plan.toolkit else {}
    majors: dict[int, list[str]] = defaultdict(list)
    strays = []
    for each in locked:
        major = cuda_major(each.name, catalog)
        if major is not None:
            majors[major].append(f"{each.name} {each.version}")
        part = parts.get(each.name)
        if part and not SpecifierSet(part.specifier).contains(each.version):
            strays.append(f"{each.name} {each.version}")
        if each.name == METAPACKAGE and plan.toolkit and not _is_of(each, plan.toolkit):
            strays.append(f"{each.name} {each.version}")
    if len(majors) > 1:
        words = "; ".join(f"CUDA {m}: {', '.join(sorted(n))}" for m, n in sorted(majors.items()))
        yield _mixed("the lock holds the libraries of two CUDA majors", words, catalog)
    elif strays:
        words = ", ".join(sorted(strays))
        yield _mixed(f"the lock is not CUDA {plan.toolkit} alone", words, catalog)


def _is_of(metapackage: Locked, toolkit: Cuda) -> bool:
    return Version(metapackage.version).release[:2] == (toolkit.major, toolkit.minor)


def _mixed(what: str, cause: str, catalog: Catalog) -> Reason:
    return Reason(
        code="cuda-majors-mixed",
        what=what,
        cause=cause,
        fix="say `cuda`, so that all of it comes from one toolkit",
        source=f"the components of {METAPACKAGE} ({catalog.cited})",
    )


def _gpu_builds(plan: Plan, locked: tuple[Locked, ...], catalog: Catalog) -> Iterator[Reason]:
    if plan.toolkit is None:
        return
    by_name = {each.name: each for each in locked}
    for row in catalog.frameworks.values():
        proof = row.proof
        found = by_name.get(proof.package) if proof else None
        if proof is None or found is None or found.inside is None:
            continue
        text = found.inside.texts.get(proof.file)
        if text is not None and not re.search(proof.pattern, text):
            yield refusals.cpu_only(
                f"{found.name} {found.version} for {plan.stack.platform} is a CPU build",
                f"{proof.file} inside {found.filename} names no CUDA",
                tuple(c.asked.key for c in plan.frameworks if _names(c, row)),
                f"the wheel itself, {found.filename}",
                'choose a release with a CUDA build, or say `cuda = "cpu"`',
            )


def _names(chosen: Chosen, row: FrameworkRow) -> bool:
    return canonicalize_name(chosen.asked.requirement.name) == row.name


def _collisions(locked: tuple[Locked, ...]) -> Iterator[Reason]:
    """Find paths that two packages write with different content: the last writer would win."""
    owners: dict[str, list[tuple[str, tuple[int, int]]]] = defaultdict(list)
    for each in locked:
        for path, content in each.inside.files.items() if each.inside else ():
            owners[path].append((f"{each.name} {each.version}", content))
    pairs: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for path, found in owners.items():
        if len(found) > 1 and len({content for _, content in found}) > 1:
            pairs[tuple(sorted(name for name, _ in found))].append(path)
    for names, paths in sorted(pairs.items()):
        yield _collision(names, sorted(paths, key=lambda p: (not _fatal(p), p)))


def _fatal(path: str) -> bool:
    """Tell whether a path is code that a process maps, or imports by a name of its own."""
    return bool(re.search(r"\.so(\.|$)|^nvidia/(?!([^/]+/)*__init__\.py$)", path))


def _collision(names: tuple[str, ...], paths: list[str]) -> Reason:
    both = " and ".join(names)
    shown = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    fatal = _fatal(paths[0])
    if fatal:
        return Reason(
            code="files-collide",
            what=f"{both} overwrite each other's files",
            cause=f"each writes {shown}, with other content",
            fix="keep one of them, or put them into two specs",
            source="the directories of both wheels",
        )
    return Reason(
        code="small-collision",
        what=f"{both} both write {shown}",
        cause="the content differs, so which one is installed depends on the layers' order",
        fix="nothing that a kernel runs depends on it; keep one of them if your code does",
        source="the directories of both wheels",
    )


def _regressions(plan: Plan, locked: tuple[Locked, ...]) -> Iterator[Reason]:
    by_name = {each.name: each for each in locked}
    for chosen in plan.frameworks:
        if chosen.candidate is None or chosen.newest is None or chosen.asked.layer == "implied":
            continue
        found = by_name.get(chosen.candidate.build.release.name)
        if found and Version(found.version).release[:2] < Version(chosen.newest).release[:2]:
            framework = chosen.candidate.build.row.name
            yield older(found.name, found.version, str(chosen.newest), framework, chosen.asked.key)


def older(name: str, version: str, newest: str, framework: str, key: str) -> Reason:
    """Say that a framework is older than the newest that fits the target by itself."""
    return Reason(
        code="older-than-newest",
        what=f"{name} is {version}; the newest that fits this target by itself is {newest}",
        cause="another line of the spec, the toolkit, or the index it comes from holds it back",
        fix=f'to be told which, set `framework = "{framework}=={newest}"`',
        where=(key,),
    )


def _prereleases(locked: tuple[Locked, ...]) -> Iterator[Reason]:
    for each in locked:
        if Version(each.version).is_prerelease:
            yield Reason(
                code="prerelease-taken",
                what=f"{each.name} {each.version} is a prerelease",
                cause="a line of the spec asks for one, or a package of the set pins it",
                fix="nothing to do, unless you want none: then choose an older release of what "
                "needs it",
            )


def _sources(locked: tuple[Locked, ...]) -> Iterator[Reason]:
    for each in locked:
        if each.inside is None:
            yield Reason(
                code="built-from-source",
                what=f"{each.name} {each.version} is installed from its source package",
                cause="no wheel of it is published; it was built once, and the source is pinned "
                "by its hash",
                fix="nothing to do; `[lock] sdist` says which source packages are taken",
            )
