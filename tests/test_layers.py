"""Which layer a package is in, what its file says, and what a change costs."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlenv.layers import (
    HEAVY_BYTES,
    LAYERS,
    conda_layer,
    layer,
    layer_files,
    repush,
    slices,
    weights,
)
from mlenv.lock import Package

MIB = 1 << 20


def package(
    name: str, version: str = "1.0", at: str = "rest", *, index: str = "default", size: int = 10
) -> Package:
    return Package(
        name=name,
        version=version,
        layer=at,
        index=index,
        filename=f"{name}-{version}-py3-none-any.whl",
        sha256=name.encode().hex().ljust(64, "0")[:64],
        size=size,
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("nvidia-cublas-cu12", "cuda", id="a component of CUDA 12"),
        pytest.param("nvidia-cublas", "cuda", id="a component of CUDA 13, without a suffix"),
        pytest.param("nvidia-cuda-nvrtc-cu12", "cuda", id="the run-time compiler"),
        pytest.param("NVIDIA_cuSPARSELt.cu12", "cuda", id="another spelling"),
        pytest.param("nvidia-nvjitlink", "cuda", id="the linker"),
        pytest.param("cuda-toolkit", "cuda", id="the metapackage"),
        pytest.param("cuda-bindings", "rest", id="the bindings move often: by their size"),
        pytest.param("cuda-pathfinder", "rest", id="so does what finds the libraries"),
        pytest.param("nvidia-cudnn-cu13", "cudnn", id="cuDNN"),
        pytest.param("nvidia-cudnn-frontend", "rest", id="cuDNN's Python front end is a tool"),
        pytest.param("nvidia-nccl-cu12", "comm", id="NCCL"),
        pytest.param("nvidia-nvshmem-cu13", "comm", id="NVSHMEM"),
        pytest.param("nvidia-ml-py", "rest", id="NVML's bindings are a tool"),
        pytest.param("nvidia-modelopt", "rest", id="a tool that NVIDIA publishes"),
        pytest.param("cuda-quantum", "rest", id="no library though its name begins with cuda"),
        pytest.param("rich", "rest", id="anything else"),
    ],
)
def test_layer_by_name(name: str, expected: str) -> None:
    assert layer(name, size=10, framework=False, source=False, dev=False) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("libcublas", "cuda", id="a component"),
        pytest.param("libnvptxcompiler-dev_linux-64", "cuda", id="its headers for one system"),
        pytest.param("cuda-nvcc_linux-64", "cuda", id="the compiler"),
        pytest.param("cusparselt", "cuda", id="cuSPARSELt"),
        pytest.param("cuda-version", "rest", id="cuda-version holds nothing"),
        pytest.param("cuda-bindings", "rest", id="the bindings move often"),
        pytest.param("libcudnn-dev", "cudnn", id="cuDNN"),
        pytest.param("nccl", "comm", id="NCCL"),
        pytest.param("libcurl", "rest", id="no component though it begins alike"),
    ],
)
def test_layer_by_condas_name(name: str, expected: str) -> None:
    assert conda_layer(name, size=10, framework=False, dev=False) == expected


def test_a_conda_package_is_named_by_its_place_below_the_channel() -> None:
    found = Package(
        name="_libgcc_mutex",
        version="0.1",
        layer="rest",
        index="conda-forge",
        subdir="linux-64",
        filename="_libgcc_mutex-0.1-conda_forge.tar.bz2",
        sha256="a" * 64,
        md5="b" * 32,
        size=10,
    )
    (file,) = layer_files([found])
    assert file.path == "layers/05-rest.conda-forge.txt"
    line = f"linux-64/_libgcc_mutex-0.1-conda_forge.tar.bz2 --hash=sha256:{'a' * 64}"
    assert file.text.splitlines()[1:] == [line]
    with pytest.raises(ValueError, match="no file of a conda channel"):
        layer_files([found.model_copy(update={"filename": "../x.conda"})])


@pytest.mark.parametrize(
    ("name", "size", "known", "expected"),
    [
        pytest.param("torch", MIB, {"framework"}, "framework", id="a framework"),
        pytest.param("nvidia-nccl-cu12", MIB, {"framework"}, "comm", id="its name before family"),
        pytest.param("scipy", HEAVY_BYTES, set(), "domain", id="just heavy"),
        pytest.param("six", HEAVY_BYTES - 1, set(), "rest", id="just not heavy"),
        pytest.param("cuda-bindings", HEAVY_BYTES, set(), "domain", id="heavy bindings"),
        pytest.param("docopt", 10, {"source"}, "source", id="a source package"),
        pytest.param("jupyterlab", 90 * MIB, {"dev"}, "dev", id="heavy, but dev only"),
        pytest.param("docopt", 10, {"source", "dev"}, "dev-source", id="source and dev only"),
    ],
)
def test_layer_by_what_is_known(name: str, size: int, known: set[str], expected: str) -> None:
    facts = {each: each in known for each in ("framework", "source", "dev")}
    assert layer(name, size=size, **facts) == expected


def test_numbers_never_change_their_meaning() -> None:
    files = layer_files(package(f"p{number}", at=name) for number, name in enumerate(LAYERS))
    assert [each.path for each in files] == [
        "layers/00-cuda.txt",
        "layers/01-cudnn.txt",
        "layers/02-comm.txt",
        "layers/03-framework.txt",
        "layers/04-domain.txt",
        "layers/05-rest.txt",
        "layers/06-source.txt",
        "layers/07-dev.txt",
        "layers/08-dev-source.txt",
    ]


def test_file_has_a_header_and_sorted_pinned_lines() -> None:
    (file,) = layer_files([package("rich", "14.1.0"), package("Jinja2", "3.1.6")])
    header, *lines = file.text.splitlines()
    assert header.startswith("# mlenv layer rest: ")
    assert [each.split(" ")[0] for each in lines] == ["jinja2==3.1.6", "rich==14.1.0"]
    assert all(re.fullmatch(r"\S+==\S+ --hash=sha256:[0-9a-f]{64}", each) for each in lines)
    assert file.text.endswith("\n")


def test_another_index_has_a_file_of_its_own_after_the_default_one() -> None:
    found = layer_files(
        [
            package("torch", "2.8.0+cu126", "framework", index="pytorch-cu126"),
            package("jax", at="framework"),
            package("corp-model", at="framework", index="corp"),
        ]
    )
    assert [each.path for each in found] == [
        "layers/03-framework.txt",
        "layers/03-framework.corp.txt",
        "layers/03-framework.pytorch-cu126.txt",
    ]
    assert "torch==2.8.0+cu126 --hash" in found[2].text


def test_weights_count_what_the_files_weigh() -> None:
    found = weights(
        [package("torch", at="framework", size=888), package("triton", at="framework", size=156)]
    )
    assert [(each.layer, each.packages, each.bytes) for each in found] == [("framework", 2, 1044)]


def test_a_change_pushes_its_own_layer_again() -> None:
    packages = [
        package("torch", at="framework", size=888),
        package("triton", at="framework", index="pytorch-cu126", size=156),
        package("rich", size=1),
    ]
    assert repush(packages, "Torch") == 1044
    assert repush(packages, "rich") == 1
    with pytest.raises(ValueError, match="no package of the lock"):
        repush(packages, "numpy")


@pytest.mark.parametrize(
    "hostile",
    [
        package("rich", at="nowhere"),
        package("-r evil.txt"),
        package("rich\u2028x"),
        package("rich", "1.0 --index-url https://x.example"),
        package("rich", index="Corp/.."),
    ],
    ids=["layer", "option", "line", "version", "index"],
)
def test_a_hostile_package_makes_no_file(hostile: Package) -> None:
    with pytest.raises(ValueError, match="is no "):
        layer_files([hostile])


MANY = st.lists(
    st.builds(
        package,
        st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True),
        at=st.sampled_from(sorted(LAYERS)),
        index=st.sampled_from(["default", "corp", "pytorch-cu126"]),
        size=st.integers(0, 1 << 32),
    ),
    unique_by=lambda each: each.name,
    max_size=12,
)


@given(packages=MANY)
def test_every_package_is_in_one_file_and_order_does_not_count(packages: list[Package]) -> None:
    files = layer_files(packages)
    lines = [line for each in files for line in each.text.splitlines()[1:]]
    assert sorted(line.split("==")[0] for line in lines) == sorted(each.name for each in packages)
    assert layer_files(reversed(packages)) == files
    assert len({each.path for each in files}) == len(files) == len(slices(packages))
    assert sum(each.bytes for each in weights(packages)) == sum(each.size for each in packages)
