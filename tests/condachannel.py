"""A conda channel of real packages: artefacts that install and run, shaped like conda-forge's.

It lies in a folder (``file://``), and ``served`` gives it by http on loopback. Metadata is written
here and not by a library, so that it can be wrong on demand. Of two kinds:

* ``stubs(root)``: every record, and artefacts of a few bytes. A solve, a lock and a layout work.
* ``runnable(root)``: python is the CPython that runs the tests, repacked, and numpy is the one of
  the package index, so what is installed runs here and in an image of the tests' Debian.

No record needs a GPU to be installed; ``pytorch`` is a few lines that say what it was built for.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import http.server
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import threading
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uv
import zstandard

import containers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    Link = tuple[str]
    """A symbolic link: where it leads."""

MINOR = "{}.{}".format(*sys.version_info)
SUBDIRS = ("linux-64", "linux-aarch64")
DAY = 86_400_000
EARLY = 1_750_000_000_000
"""2025-06-15, in milliseconds: when everything was uploaded, if nothing else is said."""
LATE = EARLY + 300 * DAY
"""After ``drive.TODAY``."""
PLACEHOLDER = "/opt/anaconda1anaconda2anaconda3/" + "placehold_" * 20
NUMPY = "2.3.5"
_LEFT_OUT = re.compile(
    r"/(test|tests|idlelib|tkinter|ensurepip|lib2to3|pydoc_data)(/|$)"
    r"|/config-3|/site-packages/.|/dist-packages/.|\.a$|/_tkinter|/_dbm|/_gdbm|/nis\.|/turtledemo|\.opt-\d\.pyc$"
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """An artefact to be written."""

    name: str
    version: str
    build: str
    subdir: str = "noarch"
    depends: tuple[str, ...] = ()
    constrains: tuple[str, ...] = ()
    noarch: str | None = None
    files: Mapping[str, bytes | Link] = dataclasses.field(default_factory=dict)
    programs: frozenset[str] = frozenset()
    """The files that can be executed."""
    prefixed: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """File -> ``text`` or ``binary``: where ``PLACEHOLDER`` stands in it."""
    entry_points: tuple[str, ...] = ()
    site_packages: str | None = None
    timestamp: int = EARLY
    form: str = ".conda"

    @property
    def filename(self) -> str:
        return f"{self.name}-{self.version}-{self.build}{self.form}"

    @property
    def index(self) -> dict[str, Any]:
        """What the artefact and repodata.json say of it."""
        number = self.build.rpartition("_")[2]
        said = {
            "name": self.name,
            "version": self.version,
            "build": self.build,
            "build_number": int(number) if number.isdigit() else 0,
            "depends": list(self.depends),
            "constrains": list(self.constrains),
            "subdir": self.subdir,
            "license": "BSD-3-Clause",
            "timestamp": self.timestamp,
        }
        more = {"noarch": self.noarch, "python_site_packages_path": self.site_packages}
        return said | {key: text for key, text in more.items() if text}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A channel that lies in a folder."""

    root: Path
    url: str
    records: Mapping[str, Mapping[str, Any]]
    """``subdir/filename`` -> its record, as repodata.json has it."""

    def path(self, name: str, subdir: str = "linux-64") -> Path:
        """Return the one artefact of a name in a subdir, or in noarch."""
        found = [self.root / key for key in self.keys(name, subdir)]
        assert len(found) == 1, found
        return found[0]

    def keys(self, name: str, subdir: str = "linux-64") -> list[str]:
        """Return the ``subdir/filename`` of every record of a name, in a subdir or in noarch."""
        return sorted(
            key
            for key, record in self.records.items()
            if record["name"] == name and record["subdir"] in {subdir, "noarch"}
        )


