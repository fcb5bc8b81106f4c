"""Runs on a real SLURM of one node: what is lost on the way is found again by the second run."""

from __future__ import annotations

import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from test_matrix_run import SPEC, command, matrix, results, site, told

import clusters
from loopback import Behaviour
from mlenv.matrix.results import Results

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clusters import Cluster
    from loopback import Index

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(300)]

SMALL = SPEC.replace('["requests"], ["mpmath"], ["namex"]', '["mpmath"]')
CELLS = 4
WORDS = ("--verify", "none", "--on", "slurm")


@pytest.fixture(scope="module")
def shared() -> Iterator[Cluster]:
    if reason := clusters.lacking(accounting=False):
        pytest.skip(reason)
    with clusters.cluster(accounting=False) as running:
        yield running


@pytest.fixture
def cluster(shared: Cluster, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    assert str(cache)
    for name, text in shared.environment.items():
        monkeypatch.setenv(name, text)
    return shared


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return where a run of this module that nothing disturbed lies, once there is one."""
    return {"folder": tmp_path_factory.mktemp("whole")}


def agreed(folder: Path, undisturbed: dict[str, Path]) -> None:
    """Hold the results of a run against those of one here that nothing disturbed."""
    whole = undisturbed["folder"]
    if not (whole / "specs").exists():
        matrix(site(whole, small=SMALL), "--verify", "none")
    assert len(results(folder)) == CELLS
    assert told(results(folder)) == told(results(whole))
    assert len(Results(folder=folder / "results").runs()) == 1


@contextmanager
def begun(folder: Path, index: Index) -> Iterator[subprocess.Popen[str]]:
    """Start a run whose tasks take a while, and wait until one is being worked at."""
    with index.behaving(Behaviour(delay_seconds=0.4)):
        running = subprocess.Popen(
            command(folder, *WORDS),
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        end = time.monotonic() + 100
        while not list(folder.glob("results/runs/*/underway/*")):
            assert time.monotonic() < end
            assert running.poll() is None
            time.sleep(0.05)
        yield running
    if running.poll() is None:
        running.kill()
    running.communicate()


def ended(running: subprocess.Popen[str]) -> tuple[int, str]:
    said, _ = running.communicate(timeout=200)
    return running.returncode, said


def test_an_array_gives_what_a_run_here_gives(
    cluster: Cluster, undisturbed: dict[str, Path], tmp_path: Path
) -> None:
    folder = site(tmp_path, small=SMALL)
    done = matrix(folder, *WORDS)
    agreed(folder, undisturbed)
    assert f"[{CELLS}/{CELLS}]" in done.stderr
    assert cluster.ask("squeue", "--noheader") == ""


def test_a_cancelled_task_is_run_by_the_second_call(
    cluster: Cluster, index: Index, undisturbed: dict[str, Path], tmp_path: Path
) -> None:
    folder = site(tmp_path, small=SMALL)
    with begun(folder, index) as running:
        (task, *_) = cluster.ask("squeue", "--noheader", "--array", "--format", "%i").split()
        cluster.ask("scancel", "--full", task)
        status, said = ended(running)
    assert status == 4, said
    # without accounting a cluster may have forgotten the task before it is asked
    words = said + "".join(str(each.why) for each in results(folder))
    assert "was cancelled" in words or "is not known to SLURM" in words
    matrix(folder, *WORDS)
    agreed(folder, undisturbed)


def test_a_killed_mlenv_leaves_its_jobs_and_the_second_call_waits_for_them(
    cluster: Cluster, index: Index, undisturbed: dict[str, Path], tmp_path: Path
) -> None:
    folder = site(tmp_path, small=SMALL)
    with begun(folder, index) as running:
        running.send_signal(signal.SIGKILL)
        running.wait()
        assert cluster.ask("squeue", "--noheader") != ""
    matrix(folder, *WORDS)
    agreed(folder, undisturbed)
    assert len(list(folder.glob("results/runs/*/arrays/*"))) == 1
    assert cluster.ask("squeue", "--noheader") == ""


def test_an_interrupted_mlenv_takes_its_jobs_away(
    cluster: Cluster, index: Index, tmp_path: Path
) -> None:
    folder = site(tmp_path, small=SMALL)
    with begun(folder, index) as running:
        running.send_signal(signal.SIGINT)
        status, _ = ended(running)
    assert status == 130
    end = time.monotonic() + 60
    while cluster.ask("squeue", "--noheader"):
        assert time.monotonic() < end
        time.sleep(0.2)


def test_a_killed_daemon_of_the_node_costs_time_only(
    cluster: Cluster, index: Index, undisturbed: dict[str, Path], tmp_path: Path
) -> None:
    folder = site(tmp_path, small=SMALL)
    with begun(folder, index) as running:
        cluster.kill("slurmd")
        time.sleep(2)
        cluster.start_node()
        cluster.resume_node()
        status, said = ended(running)
    assert status in {0, 4}, said
    if status:
        matrix(folder, *WORDS)
    agreed(folder, undisturbed)


def test_a_full_spool_disk_is_told_and_the_second_call_completes(
    cluster: Cluster, undisturbed: dict[str, Path], tmp_path: Path
) -> None:
    folder = site(tmp_path, small=SMALL)
    with cluster.full_spool():
        done = matrix(folder, *WORDS, status=4)
    assert "worker-lost" in done.stdout
    causes = {str(each.why and each.why.cause) for each in results(folder)}
    assert any("held: launch failed" in each for each in causes)  # the two that were begun
    assert any("is drained (SlurmdSpoolDir is full)" in each for each in causes)
    assert "tasks wait for the cluster: " in done.stderr
    matrix(folder, *WORDS)
    agreed(folder, undisturbed)
