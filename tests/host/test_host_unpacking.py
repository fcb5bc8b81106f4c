from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import struct
import subprocess
import sys
import warnings
import zipfile
from typing import TYPE_CHECKING

import pytest
import uv

from mlenv.errors import HostError
from mlenv.host.layer import LayerWriter
from mlenv.host.unpacking import unpack
from mlenv.host.venv import ACTIVATION, skeleton
from unpacked import MINOR, VERSION, Thing, make_wheel, own_bytecode, record_hash, things

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

INFO = "my_pkg-1.0.dist-info"
DATA = "my_pkg-1.0.data"
SITE = f"/opt/venv/lib/python{MINOR}/site-packages"
LAUNCHER = b"""\
#!/opt/venv/bin/python
# -*- coding: utf-8 -*-
import sys
from my_pkg.x import A
if __name__ == "__main__":
    if sys.argv[0].endswith("-script.pyw"):
        sys.argv[0] = sys.argv[0][:-11]
    elif sys.argv[0].endswith(".exe"):
        sys.argv[0] = sys.argv[0][:-4]
    sys.exit(A.run())
"""
FILES = {
    "my_pkg/__init__.py": b"x = 1\n",
    "my_pkg/bad.py": b"def (:\n",
    "my_pkg/nul.py": b"x = '\0'\n",
    "my_pkg/data.bin": bytes(range(256)) * 5000,
    "my_pkg/empty": b"",
    f"{DATA}/scripts/s1": b"#!python\nprint(1)\n",
    f"{DATA}/scripts/s2": b"#!pythonw -x\r\nprint(1)\n",
    f"{DATA}/scripts/s3": b"#!/usr/bin/env python\nprint(1)\n",
    f"{DATA}/scripts/s4": b"#!p",
    f"{DATA}/scripts/program": b"\x7fELF" + bytes(3_000_000),
    f"{DATA}/scripts/both": b"#!python\nprint(1)\n",
    f"{DATA}/headers/sub/h.h": b"h",
    f"{DATA}/data/bin/tool": b"#!python\n",
    f"{DATA}/data/share/x": b"x",
    f"{DATA}/data/lib/python{MINOR}/site-packages/deep.py": b"z = 1\n",
    f"{DATA}/purelib/pure.py": b"a = 1\n",
    f"{DATA}/platlib/plat.py": b"a = 1\n",
    f"{INFO}/entry_points.txt": (
        b"[console_scripts]\nrun = my_pkg.x:A.run\nmore = my_pkg:m [extra]\nboth = my_pkg:m\n"
        b"[gui_scripts]\ng = my_pkg:gui\n[other]\nz = q\n"
    ),
    f"{INFO}/licenses/L": b"x",
}


def runnable(info: zipfile.ZipInfo) -> None:
    if info.filename.endswith(("share/x", "licenses/L")):
        info.external_attr = 0o100755 << 16


def unpacked(wheel: Path, *, compiled: bool = False) -> dict[str, Thing]:
    with own_bytecode() as bytecode:
        return things(
            lambda writer: unpack(
                wheel, writer, python=MINOR, bytecode=bytecode if compiled else None
            )
        )


def test_every_kind_of_file_gets_its_place(tmp_path: Path) -> None:
    found = unpacked(make_wheel(tmp_path, FILES, change=runnable), compiled=True)
    text = {path: each.content for path, each in found.items()}
    assert text[f"{SITE}/my_pkg/data.bin"] == FILES["my_pkg/data.bin"]
    assert text[f"/opt/venv/include/site/python{MINOR}/my-pkg/sub/h.h"] == b"h"
    assert text["/opt/venv/bin/run"] == LAUNCHER
    assert text["/opt/venv/bin/s1"] == b"#!/opt/venv/bin/python\nprint(1)\n"
    assert text["/opt/venv/bin/s2"] == b"#!/opt/venv/bin/python\nprint(1)\n"
    assert text["/opt/venv/bin/s3"] == FILES[f"{DATA}/scripts/s3"]
    assert text["/opt/venv/bin/s4"] == b"#!p"
    assert text["/opt/venv/bin/program"] == FILES[f"{DATA}/scripts/program"]
    assert b"from my_pkg import m\n" in (text["/opt/venv/bin/both"] or b"")
    assert text["/opt/venv/bin/tool"] == b"#!python\n"
    assert {f"{SITE}/pure.py", f"{SITE}/plat.py", f"{SITE}/deep.py"} <= found.keys()
    assert text[f"{SITE}/{INFO}/INSTALLER"] == b"mlenv\n"
    runs = {path for path, each in found.items() if each.mode == 0o755}
    assert runs == {
        *(f"/opt/venv/bin/{name}" for name in ("run", "more", "both", "g", "program")),
        *(f"/opt/venv/bin/s{number}" for number in (1, 2, 3, 4)),
        *("/opt/venv/share/x", f"{SITE}/{INFO}/licenses/L"),
    }
    tag = sys.implementation.cache_tag
    assert {path for path in found if path.endswith(".pyc")} == {
        f"{SITE}/my_pkg/__pycache__/__init__.{tag}.pyc",
        *(f"{SITE}/__pycache__/{name}.{tag}.pyc" for name in ("pure", "plat", "deep")),
    }


