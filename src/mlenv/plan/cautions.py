"""What a plan says aloud: cautions that change no verdict, and what no source could tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlenv.errors import Reason
from mlenv.machine import driver
from mlenv.plan import compat, gates, refusals
from mlenv.plan.channels import channel_words
from mlenv.plan.drivers import starts
from mlenv.plan.ground import NVCC, footing, system_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlenv.cuda import Cuda, Gpu
    from mlenv.plan.candidate import Candidate
    from mlenv.plan.ground import Footing, Ground
    from mlenv.plan.model import Chosen


def warnings(ground: Ground, chosen: Sequence[Chosen], toolkit: Cuda | None) -> tuple[Reason, ...]:
    """Return what is said aloud and changes no verdict, and what no source could tell."""
    if toolkit is None:
        return ()
    return (
        *unchecked(ground),
        *minor_version(ground, toolkit),
        *_jit(ground, chosen, toolkit),
        *machine_unknown(ground, toolkit),
        *_unknown(ground, chosen),
    )


def unchecked(ground: Ground) -> Iterator[Reason]:
    """Say which facts of the machine nobody named."""
    stack = ground.stack
    drivers = "`driver`" if stack.driver is None else "lowest `driver`"
    open_below = stack.driver is None or stack.driver.lowest is None
    missing = [w for w, lacks in ((drivers, open_below), ("`gpus`", not stack.gpus)) if lacks]
    if missing:
        names = " and ".join(missing)
        absent = f"{names} are" if len(missing) > 1 else f"{names} is"
        named = f"[targets.{stack.target}]" if stack.target else "a [targets.NAME]"
        yield Reason(
            code="not-checked",
            what=f"{absent} not named: not checked",
            cause="whether the stack runs on a machine depends on both",
            fix=f"add {names} to {named}",
        )


def minor_version(ground: Ground, toolkit: Cuda) -> Iterator[Reason]:
    """Say so where the oldest driver is older than the one that came with the toolkit."""
    drivers = ground.stack.driver
    if drivers is None or drivers.lowest is None or compat.carries(toolkit, ground):
        return
    known = [row for row in ground.catalog.facts.toolkit_driver if row.toolkit <= toolkit]
    row = max(known, key=lambda each: each.toolkit, default=None)
    if row is None or (row.toolkit == toolkit and drivers.lowest >= driver(row.driver)):
        return
    runs = "runs" if drivers.lowest < driver(row.driver) else "may run"
    cause = f"CUDA {row.toolkit} came with driver {row.driver}"
    fix = f'for all of it set `driver = ">={row.driver}"`'
    if row.toolkit != toolkit:
        cause += f", and {toolkit} is newer: which driver came with it no source here says"
        fix = f"for all of it the machines need the driver of {toolkit}; its release notes name it"
    yield Reason(
        code="minor-version-mode",
        what=f"driver {drivers.lowest_text} {runs} CUDA {toolkit} in minor-version mode",
        cause=f"{cause}; compiled kernels run on older ones of its major, "
        "PTX of this toolkit cannot be compiled by them",
        fix=fix,
        where=(ground.stack.keys["driver"],),
        source=row.cited,
    )


def _jit(ground: Ground, chosen: Sequence[Chosen], toolkit: Cuda) -> Iterator[Reason]:
    """Say so where a GPU has PTX only, which a driver older than the toolkit cannot compile."""
    drivers = ground.stack.driver
    row = compat.own_driver(toolkit, ground.catalog)
    if drivers is None or drivers.lowest is None or row is None or compat.carries(toolkit, ground):
        return
    if drivers.lowest >= driver(row.driver):
        return
    for each in chosen:
        for gpu in ground.gpus:
            if each.candidate is None or not only_ptx(each.candidate, gpu):
                continue
            name = each.asked.requirement.name
            yield Reason(
                code="jit-needs-newer-driver",
                what=f"{name} {each.candidate.version} has only PTX for {gpu.name}, "
                f"which driver {drivers.lowest_text} cannot compile",
                cause=f"its PTX is of CUDA {toolkit}, and a driver compiles what is no newer than "
                f"itself: {row.driver} came with {toolkit}",
                fix=f'set `driver = ">={row.driver}"`, or choose a release with {gpu.arch.sm} code',
                where=(each.asked.key, ground.stack.keys["gpus"], ground.stack.keys["driver"]),
                source=f"{each.candidate.source}; {row.cited}",
            )


def only_ptx(candidate: Candidate, gpu: Gpu) -> bool:
    """Tell whether all that a build has for ``gpu`` is PTX."""
    fitting = [each for each in candidate.code if each.runs_on(gpu.arch)]
    return bool(fitting) and all(each.kind == "compute" for each in fitting)


def machine_unknown(ground: Ground, toolkit: Cuda) -> Iterator[Reason]:
    """Say what no source tells of the machine: forward compatibility, the base image's gate."""
    stack = ground.stack
    if stack.driver is None:
        return
    key = system_key(stack)
    carried = starts(toolkit, ground)
    if carried is None:
        whom = ", ".join(gpu.name for gpu in ground.gpus) or "GPUs that are not named"
        row = compat.rule(toolkit, ground.catalog)
        yield refusals.fact_unknown(
            f"whether cuda-compat {toolkit} works on driver {stack.driver.lowest_text} with {whom}",
            f"it is said of {' and '.join(row.brands)} GPUs only" if row else "no row speaks of it",
            (stack.keys["cuda-compat"], stack.keys["driver"]),
        )
    # of an image that is there for cuda-compat alone, one of the two is enough
    if gates.unsure(ground, toolkit) and (carried is not None or key is None):
        base = footing(stack, ground.catalog, toolkit)
        yield refusals.fact_unknown(
            f"whether {base.reference} starts on driver {stack.driver.lowest_text} is not known",
            "its NVIDIA_REQUIRE_CUDA admits older drivers on some GPUs, or was not read",
            (key or stack.keys["base"], stack.keys["driver"]),
        )


