"""Images for the tests: a spec of made-up wheels of a loopback index, on a made-up base.

The base holds what an assembly looks for, in a few kilobytes, and names the Python that runs the
tests: so the bytecode in a layer is real. What is pushed goes to a registry on loopback.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import hashlib
import json
import platform
import sys
from typing import TYPE_CHECKING, Any

import requests

from containers import OCI_MANIFEST, made_image, uv_tag
from drive import TODAY, catalog, desk
from facts import DEFAULT, Root
from loopback import wheel
from mlenv.build.job import build
from mlenv.build.verdict import Order as Lock
from mlenv.image.pieces import HEAVY_BYTES
from mlenv.imaging import job
from mlenv.imaging.locked import locked
from mlenv.imaging.order import Desk, Order
from mlenv.imaging.pinning import from_environment
from mlenv.spec.parse import parse_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from archives import Artefact
    from containers import Hub, Image
    from mlenv.catalog.load import Catalog
    from mlenv.imaging.order import Made

PYTHON = "{}.{}".format(*sys.version_info)
FULL = platform.python_version()
GLIBC = "2.36-9+deb12u13"
_DPKG = "Package: libc6\nStatus: install ok installed\nVersion: {}\n\n"
BASE_TAG = f"{PYTHON}-slim-bookworm"
_ENTRY = "[console_scripts]\ntool = example_tool:main\n"
SPEC = f"""
name = "small"
python = "{PYTHON}"
cuda = "cpu"
packages = ["example-heavy", "example-light", "example-tool"]
[image]
labels = {{ "org.example.team" = "vision" }}
"""
ARCHES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}


def process(platform: str) -> Artefact:
    """Return the wheel of a first process, of a few bytes."""
    files = {"dumb_init-1.2.5.data/scripts/dumb-init": b"\x7fELF of " + platform.encode()}
    tag = f"py3-none-manylinux_2_17_{ARCHES[platform]}"
    return wheel("dumb-init", "1.2.5", tag=tag, requires_python="", files=files)


def shelf() -> Root:
    """Return an index with what ``SPEC`` needs; one wheel is heavy enough for a layer of its own.

    ``example-light`` has a newer release, of after ``drive.TODAY``.
    """
    root = Root(DEFAULT)
    for name, version, day in (("light", "1.0", "2025-05-01"), ("light", "1.1", "2026-02-01")):
        root.add(wheel(f"example-{name}", version), uploaded=day)
    noise = {f"example_heavy/{n}.bin": _noise(n, HEAVY_BYTES // 4 + 1) for n in range(4)}
    root.add(wheel("example-heavy", "1.0", files={"example_heavy/__init__.py": "", **noise}))
    tool = {
        "example_tool.py": "def main() -> int:\n    return 0\n",
        "example_tool-1.0.dist-info/entry_points.txt": _ENTRY,
    }
    root.add(wheel("example-tool", "1.0", ["example-light"], files=tool))
    for each in ARCHES:
        root.add(process(each))
    return root


def _noise(seed: int, size: int) -> bytes:
    """Return bytes that no compressor makes smaller, the same each time."""
    return hashlib.shake_256(bytes([seed])).digest(size)


def facts() -> Catalog:
    """Return the catalog of the tests, with the made-up first process."""
    found = catalog()
    rows = []
    for each in found.facts.init:
        made = process(each.platform)
        told = {
            "version": made.version,
            "filename": made.filename,
            "sha256": hashlib.sha256(made.content).hexdigest(),
            "size": len(made.content),
        }
        rows.append(each.model_copy(update=told))
    found.__dict__["facts"] = found.facts.model_copy(update={"init": tuple(rows)})
    return found


def base(
    folder: Path,
    *,
    glibc: str | None = GLIBC,
    musl: bool = False,
    python: str = PYTHON,
    architecture: str = "amd64",
    config: Mapping[str, Any] | None = None,
) -> Image:
    """Return a base image that says all that an assembly asks."""
    files: dict[str, bytes | None] = {
        "etc/passwd": b"root:x:0:0:root:/root:/bin/bash\n",
        "bin/sh": b"#!",
        f"usr/local/bin/python{python}": b"#!",
        f"usr/local/include/python{python}/patchlevel.h": f'#define PY_VERSION "{FULL}"\n'.encode(),
    }
    if glibc:
        files["var/lib/dpkg/status"] = _DPKG.format(glibc).encode()
    if musl:
        files["lib/ld-musl-x86_64.so.1"] = b"\x7fELF"
    told = {"Env": ["PATH=/usr/local/bin:/bin"], **(config or {})}
    return made_image(
        [files, {"etc/motd": b"hi\n"}], folder, config=told, architecture=architecture
    )


def publish(hub: Hub, image: Image) -> str:
    """Push a base, and an image of uv's name, under their real names; return the base's digest."""
    hub.push(image, "astral-sh/uv", uv_tag())
    return hub.push(image, "library/python", BASE_TAG)


def lock(out: Path, cache: Path, spec: str = SPEC, *, today: str = TODAY, **words: Any) -> Path:  # noqa: ANN401 (of an order)
    """Lock ``spec`` with its recipe; return its folder."""
    parsed = parse_spec(spec, origin="spec.toml")
    asked = dataclasses.replace(Lock(out=out, today=today), **words)
    with desk(cache) as at, from_environment(offline=False) as pinner:
        (outcome,) = build(parsed, facts(), at, asked, pinner)
    assert outcome.folder, outcome.reasons
    return outcome.folder


def make(
    folder: Path,
    cache: Path,
    *,
    say: Callable[[str], None] = lambda _: None,
    offline: bool = False,
    **order: Any,  # noqa: ANN401 (of an order)
) -> Made:
    """Make the image of a locked folder, without an engine."""
    found = locked(folder)
    with desk(cache, indexes=found.indexes) as at:
        own = Desk(web=at.web, cache=cache, offline=offline, say=say, tell=say)
        return job.make(found, Order(**{"engine": "none", **order}), own)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """An image as its registry has it."""

    digest: str
    manifest: Mapping[str, Any]
    config: Mapping[str, Any]
    layers: tuple[bytes, ...]

    @property
    def digests(self) -> tuple[str, ...]:
        """Those of the layers, the lowest first."""
        return tuple(each["digest"] for each in self.manifest["layers"])

    def texts(self) -> Iterator[tuple[str, bytes]]:
        """Yield every document and every layer, unpacked."""
        yield "manifest", json.dumps(self.manifest).encode()
        yield "config", json.dumps(self.config).encode()
        for digest, each in zip(self.digests, self.layers, strict=True):
            yield digest, gzip.decompress(each)


def tags(hub: Hub, repository: str) -> list[str]:
    """Return the tags that a repository has."""
    with session() as asked:
        answer = asked.get(f"http://{hub.address}/v2/{repository}/tags/list", timeout=30)
    return answer.json().get("tags") or [] if answer.ok else []


def pull(hub: Hub, repository: str, tag: str) -> Pulled:
    """Return an image with every blob of it, each checked by its digest."""
    url = f"http://{hub.address}/v2/{repository}"
    kinds = (OCI_MANIFEST, "application/vnd.docker.distribution.manifest.v2+json")
    with session() as asked:

        def blob(digest: str) -> bytes:
            answer = asked.get(f"{url}/blobs/{digest}", timeout=60)
            answer.raise_for_status()
            assert digest == f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
            return answer.content

        answer = asked.get(
            f"{url}/manifests/{tag}", headers={"Accept": ", ".join(kinds)}, timeout=30
        )
        answer.raise_for_status()
        manifest = answer.json()
        assert answer.headers["Content-Type"] == manifest["mediaType"]
        return Pulled(
            digest=f"sha256:{hashlib.sha256(answer.content).hexdigest()}",
            manifest=manifest,
            config=json.loads(blob(manifest["config"]["digest"])),
            layers=tuple(blob(each["digest"]) for each in manifest["layers"]),
        )


@contextlib.contextmanager
def session() -> Iterator[requests.Session]:
    """Yield a session that asks loopback itself, not the proxy that leads to the index."""
    with requests.Session() as found:
        found.trust_env = False
        yield found