def test_record_tells_each_file_as_it_lies_there(tmp_path: Path) -> None:
    found = unpacked(make_wheel(tmp_path, FILES))
    record = (found[f"{SITE}/{INFO}/RECORD"].content or b"").decode()
    lines = dict(line.split(",", 1) for line in record.splitlines())
    assert lines.pop(f"{INFO}/RECORD") == ","
    assert "../../../bin/run" in lines
    for name, said in lines.items():
        content = found[
            f"/opt/venv/{name.removeprefix('../../../')}"
            if name.startswith("../")
            else f"{SITE}/{name}"
        ].content
        assert content is not None
        assert said == f"sha256={record_hash(content)},{len(content)}"
    assert len(lines) == len(found) - 1


def test_the_order_of_the_archive_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    one = make_wheel(tmp_path, FILES)
    other = tmp_path / "b" / one.name
    with zipfile.ZipFile(one) as forwards, zipfile.ZipFile(other, "w") as backwards:
        for info in reversed(forwards.infolist()):
            backwards.writestr(info, forwards.read(info))
    assert list(unpacked(one).items()) == list(unpacked(other).items())


def test_bytecode_that_a_wheel_brings_is_left_out(tmp_path: Path) -> None:
    files = {"a.py": b"", "__pycache__/a.cpython-312.pyc": b"evil", "b.pyc": b"its own matter"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = unpacked(make_wheel(tmp_path, files))
    assert not [path for path in found if "__pycache__" in path]
    assert f"{SITE}/b.pyc" in found


def named(name: str) -> Callable[[Path], Path]:
    return lambda folder: make_wheel(folder, {"a.py": b"", name: b"evil"})


def altered(**changes: int) -> Callable[[Path], Path]:
    def change(info: zipfile.ZipInfo) -> None:
        if info.filename == "a.py":
            for name, value in changes.items():
                setattr(info, name, value)

    return lambda folder: make_wheel(folder, {"a.py": b"x"}, change=change)


def entered(text: bytes) -> Callable[[Path], Path]:
    return lambda folder: make_wheel(folder, {f"{INFO}/entry_points.txt": text})


def lying(old: bytes, new: bytes) -> Callable[[Path], Path]:
    """Return a wheel whose RECORD has ``new`` where it should have ``old``."""

    def make(folder: Path) -> Path:
        path = make_wheel(folder, {"a.py": b"x = 1\n"})
        with zipfile.ZipFile(path) as honest:
            members = [(info, honest.read(info)) for info in honest.infolist()]
        with zipfile.ZipFile(path, "w") as other:
            for info, data in members:
                is_record = info.filename.endswith("RECORD")
                other.writestr(info, data.replace(old, new) if is_record else data)
        return path

    return make


def patched(change: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = make_wheel(folder, {"a.py": b"0123456789" * 9})
        path.write_bytes(change(path.read_bytes()))
        return path

    return make


def longer(packed: bytes) -> bytes:
    """Let the directory and the header say that ``a.py`` has one byte less than it has."""
    return packed.replace(struct.pack("<LL", 90, 90), struct.pack("<LL", 89, 89))


def twice(folder: Path) -> Path:
    path = make_wheel(folder, {"a.py": b""})
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("a.py", b"evil")
    return path


def bomb(folder: Path) -> Path:
    path = make_wheel(folder, {"a.py": b""})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"zeros{number}", bytes(100 << 20))
    return path


def nameless(folder: Path) -> Path:
    path = make_wheel(folder, {"a.py": b""})
    return path.rename(path.with_name("other-1.0-py3-none-any.whl"))


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        pytest.param(named("../evil"), "no path", id="a path upwards"),
        pytest.param(named("a/../../evil"), "no path", id="a path upwards, later"),
        pytest.param(named("/evil"), "no path", id="a path from the root"),
        pytest.param(named("a\\..\\evil"), "no path", id="a path of Windows"),
        pytest.param(named("a\nb"), "no path", id="a line end in a path"),
        pytest.param(named(f"{DATA}/scripts/../../../x"), "no path", id="out of a scheme"),
        pytest.param(named(f"{DATA}/other/x"), "data subdirectory", id="an unknown scheme"),
        pytest.param(named("a.py/b"), "lies below it", id="a file below a file"),
        pytest.param(named(f"{DATA}/purelib/a.py"), "two of its files", id="two of one place"),
        pytest.param(twice, "twice", id="two of one name"),
        pytest.param(altered(external_attr=0o120777 << 16), "a link", id="a symbolic link"),
        pytest.param(altered(external_attr=0o020666 << 16), "a device", id="a device"),
        pytest.param(altered(compress_type=zipfile.ZIP_LZMA), "method 14", id="a rare method"),
        pytest.param(bomb, "would unpack to 314", id="a zip bomb"),
        pytest.param(patched(longer), "", id="a file longer than is said"),
        pytest.param(
            patched(lambda packed: packed.replace(b"0123456789", b"0123456780")),
            "CRC",
            id="a file with another checksum",
        ),
        pytest.param(patched(lambda packed: packed[:-30]), "not a zip", id="cut off"),
        pytest.param(lying(b"a.py,sha256=", b"a.py,sha256=A"), "RECORD hashes", id="another hash"),
        pytest.param(lying(b",6\n", b",7\n"), "RECORD says 7", id="another size"),
        pytest.param(lying(b"sha256", b"md5"), "with md5", id="a weak hash"),
        pytest.param(
            lying(b",6\n", b",6,\n"), "expected 3 elements", id="a RECORD of four columns"
        ),
        pytest.param(nameless, "doesn't match", id="a wheel by another name"),
        pytest.param(
            entered(b"[console_scripts]\n../a = b:c\n"), "no name", id="a program upwards"
        ),
        pytest.param(entered(b"[console_scripts]\na = b\n"), "", id="a program of no function"),
        pytest.param(entered(b"[console_scripts\n"), "section", id="entry points that are none"),
    ],
)
def test_refuses(tmp_path: Path, make: Callable[[Path], Path], cause: str) -> None:
    with pytest.raises(HostError) as caught:
        unpack(make(tmp_path), LayerWriter(io.BytesIO()))
    (reason,) = caught.value.reasons
    assert reason.code == "wheel-unreadable"
    assert cause in reason.cause


