"""A Docker daemon of the tests' own: its disk, its socket and its bridge are its, and go with it.

It never touches a daemon that runs already: not its folders, and not its bridge (a second daemon
with ``--bridge none`` would delete ``docker0``). It changes no packet filter either, so a build
that needs a network takes the host's.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_UP_SECONDS = 30
_DOWN_SECONDS = 20


def lacking() -> str:
    """Return why no daemon can be started here, or nothing."""
    if os.geteuid() != 0:
        return "a Docker daemon needs root"
    for program in ("dockerd", "docker", "containerd", "runc", "ip"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if (
        not Path("/sys/fs/cgroup/devices").is_dir()
        and not Path("/sys/fs/cgroup/cgroup.procs").is_file()
    ):
        return "no cgroups are mounted"
    return ""


@dataclass(slots=True, kw_only=True)
class Daemon:
    """A running daemon."""

    folder: Path
    mirror: str | None
    bridge: str
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def host(self) -> str:
        """The address for DOCKER_HOST."""
        return f"unix://{self.folder}/docker.sock"

    @property
    def environment(self) -> dict[str, str]:
        """What leads a client there, and away from the settings of whoever runs the tests."""
        return {"DOCKER_HOST": self.host, "DOCKER_CONFIG": str(self.folder / "client")}

    def start(self) -> None:
        """Start it on the disk that it has, and wait until it answers."""
        argv = [
            "dockerd",
            "--data-root",
            f"{self.folder}/data",
            "--exec-root",
            f"{self.folder}/run",
        ]
        argv += ["--pidfile", f"{self.folder}/docker.pid", "--host", self.host]
        argv += ["--bridge", self.bridge, "--iptables=false", "--ip6tables=false"]
        argv += ["--insecure-registry", "127.0.0.0/8"]
        argv += ["--registry-mirror", self.mirror] if self.mirror else []
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )
        until = time.monotonic() + _UP_SECONDS
        while time.monotonic() < until and self.process.poll() is None:
            if self.docker("version", check=False).returncode == 0:
                return
            time.sleep(0.05)
        said = (self.folder / "log").read_text(encoding="utf-8", errors="replace")[-2000:]
        raise RuntimeError(f"dockerd does not answer:\n{said}")

    def stop(self) -> None:
        """End it as an administrator would."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(_DOWN_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
            self.process = None

    def kill(self) -> None:
        """End it as the kernel would, with what it runs; its disk stays as it is."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
        containerd = self.folder / "run" / "containerd" / "containerd.pid"
        if containerd.is_file():
            _end(int(containerd.read_text(encoding="utf-8")))
        (self.folder / "docker.pid").unlink(missing_ok=True)

    def docker(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run an engine's client, one that needs no plugin."""
        argv = ["docker", *words]
        return subprocess.run(
            argv,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=check,
        )


def _end(number: int) -> None:
    try:
        os.kill(number, signal.SIGKILL)
    except ProcessLookupError:
        return
    until = time.monotonic() + _DOWN_SECONDS
    while Path(f"/proc/{number}/status").exists() and time.monotonic() < until:
        time.sleep(0.02)


@contextmanager
def daemon(*, mirror: str | None = None, mib: int | None = None) -> Iterator[Daemon]:
    """Yield a running daemon with nothing on its disk; all of it is gone afterwards.

    Args:
        mirror: the URL of a registry that stands for docker.io.
        mib: the size of its disk; None: as much as there is.
    """
    folder = Path(tempfile.mkdtemp(prefix="mlenv-engine-"))
    (folder / "data").mkdir()
    (folder / "client").mkdir()
    (folder / "client" / "config.json").write_text("{}", encoding="utf-8")
    # A name of an interface has 15 characters at most.
    running = Daemon(folder=folder, mirror=mirror, bridge=f"mlt{time.monotonic_ns() % 10**10}")
    link = ["ip", "link"]
    subprocess.run([*link, "add", running.bridge, "type", "bridge"], check=True)
    address = ["ip", "addr", "add", "172.29.213.1/24", "dev", running.bridge]
    disk = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", f"{folder}/data"]
    try:
        if mib is not None:
            subprocess.run(disk, check=True)
        subprocess.run(address, check=True)
        subprocess.run([*link, "set", running.bridge, "up"], check=True)
        running.start()
        yield running
    finally:
        running.stop()
        subprocess.run([*link, "delete", running.bridge], check=False)
        _unmount(folder)
        shutil.rmtree(folder)


def _unmount(folder: Path) -> None:
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    away = ["umount", "--lazy"]
    for each in reversed([line.split()[1] for line in mounts]):
        if each.startswith(f"{folder}/"):
            subprocess.run([*away, each], check=False)
