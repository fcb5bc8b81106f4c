"""The rules that make a lock good, each on what a solver would have taken."""

from __future__ import annotations

import pytest

from mlenv.audit import Inside, Locked, audit, forbids
from mlenv.catalog.load import load
from planning import planned

TORCH = """from typing import Optional

__all__ = ['__version__', 'debug', 'cuda', 'git_version', 'hip', 'xpu']
__version__ = '{version}'
debug = False
cuda: Optional[str] = {cuda}
git_version = 'ba56102387ef21a3b04b357e5b183d48f0afefc7'
hip: Optional[str] = None
xpu: Optional[str] = None
"""
OLD_TORCH = """__version__ = '1.13.1+cu117'
debug = False
cuda = {cuda}
git_version = '49444c3e546bf240bed24a101e747422d1f8a0ee'
hip = None
"""
TENSORFLOW = """import collections

build_info = collections.OrderedDict([('cpu_compiler', '/usr/lib/llvm-18/bin/clang'), {cuda}\
('is_cuda_build', {flag}), ('is_rocm_build', False), ('is_tensorrt_build', {flag})])
"""
VERSION_PY = "torch/version.py"
BUILD_INFO = "tensorflow/python/platform/build_info.py"


def locked(
    name: str,
    version: str = "1.0",
    files: dict[str, tuple[int, int]] | None = None,
    texts: dict[str, str] | None = None,
) -> Locked:
    inside = Inside(files=files or {}, requires_python=None, texts=texts or {})
    return Locked(name=name, version=version, filename=f"{name}.whl", inside=inside)


PLAN = planned('framework = "torch==2.8.0"', 'cuda = "12.8"')
CPU = planned('framework = "torch==2.8.0"', 'cuda = "cpu"')
SHARED = planned('framework = ["tensorflow", "Torch"]', 'cuda = "12.8"')


def codes(*packages: Locked, plan: object = PLAN) -> list[str]:
    assert plan in (PLAN, CPU, SHARED)
    chosen = {id(PLAN): PLAN, id(CPU): CPU, id(SHARED): SHARED}[id(plan)]
    return [each.code for each in audit(chosen, packages, (), load())]


@pytest.mark.parametrize(
    ("packages", "expected"),
    [
        pytest.param(
            [locked("nvidia-cublas-cu12", "12.8.4.1"), locked("nvidia-nccl-cu12", "2.27.3")],
            [],
            id="one toolkit",
        ),
        pytest.param(
            [locked("cuda-toolkit", "12.8.1"), locked("nvidia-ml-py", "13.580.82")],
            [],
            id="the metapackage, and a tool of another number",
        ),
        pytest.param(
            [locked("nvidia-cudnn-cu12", "9.10.2.21"), locked("nvidia-cudnn-cu13", "9.10.2.21")],
            ["cuda-majors-mixed"],
            id="a library of two majors",
        ),
        pytest.param(
            [locked("nvidia-cublas-cu12", "12.8.4.1"), locked("nvidia-cufft", "12.0.0.61")],
            ["cuda-majors-mixed"],
            id="two libraries of two majors",
        ),
        pytest.param(
            [locked("nvidia-cublas-cu12", "12.8.4.1"), locked("nvidia-cuda-nvrtc-cu12", "12.9.86")],
            ["cuda-majors-mixed"],
            id="two minors of one major",
        ),
        pytest.param(
            [locked("nvidia-cufft-cu12", "11.4.1.4")],
            ["cuda-majors-mixed"],
            id="a component that counts by itself, of the next minor",
        ),
        pytest.param(
            [locked("cuda-toolkit", "12.9.1")], ["cuda-majors-mixed"], id="the next metapackage"
        ),
    ],
)
def test_one_toolkit(packages: list[Locked], expected: list[str]) -> None:
    assert codes(*packages) == expected


def test_what_is_mixed_is_named() -> None:
    both = (locked("nvidia-nccl-cu13", "2.28.9"), locked("nvidia-nccl-cu12", "2.27.3"))
    (found,) = audit(PLAN, both, (), load())
    assert found.cause == "CUDA 12: nvidia-nccl-cu12 2.27.3; CUDA 13: nvidia-nccl-cu13 2.28.9"
    assert forbids(found)


@pytest.mark.parametrize(
    ("name", "file", "text", "gpu"),
    [
        pytest.param(
            *("torch", VERSION_PY, TORCH.format(version="2.8.0+cu128", cuda="'12.8'")),
            True,
            id="torch for CUDA",
        ),
        pytest.param(
            *("torch", VERSION_PY, TORCH.format(version="2.8.0+cpu", cuda="None")),
            False,
            id="torch for the CPU",
        ),
        pytest.param(
            "torch", VERSION_PY, OLD_TORCH.format(cuda="'11.7'"), True, id="an old torch for CUDA"
        ),
        pytest.param(
            "torch", VERSION_PY, OLD_TORCH.format(cuda="None"), False, id="an old torch for the CPU"
        ),
        pytest.param(
            "tensorflow",
            BUILD_INFO,
            TENSORFLOW.format(cuda="('cuda_version', '12.5.1'), ", flag=True),
            True,
            id="tensorflow for CUDA",
        ),
        pytest.param(
            *("tensorflow", BUILD_INFO, TENSORFLOW.format(cuda="", flag=False)),
            False,
            id="tensorflow for the CPU",
        ),
        pytest.param(
            *("tensorflow", BUILD_INFO, 'build_info = {"is_cuda_build": True}'),
            True,
            id="tensorflow as a plain dict",
        ),
    ],
)
def test_a_gpu_build_where_cuda_is_asked(name: str, file: str, text: str, gpu: bool) -> None:  # noqa: FBT001 (a column)
    packages = (locked(name, "2.20.0", texts={file: text}),)
    found = [each for each in audit(SHARED, packages, (), load()) if each.code == "cpu-only-build"]
    assert [each.where for each in found] == (
        [] if gpu else [(f"framework[{int(name == 'torch')}]",)]
    )
    assert "cpu-only-build" not in codes(*packages, plan=CPU)


