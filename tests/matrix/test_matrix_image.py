"""Cells whose image is made, and that are verified in a container of it, by a real engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from test_matrix_run import real, results, site

import containers
import engines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.timeout(600)]

SPEC = """name = "small"
python = "3.12"
cuda = "cpu"
[matrix]
axes.packages = [["einops"], ["rich"]]
include = [{ packages = ["no-such-package-of-mine"] }]
"""


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[engines.Daemon]:
    """Yield an engine, and a registry that stands for the world's."""
    if reason := engines.lacking():
        pytest.skip(reason)
    try:
        with containers.registry() as hub:
            containers.published(hub, "3.12")
            own = containers.registries_conf(tmp_path / "registries.conf", hub.port)
            monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(own))
            with engines.daemon(mirror=f"http://{hub.address}") as running:
                for name, text in running.environment.items():
                    monkeypatch.setenv(name, text)
                yield running
    except containers.Missing as error:
        pytest.skip(str(error))


def test_images_are_made_verified_and_pruned(daemon: engines.Daemon, tmp_path: Path) -> None:
    folder = site(tmp_path / "site", small=SPEC)
    cache = tmp_path / "cache"
    done = real(folder, cache, "--image", "--verify", "static")
    assert done.returncode == 1, done.stdout + done.stderr
    found = {each.axes["packages"]: each for each in results(folder)}
    broken = found.pop("no-such-package-of-mine")
    assert (broken.verdict, broken.phase) == ("failed", "lock")
    for each in found.values():
        assert (each.verdict, each.phase, each.why) == ("ok", "verify", None)
        assert set(each.seconds) == {"lock", "build", "verify"}
        assert "mlenv-matrix:" in each.where
    assert "mlenv-matrix" not in daemon.docker("images", "--all").stdout
    assert not list(cache.glob("matrix/*"))
