"""Measure images: a naive Dockerfile, mlenv's Dockerfile and mlenv's own assembly, of one lock.

    python bench/image.py [--framework cupy] [--cuda 13.0] [--routes naive,docker,assembled]

Each route builds and pushes twice: from nothing, and after one light package has moved (rich 14.0
to 14.1). It starts a registry and a Docker daemon of its own (root, dockerd and docker-registry are
needed) with a base image made here, and leaves nothing. Bytes are what the registry grew by, so
they are compressed bytes. The table goes to stderr, the numbers as JSON to stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import containers  # noqa: E402 (the tests' own servers)
import engines  # noqa: E402
from mlenv.host.docker_engine import find_docker  # noqa: E402
from mlenv.solve.index import default_index  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Mapping

MLENV = (sys.executable, "-m", "mlenv")
PYTHON = "3.12"
SPEC = """\
name      = "bench"
python    = "3.12"
framework = "{framework}"
cuda      = "{cuda}"
packages  = ["rich=={rich}"]
"""
LIGHT = ("14.0.0", "14.1.0")

GOALS = {
    "pushed again / image": 0.02,
    "rebuild docker / rebuild naive": 0.1,
    "assembled / docker": 0.35,
    "assembled again / docker again": 0.25,
}

NAIVE = """\
FROM {uv} AS uv
FROM python:{python}-slim-bookworm
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never UV_NO_CONFIG=1 \\
    UV_CACHE_DIR=/var/cache/uv PATH=/opt/venv/bin:$PATH VIRTUAL_ENV=/opt/venv
COPY all.txt /all.txt
RUN --mount=type=bind,from=uv,source=/uv,target=/usr/local/bin/uv \\
    --mount=type=cache,target=/var/cache/uv --mount=type=secret,id=ca \\
    --mount=type=secret,id=uv-index \\
    if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca; fi; \\
    export UV_DEFAULT_INDEX="$(cat /run/secrets/uv-index)"; \\
    uv venv /opt/venv && uv pip install --require-hashes --no-deps -r /all.txt
