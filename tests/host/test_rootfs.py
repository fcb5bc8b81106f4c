"""What a base image is, read off its layers: a real one, made ones, and hostile ones."""

from __future__ import annotations

import gzip
import io
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from containers import made_image
from mlenv.errors import HostError
from mlenv.host.interpreter import interpreter
from mlenv.host.overlay import Overlay
from mlenv.host.rootfs import known_facts, read_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from containers import Image

STATUS = """Package: libc6
Status: install ok installed
Version: 2.31-13+deb11u11

Package: python3.9-minimal
Status: install ok installed
Version: 3.9.2-1+deb11u2
"""
LIBC = b"...GNU C Library (Ubuntu GLIBC 2.35-0ubuntu3.8) stable release version 2.35.\n..."
HEADER = b'#define PY_MAJOR_VERSION 3\n#define PY_VERSION  \t"3.12.12"\n'


def minor(image: Image) -> str:
    assert image.python is not None
    return ".".join(image.python.split(".")[:2])


def test_a_real_base(base_image: Image) -> None:
    base = base_image
    found = read_facts(base.layers)
    assert found.python == {minor(base): (f"/usr/local/bin/python{minor(base)}", base.python)}
    assert (found.glibc, found.musl, found.shell) == ("2.36", False, True)
    assert found.passwd is not None
    assert found.passwd.startswith("root:x:0:0:")
    assert found.group is not None
    assert len(found.sizes) == len(base.layers)