def test_a_file_that_was_not_read_proves_nothing() -> None:
    assert codes(locked("torch", "2.8.0")) == []


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        pytest.param(
            {"nvidia/cudnn/lib/libcudnn.so.9": (1, 1)},
            {"nvidia/cudnn/lib/libcudnn.so.9": (1, 2)},
            ["files-collide"],
            id="a library that a process maps",
        ),
        pytest.param(
            {"cv2/cv2.abi3.so": (1, 1), "cv2/LICENSE": (1, 1)},
            {"cv2/cv2.abi3.so": (2, 1), "cv2/LICENSE": (2, 1)},
            ["files-collide"],
            id="an extension module, and small files beside it",
        ),
        pytest.param(
            {"tests/__init__.py": (0, 0), "tests/test_a.py": (5, 1)},
            {"tests/__init__.py": (9, 9), "tests/test_b.py": (5, 2)},
            ["small-collision"],
            id="a file that no kernel depends on",
        ),
        pytest.param(
            {"nvidia/__init__.py": (0, 0)}, {"nvidia/__init__.py": (0, 0)}, [], id="equal content"
        ),
        pytest.param({"a/x.so": (1, 1)}, {"b/x.so": (1, 2)}, [], id="other paths"),
    ],
)
def test_no_path_is_written_twice(
    one: dict[str, tuple[int, int]], two: dict[str, tuple[int, int]], expected: list[str]
) -> None:
    packages = (locked("one", files=one), locked("two", files=two))
    found = audit(PLAN, packages, (), load())
    assert [each.code for each in found] == expected
    assert [forbids(each) for each in found] == [each == "files-collide" for each in expected]
    assert all("one 1.0 and two 1.0" in each.what for each in found)
    assert codes(*reversed(packages)) == expected


def test_many_collisions_of_a_pair_are_one_finding() -> None:
    files = [{f"a/{n}.py": (1, side) for n in range(9)} | {"z.so": (1, side)} for side in (1, 2)]
    (found,) = audit(
        PLAN, (locked("one", files=files[0]), locked("two", files=files[1])), (), load()
    )
    assert found.cause == "each writes z.so, a/0.py, a/1.py and 7 more, with other content"


@pytest.mark.parametrize(
    ("version", "said"),
    [
        pytest.param("2.10.0", True, id="an older minor than fits alone"),
        pytest.param("2.11.0+cu128", False, id="the newest"),
        pytest.param("2.11.1", False, id="a newer patch"),
    ],
)
def test_an_older_framework_is_said_aloud(version: str, said: bool) -> None:  # noqa: FBT001 (a column)
    found = audit(SHARED, (locked("torch", version),), (), load())
    assert [(each.code, each.where, forbids(each)) for each in found] == (
        [("older-than-newest", ("framework[1]",), False)] if said else []
    )
    assert all('`framework = "torch==2.11.0"`' in each.fix for each in found)


def test_a_framework_of_many_packages_is_called_by_its_name() -> None:
    plan = planned('framework = "cupy"', 'cuda = "12"')
    (found,) = audit(plan, (locked("cupy-cuda12x", "13.6.0"),), (), load())
    assert '`framework = "cupy==14.2.0"`' in found.fix


def test_prereleases_and_source_packages_are_said_aloud() -> None:
    source = Locked(name="docopt", version="0.6.2", filename="docopt-0.6.2.tar.gz", inside=None)
    packages = (locked("tensorboard", "2.20.0rc1"), locked("rich", "14.1.0.post1"), source)
    found = audit(PLAN, packages, (), load())
    assert [(each.code, each.what.split(" ")[0]) for each in found] == [
        ("prerelease-taken", "tensorboard"),
        ("built-from-source", "docopt"),
    ]
    assert not any(map(forbids, found))


def test_an_extra_that_is_not_there_names_its_own_line_only() -> None:
    plan = planned('packages = ["rich-click", "Rich[jupiter]>=14", "richer"]')
    (found,) = audit(plan, (), [("rich==14.1.0", "jupiter")], load())
    assert (found.code, found.where, forbids(found)) == ("extra-missing", ("packages[1]",), True)
    assert found.what == "rich 14.1.0 has no extra `jupiter`"


def test_the_order_of_the_packages_does_not_count() -> None:
    packages = tuple(
        locked(name, files={"x.so": (1, n), "y.so": (n, 1)})
        for n, name in enumerate(("nvidia-nccl-cu12", "nvidia-nccl-cu13", "torch", "rich"))
    )
    turned = audit(PLAN, tuple(reversed(packages)), (), load())
    assert audit(PLAN, packages, (), load()) == turned
