"""Level 0: the machine as the environment sees it. Nothing is judged here but what cannot work."""

from __future__ import annotations

import glob
import os
import platform
import re
import shutil
import site
import sys
import sysconfig
import tempfile

from mlenv.smoke.owners import said

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mlenv.smoke.register import Given

_TELLING = re.compile(
    r"(LD_|CUDA|NVIDIA_|NCCL_|NVCC|XLA_|JAX_|TF_|TORCH|PYTORCH|TRITON|CUPY|NUMBA|OMP_|MKL_|SLURM_JOB"
    r"|PYTHON|CONDA_PREFIX$|VIRTUAL_ENV$|PATH$|CC$|CXX$|TMPDIR$|HOME$)"
)
_SECRET = re.compile(r"TOKEN|SECRET|PASSW|KEY|CREDENTIAL|URL", re.IGNORECASE)
_TOOLS = ("cc", "gcc", "g++", "clang", "nvcc", "ptxas", "ninja", "ldconfig", "nvidia-smi")
_CUDA = re.compile(r"lib(cuda|nvidia-ml|cudnn|cudart|cublas|nccl|nvrtc|nvidia-ptxjit)\w*\.so")
_NOEXEC = 8


def host(_given: Given) -> dict[str, Any]:
    """Say what an error of a framework leaves out: variables, limits, compilers, folders."""
    return {
        "python": sys.version.split()[0],
        "build": sysconfig.get_config_var("SOABI"),
        "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "executable": sys.executable,
        "prefix": sys.prefix,
        "user_site": bool(site.ENABLE_USER_SITE),
        "machine": platform.machine(),
        "kernel": platform.release(),
        "libc": "-".join(platform.libc_ver()) or None,
        "system": _system(),
        "uid": os.getuid(),
        "cpus": _cpus(),
        "memory_limit": _first(
            "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"
        ),
        "shm_bytes": shm_bytes(),
        "tmp": _tmp(),
        "container": [
            each
            for each in ("/.dockerenv", "/run/.containerenv", "/singularity")
            if os.path.exists(each)
        ],
        "devices": sorted(glob.glob("/dev/nvidia*") + glob.glob("/dev/dxg")),
        "driver_module": _first("/proc/driver/nvidia/version"),
        "tools": {each: shutil.which(each) for each in _TOOLS},
        "python_h": _has_headers(),
        "known_to_loader": _known_to_loader(),
        "environment": {
            name: "(hidden)" if _SECRET.search(name) else text
            for name, text in sorted(os.environ.items())
            if _TELLING.match(name)
        },
    }


def shm_bytes() -> int | None:
    """Return how large /dev/shm is; container engines give it 64 MB."""
    try:
        found = os.statvfs("/dev/shm")  # noqa: S108
    except OSError:
        return None
    return found.f_frsize * found.f_blocks


def _cpus() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def _system() -> str:
    found = re.search(r'^PRETTY_NAME="?([^"\n]*)', _first("/etc/os-release") or "", re.MULTILINE)
    return found.group(1) if found else platform.system()


def _tmp() -> dict[str, Any]:
    path = tempfile.gettempdir()
    found = os.statvfs(path)
    return {
        "path": path,
        "noexec": bool(found.f_flag & _NOEXEC),
        "free_bytes": found.f_frsize * found.f_bavail,
    }


def _has_headers() -> bool:
    folder = sysconfig.get_paths().get("include") or ""
    return os.path.isfile(os.path.join(folder, "Python.h"))


def _known_to_loader() -> list[str]:
    """Return the CUDA libraries that every program of this machine would find."""
    lines = (said(("ldconfig", "-p")) or said(("/sbin/ldconfig", "-p"))).splitlines()
    return sorted({line.rpartition(" ")[2] for line in lines if _CUDA.search(line)})


def _first(*paths: str) -> str | None:
    for path in paths:
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                return file.read(2000).strip()
        except OSError:
            continue
    return None
