"""Level 2: the libraries that are mapped into this process, whose they are, and what they say.

No GPU is needed. A version string proves little: a library of the environment may open its parts
from a foreign folder, and then says the foreign version itself. What proves something is the file
that is mapped, its owner, and the digest that the owner wrote down.
"""

from __future__ import annotations

import ctypes
import os
import re

from mlenv.smoke import owners
from mlenv.smoke.distributions import same
from mlenv.smoke.register import Fail, Skip, Tried, load
from mlenv.smoke.versions import SAYS, begins, stem_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mlenv.smoke.owners import Owned
    from mlenv.smoke.register import Given

_OF_DRIVER = re.compile(r"lib(cuda|nvidia-[\w-]+|cudadebugger)$")
_SM = re.compile(r"(sm|compute)_(\d+)(\d)([af]?)$")


def cuda(given: Given) -> dict[str, Any]:
    """Load each CUDA library of the environment as it is, without a framework."""
    known = owners.libraries()
    mine = sorted(path for path in known if stem_of(path) in SAYS and os.path.exists(path))
    if not mine:
        raise Skip("nothing-to-load", "the environment brings no CUDA library of its own")
    failed = {}
    for path in mine:
        try:
            ctypes.CDLL(path)
        except OSError as error:
            failed[path] = str(error)
    facts = _examined(given, known, {})
    if failed:
        path, text = min(failed.items())
        raise Fail("cannot-load", f"{os.path.basename(path)}: {text}", failed=failed, **facts)
    return facts


def torch(given: Given) -> dict[str, Any]:
    """Load what torch loads."""
    module = load("torch")
    facts: dict[str, Any] = {"framework": module.__version__, "built_for": module.version.cuda}
    if not module.version.cuda:
        raise _cpu_build("torch", facts)
    with Tried():
        facts["cudnn"] = module.backends.cudnn.version()
    with Tried():
        facts["nccl"] = ".".join(str(each) for each in load("torch.cuda.nccl").version())
    # torch.cuda.get_arch_list() is empty where there is no GPU; what was built in is not.
    archs = (module._C._cuda_getArchFlags() or "").split()  # noqa: SLF001 (the only place)
    return _examined(given, owners.libraries(), facts, archs)


def jax(given: Given) -> dict[str, Any]:
    """Load what jax's CUDA plug-in loads."""
    module = load("jax")
    facts: dict[str, Any] = {"framework": module.__version__}
    for name in ("cuda13", "cuda12"):
        with Tried() as tried:
            versions = load(f"jax_{name}_plugin._versions")
        if tried.error is None:
            break
        if not isinstance(tried.error, ModuleNotFoundError):
            raise tried.error
    else:
        raise _cpu_build("jax", facts)
    facts["plugin"] = name
    facts["versions"] = _jax_versions(versions)
    facts["plugin_library"] = _loaded_in(f"jax_plugins.xla_{name}")
    return _examined(given, owners.libraries(), facts)


def _jax_versions(versions: Any) -> dict[str, int]:  # noqa: ANN401 (a module of the target)
    """Return what jax's plug-in was built with and what it has loaded.

    Without a driver CUPTI of 13.5 refuses to answer, and that of 13.2 dies of the question.
    """
    found: dict[str, int] = {}
    names = [each for each in dir(versions) if each.endswith(("_get_version", "_build_version"))]
    for each in sorted(names):  # the driver's comes before CUPTI's
        if each != "cupti_get_version" or found.get("cuda_driver_get_version"):
            with Tried():
                found[each] = getattr(versions, each)()
    return found


def _loaded_in(name: str) -> str:
    """Load the library of jax's plug-in as it lies there; jax would first ask for a GPU."""
    with Tried():
        folder = os.path.dirname(load(name).__file__ or "")
        path = os.path.join(folder, "xla_cuda_plugin.so")
        ctypes.CDLL(path)
        return path
    return ""


def tensorflow(given: Given) -> dict[str, Any]:
    """Load what TensorFlow loads when it looks for GPUs."""
    module = load("tensorflow")
    build = dict(module.sysconfig.get_build_info())
    facts: dict[str, Any] = {
        "framework": module.__version__,
        "built_for": str(build.get("cuda_version", "")),
        "built_for_cudnn": str(build.get("cudnn_version", "")),
    }
    if not build.get("is_cuda_build"):
        raise _cpu_build("tensorflow", facts)
    module.config.list_physical_devices("GPU")
    archs = [str(each) for each in build.get("cuda_compute_capabilities", ())]
    return _examined(given, owners.libraries(), facts, archs)


def cupy(given: Given) -> dict[str, Any]:
    """Load what CuPy loads; its own cudart is linked into it, and no library."""
    module = load("cupy")
    facts: dict[str, Any] = {"framework": module.__version__}
    with Tried():
        facts["linked_cudart"] = module.cuda.runtime.runtimeGetVersion()
    with Tried():
        facts["nvrtc"] = ".".join(
            str(each) for each in load("cupy_backends.cuda.libs.nvrtc").getVersion()
        )
    for name in ("cublas", "cufft", "curand", "cusolver", "cusparse", "nccl"):
        with Tried():
            load("cupy.cuda." + name if name == "nccl" else "cupy_backends.cuda.libs." + name)
    return _examined(given, owners.libraries(), facts)


def _cpu_build(name: str, facts: dict[str, Any]) -> Fail:
    text = f"{name} {facts['framework']} is a build for the CPU only"
    return Fail("cpu-build", text, **facts)