def of_image(ground: Ground, base: Footing) -> Iterator[Reason]:
    """Say what of the image is not known, or floats."""
    stack = ground.stack
    if base.surmised:
        yield refusals.fact_unknown(
            f"no row names the image of this toolkit: whether there is {base.reference}",
            "the tags of nvidia/cuda carry a patch release that only its registry tells",
            (system_key(stack) or stack.keys["base"],),
        )
    floating = {each: "image.apt" for each in stack.spec.image.apt if "=" not in each}
    if stack.spec.image.compile:
        floating["the C compiler"] = NVCC
    if floating:
        yield Reason(
            code="apt-floats",
            what=f"{', '.join(floating)}: the version is that of the day the image is built",
            cause="a distribution's archive drops a version when a newer one comes",
            fix="write `NAME=VERSION` in `apt`, and build with an archive of a fixed date "
            "(secret `apt-sources`)",
            where=tuple(sorted(set(floating.values()))),
        )


def _unknown(ground: Ground, chosen: Sequence[Chosen]) -> Iterator[Reason]:
    for each in chosen:
        name = each.asked.requirement.name
        if each.candidate is None:
            what = f"the catalog knows no release of {name} in `{each.asked.requirement}`"
            cause = f"it was read on {ground.catalog.scanned[:10]}"
        elif each.candidate.surmised:
            what = f"whether {channel_words(each.candidate.channel)} has {name} "
            what += f"{each.candidate.version} for {ground.stack.platform}"
            cause = "no row speaks of it there; a look at the index settles it: `mlenv catalog "
            cause += "refresh` or `mlenv lock` from where it can be reached"
        elif len(chosen) > 1 and not each.candidate.known:
            what = f"what {name} {each.candidate.version} from {each.candidate.channel} pins"
            what += " is not known, so neither is whether the others can share it"
            cause = "the catalog holds the metadata of the default index's wheels"
        elif each.candidate.build.extra_missing:
            what = f"nothing here brings the CUDA libraries of {name} {each.candidate.version}"
            cause = "it has no extra for them: the base image must have them, or other packages"
        elif ground.stack.cudnn is not None and not each.candidate.known:
            what = f"which cuDNN {name} {each.candidate.version} from {each.candidate.channel} pins"
            cause = "the catalog holds the metadata of the default index's wheels"
        elif ground.gpus and not each.candidate.code:
            what = f"no source says for which GPUs {name} {each.candidate.version} has code"
            cause = "its wheel does not declare it"
        else:
            continue
        yield refusals.fact_unknown(what, cause, (each.asked.key,))