def test_the_python_of_a_real_base_runs_here(base_image: Image, tmp_path: Path) -> None:
    base = base_image
    found = interpreter(base.layers, minor(base), tmp_path / "python")
    assert found.argv is not None, found.why_not
    assert found.version == base.python
    code = "import sys, zlib, ssl; print(sys.prefix); print(open('/proc/self/maps').read())"
    done = subprocess.run(
        [*found.argv, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    prefix, _, maps = done.stdout.partition("\n")
    assert prefix == str(tmp_path / "python/usr/local")
    libraries = {line.split()[-1] for line in maps.splitlines() if ".so" in line}
    assert all(each.startswith(str(tmp_path)) for each in libraries)
    assert not [each for each in tmp_path.rglob("*") if each.is_symlink()]
    assert interpreter((), minor(base), tmp_path / "python") == found  # it lies there


def test_a_python_that_a_base_does_not_have(base_image: Image, tmp_path: Path) -> None:
    with pytest.raises(HostError) as caught:
        interpreter(base_image.layers, "3.5", tmp_path / "python")
    assert caught.value.reasons[0].code == "base-unusable"
    assert not list(tmp_path.iterdir())


def made(tmp_path: Path, *layers: Mapping[str, bytes | None]) -> tuple[Path, ...]:
    return made_image(layers, tmp_path / "image").layers


@pytest.mark.parametrize(
    ("layers", "glibc", "python"),
    [
        pytest.param([{"var/lib/dpkg/status": STATUS.encode()}], "2.31", {}, id="dpkg says"),
        pytest.param([{"lib64/libc.so.6": LIBC}], "2.35", {}, id="the library says"),
        pytest.param([{"lib/ld-musl-x86_64.so.1": b""}], None, {}, id="musl"),
        pytest.param(
            [
                {
                    "usr/local/bin/python3.12": b"",
                    "usr/local/include/python3.12/patchlevel.h": HEADER,
                }
            ],
            None,
            {"3.12": ("/usr/local/bin/python3.12", "3.12.12")},
            id="the headers of a Python",
        ),
        pytest.param(
            [{"usr/bin/python3.9": b"", "var/lib/dpkg/status": STATUS.encode()}],
            "2.31",
            {"3.9": ("/usr/bin/python3.9", "3.9.2")},
            id="the package of a Python",
        ),
        pytest.param(
            [{"usr/bin/python3.14t": b"x\0003.2.0\0y\x003.14.1\0"}],
            None,
            {"3.14t": ("/usr/bin/python3.14t", "3.14.1")},
            id="the Python itself",
        ),
        pytest.param(
            [{"usr/bin/python3.9": b""}, {"usr/local/bin/python3.9": b""}],
            None,
            {"3.9": ("/usr/local/bin/python3.9", None)},
            id="two of one minor",
        ),
        pytest.param(
            [{"usr/bin/python3.9": b""}, {"usr/bin/python3.9": None}], None, {}, id="a whiteout"
        ),
        pytest.param(
            [{"usr/bin/python3.9": b""}, {"usr/bin": None}], None, {}, id="of the folder above"
        ),
        pytest.param(
            [{"usr/bin/python3.9": b""}, {"usr/bin/.wh..opq": None}],
            None,
            {},
            id="an opaque folder",
        ),
        pytest.param(
            [{"usr/bin/python3.9": b""}, {"usr/bin": b"a file"}],
            None,
            {},
            id="a file over a folder",
        ),
        pytest.param(
            [{"usr/bin/x": None}, {"usr/bin/python3.9": b"", "usr/bin/x": None}],
            None,
            {"3.9": ("/usr/bin/python3.9", None)},
            id="whiteouts of what is not there",
        ),
    ],
)
def test_layers_say(
    tmp_path: Path,
    layers: Sequence[Mapping[str, bytes | None]],
    glibc: str | None,
    python: Mapping[str, tuple[str, str | None]],
) -> None:
    found = read_facts(made(tmp_path, *layers))
    assert (found.glibc, dict(found.python)) == (glibc, python)
    assert found.musl == ("lib/ld-musl-x86_64.so.1" in layers[0])


def layer(path: Path, *rows: tuple[str, bytes, str], pax: Mapping[str, str] | None = None) -> Path:
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, content in rows:
            row = tarfile.TarInfo(name)
            row.type, row.pax_headers = kind, dict(pax or {})
            if kind in {tarfile.SYMTYPE, tarfile.LNKTYPE}:
                row.linkname = content
                archive.addfile(row)
            else:
                row.size = len(content)
                archive.addfile(row, io.BytesIO(content.encode()))
    return path


def test_links_are_followed_inside_the_image_only(tmp_path: Path) -> None:
    path = layer(
        tmp_path / "layer",
        ("usr/bin/dash", tarfile.REGTYPE, "x"),
        ("bin", tarfile.SYMTYPE, "usr/bin"),
        ("usr/bin/sh", tarfile.SYMTYPE, "dash"),
        ("usr/bin/hard", tarfile.LNKTYPE, "usr/bin/dash"),
        ("up", tarfile.SYMTYPE, "../../../../../usr/bin/dash"),
        ("out", tarfile.SYMTYPE, "/etc/hostname"),
        ("round", tarfile.SYMTYPE, "about"),
        ("about", tarfile.SYMTYPE, "/round"),
    )
    overlay = Overlay([path])
    found = {each: overlay.file(each) for each in ("bin/sh", "bin/hard", "up", "out", "round")}
    assert found == {
        "bin/sh": "usr/bin/dash",
        "bin/hard": "usr/bin/hard",
        "up": "usr/bin/dash",
        "out": None,
        "round": None,
    }
    assert read_facts([path]).shell


def outside(path: Path) -> None:
    layer(path, ("../../etc/passwd", tarfile.REGTYPE, "x"))


def hard_outside(path: Path) -> None:
    layer(path, ("a", tarfile.LNKTYPE, "../../etc/passwd"))


def huge_header(path: Path) -> None:
    layer(path, ("a", tarfile.REGTYPE, "x"), pax={"comment": "x" * (2 << 20)})


def nul(path: Path) -> None:
    layer(path, ("a", tarfile.REGTYPE, "x"), pax={"path": "a\0b"})


def cut_off(path: Path) -> None:
    layer(path, ("a", tarfile.REGTYPE, "x" * 5000))
    data = gzip.decompress(path.read_bytes())
    path.write_bytes(data[:3000])


def cut_gzip(path: Path) -> None:
    layer(path, ("a", tarfile.REGTYPE, "x" * 5000))
    path.write_bytes(path.read_bytes()[:-20])


def no_tar(path: Path) -> None:
    path.write_bytes(b"no tar at all" * 1000)


def zstd(path: Path) -> None:
    path.write_bytes(b"\x28\xb5\x2f\xfd" + b"x" * 1000)


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        pytest.param(outside, "leads out of the image", id="a path that leads out"),
        pytest.param(hard_outside, "leads out of the image", id="a hard link that leads out"),
        pytest.param(huge_header, "more than any path needs", id="a huge header"),
        pytest.param(nul, "leads out of the image", id="a NUL in a path"),
        pytest.param(cut_off, "it is cut off", id="a tar cut off"),
        pytest.param(cut_gzip, "it cannot be unpacked", id="a gzip cut off"),
        pytest.param(no_tar, "it is no tar archive", id="no tar"),
        pytest.param(zstd, "zstd, which this mlenv does not read", id="zstd"),
    ],
)
def test_a_layer_that_is_refused(tmp_path: Path, make: Callable[[Path], None], cause: str) -> None:
    path = tmp_path / "layer"
    make(path)
    for ask in (
        lambda: read_facts([path]),
        lambda: interpreter([path], "3.12", tmp_path / "python"),
    ):
        with pytest.raises(HostError) as caught:
            ask()
        reason = caught.value.reasons[0]
        assert (reason.code, cause in reason.cause) == ("base-unusable", True), reason
    assert [each.name for each in tmp_path.iterdir()] == ["layer"]


def test_facts_are_kept_by_the_digest_of_the_image(tmp_path: Path) -> None:
    layers = made(tmp_path, {"usr/bin/python3.9": b"", "etc/passwd": b"root:x:0:0::/:/bin/sh\n"})
    digest = "sha256:" + "a" * 64
    first = known_facts(digest, lambda: layers, folder=tmp_path / "cache", image="x:1")
    shutil.rmtree(tmp_path / "image")

    def never() -> tuple[Path, ...]:
        raise AssertionError

    assert known_facts(digest, never, folder=tmp_path / "cache", image="x:1") == first
    assert first.python == {"3.9": ("/usr/bin/python3.9", None)}