"""
"""What a careful person writes: a cache mount, hashes, bytecode, and one layer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One route: from nothing, and after a light package has moved."""

    route: str
    seconds: float
    bytes: int
    again_seconds: float
    again_bytes: int


class Site:
    """Where it is measured."""

    def __init__(self, hub: containers.Hub, folder: Path, environ: Mapping[str, str]) -> None:
        """Know the registry, a folder, and the variables that lead to the daemon."""
        self.hub = hub
        self.folder = folder
        self.environ = dict(environ)

    def run(self, *argv: str) -> None:
        """Run a program; what it says is shown where it fails."""
        done = subprocess.run(
            argv, env=self.environ, capture_output=True, text=True, check=False, cwd=self.folder
        )
        if done.returncode:
            sys.exit(f"{' '.join(argv)}\n{done.stdout}{done.stderr}")

    def timed(self, *commands: tuple[str, ...]) -> tuple[float, int]:
        """Run commands; return their seconds and what the registry grew by."""
        before, begun = self.stored(), time.monotonic()
        for each in commands:
            self.run(*each)
        return time.monotonic() - begun, self.stored() - before

    def stored(self) -> int:
        """Return the bytes of all blobs of the registry."""
        blobs = self.hub.folder / "data/docker/registry/v2/blobs"
        return sum(each.stat().st_size for each in blobs.rglob("data"))


def locks(site: Site, framework: str, cuda: str) -> tuple[Path, Path]:
    """Lock both specs; return their folders."""
    found = []
    for number, rich in enumerate(LIGHT):
        spec = site.folder / f"{number}.toml"
        spec.write_text(SPEC.format(framework=framework, cuda=cuda, rich=rich), encoding="utf-8")
        out = site.folder / f"out{number}"
        site.run(*MLENV, "build", str(spec), "--out", str(out))
        found.append(out / "bench")
    return found[0], found[1]


def mlenv_route(site: Site, route: str, folders: tuple[Path, Path]) -> Row:
    """Measure ``mlenv image`` by a route."""
    engine = "none" if route == "assembled" else route
    rows = []
    for number, folder in enumerate(folders):
        target = f"{site.hub.address}/{route}/bench:{number}"
        words = (*MLENV, "image", str(folder), "--engine", engine, "--push", target)
        uv = f"UV_IMAGE={site.hub.address}/astral-sh/uv:{containers.uv_tag()}"
        own = () if engine == "none" else ("--build-arg", uv, "--network", "host")
        rows.append(site.timed((*words, "--no-imports", *own)))
    (seconds, size), (again, grown) = rows
    return Row(route=route, seconds=seconds, bytes=size, again_seconds=again, again_bytes=grown)


def naive_route(site: Site, folders: tuple[Path, Path]) -> Row:
    """Measure a Dockerfile with one layer for all packages."""
    engine, why = find_docker()
    if engine is None:
        sys.exit(why)
    client = engine.program
    place = site.folder / "naive"
    place.mkdir()
    text = NAIVE.format(uv=f"{site.hub.address}/astral-sh/uv:{containers.uv_tag()}", python=PYTHON)
    (place / "Dockerfile").write_text(text, encoding="utf-8")
    index = site.folder / "index"
    index.write_text(default_index(), encoding="utf-8")
    secrets = ["--secret", f"id=uv-index,src={index}"]
    if bundle := os.environ.get("SSL_CERT_FILE"):
        secrets += ["--secret", f"id=ca,src={bundle}"]
    rows = []
    for number, folder in enumerate(folders):
        files = sorted((folder / "layers").glob("*.txt"))
        every = "".join(each.read_text(encoding="utf-8") for each in files)
        (place / "all.txt").write_text(every, encoding="utf-8")
        target = f"{site.hub.address}/naive/bench:{number}"
        build = ("build", "--network", "host", *secrets, "--tag", target, str(place))
        rows.append(site.timed((client, *build), (client, "push", target)))
    (seconds, size), (again, grown) = rows
    return Row(route="naive", seconds=seconds, bytes=size, again_seconds=again, again_bytes=grown)


def ratios(rows: Mapping[str, Row], image: int) -> dict[str, float]:
    """Return what the goals are about, of the routes that were measured."""
    found = {}
    naive, docker, own = (rows.get(each) for each in ("naive", "docker", "assembled"))
    if own:
        found["pushed again / image"] = own.again_bytes / image
    if docker and naive:
        found["rebuild docker / rebuild naive"] = docker.again_seconds / naive.again_seconds
    if own and docker:
        found["assembled / docker"] = own.seconds / docker.seconds
        found["assembled again / docker again"] = own.again_seconds / docker.again_seconds
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--framework", default="cupy")
    parser.add_argument("--cuda", default="13.0")
    parser.add_argument("--routes", default="assembled,docker,naive")
    asked = parser.parse_args()
    with ExitStack() as stack:
        hub = stack.enter_context(containers.registry())
        mirror = f"http://{hub.address}"
        daemon = stack.enter_context(engines.daemon(mirror=mirror))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        conf = containers.registries_conf(folder / "registries.conf", hub.port)
        containers.published(hub, PYTHON)
        environ = {
            **os.environ,
            **daemon.environment,
            "CONTAINERS_REGISTRIES_CONF": str(conf),
            "MLENV_CACHE_DIR": str(folder / "cache"),
            "DOCKER_BUILDKIT": "1",
            "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),  # as where mlenv is installed
        }
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ.update(daemon.environment)
        site = Site(hub, folder, environ)
        folders = locks(site, asked.framework, asked.cuda)
        rows = {}
        for route in asked.routes.split(","):
            rows[route] = (
                naive_route(site, folders)
                if route == "naive"
                else mlenv_route(site, route, folders)
            )
            print(rows[route], file=sys.stderr)
        found = ratios(rows, max(each.bytes for each in rows.values()))
    for name, value in found.items():
        print(f"{name:<34} {value:6.3f}   goal {GOALS[name]}", file=sys.stderr)
    print(json.dumps({"rows": [asdict(each) for each in rows.values()], "ratios": found}, indent=1))


if __name__ == "__main__":
    main()
