"""The reasons why a stack cannot be, in words: each code is made at one place, here or in audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlenv.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlenv.catalog.rows import Architecture, DriverFloor, ForwardCompatibility
    from mlenv.cuda import Code, Cuda, Gpu
    from mlenv.machine import Drivers, Platform, Prefix, Python
    from mlenv.plan.candidate import Build, Candidate


def span(builds: Sequence[Build]) -> str:
    """Return ``torch 2.8.0`` or ``torch 2.8.0 to 2.10.0`` for builds in ascending order."""
    first, last = builds[0].release, builds[-1].release
    return f"{first.name} {first.text}" + (f" to {last.text}" if last is not first else "")


def yanked(builds: Sequence[Build], keys: tuple[str, ...], cited: str) -> Reason:
    """All that the range holds was withdrawn."""
    why = builds[-1].release.release.yanked
    return withdrawn(span(builds), why, "widen the range in `framework`", keys, cited)


def withdrawn(what: str, why: str | None, fix: str, keys: tuple[str, ...], source: str) -> Reason:
    """Every file was withdrawn by its makers."""
    return Reason(
        code="yanked",
        what=f"{what} was yanked",
        cause=why or "its makers withdrew every file",
        fix=fix,
        where=keys,
        source=source,
    )


def no_wheel_for_platform(
    what: str, platform: Platform, cause: str, keys: tuple[str, ...], source: str
) -> Reason:
    """No wheel for the architecture."""
    return Reason(
        code="no-wheel-for-platform",
        what=f"{what} has no wheel for {platform}",
        cause=cause,
        fix="choose another release of it, or another `platform`",
        where=keys,
        source=source,
    )


def needs_build(what: str, cause: str, fix: str, keys: tuple[str, ...], source: str) -> Reason:
    """Nothing but source is published, and it is not taken."""
    return Reason(code="needs-build", what=what, cause=cause, fix=fix, where=keys, source=source)


def python_unsupported(
    what: str, python: Python, cause: str, keys: tuple[str, ...], source: str
) -> Reason:
    """Neither bound of Requires-Python, or no tag, admits the interpreter."""
    return Reason(
        code="python-unsupported",
        what=f"{what} does not take Python {python.short}",
        cause=cause,
        fix="choose another `python`, or another release of it",
        where=keys,
        source=source,
    )


def no_wheel_for_abi(
    what: str, python: Python, cause: str, keys: tuple[str, ...], source: str
) -> Reason:
    """No wheel for the free-threaded interpreter."""
    return Reason(
        code="no-wheel-for-python-abi",
        what=f"{what} has no wheel for the free-threaded Python {python}",
        cause=cause,
        fix=f'set `python = "{python.short}"`, or choose another release of it',
        where=keys,
        source=source,
    )


def glibc_too_old(what: str, needs: str, has: str, keys: tuple[str, ...], source: str) -> Reason:
    """A wheel needs a newer glibc than the target or the base has."""
    return Reason(
        code="glibc-too-old",
        what=f"{what} needs glibc {needs}",
        cause=f"the target has glibc {has}",
        fix="choose a newer `glibc` or base image, or an older release",
        where=keys,
        source=source,
    )


def cpu_only(what: str, cause: str, keys: tuple[str, ...], source: str, fix: str) -> Reason:
    """It resolves, it installs, and it cannot see a GPU."""
    return Reason(code="cpu-only-build", what=what, cause=cause, fix=fix, where=keys, source=source)


def cuda_not_offered(what: str, cause: str, fix: str, keys: tuple[str, ...], source: str) -> Reason:
    """No build for that toolkit."""
    return Reason(
        code="cuda-not-offered", what=what, cause=cause, fix=fix, where=keys, source=source
    )


def cudnn_mismatch(
    found: Sequence[Candidate], asked: Prefix, pin: str, keys: tuple[str, ...]
) -> Reason:
    """The framework takes another cuDNN."""
    newest = found[-1]
    what = f"{newest.build.release.name} {newest.version}"
    return other_cudnn(what, asked, f"its wheel requires cuDNN {pin}", keys, newest.source)


def other_cudnn(what: str, asked: Prefix, cause: str, keys: tuple[str, ...], source: str) -> Reason:
    """What is to be installed takes another cuDNN than the one that was asked for."""
    return Reason(
        code="cudnn-mismatch",
        what=f"{what} does not take cuDNN {asked}",
        cause=cause,
        fix="leave `cudnn` out, or choose a release that is built with it",
        where=keys,
        source=source,
    )


def gpu_not_in_wheel(found: Sequence[Candidate], gpu: Gpu, keys: tuple[str, ...]) -> Reason:
    """No release has machine code or PTX that the GPU can run; told of the newest."""
    newest = found[-1]
    on = f" for CUDA {newest.toolkit}" if newest.toolkit else ""
    what = f"{newest.build.release.name} {newest.version}{on}"
    return no_code(what, newest.code, gpu, keys, newest.source)


def no_code(
    what: str, code: Sequence[Code], gpu: Gpu, keys: tuple[str, ...], source: str
) -> Reason:
    """Neither machine code nor PTX that the GPU can run."""
    holds = " ".join(str(each) for each in code)
    return Reason(
        code="gpu-not-in-wheel",
        what=f"{what} has no code for {gpu.name}",
        cause=f"{gpu.name} is {gpu.arch.sm}; the wheel holds {holds}, and no PTX that it could use",
        fix="choose a release that has code for it",
        where=keys,
        source=source,
    )


def gpu_not_in_cudnn(what: str, gpu: Gpu, keys: tuple[str, ...], source: str) -> Reason:
    """The cuDNN that would be locked left the GPU behind."""
    return Reason(
        code="gpu-not-in-cudnn",
        what=f"{what} has no kernels for {gpu.name}",
        cause=f"{gpu.name} is {gpu.arch.sm}",
        fix='hold an older one: `cudnn = "9.10"`',
        where=keys,
        source=source,
    )


def driver_too_old(
    toolkit: Cuda,
    floor: DriverFloor,
    drivers: Drivers,
    compat: ForwardCompatibility | None,
    keys: tuple[str, ...],
) -> Reason:
    """Below the floor of minor-version compatibility; ``compat`` where it was asked for."""
    cause = f"every CUDA {toolkit.major}.x needs driver {floor.driver} or newer"
    if compat is not None:
        branches = ", ".join(map(str, compat.branches))
        cause += f"; forward compatibility to {toolkit} takes the branches {branches}"
    return Reason(
        code="driver-too-old",
        what=f"CUDA {toolkit} does not start on driver {drivers.lowest_text}",
        cause=cause,
        fix=f'set `driver = ">={floor.driver}"` once the machines have it, or an older `cuda`',
        where=keys,
        source=f"{floor.cited}; {compat.cited}" if compat else floor.cited,
    )


def no_forward_compat(gpu: Gpu, toolkit: Cuda, keys: tuple[str, ...], source: str) -> Reason:
    """The newer libcuda refuses that GPU, though its own driver would run it."""
    return Reason(
        code="no-forward-compat",
        what=f"{gpu.name} has no forward compatibility, so cuda-compat {toolkit} fails on it",
        cause=f"it is of brand {gpu.brand}; NVIDIA supports it on data-centre GPUs",
        fix="set `cuda-compat = false`, with an older `cuda` or newer drivers",
        where=keys,
        source=source,
    )


def base_image_gate(base: str, on: str, asks: str, keys: tuple[str, ...], source: str) -> Reason:
    """The container toolkit refuses to start the image, though the wheels would run."""
    fix = 'set `base = "auto"`: the wheels bring CUDA, so the image need not'
    if keys[0].startswith("image.c"):  # the base is "auto" already
        fix = f"leave `{keys[0]}` out, name machines with a newer driver, or an older `cuda`"
    return Reason(
        code="base-image-gate",
        what=f"{base} does not start on {on}",
        cause=asks,
        fix=fix,
        where=keys,
        source=source,
    )


def fact_unknown(what: str, cause: str, keys: tuple[str, ...]) -> Reason:
    """No source says, so the verdict is unknown; the words say what would settle it."""
    return Reason(
        code="fact-unknown",
        what=what,
        cause=cause,
        fix="`mlenv lock` settles what a solver can; what remains, a kernel on the machine",
        where=keys,
    )


def gpu_needs_newer_driver(
    gpu: Gpu, row: Architecture, drivers: Drivers, keys: tuple[str, ...]
) -> Reason:
    """No driver that old knows the GPU."""
    return Reason(
        code="gpu-needs-newer-driver",
        what=f"driver {drivers.lowest_text} does not know {gpu.name}",
        cause=f"{row.name} ({gpu.arch.sm}) begins with driver branch R{row.first_driver}",
        fix=f'set `driver = ">={row.first_driver}"`',
        where=keys,
        source=row.cited,
    )


def driver_dropped_gpu(
    gpu: Gpu, row: Architecture, drivers: Drivers, keys: tuple[str, ...]
) -> Reason:
    """A driver that new no longer knows the GPU."""
    last = row.last_driver or 0
    return Reason(
        code="driver-dropped-gpu",
        what=f"not every driver in {drivers} knows {gpu.name}",
        cause=f"{row.name} ({gpu.arch.sm}) ends with driver branch R{last}",
        fix=f'set `driver = "{_bounded(drivers, last)}"`',
        where=keys,
        source=row.cited,
    )


def _bounded(drivers: Drivers, last: int) -> str:
    lowest = drivers.lowest
    if lowest is None or lowest.major > last:
        return f"<{last + 1}"
    return f">={drivers.lowest_text},<{last + 1}"


def frameworks_disagree(what: str, cause: str, keys: tuple[str, ...], source: str) -> Reason:
    """Two packages want different versions of one CUDA library."""
    return Reason(
        code="frameworks-disagree",
        what=what,
        cause=cause,
        fix="choose other releases in `framework`, or put the frameworks into two specs",
        where=keys,
        source=source,
    )


def extra_missing(what: str, extra: str, keys: tuple[str, ...], source: str) -> Reason:
    """An extra that is asked does not exist, and uv would only have warned."""
    return Reason(
        code="extra-missing",
        what=f"{what} has no extra `{extra}`",
        cause="without it the CUDA libraries, or what else it stands for, are not installed",
        fix="choose a release that has it",
        where=keys,
        source=source,
    )
