"""Level 2: whose the mapped libraries are, over small real wheels and faults planted in them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import uv

from mlenv.smoke.mapped import covers
from mlenv.smoke.versions import begins, stem_of
from probing import Probe, copied

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LOCKED = {
    "nvidia-cuda-runtime": "13.2.86",
    "nvidia-nvjitlink": "13.2.86",
    "nvidia-cuda-nvrtc": "13.2.86",
}
"""60 MB together, and each answers for its version without a driver."""


@pytest.mark.parametrize(
    ("archs", "gpu", "runs"),
    [
        ("sm_75 sm_80 sm_90", "sm_90", True),
        ("sm_75 sm_80", "sm_86", True),
        ("sm_86", "sm_80", False),
        ("sm_75 sm_80 sm_86 sm_90 sm_100 sm_120", "sm_70", False),
        ("sm_75 sm_80 sm_86 sm_90 sm_100 sm_120", "sm_110", False),
        ("sm_60 compute_90", "sm_120", True),
        ("compute_90", "sm_80", False),
        ("sm_90a", "sm_90", True),
        ("sm_100a", "sm_103", False),
        ("compute_100a", "sm_103", False),
        ("sm_100f", "sm_103", True),
        ("", "sm_90", False),
    ],
)
def test_code_covers_a_gpu(archs: str, gpu: str, runs: bool) -> None:  # noqa: FBT001
    assert covers(archs.split(), gpu) is runs


@pytest.mark.parametrize(
    ("version", "says", "is_so"),
    [
        ("13.2.86", "13.2", True),
        ("9.26.0.51", "9.26.0", True),
        ("13.2.86", "13", True),
        ("13.20.1", "13.2", False),
        ("2.29.3", "2.30.7", False),
    ],
)
def test_what_a_library_says_begins_its_version(version: str, says: str, is_so: bool) -> None:  # noqa: FBT001
    assert begins(version, says) is is_so


@pytest.mark.parametrize(
    ("path", "stem"),
    [
        ("/x/libcudnn.so.9", "libcudnn"),
        ("/x/libcudnn_engines_precompiled.so.9.26.0", "libcudnn_engines_precompiled"),
        ("/x/libnvrtc-builtins.so.13.2", "libnvrtc-builtins"),
        ("/x/libcuda.so.580.65.06", "libcuda"),
        ("/x/libnvidia-ptxjitcompiler.so.1", "libnvidia-ptxjitcompiler"),
        ("/x/libcudart-1a2b3c.so.12", ""),
        ("/x/libc.so.6", ""),
        ("/x/libcuda.py", ""),
    ],
)
def test_a_library_of_cuda_is_known_by_its_name(path: str, stem: str) -> None:
    assert stem_of(path) == stem


def made(folder: Path, wanted: Mapping[str, str]) -> str:
    """Install real wheels into an environment of its own, and return its Python."""
    uv_bin = uv.find_uv_bin()
    words = [f"{name}=={version}" for name, version in wanted.items()]
    python = str(folder / "bin" / "python")
    # Copied: what is changed in it is not to change uv's cache.
    install = [uv_bin, "pip", "install", "--no-deps", "--link-mode=copy", "--python", python]
    for argv in ([uv_bin, "venv", "--python", sys.executable, str(folder)], [*install, *words]):
        subprocess.run(argv, check=True, capture_output=True)
    return python


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels") / "env"
    made(folder, LOCKED)
    return folder


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory.mktemp("probe"))


def libraries(env: Path) -> Path:
    (found,) = {path.parent for path in env.glob("lib/*/site-packages/nvidia/**/libcudart.so.*")}
    return found


def said(root: Path, env: Path, variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    probe = Probe(root=root, python=str(env / "bin" / "python"))
    report = probe.report("mapped:cuda", env=variables, expect={"distributions": LOCKED})
    return dict(report["probes"][0])


@pytest.fixture
def changed(wheels: Path, tmp_path: Path) -> Path:
    """Return a copy of the environment, to plant a fault in."""
    env = tmp_path / "env"
    shutil.copytree(wheels, env, symlinks=True)
    return env


@pytest.mark.network
def test_real_libraries_are_the_locked_ones(root: Path, wheels: Path) -> None:
    row = said(root, wheels)
    assert row["status"] == "pass", row["message"]
    found = {each["soname"]: each for each in row["facts"]["libraries"]}
    assert {"libcudart.so.13", "libnvJitLink.so.13", "libnvrtc.so.13"} <= found.keys()
    for each in found.values():
        assert each["owner_version"] == LOCKED[each["owner"]]
        assert each["record_ok"] is True
    assert found["libcudart.so.13"]["says"] == "13.2"


@pytest.mark.network
def test_a_folder_that_comes_first_is_named(root: Path, wheels: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    shutil.copy(libraries(wheels) / "libnvJitLink.so.13", foreign)
    row = said(root, wheels, {"LD_LIBRARY_PATH": str(foreign)})
    assert row["reason"] == "shadowed-library"
    assert row["message"] == (
        f"LD_LIBRARY_PATH names {foreign}, whose libnvJitLink.so.13 comes before that of "
        "nvidia-nvjitlink 13.2.86"
    )


@pytest.mark.network
def test_a_library_from_elsewhere_is_named(root: Path, wheels: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    copy = shutil.copy(libraries(wheels) / "libcudart.so.13", foreign)
    row = said(root, wheels, {"LD_PRELOAD": str(copy)})
    assert row["reason"] == "foreign-library"
    assert f"libcudart.so.13 is loaded from {foreign}" in row["message"]
    assert "its own, of nvidia-cuda-runtime 13.2.86, is passed over" in row["message"]


@pytest.mark.network
def test_a_file_that_was_changed_is_named(root: Path, changed: Path) -> None:
    with (libraries(changed) / "libcudart.so.13").open("ab") as file:
        file.write(b"\0")
    row = said(root, changed)
    assert row["reason"] == "record-differs"
    assert row["message"].endswith("is not the file that nvidia-cuda-runtime 13.2.86 brought")


@pytest.mark.network
def test_another_release_is_named(root: Path, changed: Path) -> None:
    argv = [uv.find_uv_bin(), "pip", "install", "--no-deps", "--link-mode=copy", "--python"]
    other = "nvidia-nvjitlink==13.0.88"
    subprocess.run([*argv, str(changed / "bin/python"), other], check=True, capture_output=True)
    row = said(root, changed)
    assert row["reason"] == "library-differs"
    assert row["message"] == (
        "libnvJitLink.so.13 is of nvidia-nvjitlink 13.0.88, and 13.2.86 is expected"
    )


@pytest.mark.network
def test_a_library_that_cannot_be_loaded_is_named(root: Path, changed: Path) -> None:
    (libraries(changed) / "libnvJitLink.so.13").write_bytes(b"\x7fELF nothing more")
    row = said(root, changed)
    assert row["reason"] == "cannot-load" or row["reason"] == "record-differs"
    assert "libnvJitLink.so.13" in row["message"]


def test_an_environment_without_cuda_has_nothing_to_load(root: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path], check=True)
    row = said(root, tmp_path, {"PATH": os.defpath})
    assert (row["status"], row["reason"]) == ("skip", "nothing-to-load")


@pytest.mark.parametrize(("driver", "asked"), [(0, False), (13000, True)])
def test_cupti_is_asked_only_where_there_is_a_driver(
    root: Path, tmp_path: Path, *, driver: int, asked: bool
) -> None:
    (tmp_path / "jax").mkdir()
    (tmp_path / "jax" / "__init__.py").write_text('__version__ = "0.12"\n')
    (tmp_path / "jax_cuda13_plugin").mkdir()
    (tmp_path / "jax_cuda13_plugin" / "_versions.py").write_text(
        "import os\n"
        f"def cuda_driver_get_version(): return {driver}\n"
        f"def cupti_get_version(): return 130200 if {driver} else os.abort()\n"
        "def cufft_get_version(): 1 / 0\n"
    )
    probe = Probe(root=root)
    (row,) = probe.report("mapped:jax", env={"PYTHONPATH": f"{root}:{tmp_path}"})["probes"]
    assert row["status"] == "pass", row
    assert ("cupti_get_version" in row["facts"]["versions"]) is asked
    assert row["facts"]["versions"]["cuda_driver_get_version"] == driver
