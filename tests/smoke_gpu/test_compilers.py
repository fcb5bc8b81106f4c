"""The compilers of a target: those that are here, one from a wheel, and broken ones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import uv

import mlenv
from mlenv.report.causes import failure_in
from mlenv.smoke.kernels_compilers import fitting
from mlenv.smoke.kernels_driver import PTX

SOURCE = Path(mlenv.__file__).parents[1]
ARCHS = ("sm_75", "sm_80", "sm_90", "sm_100", "sm_120")


def said(probe: str, python: str = sys.executable, **env: str) -> dict[str, Any]:
    """Run one probe in an interpreter, and return what it said."""
    params = {probe: {"archs": ["sm_75", "sm_90", "sm_120"]}}
    plan = {"schema": "mlenv.plan/1", "probes": [probe], "params": params}
    done = subprocess.run(
        [python, "-m", "mlenv.smoke", "--plan", "-"],
        input=json.dumps(plan),
        env={**os.environ, "PYTHONPATH": str(SOURCE), **env},
        capture_output=True,
        text=True,
        check=True,
    )
    (found,) = json.loads(done.stdout)["probes"]
    assert isinstance(found, dict)
    return found


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not here")
    return found


@pytest.mark.parametrize("arch", ARCHS)
def test_the_ptx_is_assembled_by_the_real_assembler(tmp_path: Path, arch: str) -> None:
    ptxas = program("ptxas")
    (tmp_path / "line.ptx").write_bytes(PTX)
    argv = [ptxas, f"-arch={arch}", "line.ptx", "-o", "line.cubin"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_nvcc_compiles_for_gpus_that_are_not_here() -> None:
    program("nvcc")
    probe = said("compile:nvcc")
    assert probe["status"] == "pass", probe
    assert sorted(probe["facts"]["built"]) == ["sm_120", "sm_75", "sm_90"]


def script(folder: Path, text: str) -> str:
    path = folder / "nvcc"
    path.write_text("#!/bin/sh\n" + text, encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_what_nvcc_prints_is_told(tmp_path: Path) -> None:
    broken = script(
        tmp_path,
        '[ "$1" = --version ] && echo "Cuda compilation tools, release 13.0, V13.0.88" && exit\n'
        'echo "gcc: fatal error: cannot execute cc1plus"; exit 1\n',
    )
    probe = said("compile:nvcc", NVCC=broken)
    assert (probe["status"], probe["reason"]) == ("fail", "nvcc-failed")
    assert "cannot execute cc1plus" in probe["message"]
    assert (probe["facts"]["path"], probe["facts"]["says"]) == (broken, "13.0")


@pytest.mark.network
def test_nvrtc_of_a_wheel_compiles_without_gpu_and_driver(tmp_path: Path) -> None:
    python = str(tmp_path / "env" / "bin" / "python")
    for words in (
        ["venv", "--python", sys.executable, str(tmp_path / "env")],
        ["pip", "install", "--python", python, "nvidia-cuda-nvrtc"],
    ):
        subprocess.run([uv.find_uv_bin(), *words, "--quiet"], check=True)
    probe = said("compile:nvrtc", python)
    assert probe["status"] == "pass", probe
    assert probe["facts"]["path"].startswith(str(tmp_path / "env"))
    assert all(each["bytes"] > 1000 for each in probe["facts"]["built"].values())
    assert sorted(probe["facts"]["built"]) == ["sm_120", "sm_75", "sm_90"]


def test_c_and_its_python_headers_are_used() -> None:
    program("gcc"), program("g++")
    probe = said("compile:c")
    assert probe["status"] == "pass", probe
    assert Path(probe["facts"]["headers"], "Python.h").is_file()


@pytest.mark.parametrize(
    ("programs", "variables", "words"),
    [
        pytest.param([], {}, "no C compiler: neither gcc nor clang on PATH", id="none at all"),
        pytest.param(
            [], {"CC": "/no/such/cc"}, "/no/such/cc (CC) cannot be started", id="CC names none"
        ),
        pytest.param(["gcc"], {}, "no C++ compiler: neither g++ nor clang++", id="no C++"),
        pytest.param(["gcc", "g++"], {"CXX": "false"}, "false ended with 1", id="one that refuses"),
        pytest.param(["gcc"], {"CPATH": "gone"}, "Python.h: No such file", id="no headers"),
    ],
)
def test_a_missing_compiler_is_named_with_its_cause(
    tmp_path: Path, programs: list[str], variables: dict[str, str], words: str
) -> None:
    for each in programs:
        # As itself: gcc finds its parts by its own place.
        text = f'#!/bin/sh\nPATH={os.environ["PATH"]} exec {program(each)} "$@"\n'
        if variables.pop("CPATH", ""):
            text = "#!/bin/sh\necho 'fatal error: Python.h: No such file or directory'; exit 1\n"
        (tmp_path / each).write_text(text)
        (tmp_path / each).chmod(0o755)
    path = f"{tmp_path}:{tmp_path.parent}" + (":/bin" if "CXX" in variables else "")
    probe = said("compile:c", PATH=path, **variables)
    assert probe["status"] == "fail"
    assert words in probe["message"]
    found = failure_in("compile:c", "\n".join((probe["reason"], probe["message"])))
    assert found is not None
    assert found[0].id == "no-compiler"


@pytest.mark.parametrize(
    ("known", "wanted", "found"),
    [
        pytest.param((80, 90), 90, 90, id="the very one"),
        pytest.param((80, 86, 90), 89, 86, id="an older minor of its major"),
        pytest.param((75, 80, 86), 70, None, id="a GPU older than all"),
        pytest.param((80, 90), 100, None, id="another major"),
        pytest.param((100, 120), 121, 120, id="majors of two digits"),
        pytest.param((100, 103), 110, None, id="a hundred and ten is not of major ten"),
    ],
)
def test_fitting_arch(known: tuple[int, ...], wanted: int, found: int | None) -> None:
    assert fitting(known, wanted) == found


@pytest.mark.gpu
def test_the_probes_without_a_framework_pass_on_a_gpu() -> None:
    if said("driver")["status"] == "skip":
        pytest.skip("no GPU is here")
    probes = ["driver", "nvml", "kernel:ptx", "speed:driver"]
    plan = {"schema": "mlenv.plan/1", "probes": probes}
    argv = [sys.executable, "-m", "mlenv.smoke", "--plan", "-"]
    done = subprocess.run(argv, input=json.dumps(plan), capture_output=True, text=True, check=True)
    found = {each["name"]: each for each in json.loads(done.stdout)["probes"]}
    assert {name: each["status"] for name, each in found.items()} == dict.fromkeys(probes, "pass")
    assert 0.3 < found["speed:driver"]["facts"]["copy_fraction"] < 1
