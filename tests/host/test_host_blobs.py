from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from mlenv.errors import HostError
from mlenv.host.blobs import Blobs, LayerWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = hashlib.sha256(b"key").hexdigest()
OTHER = hashlib.sha256(b"other").hexdigest()


def one(writer: LayerWriter) -> None:
    writer.add_bytes("/opt/a", b"content")


def two(writer: LayerWriter) -> None:
    writer.add_bytes("/opt/b", b"other content")


def never(_: LayerWriter) -> None:
    raise AssertionError("it is there already")


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "images")


def test_a_layer_is_written_once(blobs: Blobs) -> None:
    assert blobs.layer(KEY) is None
    made = blobs.keep(KEY, one)
    assert blobs.keep(KEY, never) == blobs.layer(KEY) == made
    assert blobs.whole(made)
    assert blobs.path(made.digest).stat().st_size == made.size


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def mistold(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8").replace("sha256:", "md5:"), encoding="utf-8")


def misshapen(path: Path) -> None:
    path.write_text("[1]", encoding="utf-8")


@pytest.mark.parametrize(
    ("which", "harm"),
    [
        pytest.param("record", emptied, id="an empty record"),
        pytest.param("record", halved, id="a record cut off"),
        pytest.param("record", mistold, id="a record of another hash"),
        pytest.param("record", misshapen, id="a record of another shape"),
        pytest.param("record", os.unlink, id="no record"),
        pytest.param("blob", emptied, id="an empty blob"),
        pytest.param("blob", halved, id="a blob cut off"),
        pytest.param("blob", os.unlink, id="no blob"),
    ],
)
def test_what_is_damaged_is_written_anew(
    blobs: Blobs, tmp_path: Path, which: str, harm: Callable[[Path], None]
) -> None:
    made = blobs.keep(KEY, one)
    record = tmp_path / "images" / "layers" / f"{KEY}.json"
    harm(record if which == "record" else blobs.path(made.digest))
    assert blobs.layer(KEY) is None
    assert blobs.keep(KEY, one) == made
    assert blobs.whole(made)


def test_a_blob_with_other_bytes_is_not_whole(blobs: Blobs) -> None:
    made = blobs.keep(KEY, one)
    blobs.path(made.digest).write_bytes(bytes(made.size))
    assert blobs.layer(KEY) == made
    assert not blobs.whole(made)


def test_what_fails_leaves_nothing(blobs: Blobs, tmp_path: Path) -> None:
    def fails(writer: LayerWriter) -> None:
        one(writer)
        raise RuntimeError("no wheel")

    with pytest.raises(RuntimeError, match="no wheel"):
        blobs.keep(KEY, fails)
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(HostError) as caught:
        Blobs(tmp_path / "file").keep(KEY, one)
    assert caught.value.reasons[0].code == "disk-failed"


def test_many_threads_write_one_layer(blobs: Blobs) -> None:
    together = threading.Barrier(8)

    def keep(_: int) -> object:
        together.wait()
        return blobs.keep(KEY, one)

    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(keep, range(8)))
    assert len(made) == 1
    assert len(blobs.kept()) == 1


KILLED = """
import os
import sys
from pathlib import Path
from mlenv.host.blobs import Blobs
def write(writer):
    writer.add_bytes("/a", os.urandom(5_000_000))
    print("half", flush=True)
    sys.stdin.read()
Blobs(Path(sys.argv[1])).keep(sys.argv[2], write)
"""


def test_a_killed_program_leaves_no_blob_and_its_part_goes(blobs: Blobs, tmp_path: Path) -> None:
    argv = [sys.executable, "-c", KILLED, str(tmp_path / "images"), KEY]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"half\n"
        (part,) = (tmp_path / "images" / "blobs" / "sha256").iterdir()
        os.utime(part, (1, 1))
        assert blobs.remove(()) == 0, "somebody still writes it"
        running.send_signal(signal.SIGKILL)
    assert blobs.kept() == ()
    made = blobs.keep(KEY, one)
    assert part.exists()
    assert blobs.remove(()) > 0
    assert not part.exists()
    assert blobs.layer(KEY) == made


def test_what_lies_there_is_told_with_its_last_use_and_removed(blobs: Blobs) -> None:
    first, second = blobs.keep(KEY, one), blobs.keep(OTHER, two)
    for layer, used in ((first, 1000.0), (second, 2000.0)):
        os.utime(blobs.path(layer.digest), (used, used))
    assert [(each.digest, each.size, each.used) for each in blobs.kept()] == [
        (first.digest, first.size, 1000.0),
        (second.digest, second.size, 2000.0),
    ]
    assert blobs.layer(KEY) == first
    assert [each.digest for each in blobs.kept()] == [second.digest, first.digest]
    assert blobs.kept()[1].used > time.time() - 60
    assert blobs.remove([second.digest]) == second.size
    assert blobs.layer(OTHER) is None
    assert blobs.layer(KEY) == first
    assert blobs.remove([second.digest]) == 0


@pytest.mark.parametrize("digest", ["sha256:../../x", "md5:0", f"sha512:{'0' * 64}", ""])
def test_refuses_what_is_no_digest(blobs: Blobs, digest: str) -> None:
    with pytest.raises(ValueError, match="no SHA-256 digest"):
        blobs.path(digest)


def test_refuses_what_is_no_key(blobs: Blobs) -> None:
    with pytest.raises(ValueError, match="no key"):
        blobs.layer("../x")
