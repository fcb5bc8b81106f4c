"""A SLURM cluster of the tests' own: one node on the loopback, with or without accounting.

Its state, its sockets and its key lie in one folder and go with it; no service of the machine is
touched. The node has two GPUs that are none (clones of /dev/null), so that jobs may ask for them.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_UP_SECONDS = 30.0
_PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged", "runuser")
_ACCOUNTING = ("slurmdbd", "mariadbd", "mariadb", "mariadb-install-db", "sacctmgr")


def lacking(*, accounting: bool) -> str:
    """Return why no cluster can be started here, or nothing."""
    if os.geteuid() != 0:
        return "SLURM's daemons need root"
    for program in (*_PROGRAMS, *(_ACCOUNTING if accounting else ())):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    return ""


@dataclass(slots=True, kw_only=True)
class Cluster:
    """A running cluster."""

    folder: Path
    accounting: bool
    ports: list[int]
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def node(self) -> str:
        """The name of its node."""
        return socket.gethostname().partition(".")[0]

    @property
    def environment(self) -> dict[str, str]:
        """What leads SLURM's programs there."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def ask(self, *words: str) -> str:
        """Run a program of SLURM."""
        done = self._tried(words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _tried(self, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **self.environment}
        return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)

    def start(self) -> None:
        """Start all of it, and wait until the node takes jobs."""
        self._munge()
        if self.accounting:
            self._database()
        (self.folder / "slurm.conf").write_text(self._settings(), encoding="utf-8")
        (self.folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n", encoding="utf-8")
        files = f"{self.folder}/gpu[0-1]"
        gres = f"NodeName={self.node} Name=gpu Type=fake File={files}\n"
        (self.folder / "gres.conf").write_text(gres, encoding="utf-8")
        for index in range(2):
            os.mknod(self.folder / f"gpu{index}", 0o20666, os.makedev(1, 3))
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        if self.accounting:
            self.run("slurmdbd", "-D")
            self._until(("sacctmgr", "--noheader", "list", "cluster"), "")
            self._tried(("sacctmgr", "--immediate", "--quiet", "add", "cluster", "tests"))
        self.run("slurmctld", "-D", "-c")
        self.start_node()

    def start_node(self) -> None:
        """Start the daemon of the node."""
        self.run("slurmd", "-D", "-N", self.node)
        self._until(("sinfo", "--noheader", "--format", "%T"), "idle")

    def resume_node(self) -> None:
        """Let a node that was put down take jobs again."""
        self._tried(("scontrol", "update", f"nodename={self.node}", "state=resume"))  # idle already
        self._until(("sinfo", "--noheader", "--format", "%T"), "idle")

    def run(self, *words: str) -> None:
        """Start a daemon in the foreground of its own session."""
        with (self.folder / f"{words[0]}.out").open("ab") as log:
            self.daemons[words[0]] = subprocess.Popen(
                words,
                cwd=self.folder,  # a step that dies on a full disk leaves a core where it is
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """End a daemon as the kernel would; what it has started goes on."""
        daemon = self.daemons.pop(name)
        daemon.kill()
        daemon.wait()

    @contextmanager
    def full_spool(self) -> Iterator[None]:
        """Let the disk of the node's daemon be full; SLURM drains the node when it sees that."""
        mount, unmount = shutil.which("mount"), shutil.which("umount")
        spool = self.folder / "spool"
        words = [str(mount), "-t", "tmpfs", "-o", "size=64k", "mlenv-test", str(spool)]
        if mount is None or subprocess.run(words, capture_output=True, check=False).returncode:
            pytest.skip("no file system can be mounted here")
        try:
            with suppress(OSError), (spool / "full").open("wb") as full:
                full.write(bytes(2**20))
            yield
        finally:
            subprocess.run([str(unmount), "--lazy", str(spool)], check=True)
            self.resume_node()

    def stop(self) -> None:
        """End all of it."""
        self._tried(("scancel", "--full", "--user=root"))
        for name in ("slurmd", "slurmctld", "slurmdbd", "mariadbd", "munged"):
            daemon = self.daemons.pop(name, None)
            if daemon is None:
                continue
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def _until(self, words: Sequence[str], said: str) -> None:
        until = time.monotonic() + _UP_SECONDS
        while time.monotonic() < until:
            done = self._tried(words)
            if done.returncode == 0 and said in done.stdout:
                return
            time.sleep(0.05)
        logs = "".join(
            f"{path.name}:\n{path.read_text(errors='replace')[-1500:]}\n"
            for path in self.folder.glob("*.out")
        )
        raise RuntimeError(f"`{' '.join(words)}` says not {said!r}:\n{done.stderr}\n{logs}")

    def _munge(self) -> None:
        place = self.folder / "munge"
        place.mkdir()
        (place / "key").write_bytes(secrets.token_bytes(1024))
        (place / "key").chmod(0o400)
        for each in (place, place / "key"):
            shutil.chown(each, "munge", "munge")
        place.chmod(0o755)
        words = ["runuser", "-u", "munge", "--", "munged", "--foreground"]
        words += [f"--key-file={place}/key", f"--socket={place}/socket"]
        words += [f"--pid-file={place}/pid", f"--log-file={place}/log", f"--seed-file={place}/seed"]
        self.run(*words)
        self.daemons["munged"] = self.daemons.pop("runuser")
        until = time.monotonic() + _UP_SECONDS
        while not (place / "socket").exists() and time.monotonic() < until:
            time.sleep(0.02)

    def _database(self) -> None:
        data, sock = self.folder / "data", self.folder / "db.sock"
        install = ["mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={data}"]
        install += ["--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run(install, check=True, capture_output=True)
        words = ["mariadbd", "--no-defaults", "--user=root", f"--datadir={data}"]
        words += [
            f"--socket={sock}",
            f"--pid-file={self.folder}/db.pid",
            "--bind-address=127.0.0.1",
        ]
        words += [f"--port={self.ports[3]}", "--innodb-buffer-pool-size=64M"]
        words += ["--innodb-lock-wait-timeout=900", "--innodb-flush-log-at-trx-commit=0"]
        self.run(*words)
        grant = "create database slurm_acct; grant all on slurm_acct.* to slurm@'127.0.0.1' "
        grant += "identified by 'tests'"
        self._until(("mariadb", "--no-defaults", "-uroot", "-S", str(sock), "-e", grant), "")
        settings = f"""AuthType=auth/munge
AuthInfo=socket={self.folder}/munge/socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={self.ports[2]}
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={self.ports[3]}
StorageUser=slurm
StoragePass=tests
StorageLoc=slurm_acct
LogFile={self.folder}/slurmdbd.log
PidFile={self.folder}/slurmdbd.pid
"""
        (self.folder / "slurmdbd.conf").write_text(settings, encoding="utf-8")
        (self.folder / "slurmdbd.conf").chmod(0o600)

    def _settings(self) -> str:
        accounting = "AccountingStorageType=accounting_storage/none"
        if self.accounting:
            accounting = f"""AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={self.ports[2]}
AccountingStoragePass={self.folder}/munge/socket"""
        # Source of what is odd here: SLURM 22.05's slurm.conf manual, and what it refused.
        return f"""ClusterName=tests
SlurmctldHost={self.node}(127.0.0.1)
SlurmctldPort={self.ports[0]}
SlurmdPort={self.ports[1]}
AuthType=auth/munge
AuthInfo=socket={self.folder}/munge/socket
CryptoType=crypto/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={self.folder}/state
SlurmdSpoolDir={self.folder}/spool
SlurmctldPidFile={self.folder}/slurmctld.pid
SlurmdPidFile={self.folder}/slurmd.pid
SlurmctldLogFile={self.folder}/slurmctld.log
SlurmdLogFile={self.folder}/slurmd.log
SlurmdTimeout=10
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
{accounting}
JobCompType=jobcomp/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
MinJobAge=300
InactiveLimit=0
KillWait=2
NodeName={self.node} NodeAddr=127.0.0.1 CPUs=4 Boards=1 SocketsPerBoard=1 CoresPerSocket=4 \
ThreadsPerCore=1 RealMemory=2000 Gres=gpu:fake:2 State=UNKNOWN
PartitionName=gpu Nodes={self.node} Default=YES MaxTime=INFINITE State=UP
SlurmdParameters=config_overrides
"""


@contextmanager
def cluster(*, accounting: bool) -> Iterator[Cluster]:
    """Yield a running cluster; all of it is gone afterwards."""
    # A path of a socket has 107 characters at most; munge wants folders that others may enter.
    folder = Path(tempfile.mkdtemp(prefix="mlc-"))
    folder.chmod(0o755)
    running = Cluster(folder=folder, accounting=accounting, ports=_ports(4))
    try:
        running.start()
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _ports(count: int) -> list[int]:
    found = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    numbers = [each.getsockname()[1] for each in found]
    for each in found:
        each.close()
    return numbers
