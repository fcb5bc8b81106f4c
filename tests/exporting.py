"""What the tests of exports share: programs in environments of their own, versions as values."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import uv
from packaging.utils import canonicalize_name

from loopback import environment
from mlenv.cli import main
from mlenv.layers import DEV
from mlenv.lock import parse_lock

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from loopback import Index
    from mlenv.lock import Lock

_MINOR = sys.version_info.minor
TORCH = f"""
name      = "torch-cuda126"
python    = "3.{_MINOR}"
framework = "torch=={"2.8" if _MINOR < 14 else "2.9"}.*"
cuda      = "12.6"
packages  = ["torchvision"]
[targets.cluster]
gpus      = ["V100", "A100"]
driver    = ">=535,<581"
[dev]
editors   = ["vscode"]
packages  = ["example-tiny"]
[image]
variants  = ["runtime", "dev"]
"""
"""A stack of two indexes, for the Python that runs the tests: so that other tools may take it."""


def lock_of(folder: Path) -> Lock:
    """Return the lock of a folder."""
    return parse_lock((folder / "mlenv.lock").read_text(encoding="utf-8"), origin="mlenv.lock")


def versions(folder: Path, *, dev: bool = False) -> dict[str, str]:
    """Return name -> version of every package that a variant of a locked folder installs."""
    rows = [each for each in lock_of(folder).package if dev or each.layer not in DEV]
    return pairs((each.name, each.version) for each in rows)


def pairs(rows: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return name -> version, names as PEP 503 has them."""
    return {canonicalize_name(name): version for name, version in rows}


def exported(folder: Path, place: Path, *words: str) -> Path:
    """Export into ``place``; return it."""
    assert main(["export", str(folder), "--output", str(place), *words]) == 0
    return place


def ran(argv: Iterable[str], cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a program of another project to its end."""
    return subprocess.run(
        list(argv),
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "HOME": str(cwd), **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def pip(index: Index) -> dict[str, str]:
    """Return the variables that lead pip to the loopback index, and to nothing else."""
    led = environment(index)
    return {name: text for name, text in led.items() if not name.startswith("UV_")} | {
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_INDEX_URL": led["UV_DEFAULT_INDEX"],
        "PIP_TRUSTED_HOST": led["UV_INSECURE_HOST"],
        "PIP_NO_CACHE_DIR": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def tool(folder: Path, *packages: str) -> Path:
    """Return the folder of programs of a throwaway environment with ``packages``."""
    python = ("--python", sys.executable)
    subprocess.run([uv.find_uv_bin(), "venv", "-q", *python, folder], check=True)
    install = (uv.find_uv_bin(), "pip", "install", "-q", "--python", folder / "bin" / "python")
    subprocess.run([*install, *packages], check=True)
    return folder / "bin"
