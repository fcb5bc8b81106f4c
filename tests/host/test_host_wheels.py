from __future__ import annotations

import gzip
import hashlib
import html
import io
import json
import re
import subprocess
import sys
import zipfile
import zlib
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from webserver import Site, serving

from mlenv.errors import HostError
from mlenv.host import archive, wheels
from mlenv.host.http import Web

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

METADATA = """\
Metadata-Version: 2.4
Name: stack
Version: 1.0
Requires-Python: >=3.10
Provides-Extra: cuda
Provides-Extra: dev
Author: Jürgen

Requires-Python: this is the description
"""
WHEEL = """\
Wheel-Version: 1.0
Root-Is-Purelib: false
Tag: cp312-cp312-manylinux_2_28_x86_64
Tag: cp312-cp312-manylinux2014_x86_64
"""
INFO = {
    "stack-1.0.dist-info/METADATA": METADATA.encode(),
    "stack-1.0.dist-info/WHEEL": WHEEL.encode(),
}
FILES = {
    "stack/__init__.py": b"",
    "stack/version.py": b"cuda = '12.8'\n",
    "stack/lib.so": b"\1" * 999,
}


def wheel(
    files: Mapping[str, bytes],
    info: Mapping[str, bytes] = INFO,
    method: int = zipfile.ZIP_DEFLATED,
    comment: bytes = b"",
) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as zipped:
        zipped.comment = comment
        for name, data in {**files, **info}.items():
            zipped.writestr(zipfile.ZipInfo(name), data, method)
    return made.getvalue()


def padding(number: int) -> dict[str, bytes]:
    """Return so many small files with long names, so that a directory outgrows the tail."""
    return {f"stack/{'deep/' * 10}module_{at:06}.py": b"%d" % at for at in range(number)}


def read(site: Site, data: bytes, cache: Path, *want: str) -> wheels.Contents:
    site.files["/w.whl"] = data
    sha256 = hashlib.sha256(data).hexdigest()
    with Web(offline=False, credentials=lambda _: None) as web:
        return wheels.read(web, cache, url=f"{site.url}/w.whl", sha256=sha256, want=want)


def listed(data: bytes) -> dict[str, tuple[int, int]]:
    """Return what the standard library reads from a wheel."""
    with zipfile.ZipFile(io.BytesIO(data)) as zipped:
        return {
            each.filename: (each.file_size, each.CRC)
            for each in zipped.infolist()
            if not each.is_dir() and not each.filename.startswith("stack-1.0.dist-info/")
        }


@pytest.fixture(scope="module", autouse=True)
def _no_proxy() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "127.0.0.1")
        yield


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serving() as opened:
        yield opened


@pytest.fixture(autouse=True)
def _fresh(site: Site) -> None:
    site.asked.clear()
    site.ranges = True


def test_a_small_wheel_costs_one_request(site: Site, tmp_path: Path) -> None:
    data = wheel(FILES)
    contents = read(site, data, tmp_path, "stack/version.py", "stack/absent.py")
    assert contents == wheels.Contents(
        size=len(data),
        files={name: (len(text), zlib.crc32(text)) for name, text in FILES.items()},
        requires_python=">=3.10",
        requires=(),
        extras=("cuda", "dev"),
        tags=("cp312-cp312-manylinux_2_28_x86_64", "cp312-cp312-manylinux2014_x86_64"),
        purelib=False,
        members={"stack/version.py": "cuda = '12.8'\n"},
    )
    assert len(site.asked) == 1


def test_what_was_read_once_needs_no_network(site: Site, tmp_path: Path) -> None:
    data = wheel(FILES)
    first = read(site, data, tmp_path, "stack/version.py")
    sha256 = hashlib.sha256(data).hexdigest()
    with Web(offline=True, credentials=lambda _: None) as web:
        again = wheels.read(
            web, tmp_path, url="http://x.invalid/w", sha256=sha256, want=["stack/version.py", "no"]
        )
        assert again == first
        with pytest.raises(HostError) as caught:
            wheels.read(web, tmp_path, url="http://x.invalid/w", sha256="0" * 64)
    assert caught.value.reasons[0].code == "network-off"


