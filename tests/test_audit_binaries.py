"""What binaries need and hold, against what a lock brings and which GPUs a target has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlenv.audit import Binaries, Inside, Locked, examined, forbids, readings, unsettled
from mlenv.catalog.load import load
from mlenv.cuda import Code
from planning import planned

if TYPE_CHECKING:
    from collections.abc import Mapping

A100 = '[targets.a]\ngpus = ["A100"]\ndriver = ">=580"'
PLAN = planned('framework = "torch==2.12.0"', 'cuda = "13.0"', 'packages = ["xformers"]', A100)
PLAIN = planned('framework = "torch==2.12.0"', 'cuda = "13.0"')
MACHINE = planned('framework = "torch==2.12.0"', 'cuda = "13.0"', f'{A100}\nglibc = "2.35"')
SM80 = (Code.parse("sm_80"),)


def locked(
    name: str,
    *files: str,
    needs: Mapping[str, tuple[str, ...]] | None = None,
    code: tuple[Code, ...] | None = SM80,
    whole: bool = True,
    version: str = "1.0",
) -> Locked:
    inside = Inside(
        files={path: (1000 + len(path), 1) for path in (*files, *(needs or {}))},
        requires_python=None,
        texts={},
        binaries=Binaries(needs=needs, code=code, whole=whole),
    )
    return Locked(name=name, version=version, filename=f"{name}.whl", inside=inside)


CUDART12 = locked("nvidia-cuda-runtime-cu12", "nvidia/cuda_runtime/lib/libcudart.so.12")
CUDART13 = locked("nvidia-cuda-runtime", "nvidia/cu13/lib/libcudart.so.13")
NEEDS12 = {"xformers/_C.so": ("libcudart.so.12", "libcuda.so.1", "libc10_cuda.so")}


def codes(*packages: Locked, plan: object = PLAN) -> list[str]:
    chosen = {id(each): each for each in (PLAN, PLAIN, MACHINE)}[id(plan)]
    return [reason.code for _, reason in examined(chosen, packages, load())]


@pytest.mark.parametrize(
    ("packages", "expected"),
    [
        pytest.param(
            [locked("xformers", needs=NEEDS12), CUDART12], [], id="what it needs is there"
        ),
        pytest.param(
            [locked("xformers", needs=NEEDS12), CUDART13], ["soname-mismatch"], id="another major"
        ),
        pytest.param(
            [locked("xformers", needs=NEEDS12)], ["soname-mismatch"], id="no major at all"
        ),
        pytest.param(
            [locked("xformers", needs={"x/_C.so": ("libcuda.so.1", "libnvidia-ml.so.1")})],
            [],
            id="what the driver brings",
        ),
        pytest.param(
            [locked("xformers", "x/libcudart.so.12", needs=NEEDS12), CUDART13],
            [],
            id="a copy of its own",
        ),
        pytest.param(
            [locked("xformers", "x/libcudart.so.12.8.90", needs=NEEDS12), CUDART13],
            [],
            id="a copy under its full version",
        ),
        pytest.param(
            [locked("xformers", needs={"x/_C.so": ("libcudart.e8e8b82a.so.12",)}), CUDART13],
            [],
            id="a copy that auditwheel renamed",
        ),
        pytest.param(
            [
                locked("xformers", needs={**NEEDS12, "x/_C13.so": ("libcudart.so.13",)}),
                CUDART13,
            ],
            [],
            id="a file for each major",
        ),
        pytest.param([locked("torchao", needs=NEEDS12), CUDART13], [], id="CUDA is optional to it"),
        pytest.param([locked("requests", needs=NEEDS12), CUDART13], [], id="no CUDA package"),
        pytest.param(
            [locked("example", needs={"e/_cuda.so": ("libcudart.so.12",)}), CUDART13],
            ["soname-mismatch"],
            id="a package that only its file's name tells of",
        ),
        pytest.param(
            [locked("example", needs={"e/_cuda.so": ("libcudart.so.12",)})],
            [],
            id="such a package, where it may do without",
        ),
        pytest.param([locked("torch", needs=NEEDS12), CUDART13], [], id="its metadata pins them"),
    ],
)
def test_sonames(packages: list[Locked], expected: list[str]) -> None:
    assert codes(*packages) == expected


def test_a_mismatch_is_told_with_both_sides() -> None:
    ((package, found),) = examined(PLAN, (locked("xformers", needs=NEEDS12), CUDART13), load())
    assert (package, forbids(found)) == ("xformers", True)
    assert found.what == "xformers 1.0 needs libcudart.so.12, which the lock does not bring"
    assert found.cause == (
        "xformers/_C.so in it needs libcudart.so.12; "
        "the lock brings libcudart.so.13 (nvidia-cuda-runtime 1.0)"
    )
    assert 'set `cuda = "12"`' in found.fix
    assert found.where == ("packages[0]",)


def test_who_brings_what_nobody_brings_is_named() -> None:
    needs = {"o/x_cuda.so": ("libcublasLt.so.13", "libcudnn.so.9")}
    ((_, found),) = examined(PLAN, (locked("onnxruntime-gpu", needs=needs),), load())
    assert found.fix == "add `nvidia-cublas==13.*`, `nvidia-cudnn-cu13` to `packages`"


def test_what_a_machine_may_have_is_unknown() -> None:
    packages = (locked("onnxruntime-gpu", needs={"o/x.so": ("libcudnn.so.9",)}),)
    assert codes(*packages, plan=MACHINE) == ["fact-unknown"]
    assert codes(*packages, plan=PLAIN) == []


@pytest.mark.parametrize(
    ("code", "whole", "expected"),
    [
        pytest.param("sm_80", False, [], id="code for it, and enough was read"),
        pytest.param("compute_75", False, [], id="PTX for it"),
        pytest.param("sm_90a", True, ["gpu-not-in-wheel"], id="all of it for another"),
        pytest.param("sm_90", False, ["fact-unknown"], id="not all was read"),
    ],
)
def test_kernels(code: str, whole: bool, expected: list[str]) -> None:  # noqa: FBT001 (a column)
    package = locked("vllm", needs={"v/_C.so": ()}, code=(Code.parse(code),), whole=whole)
    assert codes(package) == expected


@pytest.mark.parametrize(
    "package",
    [
        pytest.param(locked("vllm", needs={"v/_C.so": ()}, code=()), id="no kernels at all"),
        pytest.param(
            locked("triton", needs={"t/_C.so": ()}, code=(Code.parse("sm_50"),)), id="a compiler"
        ),
    ],
)
def test_no_kernels_are_no_reason(package: Locked) -> None:
    assert codes(package) == []


def test_what_was_not_read_is_unknown() -> None:
    unread = locked("vllm", "v/_C.so", code=None)
    ((_, found),) = examined(PLAN, (unread,), load())
    assert found.code == "fact-unknown"
    assert found.what == (
        "which CUDA libraries it needs and which GPUs it has code for is not known of vllm 1.0"
    )
    assert "--offline" in found.fix


def test_a_catalogued_release_that_came_instead_is_judged_too() -> None:
    plan = planned('framework = "torch>=2.8"', 'cuda = "12.8"', '[targets.a]\ngpus = ["V100"]')
    newer = Locked(name="torch", version="2.11.0", filename="torch.whl", inside=None)
    found = [reason.code for _, reason in examined(plan, (newer,), load())]
    assert found == ["gpu-not-in-wheel"]


BNB = tuple(f"b/libbitsandbytes_cuda{tag}.so" for tag in (118, 126, 128, 130))


@pytest.mark.parametrize(
    ("cuda", "tags"),
    [("12.6", ("126", "128")), ("12.8", ("128", "126")), ("13.0", ("130",))],
)
def test_of_files_for_many_toolkits_those_of_its_own_are_read(
    cuda: str, tags: tuple[str, ...]
) -> None:
    plan = planned('framework = "torch"', f'cuda = "{cuda}"', A100)
    (found,) = readings(plan, (locked("bitsandbytes", *BNB),), load())
    assert found.code == tuple(f"b/libbitsandbytes_cuda{tag}.so" for tag in tags)
    assert set(found.needs) == set(found.code)


def test_files_of_other_interpreters_and_copies_are_not_read() -> None:
    files = [f"v/_C.cpython-{tag}-x86_64-linux-gnu.so" for tag in ("311", "312", "314t")]
    (found,) = readings(PLAN, (locked("vllm", *files, "vllm.libs/libcudart-1.so.12"),), load())
    assert found.needs == (files[1],)


def test_torch_lists_its_code_in_words() -> None:
    flags = "torch/lib/libtorch_python.so"
    new = locked("torch", flags, "torch/lib/libtorch_cuda.so", version="0.1")
    (found,) = readings(PLAN, (new,), load())
    assert (found.code, found.flags) == ((flags,), True)


def test_a_cpu_stack_needs_no_reading() -> None:
    cpu = planned('framework = "torch"', 'cuda = "cpu"')
    assert readings(cpu, (locked("xformers", needs=NEEDS12),), load()) == ()


def test_the_plans_doubts_are_settled_by_code_that_was_read() -> None:
    plan = planned('framework = "cupy"', 'cuda = "13.0"', A100)
    doubts = [each.code for each in plan.warnings]
    read = locked("cupy-cuda13x", "c/_cuda.so", version="99.0")
    unread = locked("cupy-cuda13x", "c/_cuda.so", version="99.0", code=None)
    left = [each.code for each in unsettled(plan, (read,), load())]
    assert left == [each for each in doubts if each != "fact-unknown"]
    assert [each.code for each in unsettled(plan, (unread,), load())] == doubts
