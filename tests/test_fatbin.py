"""GPU code found in bytes, however they are cut and whatever else is among them."""

from __future__ import annotations

import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binaries import entry, fatbin
from mlenv.fatbin import Fatbins, Flags

CODES = ["sm_75", "sm_90a", "sm_100f", "compute_80", "sm_120"]
MAGIC = b"\x50\xed\x55\xba"


def found(*chunks: bytes) -> set[str]:
    reader = Fatbins()
    for chunk in chunks:
        reader.feed(chunk)
    return reader.found


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(fatbin(*CODES), set(CODES), id="one container"),
        pytest.param(
            b"x" * 99 + fatbin("sm_80") + b"y" * 7 + fatbin("sm_90"),
            {"sm_80", "sm_90"},
            id="two, with bytes around",
        ),
        pytest.param(b"", set(), id="nothing"),
        pytest.param(MAGIC, set(), id="a magic alone"),
        pytest.param(MAGIC + b"\0" * 12 + fatbin("sm_80"), {"sm_80"}, id="a magic that is none"),
        pytest.param(fatbin("sm_80", "sm_90")[:-50], {"sm_80", "sm_90"}, id="cut in a payload"),
        pytest.param(fatbin("sm_80", "sm_90")[:-90], {"sm_80"}, id="cut in a header"),
        pytest.param(
            struct.pack("<4sHHQ", MAGIC, 1, 16, 2**60) + b"\7" * 99 + fatbin("sm_80"),
            {"sm_80"},
            id="a container of an exabyte, of no entries",
        ),
        pytest.param(
            struct.pack("<4sHHQ", MAGIC, 1, 16, 104)
            + entry("sm_80")[:8]
            + struct.pack("<Q", 2**63)
            + entry("sm_80")[16:]
            + fatbin("sm_90"),
            {"sm_90"},
            id="an entry longer than its container",
        ),
        pytest.param(
            struct.pack("<4sHHQ", MAGIC, 1, 16, 104) + b"\3" + entry("sm_80")[1:] + fatbin("sm_90"),
            {"sm_90"},
            id="an entry of no known kind",
        ),
    ],
)
def test_what_is_found(data: bytes, expected: set[str]) -> None:
    assert found(data) == expected
    assert found(*(data[at : at + 1] for at in range(len(data)))) == expected


@given(st.binary(max_size=300), st.lists(st.integers(1, 200), max_size=9), st.binary(max_size=99))
def test_how_the_bytes_are_cut_does_not_matter(
    before: bytes, sizes: list[int], after: bytes
) -> None:
    data, at, chunks = before + fatbin(*CODES) + after, 0, []
    for size in sizes:
        chunks.append(data[at : at + size])
        at += size
    assert found(*chunks, data[at:]) == found(data)


@given(st.binary(max_size=2000), st.integers(0, 500))
def test_any_bytes_are_taken(data: bytes, cut: int) -> None:
    damaged = bytearray(fatbin(*CODES))
    damaged[: min(cut, len(damaged))] = data[: min(cut, len(damaged))]
    found(data, bytes(damaged), data)


def test_a_payload_of_a_gigabyte_costs_no_memory() -> None:
    reader, chunk = Fatbins(), b"\0" * (1 << 20)
    payload = 1 << 30
    tracemalloc.start()
    reader.feed(struct.pack("<4sHHQ", MAGIC, 1, 16, payload + 64 + len(entry("sm_90"))))
    reader.feed(entry("sm_80")[:8] + struct.pack("<Q", payload) + entry("sm_80")[16:64])
    for _ in range(1 << 10):
        reader.feed(chunk)
    reader.feed(entry("sm_90"))
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()
    assert reader.found == {"sm_80", "sm_90"}


@pytest.mark.parametrize("cut", [0, 5, 12, 30])
def test_the_longest_run_of_flags_counts(cut: int) -> None:
    data = b"junk compute_30\0 sm_ sm_75 sm_80 sm_90a compute_90\0 sm_50\0 sm_70 sm_72 no end"
    reader = Flags()
    reader.feed(data[:cut])
    reader.feed(data[cut:])
    assert reader.found == {"sm_75", "sm_80", "sm_90a", "compute_90"}


def test_no_flags_are_none() -> None:
    reader = Flags()
    reader.feed(b"nothing of that kind")
    assert reader.found == set()