def test_a_member_wanted_later_is_read_alone(site: Site, tmp_path: Path) -> None:
    data = wheel(FILES | padding(2000))
    assert read(site, data, tmp_path).members == {}
    assert len(site.ranges_asked()) == 2
    assert read(site, data, tmp_path, "stack/version.py").members.keys() == {"stack/version.py"}
    (asked,) = site.ranges_asked()
    assert asked is not None
    assert asked.startswith("bytes=")
    assert read(site, data, tmp_path).members == {}
    assert not site.asked


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: data[: len(data) // 2], id="cut off"),
        pytest.param(lambda _: b"no gzip", id="no gzip"),
        pytest.param(lambda _: gzip.compress(b"[1]"), id="other JSON"),
        pytest.param(lambda _: gzip.compress(b'{"schema": 0}'), id="of another mlenv"),
        pytest.param(lambda _: gzip.compress(b'{"schema": 1, "files": {"a": [1]}}'), id="lacking"),
        pytest.param(lambda data: data[:-9] + bytes(9), id="a wrong checksum"),
        pytest.param(lambda _: b"", id="empty"),
    ],
)
def test_a_damaged_cache_is_read_anew(
    site: Site, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    data = wheel(FILES)
    first = read(site, data, tmp_path)
    (kept,) = tmp_path.rglob("*.json.gz")
    whole = kept.read_bytes()
    kept.write_bytes(damage(whole))
    assert read(site, data, tmp_path) == first
    assert len(site.asked) == 2
    assert kept.read_bytes() == whole


def test_a_server_without_ranges_sends_the_wheel_once(site: Site, tmp_path: Path) -> None:
    site.ranges = False
    data = wheel(FILES | padding(2000))
    assert read(site, data, tmp_path, "stack/version.py").files == listed(data)
    assert len(site.asked) == 1


def test_files_of_a_data_folder_stand_where_they_are_installed(site: Site, tmp_path: Path) -> None:
    data = wheel(
        {
            "stack-1.0.data/purelib/a/b.py": b"1",
            "stack-1.0.data/platlib/a/c.so": b"2",
            "stack-1.0.data/scripts/run": b"3",
            "stack-1.0.data/data/share/x": b"4",
            "stack-1.0.data/headers/stack.h": b"5",
            "a/.data/kept.json": b"6",
            "vendored/other-1.0.dist-info/METADATA": b"7",
        }
    )
    contents = read(site, data, tmp_path, "a/b.py")
    assert set(contents.files) == {
        "a/b.py",
        "a/c.so",
        "../../../bin/run",
        "../../../share/x",
        "../../../include/site/stack/stack.h",
        "a/.data/kept.json",
        "vendored/other-1.0.dist-info/METADATA",
    }
    assert contents.members == {"a/b.py": "1"}


def test_more_files_than_a_plain_zip_can_hold(site: Site, tmp_path: Path) -> None:
    data = wheel({f"stack/{at}": b"" for at in range(66_000)})
    assert b"PK\6\6" in data
    assert len(read(site, data, tmp_path).files) == 66_000


def test_sizes_and_offsets_of_64_bits(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 50)
    data = wheel(FILES | padding(10))
    assert b"PK\6\6" in data
    assert b"\xff" * 8 in data
    contents = read(site, data, tmp_path, "stack/version.py")
    assert contents.files == listed(data)
    assert contents.members == {"stack/version.py": "cuda = '12.8'\n"}


PARTS = st.text(
    st.characters(codec="utf-8", exclude_characters="/\\\0"), min_size=1, max_size=20
).filter(lambda part: part not in {".", ".."} and not part.endswith(".dist-info"))
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)


@settings(deadline=None, max_examples=60)
@given(
    files=st.dictionaries(PATHS, st.binary(max_size=300), max_size=20),
    method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    comment=st.binary(max_size=200).filter(lambda it: b"PK" not in it) | st.just(b"x" * 0xFFFF),
    many=st.sampled_from([0, 0, 0, 0, 700]),
)
def test_it_reads_what_the_standard_library_reads(  # noqa: PLR0917 - hypothesis names them
    site: Site,
    tmp_path_factory: pytest.TempPathFactory,
    files: dict[str, bytes],
    method: int,
    comment: bytes,
    many: int,
) -> None:
    data = wheel(files | padding(many), method=method, comment=comment)
    contents = read(site, data, tmp_path_factory.mktemp("cache"), *files)
    assert contents.files == listed(data)
    assert contents.members == {name: text.decode(errors="replace") for name, text in files.items()}


@settings(deadline=None, max_examples=150)
@given(
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4),
    stop=st.floats(0.5, 1) | st.just(1.0),
)
def test_damaged_bytes_give_contents_or_a_reason(
    site: Site,
    tmp_path_factory: pytest.TempPathFactory,
    changes: list[tuple[float, int]],
    stop: float,
) -> None:
    data = bytearray(wheel({"a": b"1", "b/c": b"2" * 40}, comment=b"c"))
    for place, byte in changes:
        data[int(place * len(data))] = byte
    try:
        read(site, bytes(data[: int(stop * len(data))]), tmp_path_factory.mktemp("c"), "b/c")
    except HostError as error:
        assert error.reasons[0].code == "wheel-unreadable"  # noqa: PT017 - one of two good ends


def patched(data: bytes, mark: bytes, at: int, value: bytes) -> bytes:
    """Return ``data`` with ``value`` put ``at`` bytes after the last ``mark``."""
    place = data.rindex(mark) + at
    return data[:place] + value + data[place + len(value) :]


def bomb() -> bytes:
    zeros = bytes(archive.MEMBER_BYTES + 1)
    return wheel(FILES, {"x.dist-info/METADATA": zeros, "x.dist-info/WHEEL": WHEEL.encode()})


