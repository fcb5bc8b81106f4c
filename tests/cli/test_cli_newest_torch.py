"""A release of torch that came after this mlenv: one refresh, and it is locked like any other."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from archives import wheel
from facts import LINUX_X86, TORCH_REQUIRES, TORCH_VERSION_PY, roots, torch_pins
from loopback import Index, environment
from mlenv.catalog.load import shipped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from archives import Artefact

LIKE = "2.9.1"
"""The release whose requirements the new one has."""


def newest() -> str:
    """Return a version that is newer than all that the shipped catalog knows."""
    known = max(map(Version, shipped().raw["torch"]))
    return f"{known.major}.{known.minor + 1}.0"


def published(version: str) -> Artefact:
    """Return the wheel of a new release, built for CUDA 12.8."""
    pins = (f"{name}=={of}; {LINUX_X86}" for name, of in torch_pins(LIKE, "12.8").items())
    return wheel(
        "torch",
        version,
        [*TORCH_REQUIRES, *pins],
        tag="cp312-cp312-manylinux_2_28_x86_64",
        requires_python=">=3.10",
        files={
            "torch/version.py": TORCH_VERSION_PY.format(version=f"{version}+cu128", variant="12.8"),
            "torch/lib/libtorch_cuda.so": "cuda 12.8\n",
        },
    )


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Lead mlenv to an index that has the new release, with caches of its own; yield a folder."""
    default, *others = roots()
    default.add(published(newest()), uploaded="2026-11-20")
    with Index(default, *others) as running:
        for name, text in environment(running, cache=tmp_path / "uv-cache").items():
            monkeypatch.setenv(name, text)
        # PyTorch's own index is asked by TLS, which ends here: its former facts stay
        monkeypatch.setenv("HTTPS_PROXY", running.url)
        monkeypatch.setenv("MLENV_CACHE_DIR", str(tmp_path / "cache"))
        spec = f'name = "new"\npython = "3.12"\nframework = "torch=={newest()}"\ncuda = "12.8"\n'
        (tmp_path / "spec.toml").write_text(spec, encoding="utf-8")
        yield tmp_path


def mlenv(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mlenv", *words],
        cwd=cwd,
        capture_output=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "packages", [pytest.param((), id="of all facts"), pytest.param(("torch",), id="of torch alone")]
)
def test_after_a_refresh_the_newest_torch_is_locked(here: Path, packages: tuple[str, ...]) -> None:
    before = json.loads(mlenv("check", "spec.toml", "--json", cwd=here).stdout)
    assert before["targets"][0]["verdict"] == "unknown"

    renewed = mlenv("catalog", "refresh", *packages, cwd=here)
    assert renewed.returncode == 0, renewed.stderr
    assert f"torch {newest()}" in renewed.stdout

    checked = json.loads(mlenv("check", "spec.toml", "--json", cwd=here).stdout)
    assert checked["targets"][0]["verdict"] == "ok"
    locked = mlenv("lock", "spec.toml", "--json", cwd=here)
    assert locked.returncode == 0, locked.stderr
    (target,) = json.loads(locked.stdout)["targets"]
    assert (target["verdict"], target["solved"]) == ("ok", True)
    assert target["packages"]["torch"] == newest()