def write(packages: Iterable[Package], root: Path) -> Channel:
    """Write packages and their repodata.json as a channel."""
    folders: dict[str, dict[str, Any]] = {each: {} for each in ("noarch", *SUBDIRS)}
    for each in packages:
        folders[each.subdir][each.filename] = _artefact(each, root)
    for subdir, found in folders.items():
        (root / subdir).mkdir(parents=True, exist_ok=True)
        parts = {
            key: {name: record for name, record in found.items() if name.endswith(form)}
            for key, form in (("packages", ".tar.bz2"), ("packages.conda", ".conda"))
        }
        whole = {"info": {"subdir": subdir}, **parts, "removed": [], "repodata_version": 1}
        text = json.dumps(whole, indent=1, sort_keys=True)
        (root / subdir / "repodata.json").write_text(text, encoding="utf-8")
    records = {
        f"{key}/{n}": record for key, found in folders.items() for n, record in found.items()
    }
    return Channel(root=root, url=root.as_uri(), records=records)


def stubs(root: Path, *more: Package) -> Channel:
    """Write the channel without anything that runs, and ``more``."""
    return write([*catalogue(), *more], root)


def runnable(root: Path, *more: Package) -> Channel:
    """Write the channel with a Python and a numpy that run here, and ``more``; once a machine.

    Raises:
        Missing: the package index gives no numpy.
    """
    return write([*catalogue(python=python_files(), numpy=numpy_files()), *more], root)


@contextlib.contextmanager
def served(channel: Channel) -> Iterator[Channel]:
    """Yield the channel under its http address on loopback."""
    handler = functools.partial(_Handler, directory=str(channel.root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}"
            yield dataclasses.replace(channel, url=url)
        finally:
            server.shutdown()
            thread.join()


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _artefact(package: Package, root: Path) -> dict[str, Any]:
    """Write one artefact; return its record."""
    files = sorted(package.files.items())
    rows = [(path, content, path in package.programs) for path, content in files]
    info: list[tuple[str, bytes | Link, bool]] = [
        ("info/index.json", _json(package.index), False),
        ("info/paths.json", _json({"paths": _paths(package), "paths_version": 1}), False),
        ("info/files", "".join(f"{path}\n" for path, _ in files).encode(), False),
    ]
    if package.noarch == "python":
        noarch = {"type": "python", "entry_points": list(package.entry_points)}
        link = {"noarch": noarch, "package_metadata_version": 1}
        info.append(("info/link.json", _json(link), False))
    if package.form == ".conda":
        blob = _conda(package.filename.removesuffix(".conda"), info, rows)
    else:
        import bz2  # noqa: PLC0415 (only some)

        blob = bz2.compress(_tar([*info, *rows]), 1)
    path = root / package.subdir / package.filename
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(blob)
    digests = {"md5": hashlib.md5(blob, usedforsecurity=False), "sha256": hashlib.sha256(blob)}
    return {
        **package.index,
        **{name: found.hexdigest() for name, found in digests.items()},
        "size": len(blob),
    }


def _paths(package: Package) -> list[dict[str, Any]]:
    found = []
    for path, content in sorted(package.files.items()):
        data = content if isinstance(content, bytes) else b""
        row: dict[str, Any] = {
            "_path": path,
            "path_type": "hardlink" if isinstance(content, bytes) else "softlink",
            "sha256": hashlib.sha256(data).hexdigest(),
            "size_in_bytes": len(data),
        }
        if path in package.prefixed:
            row |= {"prefix_placeholder": PLACEHOLDER, "file_mode": package.prefixed[path]}
        found.append(row)
    return found


def _conda(
    stem: str,
    info: list[tuple[str, bytes | Link, bool]],
    rows: list[tuple[str, bytes | Link, bool]],
) -> bytes:
    """Return an artefact of format 2: a stored zip of two zstandard tars."""
    packer, buffer = zstandard.ZstdCompressor(level=1), io.BytesIO()
    members = {
        "metadata.json": b'{"conda_pkg_format_version": 2}',
        f"pkg-{stem}.tar.zst": packer.compress(_tar(rows)),
        f"info-{stem}.tar.zst": packer.compress(_tar(info)),
    }
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), content)
    return buffer.getvalue()


