"""Interpreters, glibc, prefixes and drivers as values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from mlenv.machine import Drivers, Glibc, Prefix, Python, driver


@given(st.builds(Python, st.integers(0, 99), st.booleans()))
def test_a_python_reads_back(python: Python) -> None:
    assert Python.parse(str(python)) == python
    assert python.abi == f"cp{str(python).replace('.', '')}"
    assert str(python).removesuffix("t") == python.short


@pytest.mark.parametrize("text", ["3", "2.7", "3.12.1", "3.08", "3.12T", "3.१२", "4.0", ""])
def test_what_is_no_python(text: str) -> None:
    with pytest.raises(ValueError, match="is no Python such as"):
        Python.parse(text)


@given(st.builds(Glibc, st.just(2), st.integers(0, 99)))
def test_a_glibc_reads_back(glibc: Glibc) -> None:
    assert Glibc.parse(str(glibc)) == glibc


@pytest.mark.parametrize("text", ["2", "1.0", "3.1", "2.031", "2.08", "2.31.1", "2.٣"])
def test_what_is_no_glibc(text: str) -> None:
    with pytest.raises(ValueError, match="is no glibc version"):
        Glibc.parse(text)


def test_a_newer_minor_is_newer_though_its_text_is_not() -> None:
    assert Glibc.parse("2.5") < Glibc.parse("2.17") < Glibc.parse("2.28")
    assert Python.parse("3.9") < Python.parse("3.12") < Python.parse("3.12t")


@pytest.mark.parametrize(
    ("prefix", "inside", "outside"),
    [
        pytest.param("12", ["12.0", "12.8.1", "12"], ["13.0", "1.2", "120"], id="a major"),
        pytest.param("12.8", ["12.8", "12.8.93"], ["12.9", "12", "12.80"], id="a minor"),
        pytest.param("9.0", ["9", "9.0.1"], ["9.1"], id="a zero that was left out"),
    ],
)
def test_what_a_prefix_covers(prefix: str, inside: list[str], outside: list[str]) -> None:
    found = Prefix.parse(prefix)
    assert [each for each in inside if not found.covers(Version(each))] == []
    assert [each for each in outside if found.covers(Version(each))] == []


@pytest.mark.parametrize("text", ["", "12.", ".8", "12.*", ">=12", "v12", "1.2.3.4.5.6", "١٢"])
def test_what_is_no_prefix(text: str) -> None:
    with pytest.raises(ValueError, match="is no version prefix"):
        Prefix.parse(text)


NUMBERS = st.lists(st.integers(0, 999), min_size=1, max_size=4)


@given(NUMBERS, NUMBERS)
def test_a_prefix_means_what_pep_440_does(prefix: list[int], version: list[int]) -> None:
    found = Prefix(tuple(prefix))
    text = ".".join(map(str, version))
    assert Prefix.parse(str(found)) == found
    assert found.covers(Version(text)) == SpecifierSet(f"=={found}.*").contains(text)


@pytest.mark.parametrize(
    ("text", "lowest", "branch"),
    [
        pytest.param(">=535", "535", None, id="open above"),
        pytest.param(">=535,<581", "535", 580, id="below a branch is the branch before"),
        pytest.param(">=535,<581.0", "535", 580, id="likewise with a zero"),
        pytest.param("<581.0.0.0", None, 580, id="or several"),
        pytest.param("<580.65.06", None, 580, id="below a patch is the same branch"),
        pytest.param("<=580", None, 580, id="open below"),
        pytest.param("==550.54.15", "550.54.15", 550, id="one driver"),
        pytest.param("==535.*", "535", 535, id="one branch"),
        pytest.param("~=535.54", "535.54", 535, id="one branch from a minor on"),
        pytest.param(">=450.80.02", "450.80.02", None, id="as it was written"),
        pytest.param(">=470,>=525,<600,<581", "525", 580, id="the narrowest counts"),
        pytest.param(">=99,>=535", "535", None, id="numbers, not letters"),
    ],
)
def test_ends_of_a_range_of_drivers(text: str, lowest: str | None, branch: int | None) -> None:
    found = Drivers.parse(text)
    assert (found.lowest_text, found.newest_branch, str(found)) == (lowest, branch, text)
    assert found.lowest == (driver(lowest) if lowest else None)


@pytest.mark.parametrize("text", ["", " ", "535", ">=", "!=535", ">=535,!=550", "===535", "new"])
def test_what_is_no_range_of_drivers(text: str) -> None:
    with pytest.raises(ValueError, match="driver"):
        Drivers.parse(text)


@given(st.integers(400, 700), st.integers(400, 700))
def test_the_ends_lie_in_the_range(lowest: int, above: int) -> None:
    found = Drivers.parse(f">={lowest},<{above}")
    if lowest < above:
        assert SpecifierSet(found.text).contains(str(found.lowest))
        assert SpecifierSet(found.text).contains(str(found.newest_branch))
    assert not SpecifierSet(found.text).contains(str((found.newest_branch or 0) + 1))


def test_drivers_are_compared_as_numbers() -> None:
    assert driver("525.60.13") < driver("525.105.17") < driver("1000.1")
    assert driver("450.80.02") == driver("450.80.2")
    with pytest.raises(ValueError, match="is no driver version"):
        driver("R535")
