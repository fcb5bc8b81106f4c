"""Images of conda stacks that a real engine builds or loads: non-root, whole, and as locked."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import condachannel
import containers
import engines
from mlenv.host.docker_engine import find_docker
from mlenv.imaging.engine_build import EngineWish, build

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from condachannel import Channel
    from containers import Hub
    from mlenv.imaging.engine_build import Built

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.timeout(900)]

SPEC = """
name = "{name}"
python = "{minor}"
backend = "conda"
cuda = "cpu"
packages = ["numpy", "mlenv-demo", "einops"]
{more}
[lock]
channels = ["{url}"]
exclude-newer = "2025-09-01"
"""
TORCH = """
framework = "torch==2.8.*"
[targets.default]
cuda = "12.8"
gpus = ["H100"]
driver = ">=570.26"
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A channel and a registry that stand for the world's, an engine, and a locked folder."""

    hub: Hub
    channel: Channel
    daemon: engines.Daemon
    place: Path
    environment: dict[str, str]

    def folder(self, name: str, more: str = "") -> Path:
        """Return the folder that ``mlenv build`` writes for a spec."""
        spec, out = self.place / f"{name}.toml", self.place / "images"
        url, minor = self.channel.url, condachannel.MINOR
        spec.write_text(SPEC.format(name=name, minor=minor, url=url, more=more), encoding="utf-8")
        self.mlenv("build", str(spec), "--out", str(out))
        return out / name

    def mlenv(self, *words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "mlenv", *words],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done

    def run(self, image: str, *words: str) -> str:
        done = self.daemon.docker(
            *("run", "--rm", "--network", "none", "--read-only", "--user", "12345"), image, *words
        )
        return done.stdout.strip()


@pytest.fixture(scope="module")
def site(conda_channel: Channel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if reason := engines.lacking():
        pytest.skip(reason)
    place = tmp_path_factory.mktemp("site")
    try:
        with containers.registry() as hub, condachannel.served(conda_channel) as channel:
            containers.published(hub, "3.12")
            hub.push(containers.debian_image(), "library/debian", "bookworm-slim")
            own = containers.registries_conf(place / "registries.conf", hub.port)
            with engines.daemon(mirror=f"http://{hub.address}") as daemon:
                environment = {
                    **daemon.environment,
                    "CONTAINERS_REGISTRIES_CONF": str(own),
                    "MLENV_CACHE_DIR": str(place / "cache"),
                }
                yield Site(
                    hub=hub, channel=channel, daemon=daemon, place=place, environment=environment
                )
    except containers.Missing as error:
        pytest.skip(str(error))


def built(site: Site, folder: Path, patch: pytest.MonkeyPatch, *, fresh: bool = False) -> Built:
    for name, text in site.environment.items():
        patch.setenv(name, text)
    docker, why = find_docker()
    assert docker is not None, why
    # dockerd reads no registries.conf, and its mirrors stand for docker.io alone.
    uv = f"{site.hub.address}/astral-sh/uv:{containers.uv_tag()}"
    wish = EngineWish(
        folder=folder,
        platform="linux/amd64",
        arguments={"UV_IMAGE": uv},
        network="host",
        fresh=fresh,
    )
    return build(docker, wish, progress=lambda _: None, log=print)


def test_an_engine_builds_it_and_what_is_in_it_runs(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = built(site, site.folder("torch", TORCH), monkeypatch)
    code = "import sys, torch, einops; print(sys.prefix, torch.version.cuda, einops.__file__)"
    packages = f"/opt/conda/lib/python{condachannel.MINOR}/site-packages"
    wanted = f"/opt/conda 12.8 {packages}/einops/__init__.py"
    assert site.run(made.image, "python", "-c", code) == wanted
    assert site.run(made.image, "mlenv-demo") == "mlenv-demo /opt/conda"
    # some folders of Debian's are root's alone, and `find` says so by its status
    found = site.run(made.image, "sh", "-c", "find / -xdev -name '*rattler*' 2>/dev/null || :")
    assert found == ""
    assert site.run(made.image, "find", "/opt", "-newermt", "1980-01-02") == ""
    assert site.run(made.image, "find", "/opt", "!", "-perm", "-o=r", "!", "-type", "l") == ""


def test_it_is_as_locked_whoever_made_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = site.folder("plain")
    made = built(site, folder, monkeypatch)
    again = built(site, folder, monkeypatch, fresh=True)
    own = [each.diff_id for each in made.layers if "/layer/" in each.made_by]
    assert own == [each.diff_id for each in again.layers if "/layer/" in each.made_by]
    assert own
    site.mlenv("image", str(folder), "--tag", "mlenv-test/assembled:1")
    for image in (made.image, "mlenv-test/assembled:1"):
        words = ("--lock", str(folder), "--static", "--json")
        verdict = json.loads(site.mlenv("verify", image, *words).stdout)
        assert verdict["verdict"] == "static-ok", verdict
    site.daemon.docker(
        *("run", "--name", "other", "--user", "0", made.image),
        *("sh", "-c", "rm /opt/conda/conda-meta/numpy-*.json"),
    )
    site.daemon.docker("commit", "other", "mlenv-test/other:1")
    done = site.mlenv(
        "verify", "mlenv-test/other:1", "--lock", str(folder), "--static", "--json", status=1
    )
    assert "numpy is not installed" in done.stdout
