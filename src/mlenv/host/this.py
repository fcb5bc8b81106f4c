"""This machine: driver, GPUs, glibc, disk, engines. It looks and reports; it judges nothing."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mlenv.errors import HostError
from mlenv.host import disk, nvml, process, tools

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlenv.host.nvml import Answer, Device

SECONDS = 15.0
"""How long a program may take to say its version."""
CDI = ("etc/cdi", "var/run/cdi")
"""Where CDI specs lie. Source: Container Device Interface, "Specification directories"."""
ENGINES = ("docker", "podman", "buildah")


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A container engine."""

    name: str
    version: str | None
    """None where it is not installed."""
    answers: bool = False
    """Whether its daemon does; an engine without a daemon answers where it runs."""
    why_not: str = ""
    nvidia_runtime: bool = False
    """Whether it knows a runtime called ``nvidia``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Free disk space."""

    of: str
    """``the cache`` or ``this folder``."""
    path: str
    free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What was seen of this machine."""

    system: str
    """``Linux``, ``Darwin``."""
    architecture: str
    """``x86_64``, ``aarch64``, ``arm64``."""
    glibc: str | None
    driver: str | None
    driver_from: Literal["NVML", "/proc", "nvidia-smi"] | None
    devices: tuple[Device, ...]
    nvml_says: str | None
    """Why NVML says nothing, or not all."""
    kernel_driver: str | None
    """The version of the kernel's module; after an update without a reboot another than NVML's."""
    engines: tuple[Engine, ...]
    nvidia_ctk: str | None
    """The version of the NVIDIA container toolkit."""
    cdi: tuple[str, ...]
    """CDI specs that name NVIDIA devices."""
    space: tuple[Space, ...]
    uv: str
    python: str


def said(argv: Sequence[str]) -> str | None:
    """Return what a program prints, both streams; None where it is not there or does not end."""
    if shutil.which(argv[0]) is None:
        return None
    try:
        done = process.run(argv, cwd=Path("/"), seconds=SECONDS)
    except HostError as error:
        return f"mlenv: {error.reasons[0].cause}"
    return done.stdout + done.stderr


@dataclass(frozen=True, slots=True, kw_only=True)
class Senses:
    """What looking needs of the world; a test gives its own."""

    nvml: Callable[[], Answer] = field(default=lambda: nvml.ask(nvml.library()))
    run: Callable[[Sequence[str]], str | None] = said
    root: Path = Path("/")
    system: str = field(default_factory=platform.system)
    cache: Path = field(default_factory=disk.cache_folder)
    here: Path = field(default_factory=Path.cwd)


def look(senses: Senses) -> Machine:
    """Return what can be seen of this machine; what cannot be seen is None."""
    answer = senses.nvml()
    kernel = _kernel_driver(senses.root)
    driver, source, devices = answer.driver, "NVML", answer.devices
    if driver is None:
        driver, source = kernel, "/proc"
    if driver is None or not devices:
        smi, seen = _smi(senses)
        driver, source = (driver, source) if driver else (smi, "nvidia-smi")
        devices = devices or seen
    return Machine(
        system=senses.system,
        architecture=platform.machine(),
        glibc=_glibc() if senses.system == "Linux" else None,
        driver=driver,
        driver_from=source if driver else None,  # type: ignore[arg-type]  # one of the three
        devices=devices,
        nvml_says=answer.why_not,
        kernel_driver=kernel,
        engines=tuple(_engine(name, senses) for name in ENGINES),
        nvidia_ctk=_version(senses.run(["nvidia-ctk", "--version"])),
        cdi=_cdi(senses.root),
        space=(_space("the cache", senses.cache), _space("this folder", senses.here)),
        uv=tools.uv_version(),
        python=sys.version.split()[0],
    )


def _glibc() -> str | None:
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except ValueError:  # musl
        return None
    return version if name == "glibc" and version else None


def _kernel_driver(root: Path) -> str | None:
    path = root / "proc/driver/nvidia/version"
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    # "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  ...", or "Open Kernel Module for"
    found = re.search(r"^NVRM version:.*?\s(\d{3,}(?:\.\d+){1,2})\s", text, re.MULTILINE)
    return found[1] if found else None


def _smi(senses: Senses) -> tuple[str | None, tuple[Device, ...]]:
    query = "--query-gpu=driver_version,compute_cap,memory.total,name"
    text = senses.run(["nvidia-smi", query, "--format=csv,noheader,nounits"]) or ""
    driver, devices = None, []
    for line in text.splitlines():
        words = [each.strip() for each in line.split(",", 3)]
        if len(words) != 4 or not re.fullmatch(r"\d+(\.\d+)+", words[0]):
            continue
        driver = words[0]
        known = words[1] if re.fullmatch(r"\d+\.\d", words[1]) else None
        mib = int(words[2]) if words[2].isdigit() else None
        devices.append(nvml.Device(name=words[3], capability=known, mib=mib))
    return driver, tuple(devices)


def _engine(name: str, senses: Senses) -> Engine:
    version = _version(senses.run([name, "--version"]))
    if version is None or name == "buildah":
        return Engine(name=name, version=version, answers=version is not None)
    text = senses.run([name, "info", "--format", "{{json .}}"]) or ""
    begin = text.find("{")
    try:
        told = json.JSONDecoder().raw_decode(text[begin:])[0] if begin >= 0 else {}
    except json.JSONDecodeError:
        told = {}
    errors = told.get("ServerErrors") or []
    answers = bool(told) and not errors
    why_not = "" if answers else (errors or text.strip().splitlines() or ["no answer"])[-1]
    runtimes = told.get("Runtimes") or {}
    return Engine(
        name=name,
        version=version,
        answers=answers,
        why_not=str(why_not),
        nvidia_runtime="nvidia" in runtimes,
    )


def _version(text: str | None) -> str | None:
    found = re.search(r"\d+\.\d+(?:\.\d+)*", text or "")
    return found[0] if found else None


def _cdi(root: Path) -> tuple[str, ...]:
    places = [root / folder for folder in CDI]
    return tuple(
        f"/{path.relative_to(root)}"
        for place in places
        for path in (sorted(place.iterdir()) if place.is_dir() else ())
        if path.suffix in {".yaml", ".json"} and "nvidia.com/gpu" in _start(path)
    )


def _start(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(4096)
    except OSError:
        return ""


def _space(of: str, path: Path) -> Space:
    there = next((each for each in (path, *path.parents) if each.exists()), Path("/"))
    return Space(of=of, path=str(path), free_bytes=shutil.disk_usage(there).free)


def active_python() -> str:
    """Return the interpreter of the active venv or conda environment, else that on PATH."""
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        found = Path(os.environ.get(variable) or "/nowhere") / "bin" / "python"
        if found.is_file():
            return str(found)
    return "python3"
