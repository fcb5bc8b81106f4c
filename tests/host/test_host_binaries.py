"""Members of wheels on a server: read in part, kept for ever, and never believed too far."""

from __future__ import annotations

import hashlib
import io
import random
import tracemalloc
import zipfile
from typing import TYPE_CHECKING

import pytest
from webserver import Site, serving

from binaries import fatbin, shared_object
from mlenv.errors import HostError
from mlenv.host import binaries, wheels
from mlenv.host.http import Web

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

INFO = {
    "stack-1.0.dist-info/METADATA": b"Metadata-Version: 2.4\nName: stack\nVersion: 1.0\n",
    "stack-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nTag: py3-none-any\n",
}
NOISE = random.Random(1).randbytes(3 << 20)  # noqa: S311 (no secret)
"""Bytes that do not pack."""
FILES = {
    "stack/small.so": shared_object(("libc.so.6",)),
    "stack/_C.so": shared_object(("libcudart.so.12",), middle=fatbin("sm_80", "sm_90a") + NOISE),
    "stack/_D.so": shared_object(("libcublas.so.12",), middle=NOISE + fatbin("compute_80")),
    "stack/script.so": b"INPUT(-lx)\n",
    "stack/flags.so": b"\0sm_75 sm_80 compute_90\0" + NOISE,
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


def packed(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as zipped:
        for name, data in {**files, **INFO}.items():
            zipped.writestr(zipfile.ZipInfo(name), data, method)
    return made.getvalue()


class Shelf:
    """A wheel on the site, with its directory read."""

    def __init__(self, site: Site, cache: Path, data: bytes) -> None:
        site.files["/w.whl"] = data
        self.web = Web(offline=False, credentials=lambda _: None)
        self.said: list[str] = []
        sha256 = hashlib.sha256(data).hexdigest()
        url = f"{site.url}/w.whl"
        self.contents = wheels.read(self.web, cache, url=url, sha256=sha256)
        self.wheel = binaries.Wheel(name="stack 1.0", url=url, sha256=sha256, size=len(data))
        self.place = binaries.Place(web=self.web, cache=cache, offline=False, say=self.said.append)
        self.offline = binaries.Place(web=self.web, cache=cache, offline=True, say=self.said.append)
        site.asked.clear()


@pytest.fixture(params=[zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED], ids=["deflated", "stored"])
def shelf(site: Site, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Shelf]:
    made = Shelf(site, tmp_path, packed(FILES, request.param))
    with made.web:
        yield made


def never(_: object) -> bool:
    return False


def has(code: str) -> Callable[[frozenset[str]], bool]:
    return lambda found: code in found


def test_needs_are_read_and_kept(site: Site, shelf: Shelf) -> None:
    files = ("stack/small.so", "stack/script.so", "stack/_C.so", "stack/absent.so")
    found = binaries.needs(shelf.place, shelf.wheel, files, tells=never)
    assert found == {
        "stack/small.so": ("libc.so.6",),
        "stack/script.so": (),
        "stack/_C.so": ("libcudart.so.12",),
    }
    site.asked.clear()
    assert binaries.needs(shelf.offline, shelf.wheel, files, tells=never) == found
    assert not site.asked


def test_once_a_file_has_told_little_more_is_read(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "NEEDS_BYTES", 8 << 20)
    files = ("stack/_C.so", "stack/_D.so", "stack/small.so")
    found = binaries.needs(shelf.place, shelf.wheel, files, tells="libcudart.so.12".__eq__)
    assert found is not None
    assert list(found) == ["stack/_C.so"]
    again = binaries.needs(shelf.place, shelf.wheel, files, tells="libcudart.so.12".__eq__)
    assert again == found


def test_offline_nothing_is_read(site: Site, shelf: Shelf) -> None:
    files = ("stack/_C.so",)
    assert binaries.needs(shelf.offline, shelf.wheel, files, tells=never) is None
    assert binaries.code(shelf.offline, shelf.wheel, files, flags=False, enough=never) is None
    assert not site.asked


def test_all_code_is_read_where_nothing_is_enough(site: Site, shelf: Shelf) -> None:
    files = ("stack/_C.so", "stack/_D.so")
    found = binaries.code(shelf.place, shelf.wheel, files, flags=False, enough=never)
    whole = binaries.Held(code=frozenset({"sm_80", "sm_90a", "compute_80"}), whole=True)
    assert found == whole
    assert shelf.said[-1] == "reading GPU code of stack 1.0: 3 of 3 MB"
    site.asked.clear()
    assert binaries.code(shelf.offline, shelf.wheel, files, flags=False, enough=never) == whole
    assert not site.asked


def test_reading_stops_where_it_is_enough_and_goes_on_where_it_is_not(
    site: Site, shelf: Shelf
) -> None:
    files = ("stack/_C.so", "stack/_D.so")
    found = binaries.code(shelf.place, shelf.wheel, files, flags=False, enough=has("sm_80"))
    assert found is not None
    assert not found.whole
    assert {"/w.whl"} == {path for path, _ in site.asked}
    again = binaries.code(shelf.offline, shelf.wheel, files, flags=False, enough=has("sm_80"))
    assert again == found
    later = binaries.code(shelf.place, shelf.wheel, files, flags=False, enough=never)
    assert later is not None
    assert (later.whole, len(later.code)) == (True, 3)


def test_flags_are_kept_apart_from_code(shelf: Shelf) -> None:
    files = ("stack/flags.so",)
    read = binaries.code(shelf.place, shelf.wheel, files, flags=False, enough=never)
    assert read == binaries.Held(code=frozenset(), whole=True)
    listed = binaries.code(shelf.place, shelf.wheel, files, flags=True, enough=never)
    assert listed is not None
    assert listed.code == {"sm_75", "sm_80", "compute_90"}


def test_the_budget_is_kept(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "CODE_BYTES", 4 << 20)
    files = ("stack/_C.so", "stack/_D.so")
    found = binaries.code(shelf.place, shelf.wheel, files, flags=False, enough=never)
    assert found == binaries.Held(code=frozenset({"sm_80", "sm_90a"}), whole=False)


def test_a_damaged_cache_is_read_anew(shelf: Shelf, tmp_path: Path) -> None:
    files = ("stack/small.so",)
    first = binaries.needs(shelf.place, shelf.wheel, files, tells=never)
    (path,) = tmp_path.glob("wheels/*/*.needs.json")
    for text in (b"", b"{", b"[]", b'{"schema":0,"files":{}}', b'{"schema":1,"files":{"a":1}}'):
        path.write_bytes(text)
        assert binaries.needs(shelf.place, shelf.wheel, files, tells=never) == first


def test_a_server_without_ranges_serves_too(site: Site, tmp_path: Path) -> None:
    site.ranges = False
    shelf = Shelf(site, tmp_path, packed(FILES))
    with shelf.web:
        found = binaries.needs(shelf.place, shelf.wheel, ("stack/_C.so",), tells=never)
    assert found == {"stack/_C.so": ("libcudart.so.12",)}


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: data.replace(b"sm_75", b"sm_76", 1), id="another byte"),
        pytest.param(lambda data: data.replace(b"PK\3\4", b"PK\3\5", 1), id="no local header"),
    ],
)
def test_damage_is_told(site: Site, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    data = packed({"stack/flags.so": b"\0sm_75 sm_80\0" * 9}, zipfile.ZIP_STORED)
    shelf = Shelf(site, tmp_path, data)
    site.files["/w.whl"] = damage(data)
    with shelf.web, pytest.raises(HostError) as caught:
        binaries.code(shelf.place, shelf.wheel, ("stack/flags.so",), flags=True, enough=never)
    assert [each.code for each in caught.value.reasons] == ["wheel-unreadable"]


def test_a_zip_bomb_costs_little_memory(site: Site, tmp_path: Path) -> None:
    data = packed({"stack/bomb.so": shared_object(("x",), middle=bytes(400 << 20))})
    shelf = Shelf(site, tmp_path, data)
    tracemalloc.start()
    with shelf.web:
        found = binaries.code(
            shelf.place, shelf.wheel, ("stack/bomb.so",), flags=False, enough=never
        )
        needs = binaries.needs(shelf.place, shelf.wheel, ("stack/bomb.so",), tells=never)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found, needs) == (binaries.Held(code=frozenset(), whole=True), {})
    assert peak < 60 << 20