def test_what_record_does_not_name_is_taken(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, {"a.py": b""})
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("b.py", b"b = 1\n")
    assert f"{SITE}/b.py" in unpacked(wheel)


UV = uv.find_uv_bin()
WHEELS = {
    "rich": "15.0.0",
    "numpy": "2.3.4",
    "hydra-core": "1.3.2",
    "jupyterlab": "4.4.9",
    "jupyterlab-widgets": "3.0.15",
    "pyyaml": "6.0.3",
    "greenlet": "3.2.4",
    "dumb-init": "1.2.5.post1",
}
"""Scripts, programs, data files, headers, empty folders, modules that do not compile."""
OWN_FILES = re.compile(r"\.dist-info/(RECORD|INSTALLER)$")


def tree(folder: Path) -> Iterator[tuple[str, tuple[str, str]]]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        mode = f"{path.lstat().st_mode & 0o7777:o}"
        if path.is_symlink():
            yield name, ("link", str(path.readlink()))
        elif path.is_dir():
            yield name, ("folder", mode)
        elif not OWN_FILES.search(name):
            yield name, (mode, hashlib.sha256(path.read_bytes()).hexdigest())


def asked(argv: Iterable[object], env: dict[str, str]) -> str:
    done = subprocess.run(
        [*map(str, argv)], env=env, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.network
@pytest.mark.timeout(600)
def test_leaves_the_files_that_uv_leaves(tmp_path: Path) -> None:
    prefix = tmp_path / "venv"
    env = {
        **os.environ,
        "VIRTUAL_ENV": str(prefix),
        "UV_CACHE_DIR": str(tmp_path / "cache"),
        "UV_LINK_MODE": "copy",
        "UV_CONCURRENT_INSTALLS": "1",
        "UV_COMPILE_BYTECODE": "1",
        "PYC_INVALIDATION_MODE": "UNCHECKED_HASH",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    asked((UV, "venv", "--no-cache", "--python", sys.executable, prefix), env)
    pins = [f"{name}=={version}" for name, version in WHEELS.items()]
    pip = (UV, "pip", "install", "--no-deps", "--only-binary", ":all:")
    asked((*pip, *pins), env)
    (prefix / ".lock").unlink(missing_ok=True)
    for name in ACTIVATION:
        (prefix / "bin" / name).unlink()
    version = asked((UV, "--version"), env).split()[1]

    # uv keeps what it installed, not the archives: those are fetched by the same index's hashes.
    wheels = tmp_path / "wheels"
    fetched(pins, wheels, tmp_path)
    layer = tmp_path / "layer.tar.gz"
    interpreter = (prefix / "bin" / "python").readlink()
    with layer.open("wb") as out, own_bytecode() as bytecode:
        writer = LayerWriter(out)
        skeleton(
            writer, interpreter=str(interpreter), version=VERSION, uv=version, prefix=str(prefix)
        )
        for wheel in sorted(wheels.iterdir()):
            unpack(wheel, writer, prefix=str(prefix), python=MINOR, bytecode=bytecode)
        writer.close()
    ours = tmp_path / "ours"
    shutil.unpack_archive(layer, ours, "gztar", filter="fully_trusted")
    assert dict(tree(ours / prefix.relative_to("/"))) == dict(tree(prefix))


def fetched(pins: list[str], wheels: Path, folder: Path) -> None:
    """Download the wheels of ``pins`` with pip, which keeps them whole."""
    env = {**os.environ, "VIRTUAL_ENV": str(folder / "pip")}
    asked((UV, "venv", "--python", sys.executable, folder / "pip"), env)
    asked((UV, "pip", "install", "pip"), env)
    download = (folder / "pip" / "bin" / "python", "-m", "pip", "download", "--quiet")
    asked((*download, "--no-deps", "--only-binary", ":all:", "--dest", wheels, *pins), env)
