"""Probes in containers of a real engine: the image that mlenv makes, and containers that die."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

import containers
import engines
from mlenv.errors import HostError
from mlenv.host.sandbox import find_sandbox
from mlenv.runners.container import Container
from mlenv.verify.job import Wish, verify
from mlenv.verify.subject import subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from engines import Daemon

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.timeout(900)]

SPEC = """
name = "tiny"
python = "3.12"
packages = ["einops"]

[[smoke]]
name = "mine"
run = ["python", "-c", "import einops"]

[image]
labels = { "org.example" = "x" }
"""
TAG = "mlenv-test/tiny:1"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, Path]]:
    """Yield a daemon that holds the image of a small spec, and the folder of its lock."""
    if reason := engines.lacking():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("place")
    try:
        with containers.registry() as hub, pytest.MonkeyPatch.context() as patch:
            containers.published(hub, "3.12")
            own = containers.registries_conf(folder / "registries.conf", hub.port)
            patch.setenv("CONTAINERS_REGISTRIES_CONF", str(own))
            (folder / "spec.toml").write_text(SPEC, encoding="utf-8")
            with engines.daemon(mirror=f"http://{hub.address}") as daemon:
                for name, text in daemon.environment.items():
                    patch.setenv(name, text)
                words = ["build", "spec.toml", "--image", "--tag", TAG, "--engine", "none"]
                done = mlenv(folder, *words)
                assert done.returncode == 0, done.stderr
                yield daemon, folder
    except containers.Missing as error:
        pytest.skip(str(error))


def mlenv(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "mlenv", *words]
    return subprocess.run(
        argv, cwd=folder, capture_output=True, text=True, check=False, env=dict(os.environ)
    )


def test_an_image_is_what_its_lock_says(place: tuple[Daemon, Path]) -> None:
    done = mlenv(place[1], "verify", TAG, "--static", "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    document = json.loads(done.stdout)
    assert (document["verdict"], document["runner"]) == ("static-ok", "container")
    assert {"check:mine", "distributions", "needed"} <= set(document["required"])


def test_another_lock_is_refused(place: tuple[Daemon, Path]) -> None:
    text = (place[1] / "images" / "tiny" / "mlenv.lock").read_text()
    other = place[1] / "other"
    other.mkdir()
    head, _, rest = text.partition('artefacts-sha256 = "')
    (other / "mlenv.lock").write_text(f'{head}artefacts-sha256 = "{"0" * 64}{rest[64:]}')
    done = mlenv(place[1], "verify", TAG, "--static", "--lock", str(other))
    assert done.returncode == 2
    assert "was not made from the lock of tiny" in done.stderr


def test_a_package_that_was_changed_in_the_image_is_named(place: tuple[Daemon, Path]) -> None:
    daemon, folder = place
    metadata = "/opt/venv/lib/python3.12/site-packages/einops-*.dist-info/METADATA"
    words = ["run", "--name", "changed", "--user", "0", "--entrypoint", "sh", TAG, "-c"]
    daemon.docker(*words, f"sed -i 's/^Version: /Version: 9/' {metadata}")
    daemon.docker("commit", "--change", "USER 1000:0", "changed", "mlenv-test/changed:1")
    done = mlenv(folder, "verify", "images/tiny", "--image", "mlenv-test/changed:1",
                 "--runner", "container", "--static")  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "error[distribution-differs]: einops is 9" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(("kill",), "SIGKILL", id="killed"),
        pytest.param(("stop", "--time", "8"), "told to end", id="stopped"),
    ],
)
def test_a_container_that_is_ended_leaves_what_it_had(
    place: tuple[Daemon, Path], words: tuple[str, ...], said: str
) -> None:
    daemon, folder = place
    found = subject(folder / "images" / "tiny")
    hang = {"name": "hang", "run": ["python", "-c", "import time; time.sleep(600)"], "gpus": 0}
    found.smoke["checks"][:] = [hang]
    thread = meanwhile(daemon, lambda name: daemon.docker(*words, name))
    done = verify(found, Container(sandbox=find_sandbox("docker"), image=TAG), Wish(scope="static"))
    thread.join()
    assert (done.verdict.word, int(done.verdict.exit_status)) == ("not-verified", 6)
    assert done.verdict.root is not None
    assert said in done.verdict.root.cause
    assert {"host", "distributions"} <= {each.name for each in done.verdict.report.probes}
    assert daemon.docker("ps", "--all", "--quiet", "--filter", "name=mlenv-").stdout == ""


def meanwhile(daemon: Daemon, act: Callable[[str], object]) -> threading.Thread:
    """End the container once its last probe runs."""

    def wait() -> None:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            name = daemon.docker("ps", "--quiet", "--filter", "name=mlenv-").stdout.strip()
            words = ("exec", name, "cat", "/run/mlenv-out/report.json")
            if name and '"needed"' in daemon.docker(*words, check=False).stdout:
                time.sleep(1)  # the one after it never ends
                act(name)
                return
            time.sleep(0.1)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_from_a_container_without_python_nothing_comes_back(place: tuple[Daemon, Path]) -> None:
    found = subject(place[1] / "images" / "tiny")
    without = Container(sandbox=find_sandbox("docker"), image=TAG, program="no-such-python")
    with pytest.raises(HostError) as caught:
        verify(found, without, Wish(scope="static"))
    assert caught.value.exit_status == 4
    assert "no-such-python" in str(caught.value)


def test_an_image_that_is_nowhere_is_said(place: tuple[Daemon, Path]) -> None:
    done = mlenv(place[1], "verify", "127.0.0.1:9/no/such:1", "--static")
    assert done.returncode == 4
    assert "could not pull 127.0.0.1:9/no/such:1" in done.stderr
