"""Probes as jobs of a real SLURM: what comes back when all goes well, and when it does not."""

from __future__ import annotations

import json
import re
import threading
import time
from typing import TYPE_CHECKING

import pytest

import clusters
from mlenv.errors import HostError
from mlenv.host.slurm import NOT_STARTED, find_slurm
from mlenv.report.runner import Task
from mlenv.runners.slurm import OnSlurm, Patience, trouble
from mlenv.verify.job import Wish, verify
from mlenv.verify.pack import probe_file
from sites import PYTHON, site, subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from clusters import Cluster

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(300)]


@pytest.fixture(scope="module", params=["with accounting", "without accounting"])
def shared(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    accounting = request.param == "with accounting"
    if reason := clusters.lacking(accounting=accounting):
        pytest.skip(reason)
    with clusters.cluster(accounting=accounting) as running:
        yield running


@pytest.fixture
def cluster(shared: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    for name, text in shared.environment.items():
        monkeypatch.setenv(name, text)
    return shared


def runner(folder: Path, **words: str) -> OnSlurm:
    return OnSlurm(slurm=find_slurm(), shared=folder, python=words.get("python", PYTHON))


def slow(tmp_path: Path) -> str:
    """Return an interpreter whose second probe never ends."""
    return site(tmp_path, {"hang": "import time; time.sleep(600)"})


def meanwhile(cluster: Cluster, act: Callable[[str], object], folder: Path) -> threading.Thread:
    """Do something to the job once its report says something."""

    def wait() -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if list(folder.glob("mlenv-*/0/report.json")):
                act(cluster.ask("squeue", "--noheader", "--format", "%A").split()[0])
                return
            time.sleep(0.1)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_report_comes_back(cluster: Cluster, tmp_path: Path) -> None:
    done = verify(subject(tmp_path), runner(tmp_path), Wish(scope="static"))
    assert (done.verdict.word, done.runner) == ("static-ok", "slurm")
    assert cluster.node in done.where
    assert not list(tmp_path.glob("mlenv-*"))


def test_without_a_gpu_nothing_is_verified(cluster: Cluster, tmp_path: Path) -> None:
    found = subject(tmp_path, toolkit="13.0")
    done = verify(found, runner(tmp_path), Wish())
    assert (done.verdict.word, int(done.verdict.exit_status)) == ("not-verified", 6)
    assert cluster.node in done.where


def test_an_array_gives_each_its_own(cluster: Cluster, tmp_path: Path) -> None:
    probe = tmp_path / "probe.pyz"
    probe.write_bytes(probe_file())
    plans = [{"schema": "mlenv.plan/1", "nonce": str(n), "probes": ["host"]} for n in range(3)]
    tasks = [Task(plan=json.dumps(each), probe=probe, seconds=60) for each in plans]
    bad = Task(plan="{", probe=probe, seconds=60)
    found = runner(tmp_path).run_all([*tasks, bad])
    assert [json.loads(each.report or "{}").get("nonce") for each in found] == ["0", "1", "2", None]
    assert "ended as failed" in found[3].trouble
    assert cluster.node in found[3].where


def test_a_cancelled_job_leaves_what_it_had(cluster: Cluster, tmp_path: Path) -> None:
    thread = meanwhile(
        cluster, lambda job: cluster.ask("scancel", "--full", job) and None, tmp_path
    )
    found = subject(tmp_path, checks=["hang"])
    done = verify(found, runner(tmp_path, python=slow(tmp_path)), Wish(scope="static"))
    thread.join()
    assert (done.verdict.word, int(done.verdict.exit_status)) == ("not-verified", 6)
    assert done.verdict.root is not None
    assert "was cancelled" in done.verdict.root.cause
    assert {each.name for each in done.verdict.report.probes if each.status == "pass"} >= {"host"}


def test_a_lost_node_leaves_what_it_had(cluster: Cluster, tmp_path: Path) -> None:
    down = ("scontrol", "update", f"nodename={cluster.node}", "state=down", "reason=tests")

    thread = meanwhile(cluster, lambda _: cluster.ask(*down) and None, tmp_path)
    found = subject(tmp_path, checks=["hang"])
    try:
        done = verify(found, runner(tmp_path, python=slow(tmp_path)), Wish(scope="static"))
    finally:
        thread.join()
        cluster.resume_node()
    assert (done.verdict.word, int(done.verdict.exit_status)) == ("not-verified", 6)
    assert done.verdict.root is not None
    assert "lost its node" in done.verdict.root.cause


def test_a_killed_daemon_of_the_node_is_seen(cluster: Cluster, tmp_path: Path) -> None:
    def kill(_: str) -> None:
        cluster.kill("slurmd")

    thread = meanwhile(cluster, kill, tmp_path)
    found = subject(tmp_path, checks=["hang"])
    try:
        done = verify(found, runner(tmp_path, python=slow(tmp_path)), Wish(scope="static"))
    finally:
        thread.join()
        cluster.start_node()
    assert int(done.verdict.exit_status) == 6
    assert done.verdict.root is not None
    assert "lost its node" in done.verdict.root.cause


def test_a_job_that_cannot_start_is_no_verdict(cluster: Cluster, tmp_path: Path) -> None:
    assert cluster.node
    with pytest.raises(HostError) as caught:
        verify(subject(tmp_path), runner(tmp_path, python="/nowhere/python"), Wish(scope="static"))
    assert caught.value.reasons[0].code == "runner-failed"
    assert int(caught.value.exit_status) == 4


def test_a_node_whose_spool_disk_is_full_is_no_verdict(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(HostError) as caught, cluster.full_spool():
        verify(subject(tmp_path), runner(tmp_path), Wish(scope="static"))
    assert caught.value.reasons[0].code == "runner-failed"
    # SLURM cancels what it has begun with, and leaves the rest waiting for a node
    assert re.search(r"was cancelled|SlurmdSpoolDir is full", caught.value.reasons[0].cause)


def test_a_drained_node_is_not_waited_for(cluster: Cluster, tmp_path: Path) -> None:
    drain = ("scontrol", "update", f"nodename={cluster.node}", "state=drain", "reason=tests")
    cluster.ask(*drain)
    try:
        with pytest.raises(HostError) as caught:
            verify(subject(tmp_path), runner(tmp_path), Wish(scope="static"))
    finally:
        cluster.resume_node()
    assert "no node of the partition gpu takes jobs" in caught.value.reasons[0].cause
    assert "is drained (tests)" in caught.value.reasons[0].cause


def test_a_node_that_is_down_may_come_back(cluster: Cluster, tmp_path: Path) -> None:
    script = tmp_path / "job.sh"
    script.write_text("#!/bin/bash\nexit 0\n", encoding="utf-8")
    cluster.kill("slurmd")  # one that lives comes back at once
    cluster.ask("scontrol", "update", f"nodename={cluster.node}", "state=down", "reason=tests")
    slurm, now = find_slurm(), 0.0
    patience = Patience(slurm=slurm, clock=lambda: now)
    try:
        job = slurm.submit(script, ["--array", "0-1", "--output", "/dev/null"])
        until = time.monotonic() + 60
        while not all(each.nodeless for each in slurm.stands(job, 2).values()):
            assert time.monotonic() < until
            time.sleep(0.2)
        assert patience.given_up(job, slurm.stands(job, 2)) == {}
        now = 599.0
        assert patience.given_up(job, slurm.stands(job, 2)) == {}
        now = 600.0
        given = patience.given_up(job, slurm.stands(job, 2))
        assert {each.state for each in given.values()} == {NOT_STARTED}
        assert "is down (tests)" in trouble(f"{job}_0", given[0])
        assert cluster.ask("squeue", "--noheader") == ""
    finally:
        cluster.start_node()


def test_what_the_cluster_has_not_is_said(cluster: Cluster, tmp_path: Path) -> None:
    assert cluster.node
    far = OnSlurm(slurm=find_slurm(), shared=tmp_path, python=PYTHON, options=("--partition=none",))
    with pytest.raises(HostError) as caught:
        verify(subject(tmp_path), far, Wish(scope="static"))
    assert caught.value.reasons[0].code == "scheduler-failed"
    assert "partition" in str(caught.value)
