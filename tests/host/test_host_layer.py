from __future__ import annotations

import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlenv.host.layer import EPOCH, Layer, LayerWriter

if TYPE_CHECKING:
    from collections.abc import Callable

KNOWN = "sha256:123ef8b4c634e75f09d38b0156375b06d6c65036b96833559f5b0d109eb17126"
"""Of what ``sample`` writes: a change is a change of every layer, and of ``pieces.BUILDER``."""


def written(write: Callable[[LayerWriter], object]) -> tuple[Layer, bytes]:
    out = io.BytesIO()
    writer = LayerWriter(out)
    write(writer)
    return writer.close(), out.getvalue()


def listed(packed: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        return archive.getmembers()


def sample(writer: LayerWriter) -> None:
    writer.add_folder("/home/ml", 0o775, 1000, 0)
    writer.add_bytes("/opt/venv/bin/run", b"#!/bin/sh\n", executable=True)
    writer.add_bytes("/opt/venv/lib/ü" + "x" * 120, bytes(range(256)) * 9000)
    writer.add_link("/opt/venv/lib64", "lib")


def test_what_is_put_in_comes_out_with_fixed_owner_time_and_mode() -> None:
    _, packed = written(sample)
    found = {each.name: each for each in listed(packed)}
    assert list(found) == [
        *("home", "home/ml", "opt", "opt/venv", "opt/venv/bin", "opt/venv/bin/run"),
        *("opt/venv/lib", "opt/venv/lib/ü" + "x" * 120, "opt/venv/lib64"),
    ]
    assert {each.mtime for each in found.values()} == {EPOCH}
    owners = {each.name: (each.uid, each.gid) for each in found.values() if each.uid or each.gid}
    assert owners == {"home/ml": (1000, 0)}
    assert {(each.uname, each.gname) for each in found.values()} == {("", "")}
    assert found["opt/venv/bin/run"].mode == 0o755
    assert found["home/ml"].mode == 0o775
    assert found["opt/venv"].mode == 0o755
    assert found["opt/venv/lib64"].linkname == "lib"


def test_a_layer_is_what_its_bytes_say() -> None:
    layer, packed = written(sample)
    tar = gzip.decompress(packed)
    assert layer == Layer(
        digest=f"sha256:{hashlib.sha256(packed).hexdigest()}",
        diff_id=f"sha256:{hashlib.sha256(tar).hexdigest()}",
        size=len(packed),
        unpacked=len(tar),
    )
    assert len(tar) % tarfile.RECORDSIZE == 0


def test_the_bytes_are_those_of_every_other_machine() -> None:
    assert written(sample)[0].digest == KNOWN


def test_the_bytes_are_those_of_another_process() -> None:
    code = (
        "import io, sys; sys.path.insert(0, 'tests/host'); import test_host_layer as t;"
        "print(t.written(t.sample)[0].digest)"
    )
    path = f"import sys; sys.path[:0] = {sys.path!r}; {code}"
    done = subprocess.run(
        [sys.executable, "-c", path], env={"PYTHONHASHSEED": "7"}, capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == KNOWN


class Dribble(io.BytesIO):
    """A stream that gives less than it is asked for."""

    def __init__(self, data: bytes, most: int) -> None:
        super().__init__(data)
        self.most = most

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(self.most, size if size is not None and size >= 0 else self.most))


@given(data=st.binary(max_size=5000), most=st.integers(min_value=1, max_value=700))
def test_how_a_stream_gives_its_bytes_changes_nothing(data: bytes, most: int) -> None:
    whole = data * 500
    at_once = written(lambda writer: writer.add_bytes("/a", whole))
    bit_by_bit = written(
        lambda writer: writer.add_file("/a", len(whole), Dribble(whole, most * 997))
    )
    assert bit_by_bit == at_once
    assert gzip.decompress(at_once[1])[512 : 512 + len(whole)] == whole


def test_of_two_things_at_one_path_the_first_stays() -> None:
    def twice(writer: LayerWriter) -> None:
        assert writer.add_bytes("/a/b", b"first")
        assert not writer.add_bytes("/a/b", b"second")
        assert not writer.add_link("/a/b", "c")
        assert not writer.add_folder("/a")
        assert not writer.add_bytes("/a", b"a folder")

    assert written(twice) == written(lambda writer: writer.add_bytes("/a/b", b"first"))


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("a", id="not from the root"),
        pytest.param("/a/../b", id="upwards"),
        pytest.param("/a//b", id="a part without a name"),
        pytest.param("/a/", id="a slash at the end"),
        pytest.param("/a\0b", id="a NUL"),
    ],
)
def test_refuses_a_path_that_is_no_plain_one(path: str) -> None:
    with pytest.raises(ValueError, match="no plain path"):
        LayerWriter(io.BytesIO()).add_bytes(path, b"")


def test_refuses_what_lies_below_a_file() -> None:
    writer = LayerWriter(io.BytesIO())
    writer.add_bytes("/a", b"")
    with pytest.raises(ValueError, match="/a is a file"):
        writer.add_bytes("/a/b", b"")


def test_refuses_a_stream_that_ends_too_early() -> None:
    with pytest.raises(ValueError, match="3 bytes too early"):
        LayerWriter(io.BytesIO()).add_file("/a", 5, io.BytesIO(b"ab"))


class Zeros:
    """A stream of zeros without an end."""

    def read(self, size: int, /) -> bytes:
        return bytes(size)


class Sink(io.BytesIO):
    """A file that keeps nothing."""

    def write(self, data: object, /) -> int:
        del data
        return 0


def test_a_large_file_needs_little_memory() -> None:
    tracemalloc.start()
    try:
        writer = LayerWriter(Sink())
        writer.add_file("/large", 200 << 20, Zeros())
        layer = writer.close()
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    assert layer.unpacked > 200 << 20