def _examined(
    given: Given,
    known: dict[str, list[Owned]],
    facts: dict[str, Any],
    archs: list[str] | None = None,
) -> dict[str, Any]:
    """Add what is mapped to the facts.

    Raises:
        Fail: ``foreign-library``, ``record-differs``, ``library-differs``, ``says-differs``,
            ``shadowed-library``, ``arch-not-built``.
    """
    mapped = [_library(path, known) for path in mapped_paths()]
    problems: list[tuple[str, str]] = []
    for each in mapped:
        problems += _problems(each, given, known)
    problems += _shadows(known)
    if archs is not None:
        facts["archs"] = archs
        for gpu in given.expect.get("gpus", ()):
            if not covers(archs, gpu):
                text = f"{facts['framework']} has no code for {gpu}, only {' '.join(archs)}"
                problems.append(("arch-not-built", text))
    facts["libraries"] = mapped
    facts["problems"] = [{"code": code, "message": text} for code, text in problems]
    if problems:
        raise Fail(problems[0][0], problems[0][1], **facts)
    return facts


def mapped_paths() -> list[str]:
    """Return the libraries of CUDA and of the driver that this process has mapped."""
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
        rows = [line.rstrip("\n").split(None, 5) for line in file]
    paths = {row[5].replace(" (deleted)", "") for row in rows if len(row) > 5}
    return sorted(path for path in paths if stem_of(path))


def _library(path: str, known: dict[str, list[Owned]]) -> dict[str, Any]:
    real, stem = os.path.realpath(path), stem_of(path)
    found: dict[str, Any] = {
        "path": path,
        "soname": os.path.basename(path),
        "owner": None,
        "owner_version": None,
        "record_ok": None,
        "says": None,
    }
    owned = known.get(real, ())
    if owned:
        try:
            sound = [owners.intact(each) for each in owned]
        except OSError:
            sound = [False]
        # Of two owners, the one whose file it is.
        best = sound.index(True) if True in sound else 0
        found["owner"], found["owner_version"] = owned[best].name, owned[best].version
        found["record_ok"] = sound[best]
    elif not _OF_DRIVER.match(stem):
        found["owner"] = owners.of_system(real) or owners.of_system(path)
    if stem in SAYS:
        with Tried() as tried:
            found["says"] = SAYS[stem](ctypes.CDLL(path))
        if tried.error is not None:
            found["says_error"] = str(tried.error)
    return found


def _problems(
    each: dict[str, Any], given: Given, known: dict[str, list[Owned]]
) -> list[tuple[str, str]]:
    soname, path, says = each["soname"], each["path"], each["says"]
    if _OF_DRIVER.match(stem_of(path)):
        return []
    if each["owner_version"] is None:
        if each["owner"] and given.params.get("system"):
            return []
        return [("foreign-library", _foreign(path, each["owner"], known))]
    problems = []
    whose = f"{each['owner']} {each['owner_version']}"
    if each["record_ok"] is False:
        problems.append(("record-differs", f"{path} is not the file that {whose} brought"))
    expected = owners.expectation(given.expect, each["owner"])
    if expected and not same(each["owner_version"], expected):
        text = f"{soname} is of {whose}, and {expected} is expected"
        problems.append(("library-differs", text))
    if says and each["owner"].startswith("nvidia-") and not begins(each["owner_version"], says):
        problems.append(("says-differs", f"{soname} of {whose} says that it is {says}: {path}"))
    return problems


def _foreign(path: str, owner: str | None, known: dict[str, list[Owned]]) -> str:
    name, folder = os.path.basename(path), os.path.dirname(path)
    searched = {os.path.realpath(each) for each in _searched()}
    text = f"{name} is loaded from {folder}, which is no part of the environment"
    if os.path.realpath(folder) in searched:
        text += ", by LD_LIBRARY_PATH"
    elif "/cuda" in folder:
        text += ": a CUDA toolkit of the host leaks in"
    if owner:
        text += f" ({owner})"
    own = [each for found in known.values() for each in found if each.path.endswith("/" + name)]
    if own:
        state = "is passed over" if os.path.exists(own[0].path) else "is missing"
        text += f"; its own, of {own[0].name} {own[0].version}, {state}"
    return text


def _searched() -> list[str]:
    return [each for each in os.environ.get("LD_LIBRARY_PATH", "").split(":") if each]


def _shadows(known: dict[str, list[Owned]]) -> list[tuple[str, str]]:
    """Return what would be loaded from LD_LIBRARY_PATH where a wheel brings the same.

    cuDNN opens most of its parts when they are first used, and that folder comes first then.
    """
    own = {os.path.basename(path): found[0] for path, found in known.items() if stem_of(path)}
    problems = []
    for folder in _searched():
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue
        taken = [
            name
            for name in names
            if name in own and os.path.realpath(os.path.join(folder, name)) not in known
        ]
        if taken:
            first = own[taken[0]]
            text = (
                f"LD_LIBRARY_PATH names {folder}, whose {', '.join(taken[:3])} comes before that "
                f"of {first.name} {first.version}"
            )
            problems.append(("shadowed-library", text))
    return problems


def covers(archs: list[str], gpu: str) -> bool:
    """Tell whether code for ``archs`` runs on a GPU: its own, its family's, or PTX for less."""
    want = _SM.match(gpu)
    if want is None:
        return True
    major, minor = int(want.group(2)), int(want.group(3))
    for each in archs:
        found = _SM.match(each)
        if found is None:
            continue
        kind, family = found.group(1), found.group(4)
        one, other = int(found.group(2)), int(found.group(3))
        exact = (one, other) == (major, minor)
        same_family = kind == "sm" and one == major and other <= minor and family != "a"
        ptx = kind == "compute" and (one, other) <= (major, minor) and not family
        if exact or same_family or ptx:
            return True
    return False