def lying_bomb() -> bytes:
    """Return a wheel whose METADATA says that it is small."""
    return patched(bomb(), b"x.dist-info/METADATA", -22, (99).to_bytes(4, "little"))


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        pytest.param(b"<html>", "no end record", id="no archive"),
        pytest.param(wheel(FILES)[:-30], "no end record", id="cut off"),
        pytest.param(wheel(FILES, comment=b"1234")[:-1], "not at its end", id="cut off late"),
        pytest.param(
            wheel(FILES, comment=b"PK\5\6" + bytes(30)), "not at its end", id="two end records"
        ),
        pytest.param(wheel(FILES, {}), "METADATA of 0 packages", id="no metadata"),
        pytest.param(
            wheel({"b.dist-info/METADATA": b""}), "METADATA of 2 packages", id="two packages"
        ),
        pytest.param(wheel({}, {"b.dist-info/METADATA": b""}), "no WHEEL", id="no WHEEL"),
        pytest.param(wheel({"a/../../x": b""}), "leaves the folder", id="a path out"),
        pytest.param(wheel({"/etc/x": b""}), "leaves the folder", id="an absolute path"),
        pytest.param(wheel({}, method=zipfile.ZIP_BZIP2), "method 12", id="another method"),
        pytest.param(bomb(), "more than is read", id="a bomb"),
        pytest.param(lying_bomb(), "damaged (its checksum", id="a bomb that lies"),
        pytest.param(
            patched(wheel(FILES), b"PK\5\6", 10, b"\4\0"), "5 files, not 4", id="a wrong count"
        ),
        pytest.param(
            patched(wheel(FILES), b"PK\5\6", 16, b"\xf0\xff\xff\xff"),
            "does not lie before",
            id="a directory behind the end",
        ),
        pytest.param(
            patched(wheel(FILES), b"PK\5\6", 16, b"\0\0\0\0"), "damaged", id="a directory elsewhere"
        ),
        pytest.param(
            patched(wheel(FILES), b"PK\1\2", 42, b"\xf0\xff\xff\x0f"),
            "points to bytes that it does not have",
            id="a member behind the end",
        ),
    ],
)
def test_a_broken_wheel_is_told_in_words(
    site: Site, tmp_path: Path, data: bytes, cause: str
) -> None:
    with pytest.raises(HostError) as caught:
        read(site, data, tmp_path)
    reason = caught.value.reasons[0]
    assert reason.code == "wheel-unreadable"
    assert cause in reason.cause
    assert not list(tmp_path.iterdir())


def test_a_hash_that_is_none_never_becomes_a_path(tmp_path: Path) -> None:
    with Web(offline=True, credentials=lambda _: None) as web, pytest.raises(HostError) as caught:
        wheels.read(web, tmp_path, url="http://x.invalid/w", sha256="../" * 21 + "x")
    assert caught.value.reasons[0].code == "wheel-unreadable"


MEASURE = r"""
import re, sys, time
from pathlib import Path
from mlenv.host import wheels
from mlenv.host.http import Web
url, sha256, cache = sys.argv[1:]
with Web(offline=False, credentials=lambda url: None) as web:
    for _ in range(2):
        start = time.perf_counter()
        files = len(wheels.read(web, Path(cache), url=url, sha256=sha256).files)
        print(files, time.perf_counter() - start)
print(int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""
"""Not ``ru_maxrss``, which a child takes over from the process that started it."""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a program its peak memory")
@pytest.mark.parametrize(("number", "mib"), [(13_000, 80), (99_000, 150)])
def test_many_files_cost_little_memory(site: Site, tmp_path: Path, number: int, mib: int) -> None:
    data = wheel(padding(number))
    site.files["/w.whl"] = data
    sha256 = hashlib.sha256(data).hexdigest()
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, f"{site.url}/w.whl", sha256, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    *times, peak = done.stdout.split("\n")[:3]
    assert [int(line.split()[0]) for line in times] == [number, number]
    assert int(peak) < mib


@pytest.mark.network
def test_a_wheel_of_the_real_index(tmp_path: Path) -> None:
    from pip._internal.models.index import PyPI  # noqa: PLC0415 - only where the index is asked

    page = f"{PyPI.simple_url}/torch/"
    with Web(offline=False, credentials=lambda _: None) as web:
        kind, text = web.page(page)
        if kind.endswith("+json"):
            found = [(each["url"], each["hashes"]["sha256"]) for each in json.loads(text)["files"]]
        else:
            found = re.findall(r'href="([^"#]+)#sha256=([0-9a-f]{64})"', html.unescape(text))
        url, sha256 = next(
            each for each in found if "torch-2.8.0-cp312-cp312-manylinux_2_28_x86_64" in each[0]
        )
        contents = wheels.read(
            web, tmp_path, url=urljoin(page, url), sha256=sha256, want=["torch/version.py"]
        )
    assert "cuda: Optional[str] = '12.8'" in contents.members["torch/version.py"]
    assert contents.files["torch/version.py"][0] == len(contents.members["torch/version.py"])
    assert len(contents.files) > 10_000
    assert contents.size > 800_000_000
    assert contents.tags == ("cp312-cp312-manylinux_2_28_x86_64",)
    assert contents.requires_python == ">=3.9.0"
