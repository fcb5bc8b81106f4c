"""The refreshed catalog in the cache: when it is used, and what is said where it is not."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from drive import built
from mlenv import uptodate
from mlenv.catalog import kept
from mlenv.catalog.data import contents
from mlenv.catalog.load import load, shipped
from mlenv.errors import HostError
from mlenv.files import LOCK_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mlenv.catalog.load import Catalog

LATER = "2031-01-01T00:00:00Z"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("MLENV_CACHE_DIR", str(tmp_path / "home"))
    load.cache_clear()
    yield tmp_path / "home" / "catalog"
    load.cache_clear()


def used() -> Catalog:
    load.cache_clear()
    return load()


def newer(**changes: object) -> kept.Document:
    document = replace(kept.shipped(), scanned=LATER)
    return replace(document, **changes)  # type: ignore[arg-type]


def test_the_time_beside_the_shipped_rows_is_theirs() -> None:
    assert kept.shipped_time() == kept.shipped().scanned == shipped().scanned


def test_the_shipped_rows_are_packed_as_refreshed_ones_are() -> None:
    data = contents(kept.ROWS)
    assert gzip.decompress(kept.packed(kept.shipped())) == gzip.decompress(data)
    whole = kept.unpacked(data)
    assert kept.shipped() == whole
    assert kept.shipped().packages != {**whole.packages, "torch": {}}


def test_a_shipped_package_is_decoded_when_it_is_asked_for() -> None:
    found = kept.shipped().packages
    assert isinstance(found, kept.Rows)
    assert "torch" in found
    assert "no-such-package" not in found
    assert found.get("no-such-package", {}) == {}
    assert len(found) == len(list(found)) > 100
    assert found["torch"] is found["torch"]
    assert "2.8.0" in found["torch"]


def test_without_a_refresh_the_shipped_rows_are_used(home: Path) -> None:
    assert used().scanned == kept.time_in_use() == kept.shipped_time()
    assert used().damaged is None
    assert not home.exists()


def test_newer_rows_are_used(home: Path) -> None:
    kept.write(newer(packages={"torch": {"9.9": {"date": "2030-01-01"}}}))
    assert used().scanned == kept.time_in_use() == LATER
    assert [each.text for each in used().releases("torch")] == ["9.9"]
    assert {each.name for each in home.iterdir()} == {kept.ROWS, kept.DIGEST, kept.TIME}


def test_older_rows_are_not_used(home: Path) -> None:
    kept.write(newer(scanned="2020-01-01T00:00:00Z", packages={}))
    assert home.exists()
    assert used().scanned == kept.time_in_use() == kept.shipped_time()
    assert used().damaged is None


def test_the_same_rows_are_the_same_bytes() -> None:
    document = newer(packages={"b": {}, "a": {"1": {"date": "2025-01-01"}}})
    other = newer(packages={"a": {"1": {"date": "2025-01-01"}}, "b": {}})
    assert kept.packed(document) == kept.packed(other)
    assert kept.unpacked(kept.packed(document)) == document


def _signed(data: bytes, path: Path) -> None:
    path.write_bytes(data)
    said = hashlib.sha256(data).hexdigest()
    path.with_name(kept.DIGEST).write_text(f"{said}  {kept.ROWS}\n", encoding="ascii")


def _packed(**keys: object) -> bytes:
    rows = {"schema": 1, "scanned": LATER, "source": "s", "packages": {}, **keys}
    return gzip.compress(json.dumps(rows).encode())


SPOILT: dict[str, Callable[[Path], object]] = {
    "a byte more": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "no digest": lambda path: path.with_name(kept.DIGEST).unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut off, and signed": lambda path: _signed(path.read_bytes()[:-100], path),
    "no gzip": lambda path: _signed(b"{}", path),
    "a bomb": lambda path: _signed(gzip.compress(bytes(200 << 20)), path),
    "no JSON": lambda path: _signed(gzip.compress(b"{"), path),
    "deep JSON": lambda path: _signed(gzip.compress(b"[" * 200_000), path),
    "a list": lambda path: _signed(gzip.compress(b"[]"), path),
    "another schema": lambda path: _signed(_packed(schema=2), path),
    "no time": lambda path: _signed(_packed(scanned="soon"), path),
    "packages that are none": lambda path: _signed(_packed(packages={"torch": 3}), path),
    "releases that are none": lambda path: _signed(_packed(packages={"torch": {"2": 3}}), path),
    "offers that are none": lambda path: _signed(
        _packed(variants={"torch": {"2": {"x86_64": ["no"]}}}), path
    ),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_spoilt_catalog_is_said_and_not_used(home: Path, spoil: Callable[[Path], object]) -> None:
    spoil(kept.write(newer()))
    found = used()
    assert found.scanned == kept.shipped_time()
    assert found.damaged is not None
    assert found.damaged.code == "catalog-damaged"
    assert str(home / kept.ROWS) in found.damaged.what


def test_a_row_that_is_none_is_an_error_in_words(home: Path) -> None:
    del home
    kept.write(newer(packages={"torch": {"2.0": {"date": "2025-01-01", "wheel": {}}}}))
    with pytest.raises(HostError) as error:
        used().releases("torch")
    assert error.value.reasons[0].code == "catalog-damaged"


def _line(rows: str) -> bytes:
    head = {"scanned": LATER, "schema": 1, "source": "s"}
    return gzip.compress(f'{json.dumps(head)[:-1]},"packages":{{\n"torch":{rows}\n}}}}'.encode())


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param("3", id="a number"),
        pytest.param('{"2.0":3}', id="a release that is none"),
        pytest.param('{"2.0":', id="no JSON"),
        pytest.param("[" * 200_000, id="deep JSON"),
    ],
)
def test_a_signed_line_that_is_none_is_an_error_in_words(home: Path, rows: str) -> None:
    _signed(_line(rows), kept.write(newer()))
    with pytest.raises(HostError) as error:
        used().releases("torch")
    assert error.value.reasons[0].code == "catalog-damaged"
    assert home.exists()


def test_a_document_without_packages_is_one(home: Path) -> None:
    kept.write(newer(packages={}))
    assert used().scanned == LATER
    assert used().raw == {}
    assert home.exists()


def test_rows_of_an_mlenv_that_wrote_no_lines_are_used(home: Path) -> None:
    rows = {"torch": {"9.9": {"date": "2030-01-01"}}}
    _signed(_packed(packages=rows), kept.write(newer()))
    assert used().damaged is None
    assert used().raw == rows
    assert home.exists()


def test_a_command_says_once_that_the_catalog_is_damaged(home: Path) -> None:
    SPOILT["cut off"](kept.write(newer()))
    argv = [sys.executable, "-m", "mlenv", "catalog", "show", "torch", "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr.count("warning[catalog-damaged]") == 1
    assert "Traceback" not in done.stderr
    assert json.loads(done.stdout)["package"] == "torch"
    assert home.exists()


def test_diff_says_what_is_new(home: Path) -> None:
    packages = {**kept.shipped().packages, "torch": {"9.9": {"date": "2030-01-01"}}}
    path = kept.write(newer(packages=packages))
    argv = [sys.executable, "-m", "mlenv", "catalog", "diff"]
    done = subprocess.run([*argv, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["after"] == LATER
    assert told["news"][-1]["text"] == "torch 9.9 is new (2030-01-01)"
    done = subprocess.run([*argv, str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "nothing new\n")
    done = subprocess.run([*argv, __file__], capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "error[disk-failed]" in done.stderr
    assert home.exists()


SPEC = 'name = "t"\npython = "3.12"\npackages = ["example-pure"]\n'


def test_a_lock_made_by_older_facts_is_looked_at_again(
    cache: Path, home: Path, tmp_path: Path
) -> None:
    built(SPEC, tmp_path / "images", cache)
    assert (tmp_path / "images" / "t" / LOCK_NAME).exists()

    def current() -> object:
        return uptodate.current(SPEC, tmp_path / "images", target=None, recipe=False)

    assert current() is not None
    kept.write(newer())
    assert current() is None
    kept.write(newer(scanned="2020-01-01T00:00:00Z"))
    assert current() is not None
    assert home.exists()
