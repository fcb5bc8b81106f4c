"""Whole runs over environments with one fault planted in them: each is named with its cause."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from judging import lock
from mlenv.runners.local import Local
from mlenv.verify.job import Wish, verify
from mlenv.verify.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlenv.report.verdict import Verdict

LOCKED = {"torch": "2.11.0", "nvidia-cudnn-cu13": "9.19.0", "nvidia-nccl-cu13": "2.29.3"}
SMOKE = {"schema": 1, "target": {"gpus": ["sm_90"]}, "checks": []}
CUDNN = "size_t cudnnGetVersion(void) {{ return {}; }}"
NCCL = "int ncclGetVersion(int *v) {{ *v = {}; return 0; }}"
TORCH = """
import ctypes, pathlib
__version__ = "2.11.0"
class version: cuda = "13.0"
class _C: _cuda_getArchFlags = staticmethod(lambda: "sm_80 sm_90")
for each in pathlib.Path(__file__).parents[1].glob("nvidia/*/lib/*.so*"): ctypes.CDLL(str(each))
"""
"""A stand-in that loads its libraries as torch does: by their places."""


def built(path: Path, source: str) -> Path:
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("gcc is not here")
    path.parent.mkdir(parents=True, exist_ok=True)
    text = path.parent / "source.c"
    text.write_text("#include <stddef.h>\n" + source)
    argv = [gcc, "-shared", "-fPIC", f"-Wl,-soname,{path.name}", "-o", str(path), str(text)]
    subprocess.run(argv, check=True)
    text.unlink()
    return path


def owned(site: Path, name: str, version: str, files: list[Path]) -> None:
    """Write the metadata of a wheel that brought those files."""
    for old in site.glob(f"{name.replace('-', '_')}-*.dist-info"):
        shutil.rmtree(old)
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    rows = []
    for each in files:
        content = each.read_bytes()
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        rows.append(f"{each.relative_to(site)},sha256={digest},{len(content)}\n")
    (info / "RECORD").write_text("".join(rows))


def cudnn(site: Path, number: int) -> list[Path]:
    folder = site / "nvidia/cudnn/lib"
    names = ("libcudnn.so.9", "libcudnn_graph.so.9")
    return [built(folder / name, CUDNN.format(number)) for name in names]


def nccl(site: Path, number: int) -> list[Path]:
    return [built(site / "nvidia/nccl/lib/libnccl.so.2", NCCL.format(number))]


def torch(site: Path, text: str = TORCH, version: str = "2.11.0") -> None:
    path = site / "torch" / "__init__.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    owned(site, "torch", version, [path])


@pytest.fixture
def env(tmp_path: Path) -> Path:
    """Return an environment in order."""
    argv = [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")]
    subprocess.run(argv, check=True)
    (site,) = (tmp_path / "env").glob("lib/python*/site-packages")
    torch(site)
    owned(site, "nvidia-cudnn-cu13", "9.19.0", cudnn(site, 91900))
    owned(site, "nvidia-nccl-cu13", "2.29.3", nccl(site, 22903))
    return site


def verdict(site: Path, python: Path | None = None) -> Verdict:
    version = "{}.{}".format(*sys.version_info)
    found = lock(LOCKED, python=version, compile_="none")
    subject = Subject(folder=site, lock=found, smoke=SMOKE)
    here = str(python or site.parents[2] / "bin" / "python")
    return verify(subject, Local(python=here), Wish(scope="static", quick=True)).verdict


def test_an_environment_in_order_is_static_ok(env: Path) -> None:
    found = verdict(env)
    assert (found.word, found.root) == ("static-ok", None)
    libraries = found.report.facts("mapped:torch")["libraries"]
    assert {each["says"] for each in libraries} == {"9.19.0", "2.29.3"}


def cpu_torch(site: Path) -> None:
    torch(site, TORCH.replace('"13.0"', "None").replace("2.11.0", "2.11.0+cpu"), "2.11.0+cpu")


def other_nccl(site: Path) -> None:
    owned(site, "nvidia-nccl-cu13", "2.30.7", nccl(site, 23007))


def nccl_of_cuda_12(site: Path) -> None:
    files = nccl(site, 22809)  # over the files of the other, as an installer does
    owned(site, "nvidia-nccl-cu12", "2.28.9", files)


def nccl_file(site: Path) -> None:
    nccl(site, 23007)


@pytest.mark.parametrize(
    ("plant", "ids", "words", "cause"),
    [
        pytest.param(
            cpu_torch,
            {"cpu-only-build"},
            "torch 2.11.0+cpu is a build for the CPU only",
            "what is installed of the framework is a CPU build",
            id="a CPU torch",
        ),
        pytest.param(
            other_nccl,
            {"distribution-differs", "library-differs"},
            "nvidia-nccl-cu13 is 2.30.7, the lock has 2.29.3",
            "what is installed is not what was locked",
            id="another release of NCCL",
        ),
        pytest.param(
            nccl_of_cuda_12,
            {"files-collide"},
            "nvidia-nccl-cu12",
            "two packages own one file",
            id="the NCCL of CUDA 12 over that of 13",
        ),
        pytest.param(
            nccl_file,
            {"library-changed"},
            "libnccl.so.2 is not the file that nvidia-nccl-cu13 2.29.3 brought",
            "something has overwritten",
            id="a file of NCCL that was swapped",
        ),
    ],
)
def test_what_is_planted_in_an_environment_is_named(
    env: Path, plant: Callable[[Path], None], ids: set[str], words: str, cause: str
) -> None:
    plant(env)
    found = verdict(env)
    assert (found.word, int(found.exit_status)) == ("failed", 1)
    assert ids & {each.id for each in found.findings}, found.findings
    told = [each for each in found.findings if words in each.what]
    assert told, found.findings
    assert any(cause in each.cause and each.fix for each in found.findings)


def test_a_foreign_cudnn_in_ld_library_path_is_named(
    env: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = built(tmp_path / "other" / "libcudnn_graph.so.9", CUDNN.format(92801)).parent
    monkeypatch.setenv("LD_LIBRARY_PATH", str(foreign))
    found = verdict(env)
    assert int(found.exit_status) == 1
    assert found.root is not None
    assert found.root.id == "library-shadowed"
    assert f"LD_LIBRARY_PATH names {foreign}" in found.root.what
    assert "unset LD_LIBRARY_PATH" in found.root.fix


def test_a_toolkit_of_the_host_that_leaks_in_is_named(env: Path, tmp_path: Path) -> None:
    source = "int cudaRuntimeGetVersion(int *v) { *v = 12040; return 0; }"
    library = built(tmp_path / "over" / "cuda" / "lib64" / "libcudart.so.12", source)
    torch(env, TORCH + "ctypes.CDLL('/usr/local/cuda/lib64/libcudart.so.12')\n")
    python = tmp_path / "python"  # sees /usr/local with a toolkit in it; nobody else does
    over = f"mount -t overlay overlay -o lowerdir={library.parents[2]}:/usr/local /usr/local"
    inner = f'{over} && exec {env.parents[2]}/bin/python "$@"'
    python.write_text(f"#!/bin/sh\nexec unshare -m sh -c '{inner}' sh \"$@\"\n")
    python.chmod(0o755)
    tried = subprocess.run([python, "-c", "pass"], capture_output=True, text=True, check=False)
    if tried.returncode and os.environ.get("MLENV_NO_SKIP") != "1":
        pytest.skip(f"nothing can be mounted here: {tried.stderr.strip()}")
    found = verdict(env, python)
    assert int(found.exit_status) == 1
    assert found.root is not None
    assert found.root.id == "toolkit-of-the-host"
    assert "/usr/local/cuda/lib64/libcudart.so.12" in found.root.what
    assert "/etc/ld.so.conf.d" in found.root.fix
