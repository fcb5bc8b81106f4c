"""What an image weighs, by the directories of its wheels."""

from __future__ import annotations

from mlenv.image.weighing import Leaver, weighed
from mlenv.lock import Package

MB = 1_000_000


def package(name: str, layer: str, number: int, size: int) -> Package:
    return Package(
        name=name,
        version="1.0",
        layer=layer,
        index="default",
        filename=f"{name}-1.0-py3-none-any.whl",
        sha256=f"{number:064x}",
        size=size,
    )


TORCH = package("torch", "framework", 1, 800 * MB)
TRITON = package("triton", "framework", 2, 200 * MB)
CUBLAS = package("nvidia-cublas", "cuda", 3, 400 * MB)
RICH = package("rich", "rest", 4, 1000)
FILES = {
    TORCH.sha256: {
        "torch/lib/libtorch_cuda.so": (900 * MB, 1),
        "torch/bin/ptxas": (30 * MB, 7),
        "torch/test/data.bin": (3 * MB, 2),
        "torch/include/ATen/ATen.h": (2 * MB, 9),
        "torch/lib/libdnnl.a": (50 * MB, 3),
    },
    TRITON.sha256: {"triton/backends/nvidia/bin/ptxas": (30 * MB, 7)},
    CUBLAS.sha256: {"nvidia/cublas/lib/libcublas.so.12": (500 * MB, 5)},
}


def test_each_layer_says_what_is_downloaded_and_what_lies_on_the_disk_heavy_first() -> None:
    found = weighed([RICH, TORCH, CUBLAS, TRITON], FILES)
    assert [(each.layer, each.packages, each.download, each.unpacked) for each in found.parts] == [
        ("cuda", 1, 400 * MB, 500 * MB),
        ("framework", 2, 1000 * MB, 1015 * MB),
        ("rest", 1, 1000, 0),
    ]


def test_the_largest_file_comes_first_with_its_package() -> None:
    first = weighed([TORCH, CUBLAS], FILES).largest[0]
    assert (first.path, first.package) == ("torch/lib/libtorch_cuda.so", "torch")


def test_what_could_leave_is_told_with_an_example_most_first() -> None:
    found = weighed([TORCH, TRITON], FILES).leavers
    assert [(each.what, each.bytes) for each in found] == [
        ("static libraries", 50 * MB),
        ("the same file twice", 30 * MB),
        ("tests", 3 * MB),
        ("headers", 2 * MB),
    ]
    assert found[1] == Leaver(
        what="the same file twice",
        why="two packages bring it",
        bytes=30 * MB,
        files=1,
        example="triton: triton/backends/nvidia/bin/ptxas",
    )


def test_a_wheel_nobody_has_read_is_named_and_not_guessed() -> None:
    assert weighed([RICH, TORCH], FILES).unread == ("rich",)


def test_little_things_are_not_worth_a_word() -> None:
    small = {RICH.sha256: {"rich/tests/a.py": (10, 1), "rich/rich.h": (20, 2)}}
    assert weighed([RICH], small).leavers == ()