def _tar(rows: Iterable[tuple[str, bytes | Link, bool]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, content, program in rows:
            row = tarfile.TarInfo(path)
            row.mtime, row.mode = 1_700_000_000, 0o755 if program else 0o644
            if isinstance(content, bytes):
                row.size = len(content)
                archive.addfile(row, io.BytesIO(content))
            else:
                row.type, row.linkname = tarfile.SYMTYPE, content[0]
                archive.addfile(row)
    return buffer.getvalue()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


@functools.cache
def python_files() -> Mapping[str, bytes | Link]:
    """Return the CPython that runs the tests, so that it runs below any prefix."""
    base = Path(sys.base_prefix)
    found: dict[str, bytes | Link] = {}
    roots = (
        base / "bin" / f"python{MINOR}",
        *base.glob("lib/libpython3*"),
        base / f"lib/python{MINOR}",
    )
    for root in roots:
        for each in (root, *sorted(root.rglob("*"))):
            name = each.relative_to(base).as_posix()
            if _LEFT_OUT.search(f"/{name}") or (each.is_dir() and not each.is_symlink()):
                continue
            if each.is_symlink() and not each.readlink().is_absolute():
                found[name] = (str(each.readlink()),)
            elif each.is_file():
                found[name] = _moved(each.read_bytes(), name, base)
    for link in ("bin/python", "bin/python3"):
        found[link] = (f"python{MINOR}",)
    return found


def _moved(content: bytes, name: str, base: Path) -> bytes:
    """Return a file that no longer names the folder that it was built for."""
    if content.startswith(b"\x7fELF"):
        old, new = f"{base}/lib\0".encode(), b"$ORIGIN/../lib\0"
        # A path of an ELF file may be shorter than it was, and end with more than one NUL.
        return content.replace(old, new.ljust(len(old), b"\0")) if len(old) >= len(new) else content
    if name.endswith("/site.py"):  # Debian's own looks into folders of its own
        return content.replace(b"dist-packages", b"site-packages")
    return content


@functools.cache
def numpy_files() -> Mapping[str, bytes | Link]:
    """Return what the wheel of numpy installs, below a prefix; fetched once a machine.

    Raises:
        Missing: the package index does not give it.
    """
    store = Path(tempfile.gettempdir()) / f"mlenv-conda-{os.getuid()}"
    store.mkdir(mode=0o700, exist_ok=True)
    if store.stat().st_uid != os.getuid():
        raise containers.Missing(f"{store} is another user's")
    place = store / f"numpy-{NUMPY}-{MINOR}-compiled"
    if not place.is_dir():
        with tempfile.TemporaryDirectory(dir=store) as name:
            work = Path(name) / "numpy"
            argv = [
                uv.find_uv_bin(),
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--compile-bytecode",
            ]
            argv += ["--target", str(work), "--python", sys.executable, f"numpy=={NUMPY}"]
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            if done.returncode:
                raise containers.Missing(f"no numpy {NUMPY}: {done.stderr.strip()[-400:]}")
            with contextlib.suppress(OSError):  # another process was faster
                work.rename(place)
    site = f"lib/python{MINOR}/site-packages"
    return {
        f"{site}/{each.relative_to(place).as_posix()}": each.read_bytes()
        for each in sorted(place.rglob("*"))
        if each.is_file() and not re.search(r"/tests/|/bin/", f"/{each}")
    }


def catalogue(
    *,
    python: Mapping[str, bytes | Link] | None = None,
    numpy: Mapping[str, bytes | Link] | None = None,
) -> list[Package]:
    """Return every package of the channel.

    Args:
        python: the files of the Python of ``MINOR`` on this machine's platform; made up without.
        numpy: likewise.
    """
    found = [*_noarch()]
    for subdir in SUBDIRS:
        here = subdir == SUBDIRS[0]
        found += _interpreters(subdir, python if here else None, numpy if here else None)
        found += _libraries(subdir)
        found += _torch(subdir)
    return found


def dist_info(site: str, name: str, version: str) -> dict[str, bytes | Link]:
    """Return what a package of Python says of itself, as conda leaves it."""
    place = f"{site}/{name.replace('-', '_')}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    return {f"{place}/METADATA": metadata.encode(), f"{place}/INSTALLER": b"conda\n"}


_GLIBC = "__glibc >=2.17,<3.0.a0"
_CUDA = {  # cuda-version -> libcublas, cuda-cudart
    "12.6": ("12.6.4.1", "12.6.77"),
    "12.8": ("12.8.4.1", "12.8.90"),
    "12.9": ("12.9.1.4", "12.9.79"),
}
_MINORS = ("3.11", "3.12", "3.13", "3.14")


def _noarch() -> Iterator[Package]:
    for version, floor in (("12.6", 12), ("12.8", 12), ("12.9", 12), ("13.0", 13)):
        constrains = (f"cudatoolkit {version}|{version}.*", f"__cuda >={floor}")
        yield Package(
            name="cuda-version",
            version=version,
            build="h0000000_3",
            constrains=constrains,
            noarch="generic",
        )
    yield Package(name="tzdata", version="2025b", build="h78e105d_0", noarch="generic")
    for minor in _MINORS:
        digits = minor.replace(".", "")
        yield Package(
            name="python_abi",
            version=minor,
            build=f"8_cp{digits}",
            constrains=(f"python {minor}.* *_cp{digits}",),
            noarch="generic",
            form=".tar.bz2",
        )
    for version, uploaded in (("4.14.0", EARLY), ("4.15.0", LATE)):
        yield Package(
            name="typing_extensions",
            version=version,
            build="pyhe01879c_0",
            depends=("python >=3.9",),
            noarch="python",
            timestamp=uploaded,
            files={
                "site-packages/typing_extensions.py": f"__version__ = {version!r}\n".encode(),
                **dist_info("site-packages", "typing_extensions", version),
            },
        )
    says = "def main():\n    import sys, typing_extensions\n    print('mlenv-demo', sys.prefix)\n"
    yield Package(
        name="mlenv-demo",
        version="1.0",
        build="pyhd8ed1ab_0",
        depends=("python >=3.10", "typing_extensions"),
        noarch="python",
        entry_points=("mlenv-demo = mlenv_demo:main",),
        files={
            "site-packages/mlenv_demo/__init__.py": says.encode(),
            **dist_info("site-packages", "mlenv-demo", "1.0"),
        },
    )


def _interpreters(
    subdir: str,
    python: Mapping[str, bytes | Link] | None,
    numpy: Mapping[str, bytes | Link] | None,
) -> Iterator[Package]:
    for minor in _MINORS:
        digits = minor.replace(".", "")
        site = f"lib/python{minor}/site-packages"
        own = minor == MINOR
        script = f"#!{PLACEHOLDER}/bin/python\nimport sys\nprint('{PLACEHOLDER}', sys.prefix)\n"
        files = (
            dict(python) if own and python else {f"lib/python{minor}/os.py": b"", "bin/python": b""}
        )
        yield Package(
            name="python",
            version=".".join(map(str, sys.version_info[:3])) if own else f"{minor}.11",
            build=f"h9e4cc4f_0_cp{digits}",
            subdir=subdir,
            depends=(_GLIBC, "libgcc >=14", "tzdata"),
            constrains=(f"python_abi {minor}.* *_cp{digits}",),
            files={**files, f"{site}/README.txt": b"site\n", "bin/whereami": script.encode()},
            programs=frozenset({"bin/whereami", f"bin/python{minor}"}),
            prefixed={"bin/whereami": "text"},
            site_packages=site,
        )
        yield Package(
            name="numpy",
            version=NUMPY,
            build=f"py{digits}h72c5963_0",
            subdir=subdir,
            depends=(
                *(_GLIBC, "libgcc >=13", f"python >={minor},<3.{int(minor[2:]) + 1}.0a0"),
                f"python_abi {minor}.* *_cp{digits}",
            ),
            constrains=("numpy-base <0a0",),
            files=numpy
            if own and numpy
            else {f"{site}/numpy/__init__.py": b"", **dist_info(site, "numpy", NUMPY)},
        )


def _libraries(subdir: str) -> Iterator[Package]:
    def library(name: str, version: str, build: str, *depends: str, **more: Any) -> Package:  # noqa: ANN401
        soname = f"lib/{name if name.startswith('lib') else 'lib' + name}.so"
        return Package(
            name=name,
            version=version,
            build=build,
            subdir=subdir,
            depends=(_GLIBC, *depends),
            files={soname: f"\x7fELF {name} {version} {subdir}".encode()},
            **more,
        )

    yield library("libgcc", "15.2.0", "h767d61c_7", form=".tar.bz2")
    yield library("libstdcxx", "15.2.0", "h8f9b012_7", "libgcc")
    for version, (cublas, cudart) in _CUDA.items():
        above = f"12.{int(version[3:]) + 1}.0a0"
        pin = f"cuda-version >={version},<{above}"
        yield library("libcublas", cublas, "h9ab20c4_0", pin, "libgcc >=13")
        yield library("cuda-cudart", cudart, "h5888daf_0", pin)
    for version in ("9.7.1.26", "9.10.2.21"):
        glibc, pin = "__glibc >=2.28,<3.0.a0", "cuda-version >=12,<13.0a0"
        yield library("cudnn", version, "hbcb9cd8_0", glibc, pin, "libcublas", "libgcc >=14")
    yield library("nccl", "2.27.5.1", "h4d09622_0", "cuda-version >=12,<13.0a0", "libstdcxx >=14")


def _torch(subdir: str) -> Iterator[Package]:
    """Yield PyTorch as conda-forge builds it: the newest has no build for CUDA 12.6."""
    variants = {
        "2.7.1": ("cpu", "cuda126", "cuda128", "cuda129"),
        "2.8.0": ("cpu", "cuda128", "cuda129"),
    }
    for version, offered in variants.items():
        for variant in offered:
            yield from _torch_build(subdir, version, variant)


def _torch_build(subdir: str, version: str, variant: str) -> Iterator[Package]:
    toolkit = f"{variant[4:6]}.{variant[6:]}" if variant != "cpu" else None
    number, label = (200, f"{variant}_generic") if toolkit else (0, "cpu_generic")
    built = f"{label}_h0abc123_{number}"
    depends = [_GLIBC, "libgcc >=14", "libstdcxx >=14"]
    kind, other = ("gpu", "cpu") if toolkit else ("cpu", "gpu")
    if toolkit:
        cublas, cudart = _CUDA[toolkit]
        depends += ["__cuda", f"cuda-version >={toolkit},<13", "cudnn >=9.7.1.26,<10.0a0"]
        depends += [f"libcublas >={cublas},<13.0a0", f"cuda-cudart >={cudart},<13.0a0"]
        depends += ["nccl >=2.27.3.1,<3.0a0"]
    constrains = (f"pytorch-{kind} {version}", f"pytorch-{other} <0.0a0")
    yield Package(
        name="libtorch",
        version=version,
        build=built,
        subdir=subdir,
        depends=tuple(depends),
        constrains=(f"pytorch {version} {label}_*_{number}", *constrains),
        files={"lib/libtorch.so": f"\x7fELF libtorch {version} {built} {subdir}".encode()},
    )
    for minor in _MINORS:
        digits, site = minor.replace(".", ""), f"lib/python{minor}/site-packages"
        says = (
            f"__version__ = {version!r}\n\n\nclass version:\n    cuda = {toolkit!r}\n\n\n"
            "class cuda:\n    @staticmethod\n    def is_available():\n        return False\n"
        )
        yield Package(
            name="pytorch",
            version=version,
            build=f"{label}_py{digits}_h0def456_{number}",
            subdir=subdir,
            depends=(
                *(*depends, f"libtorch {version} {built}"),
                *(
                    f"python >={minor},<3.{int(minor[2:]) + 1}.0a0",
                    f"python_abi {minor}.* *_cp{digits}",
                ),
                *("numpy >=1.23,<3", "typing_extensions >=4.10.0"),
            ),
            constrains=constrains,
            files={f"{site}/torch/__init__.py": says.encode(), **dist_info(site, "torch", version)},
        )
    yield Package(
        name=f"pytorch-{kind}",
        version=version,
        build=f"{label}_h111_{number}",
        subdir=subdir,
        depends=(f"pytorch {version} {label}*{number}",),
    )
