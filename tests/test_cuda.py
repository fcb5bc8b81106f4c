"""CUDA versions, architectures and GPU code as values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlenv.cuda import Arch, Code, Cuda

VERSIONS = st.one_of(
    st.builds(Cuda, st.integers(10, 99), st.integers(0, 99)),
    st.builds(Cuda, st.integers(1, 9), st.integers(0, 9)),
)
ARCHES = st.builds(Arch, st.integers(1, 99), st.integers(0, 9))


@pytest.mark.parametrize("text", ["12", "12.", "12.8.1", "0.1", "12.08", "1.26", "12.٨", " 12.8"])
def test_what_is_no_cuda_version(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no CUDA version such as 12\.8"):
        Cuda.parse(text)


@pytest.mark.parametrize("text", ["90", "sm90", "sm_9", "sm_90a", "9", "9.10", "09.0", "sm_٩0", ""])
def test_what_is_no_architecture(text: str) -> None:
    with pytest.raises(ValueError, match="is no compute capability"):
        Arch.parse(text)


@pytest.mark.parametrize("text", ["90", "sm_90b", "compute90", "ptx_90", "sm_1000", "SM_90"])
def test_what_is_no_code(text: str) -> None:
    with pytest.raises(ValueError, match="is no code name"):
        Code.parse(text)


@given(VERSIONS)
def test_a_version_reads_back(version: Cuda) -> None:
    assert Cuda.parse(str(version)) == version


@given(VERSIONS, VERSIONS)
def test_a_tag_reads_one_way_only(one: Cuda, two: Cuda) -> None:
    assert (one.tag == two.tag) == (one == two)


@given(st.text(alphabet="0123456789.٣cu", max_size=6))
def test_whatever_parses_is_written_as_it_was(text: str) -> None:
    try:
        found = Cuda.parse(text)
    except ValueError:
        return
    assert str(found) == text


@given(ARCHES)
def test_both_names_of_an_architecture_read_back(arch: Arch) -> None:
    assert Arch.parse(str(arch)) == Arch.parse(arch.sm) == arch


@pytest.mark.parametrize(
    ("code", "runs", "fails"),
    [
        pytest.param("sm_80", ["8.0", "8.6", "8.9"], ["7.5", "9.0"], id="SASS stays in its major"),
        pytest.param("sm_86", ["8.6", "8.9"], ["8.0"], id="and goes up in it only"),
        pytest.param("sm_90a", ["9.0"], ["9.1", "10.0"], id="of exactly one architecture"),
        pytest.param("sm_100f", ["10.0", "10.3"], ["9.0", "12.0"], id="of a family"),
        pytest.param("compute_80", ["8.0", "9.0", "12.0"], ["7.5"], id="PTX goes up"),
        pytest.param("compute_90a", ["9.0"], ["10.0"], id="PTX of exactly one architecture"),
        pytest.param("compute_100f", ["10.3"], ["12.0"], id="PTX of a family"),
        pytest.param("sm_120", ["12.0", "12.1"], ["11.0", "10.3"], id="two digits of a major"),
    ],
)
def test_what_runs_where(code: str, runs: list[str], fails: list[str]) -> None:
    found = Code.parse(code)
    assert [each for each in runs if not found.runs_on(Arch.parse(each))] == []
    assert [each for each in fails if found.runs_on(Arch.parse(each))] == []


@given(ARCHES, ARCHES)
def test_whatever_sass_runs_ptx_of_the_same_would(arch: Arch, gpu: Arch) -> None:
    if Code("sm", arch).runs_on(gpu):
        assert Code("compute", arch).runs_on(gpu)
    if Code("sm", arch, "a").runs_on(gpu):
        assert Code("sm", arch, "f").runs_on(gpu)
