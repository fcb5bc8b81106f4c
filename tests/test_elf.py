"""What shared objects need, by real ones and by such as nobody should trust."""

from __future__ import annotations

import shutil
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binaries import shared_object
from mlenv.elf import DamagedError, Linked, linked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMES = ("libcudart.so.12", "libc.so.6")
GOOD = shared_object(NAMES, soname="libx.so.1", middle=b"x" * 5000)


def reading(data: bytes) -> Callable[[int, int], bytes]:
    return lambda start, stop: data[start:stop]


@pytest.mark.parametrize("order", ["<", ">"])
def test_needs_are_read_in_both_byte_orders(order: str) -> None:
    data = shared_object(NAMES, soname="libx.so.1", order=order)
    assert linked(reading(data)) == Linked(soname="libx.so.1", needed=NAMES)
    assert linked(reading(shared_object((), order=order))) == Linked(soname=None, needed=())


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"INPUT(libx.so.1)\n", id="a linker script"),
        pytest.param(GOOD[:40], id="half a header"),
        pytest.param(GOOD[:4] + b"\1" + GOOD[5:], id="of 32 bits"),
        pytest.param(GOOD[:5] + b"\3" + GOOD[6:], id="of no byte order"),
    ],
)
def test_what_is_none_needs_nothing(data: bytes) -> None:
    assert linked(reading(data)) is None


@pytest.mark.parametrize(
    ("at", "patch"),
    [
        pytest.param(32, struct.pack("<Q", 2**63), id="program headers beyond the end"),
        pytest.param(54, struct.pack("<2H", 56, 60_000), id="60,000 program headers"),
        pytest.param(54, struct.pack("<2H", 1, 2), id="program headers of one byte"),
        pytest.param(64 + 56 + 8, struct.pack("<Q", 2**62), id="a dynamic section beyond the end"),
        pytest.param(64 + 56 + 32, struct.pack("<Q", 2**40), id="a dynamic section of a terabyte"),
        pytest.param(64 + 16, struct.pack("<Q", 2**40), id="strings that are mapped nowhere"),
    ],
)
def test_damage_is_told(at: int, patch: bytes) -> None:
    with pytest.raises(DamagedError):
        linked(reading(GOOD[:at] + patch + GOOD[at + len(patch) :]))


@given(st.integers(0, len(GOOD)), st.binary(min_size=1, max_size=64), st.integers(0, len(GOOD)))
def test_hostile_bytes_cost_no_more_than_the_limits(at: int, patch: bytes, size: int) -> None:
    data = (GOOD[:at] + patch + GOOD[at + len(patch) :])[:size]
    asked = 0

    def read(start: int, stop: int) -> bytes:
        nonlocal asked
        asked += stop - start
        return data[start:stop]

    try:
        found = linked(read)
    except DamagedError:
        found = None
    assert found is None or len(found.needed) <= 1024
    assert asked < 8 << 20


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not on PATH")
def test_what_gcc_links_is_read(tmp_path: Path) -> None:
    source = tmp_path / "x.c"
    source.write_text("int x(void) { return 1; }\n")
    library = tmp_path / "libcudart.so.12"
    words = ["gcc", "-shared", "-fPIC", "-nostdlib", str(source)]
    subprocess.run([*words, "-Wl,-soname,libcudart.so.12", "-o", str(library)], check=True)
    user = tmp_path / "_C.so"
    linking = ["-Wl,--no-as-needed", str(library), "-o", str(user)]
    subprocess.run([*words, *linking], check=True)
    assert linked(reading(library.read_bytes())) == Linked(soname="libcudart.so.12", needed=())
    assert linked(reading(user.read_bytes())) == Linked(soname=None, needed=("libcudart.so.12",))
