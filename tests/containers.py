"""Container images for the tests: a real registry on loopback, and real base images made by hand.

No engine takes part. A base is a Debian by mmdebstrap and the CPython of this machine, as layers
and a config like those of the official image; it is made once for a machine and kept. Nothing
here reaches a registry of the world, and ``nowhere`` sees to it that the tests do not either.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import fcntl
import functools
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
import uv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

DEBIAN = "bookworm"
PATH = "/usr/local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PACKAGES = (
    "ca-certificates,libssl3,libsqlite3-0,libffi8,libreadline8,liblzma5,libbz2-1.0,"
    "libncursesw6,zlib1g,libuuid1,libexpat1"
)
"""What a CPython is linked to."""

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."
INDEX, OCI_MANIFEST = f"{OCI}index.v1+json", f"{OCI}manifest.v1+json"
LIST, DOCKER_MANIFEST = (f"{DOCKER}distribution.manifest{part}.v2+json" for part in (".list", ""))
_KINDS = {
    OCI_MANIFEST: (f"{OCI}config.v1+json", f"{OCI}layer.v1.tar+gzip"),
    DOCKER_MANIFEST: (f"{DOCKER}container.image.v1+json", f"{DOCKER}image.rootfs.diff.tar.gzip"),
}

_LEFT_OUT = re.compile(
    r"/(test|tests|__pycache__|idlelib|tkinter|ensurepip)(/|$)"
    r"|/config-3|/site-packages/.|\.a$"
)
_PYTHON_FILES = re.compile(r"bin/python3(\.\d+)?$|lib(/libpython3|/python3\.|$)|include(/|$)")


class Missing(Exception):  # noqa: N818 (it is a reason to skip, not a fault)
    """A program, or a Python, that this machine does not have."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image as files: blobs below ``folder`` by the hex of their digest."""

    folder: Path
    config: Mapping[str, Any]
    layers: tuple[Path, ...]
    """Gzipped tars, the lowest first."""
    diff_ids: tuple[str, ...]
    python: str | None = None
    """The full version of the Python in it."""

    def config_bytes(self) -> bytes:
        """Return the config as it is pushed."""
        rootfs = {"type": "layers", "diff_ids": list(self.diff_ids)}
        return _json({**self.config, "rootfs": rootfs})

    def manifest_bytes(self, kind: str = OCI_MANIFEST) -> bytes:
        """Return the manifest, as OCI's or as Docker's."""
        config, layer = _KINDS[kind]
        return _json(
            {
                "schemaVersion": 2,
                "mediaType": kind,
                "config": _descriptor(config, self.config_bytes()),
                "layers": [_descriptor(layer, each.read_bytes()) for each in self.layers],
            }
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """A running ``docker-registry``."""

    port: int
    folder: Path

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    def push(
        self,
        image: Image,
        repository: str,
        tag: str,
        *,
        kind: str = OCI_MANIFEST,
        index: bool = True,
    ) -> str:
        """Push an image; return the digest that the tag names.

        Args:
            image: what to push.
            repository: such as ``library/python``.
            tag: its tag.
            kind: OCI's or Docker's manifest; the index is of the same make.
            index: whether the tag names an index of one platform, as official images do.
        """
        for each in image.layers:
            self.blob(repository, each.read_bytes())
        self.blob(repository, image.config_bytes())
        manifest = image.manifest_bytes(kind)
        if not index:
            return self.manifest(repository, tag, manifest, kind)
        self.manifest(repository, _digest(manifest), manifest, kind)
        whole = INDEX if kind == OCI_MANIFEST else LIST
        platform = {key: image.config[key] for key in ("architecture", "os")}
        rows = [{**_descriptor(kind, manifest), "platform": platform}]
        content = _json({"schemaVersion": 2, "mediaType": whole, "manifests": rows})
        return self.manifest(repository, tag, content, whole)

    def blob(self, repository: str, content: bytes) -> str:
        """Upload one blob; return its digest."""
        digest = _digest(content)
        with _session() as session:
            url = f"http://{self.address}/v2/{repository}/blobs/"
            if session.head(url + digest, timeout=60).status_code != 200:
                started = session.post(f"{url}uploads/", timeout=60)
                started.raise_for_status()
                place = started.headers["Location"]
                done = session.put(
                    f"{place}{'&' if '?' in place else '?'}digest={digest}",
                    data=content,
                    headers={"Content-Type": "application/octet-stream"},
                    timeout=600,
                )
                done.raise_for_status()
        return digest

    def manifest(self, repository: str, tag: str, content: bytes, kind: str) -> str:
        """Upload a manifest or an index under a tag or its digest; return its digest."""
        with _session() as session:
            done = session.put(
                f"http://{self.address}/v2/{repository}/manifests/{tag}",
                data=content,
                headers={"Content-Type": kind},
                timeout=60,
            )
            done.raise_for_status()
        return _digest(content)


@contextlib.contextmanager
def registry(
    folder: Path | None = None, *, extra: Mapping[str, Any] | None = None
) -> Iterator[Hub]:
    """Yield a running registry on a free loopback port; it and what it holds go at the end.

    Args:
        folder: where its blobs lie; a temporary one without.
        extra: sections of its configuration, such as ``auth``.
    """
    program = _program("docker-registry")
    with contextlib.ExitStack() as stack:
        place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = _free_port()
        config = {
            "version": 0.1,
            "log": {"level": "error"},
            "storage": {
                "filesystem": {"rootdirectory": str(place / "data")},
                "delete": {"enabled": True},
            },
            "http": {"addr": f"127.0.0.1:{port}"},
            **(extra or {}),
        }
        (place / "config.yml").write_bytes(_json(config))  # JSON is YAML
        log = stack.enter_context((place / "registry.log").open("wb"))
        server = subprocess.Popen(
            [program, "serve", str(place / "config.yml")], stdout=log, stderr=log
        )
        try:
            _wait(server, port, place / "registry.log")
            yield Hub(port=port, folder=place)
        finally:
            server.kill()
            server.wait()


def registries_conf(path: Path, port: int) -> Path:
    """Write a registries.conf that sends docker.io and ghcr.io to a loopback port; return it."""
    address = f"127.0.0.1:{port}"
    tables = [
        f'[[registry]]\nprefix = "{name}"\nlocation = "{address}"\ninsecure = true\n'
        for name in ("docker.io", "ghcr.io", address)
    ]
    path.write_text("\n".join(('unqualified-search-registries = ["docker.io"]\n', *tables)))
    return path


def nowhere(path: Path) -> Path:
    """Write a registries.conf that sends docker.io and ghcr.io to where nobody listens."""
    return registries_conf(path, _closed_port())


def host_python(version: str) -> tuple[Path, str]:
    """Return the prefix and the full version of this machine's CPython ``3.X``.

    Raises:
        Missing: there is none that runs.
    """
    code = "import sys, platform; print(sys.base_prefix); print(platform.python_version())"
    own = Path(sys.base_prefix)
    # A name may be there and not run (a pyenv shim), so the prefixes beside our own are tried too.
    beside = sorted(own.parent.glob(f"{version}.*/bin/python{version}"))
    for each in map(str, (f"python{version}", own / f"bin/python{version}", *beside)):
        try:
            done = subprocess.run(
                [each, "-I", "-c", code], capture_output=True, text=True, check=False
            )
        except OSError:
            continue
        prefix, _, full = done.stdout.strip().partition("\n")
        if done.returncode == 0 and full.startswith(f"{version}."):
            return Path(prefix), full
    raise Missing(f"there is no CPython {version} on this machine")


def base_image(version: str) -> Image:
    """Return an image like ``python:3.X-slim-bookworm``; made once for a machine, and kept.

    Where this machine's CPython is Debian's own (its prefix is /usr), the image has that of its
    Debian, perhaps of another minor: ``Image.python`` says which.

    Raises:
        Missing: no CPython of that version, or no mmdebstrap, or no mirror of Debian.
    """
    prefix, full = host_python(version)
    if prefix == Path("/usr"):
        return _kept(("debian-python", _MADE, PACKAGES), _with_debians)
    debian = debian_image()
    parts = ("python", _MADE, full, str(prefix), debian.diff_ids[0])
    return _kept(parts, lambda place: _with_python(place, debian, prefix, full))


def debian_image() -> Image:
    """Return an image like ``debian:bookworm-slim``, with what a CPython is linked to.

    Raises:
        Missing: no mmdebstrap, or no mirror of Debian.
    """
    return _kept(("debian", _MADE, PACKAGES), _debian)


def uv_image() -> Image:
    """Return an image like ``ghcr.io/astral-sh/uv``: nothing but uv, at /uv."""
    program = Path(uv.find_uv_bin())

    def make(place: Path) -> None:
        layer = _layer(place, "uv", (("uv", program.read_bytes(), 0o755),))
        config = {"Entrypoint": ["/uv"], "WorkingDir": "/io"}
        _write(place, (layer,), config, python=None)

    return _kept(("uv", _MADE, _digest(program.read_bytes())), make)


def uv_tag() -> str:
    """Return the version of the uv that is installed here."""
    done = subprocess.run(
        [uv.find_uv_bin(), "--version"], capture_output=True, text=True, check=True
    )
    return done.stdout.split()[1]


def published(hub: Hub, version: str) -> Mapping[str, str]:
    """Push the base of a Python and the uv image under their real names; return their digests."""
    tag, image = uv_tag(), base_image(version)
    own = ".".join((image.python or version).split(".")[:2])
    python = hub.push(image, "library/python", f"{own}-slim-{DEBIAN}")
    return {
        f"docker.io/library/python:{own}-slim-{DEBIAN}": python,
        f"ghcr.io/astral-sh/uv:{tag}": hub.push(uv_image(), "astral-sh/uv", tag),
    }


def made_image(
    files: Iterable[Mapping[str, bytes | None]],
    folder: Path,
    *,
    config: Mapping[str, Any] | None = None,
    architecture: str = "amd64",
) -> Image:
    """Return a small image of given files, one mapping a layer; None stands for a whiteout."""
    folder.mkdir(parents=True, exist_ok=True)
    layers = tuple(
        _layer(folder, str(number), tuple(_whited(each))) for number, each in enumerate(files)
    )
    _write(folder, layers, config or {}, python=None, architecture=architecture)
    return _read(folder)


_MADE = "2"
"""Counted up where this file makes other images than before."""


def _whited(files: Mapping[str, bytes | None]) -> Iterator[tuple[str, bytes, int]]:
    for name, content in files.items():
        head, _, tail = name.rpartition("/")
        if content is None:
            yield f"{head}/.wh.{tail}".lstrip("/"), b"", 0o644
        else:
            yield name, content, 0o755


def _debian(place: Path) -> None:
    tar = place / "debian.tar"
    _mmdebstrap(tar, PACKAGES)
    _write(place, (_packed(tar),), {"Env": [f"PATH={PATH}"], "Cmd": ["bash"]}, python=None)


def _with_debians(place: Path) -> None:
    tar = place / "debian.tar"
    _mmdebstrap(tar, f"{PACKAGES},python3")
    with tarfile.open(tar) as archive:
        packages = archive.extractfile("./var/lib/dpkg/status")
        assert packages is not None
        row = re.search(
            r"^Package: python(3\.\d+)-minimal\n(?:.+\n)*?Version: ([\d.]+)",
            packages.read().decode(),
            re.MULTILINE,
        )
    assert row is not None
    names = ("python", "python3", f"python{row[1]}")
    links = {f"usr/local/bin/{name}": f"/usr/bin/python{row[1]}" for name in names}
    layers = (_packed(tar), _linked(place, links))
    _write(place, layers, _python_config(row[2]), python=row[2])


def _with_python(place: Path, debian: Image, prefix: Path, full: str) -> None:
    tar = place / "python.tar"
    with tarfile.open(tar, "w", format=tarfile.PAX_FORMAT) as archive:
        for each in sorted(prefix.rglob("*")):
            name = str(each.relative_to(prefix))
            if _PYTHON_FILES.match(name) and not _LEFT_OUT.search(f"/{name}"):
                archive.add(each, f"usr/local/{name}", recursive=False, filter=_plain)
        cache = _library_cache(debian.layers[0], prefix)
        archive.addfile(_row("etc/ld.so.cache", len(cache)), io.BytesIO(cache))
    links = _linked(place, {"usr/local/bin/python": "python3"})
    base = place / "debian.gz"
    base.write_bytes(debian.layers[0].read_bytes())
    layers = ((base, debian.diff_ids[0]), _packed(tar), links)
    _write(place, layers, _python_config(full), python=full)


def _library_cache(rootfs: Path, prefix: Path) -> bytes:
    """Return the ld.so.cache of a root file system that has a Python's library too."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        parts = ("./lib*", "./usr/lib*", "./etc/ld.so.conf*", "./usr/sbin/ldconfig")
        unpack = ["tar", "-xzf", str(rootfs), "-C", name, "--wildcards", "--no-same-owner"]
        subprocess.run([*unpack, *parts], check=False, stderr=subprocess.DEVNULL)
        (root / "usr/local/lib").mkdir(parents=True)
        for each in (prefix / "lib").glob("libpython3*"):
            shutil.copy2(each, root / "usr/local/lib", follow_symlinks=False)
        own = [] if os.geteuid() == 0 else ["unshare", "--map-root-user"]
        path = {"PATH": f"/usr/sbin:/sbin:{os.environ['PATH']}"}
        subprocess.run([*own, "ldconfig", "-r", name], check=True, env=path)
        return (root / "etc/ld.so.cache").read_bytes()


def _python_config(full: str) -> dict[str, Any]:
    env = [f"PATH={PATH}", "LANG=C.UTF-8", f"PYTHON_VERSION={full}"]
    return {"Env": env, "Cmd": ["python3"]}


def _mmdebstrap(tar: Path, packages: str) -> None:
    left = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
    swept = 'rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin'
    argv = [
        *(_program("mmdebstrap"), "--quiet", "--variant=minbase", f"--include={packages}"),
        *(f"--dpkgopt=path-exclude={each}" for each in left),
        *(f"--customize-hook={swept}", DEBIAN, str(tar), _mirror()),
    ]
    epoch = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    done = subprocess.run(argv, env=epoch, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Missing(f"mmdebstrap made no base: {done.stderr.strip()[-400:]}")


@functools.cache
def _mirror() -> str:
    """Return the mirror of Debian that this machine's apt is set up with."""
    argv = [_program("apt-get"), "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    rows = [line.split() for line in done.stdout.splitlines()]
    for wanted in (DEBIAN, ""):
        for row in rows:
            if len(row) == 3 and row[0].startswith(wanted) and row[1] == "main":
                return row[2]
    raise Missing("apt is set up with no mirror of Debian")


def _kept(parts: Iterable[str], make: Callable[[Path], None]) -> Image:
    """Return the image that ``make`` leaves in a folder, or the one that it left before."""
    store = Path(tempfile.gettempdir()) / f"mlenv-images-{os.getuid()}"
    store.mkdir(mode=0o700, exist_ok=True)
    if store.stat().st_uid != os.getuid():
        raise Missing(f"{store} is another user's")
    place = store / hashlib.sha256(_json(list(parts))).hexdigest()[:24]
    with (store / f"{place.name}.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            with tempfile.TemporaryDirectory(dir=store) as name:
                work = Path(name) / "image"
                work.mkdir()
                make(work)
                work.rename(place)
    return _read(place)


def _write(
    place: Path,
    layers: Iterable[tuple[Path, str]],
    config: Mapping[str, Any],
    *,
    python: str | None,
    architecture: str = "amd64",
) -> None:
    rows = list(layers)
    document = {
        "image": {
            "architecture": architecture,
            "os": "linux",
            "created": "2023-11-14T22:13:20Z",
            "config": config,
            # Without one buildah commits nothing on top.
            "history": [{"created_by": path.name} for path, _ in rows],
        },
        "layers": [path.name for path, _ in rows],
        "diff_ids": [diff_id for _, diff_id in rows],
        "python": python,
    }
    (place / "image.json").write_bytes(_json(document))


def _read(place: Path) -> Image:
    found = json.loads((place / "image.json").read_bytes())
    return Image(
        folder=place,
        config=found["image"],
        layers=tuple(place / name for name in found["layers"]),
        diff_ids=tuple(found["diff_ids"]),
        python=found["python"],
    )


def _packed(tar: Path) -> tuple[Path, str]:
    """Return a tar as a gzip blob, and its diff id; the tar goes."""
    packed = tar.with_suffix(".gz")
    digest = hashlib.sha256()
    with (
        tar.open("rb") as source,
        packed.open("wb") as raw,
        gzip.GzipFile("", "wb", 3, raw, mtime=0) as target,
    ):
        while chunk := source.read(1 << 20):
            digest.update(chunk)
            target.write(chunk)
    tar.unlink()
    return packed, f"sha256:{digest.hexdigest()}"


def _layer(place: Path, name: str, files: Iterable[tuple[str, bytes, int]]) -> tuple[Path, str]:
    tar = place / f"{name}.tar"
    with tarfile.open(tar, "w", format=tarfile.PAX_FORMAT) as archive:
        for path, content, mode in files:
            archive.addfile(_row(path, len(content), mode), io.BytesIO(content))
    return _packed(tar)


def _linked(place: Path, links: Mapping[str, str]) -> tuple[Path, str]:
    tar = place / "links.tar"
    with tarfile.open(tar, "w", format=tarfile.PAX_FORMAT) as archive:
        for path, target in links.items():
            row = _row(path, 0, 0o777)
            row.type, row.linkname = tarfile.SYMTYPE, target
            archive.addfile(row)
    return _packed(tar)


def _row(path: str, size: int, mode: int = 0o644) -> tarfile.TarInfo:
    row = tarfile.TarInfo(path)
    row.size, row.mode = size, mode
    return row


def _plain(row: tarfile.TarInfo) -> tarfile.TarInfo:
    row.uid = row.gid = 0
    row.uname = row.gname = ""
    row.mtime = 0
    return row


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _descriptor(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": _digest(content), "size": len(content)}


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # the tests lead proxies to the loopback index
    return session


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise Missing(f"there is no {name}")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


_CLOSED: list[socket.socket] = []


def _closed_port() -> int:
    """Return a port that stays taken while the tests run, and that nobody listens on."""
    if not _CLOSED:
        _CLOSED.append(socket.socket())
        _CLOSED[0].bind(("127.0.0.1", 0))
        atexit.register(_CLOSED[0].close)
    return int(_CLOSED[0].getsockname()[1])


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if server.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"docker-registry does not serve: {log.read_text()[-400:]}")
