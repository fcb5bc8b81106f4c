"""Other tools' versions as PEP 440, and the places where files hide a toolkit."""

from __future__ import annotations

import pytest
from packaging.specifiers import SpecifierSet

from mlenv.intake import conda_names, hints, versions
from mlenv.intake.draft import Draft, Said
from mlenv.intake.pythons import candidates
from mlenv.intake.settling import spec_name


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("^1.2.3", ["1.2.3", "1.9"], ["1.2.2", "2.0"]),
        ("^0.2.3", ["0.2.3", "0.2.9"], ["0.3.0"]),
        ("^0.0.3", ["0.0.3"], ["0.0.4"]),
        ("^0.0", ["0.0.7"], ["0.1"]),
        ("^0", ["0.9"], ["1.0"]),
        ("~1.2.3", ["1.2.9"], ["1.3.0"]),
        ("~1.2", ["1.2.9"], ["1.3.0"]),
        ("~1", ["1.9"], ["2.0"]),
        ("1.2.*", ["1.2.9"], ["1.3"]),
        ("2.32.3", ["2.32.3"], ["2.32.4"]),
        ("=1.5", ["1.5"], ["1.6"]),
        (">=1.2, <2", ["1.5"], ["2.1"]),
        (">=1.2 <2", ["1.5"], ["2.1"]),
        ("*", ["0.1", "9"], []),
        ("~=2.2", ["2.9"], ["3.0"]),
    ],
)
def test_poetry_says_the_same_in_pep_440(text: str, inside: list[str], outside: list[str]) -> None:
    found = SpecifierSet(versions.poetry(text))
    assert all(found.contains(each) for each in inside)
    assert not any(found.contains(each) for each in outside)


@pytest.mark.parametrize(
    ("text", "name", "specifier", "build", "channel"),
    [
        ("numpy", "numpy", "", "", ""),
        ("numpy=1.26", "numpy", "==1.26.*", "", ""),
        ("numpy==1.26.4", "numpy", "==1.26.4", "", ""),
        ("python 3.11.*", "python", "==3.11.*", "", ""),
        ("pandas >=2.1, <3", "pandas", ">=2.1,<3", "", ""),
        ("numpy 1.26.4 py312_0", "numpy", "==1.26.4", "py312_0", ""),
        ("pytorch::pytorch=2.5.1=py3.12_cuda12.1_0", "pytorch", "==2.5.1", "py3.12_cuda12.1_0",
         "pytorch"),
        ("libblas=*=*mkl", "libblas", "", "*mkl", ""),
        ("blas[build=openblas]", "blas", "", "openblas", ""),
        ("conda-forge::numpy[version='>=2']", "numpy", ">=2", "", "conda-forge"),
        ("numpy!=1.26.1", "numpy", "!=1.26.1", "", ""),
        ("cudatoolkit =11.8", "cudatoolkit", "==11.8.*", "", ""),
    ],
)  # fmt: skip
def test_a_match_specification_is_read(
    text: str, name: str, specifier: str, build: str, channel: str
) -> None:
    found = versions.conda(text)
    assert (found.name, found.specifier, found.build, found.channel) == (
        *(name, specifier, build, channel),
    )


@pytest.mark.parametrize("text", ["numpy=1.26|2.0", "^1 || ^2", "numpy >=x", "numpy=1.26 a b c"])
def test_what_pep_440_cannot_say_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"PEP 440|no requirement"):
        versions.conda(text)


@pytest.mark.parametrize(
    ("function", "text", "found"),
    [
        (hints.index_cuda, "https://download.pytorch.org/whl/cu126", "12.6"),
        (hints.index_cuda, "https://download.pytorch.org/whl/nightly/cu130/", "13.0"),
        (hints.index_cuda, "https://download.pytorch.org/whl/cpu", "cpu"),
        (hints.index_cuda, "https://download.pytorch.org/whl/rocm6.2", None),
        (hints.index_cuda, "https://download.pytorch.org.evil.example/whl/cu126", None),
        (hints.local_cuda, "cu126", "12.6"),
        (hints.local_cuda, "cu12torch2.5", "12"),
        (hints.local_cuda, "cu130.post1", "13.0"),
        (hints.local_cuda, "rocm6.2", None),
        (hints.minor, "12.6.3", "12.6"),
        (hints.minor, "12.6.*", "12.6"),
        (hints.minor, "twelve", None),
    ],
)
def test_a_toolkit_is_found(function: object, text: str, found: str | None) -> None:
    assert callable(function)
    assert function(text) == found


@pytest.mark.parametrize(
    ("texts", "first"),
    [
        ([], "3.12"),
        ([">=3.10"], "3.12"),
        ([">=3.10,<3.12"], "3.11"),
        (["==3.11.4"], "3.11"),
        (["==3.14t.*"], "3.14t"),
        ([">=3.9", "<3.11"], "3.10"),
        ([">=3.10.4,<3.11"], "3.10"),
        (["<2"], "3.12"),
        (["what"], "3.12"),
    ],
)
def test_one_python_of_a_range(texts: list[str], first: str) -> None:
    left: list[object] = []
    said = [Said(text=each, at="a") for each in texts]
    assert candidates(said, left)[0] == first  # type: ignore[arg-type]
    assert bool(left) == (texts in (["<2"], ["what"]))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("My_Project 2", "my_project-2"),
        ("..", "stack"),
        ("a.-b", "a-b"),
        ("x" * 99, "x" * 63),
        ("Ünïcode", "n-code"),
    ],
)
def test_a_name_becomes_one_that_a_spec_takes(text: str, name: str) -> None:
    assert spec_name(text) == name


@pytest.mark.parametrize(
    ("text", "cuda", "compiler"),
    [
        ("cuda-nvcc", [], "nvcc"),
        ("cxx-compiler", [], True),
        ("cuda-version=12.6", ["12.6"], False),
        ("pytorch-cuda=12.1", ["12"], False),
        ("cpuonly", ["cpu"], False),
        ("pytorch=2.7=cuda129_mkl_py312_0", ["12.9"], False),
        ("pytorch=2.7=cpu_generic_py312_0", ["cpu"], False),
    ],
)
def test_plumbing_of_conda_says_toolkit_and_compiler(
    text: str, cuda: list[str], compiler: object
) -> None:
    draft = Draft(file="environment.yml")
    conda_names.take(draft, versions.conda(text), 1)
    assert [each.text for each in draft.cuda] == cuda
    assert draft.compile == compiler
