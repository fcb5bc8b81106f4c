"""Runs on this machine, with real uv against the loopback index: results, statuses, and kills."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from drive import TODAY
from loopback import Behaviour
from mlenv.cli.matrix.running import worst
from mlenv.matrix.result import CellResult, Why
from mlenv.matrix.results import Results

if TYPE_CHECKING:
    from pathlib import Path

    from loopback import Index
    from mlenv.matrix.result import Verdict

PYTHON = "{}.{}".format(*sys.version_info)
DAY = TODAY[:10]
EARLIER = f"{int(DAY[:4]) - 1}{DAY[4:]}"
SPEC = f"""name = "small"
python = "{PYTHON}"
cuda = "cpu"
[matrix]
axes.packages = [["filelock"], ["rich"], ["numpy"], ["requests"], ["mpmath"], ["namex"]]
"""
TWIN = SPEC.replace("small", "twin")


def command(folder: Path, *words: str) -> list[str]:
    fixed = ["--results", str(folder / "results"), "--date", DAY]
    fixed += [] if "--jobs" in words else ["--jobs", "2"]
    return [sys.executable, "-m", "mlenv", "matrix", "run", str(folder / "specs"), *fixed, *words]


def matrix(folder: Path, *words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(folder, *words),
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        timeout=200,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done


def real(folder: Path, cache: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run over the real index, as it is today."""
    argv = command(folder, *words)
    day = argv.index("--date")
    return subprocess.run(
        [*argv[:day], *argv[day + 2 :]],
        cwd=folder,
        env={**os.environ, "MLENV_CACHE_DIR": str(cache)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def site(folder: Path, **specs: str) -> Path:
    (folder / "specs").mkdir(parents=True)
    for name, text in specs.items():
        (folder / "specs" / f"{name}.toml").write_text(text, encoding="utf-8")
    return folder


def results(folder: Path) -> list[CellResult]:
    found = Results(folder=folder / "results")
    return [each for run in found.runs() for each in found.cells(run)]


def told(found: list[CellResult]) -> dict[str, tuple[object, ...]]:
    """Return what two runs of the same must agree on."""
    return {
        each.cell: (each.verdict, each.phase, each.lock, each.stack, each.versions, each.why)
        for each in found
    }


@pytest.mark.usefixtures("cache")
def test_a_run_leaves_a_result_of_each_cell_and_nothing_else(tmp_path: Path) -> None:
    folder = site(tmp_path, small=SPEC, twin=TWIN)
    done = matrix(folder, "--verify", "none", "--json")
    said = json.loads(done.stdout)
    assert said["counts"] == {"ok": 12}
    assert (said["night"], said["red"], said["missing"]) == (DAY, [], [])
    found = results(folder)
    assert {each.lock for each in found} == {
        path.stem for path in (folder / "results" / "locks").iterdir()
    }
    assert sum(each.shared is not None for each in found) == 6
    kept = Results(folder=folder / "results")
    for each in found:
        rows, text = kept.rows(str(each.lock)), kept.spec(str(each.cell_spec))
        assert rows is not None
        assert rows.package
        assert text is not None
        assert f'name = "{each.spec}"' in text
    assert not list((folder / "results").glob("runs/*/underway/*"))
    assert "[12/12] ok" in done.stderr


@pytest.mark.usefixtures("cache")
def test_what_breaks_stops_nothing_else_and_is_told_apart(tmp_path: Path) -> None:
    text = f"""name = "mixed"
python = "{PYTHON}"
cuda = "cpu"
[matrix]
axes.packages = [["filelock"], ["filelock==99"]]
include = [
  {{ packages = ["rich==99"], allow-failure = true }},
  {{ python = "3.14t", framework = "tensorflow", packages = [] }},
]
"""
    folder = site(tmp_path, mixed=text)
    done = matrix(folder, "--verify", "none", status=1)
    verdicts = {each.axes["packages"]: each.verdict for each in results(folder)}
    assert verdicts["filelock"] == "ok"
    assert verdicts["filelock==99"] == verdicts["rich==99"] == "failed"
    assert verdicts["none"] == "impossible"
    assert "no-solution" in done.stdout
    assert "(may fail)" in done.stdout


def slow(index: Index) -> Any:  # noqa: ANN401 (a context)
    return index.behaving(Behaviour(delay_seconds=0.15))


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("finished", [0, 3])
def test_a_killed_run_goes_on_and_repeats_nothing(
    finished: int, index: Index, tmp_path: Path
) -> None:
    folder = site(tmp_path / "killed", small=SPEC)
    with slow(index):
        process = subprocess.Popen(
            command(folder, "--verify", "none", "--jobs", "1"),
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + 100
        while len(list(folder.glob("results/runs/*/cells/*.json"))) < finished or not list(
            folder.glob("results/runs/*/underway/*")
        ):
            assert time.monotonic() < end
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    before = stamps(folder)
    assert finished <= len(before) < 6
    done = matrix(folder, "--verify", "none")
    after = stamps(folder)
    assert len(after) == 6
    # what a worker was at when its parent died may have ended well meanwhile
    assert {path: after[path] for path in before} == before
    assert len(Results(folder=folder / "results").runs()) == 1
    assert not before or "goes on" in done.stderr
    whole = site(tmp_path / "whole", small=SPEC)
    matrix(whole, "--verify", "none")
    assert told(results(folder)) == told(results(whole))


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    every = folder.glob("results/runs/*/cells/*.json")
    return {each.name: (each.stat().st_ino, each.stat().st_mtime_ns) for each in every}


@pytest.mark.usefixtures("cache")
def test_parts_of_a_run_share_its_id(tmp_path: Path) -> None:
    folder = site(tmp_path, small=SPEC)
    for part in ("1/2", "2/2"):
        matrix(folder, "--verify", "none", "--run", "night", "--shard", part)
    assert len(results(folder)) == 6
    (cell, *_) = sorted(each.cell for each in results(folder))
    (folder / "results" / "runs" / "night" / "cells" / f"{cell}.json").unlink()
    matrix(folder, "--verify", "none", "--run", "night", "--cell", cell)
    assert len(results(folder)) == 6
    (folder / "specs" / "small.toml").write_text(SPEC.replace('["rich"], ', ""), encoding="utf-8")
    done = matrix(folder, "--verify", "none", "--run", "night", status=2)
    assert "matrix-order" in done.stderr
    done = matrix(folder, "--verify", "none", "--run", "night", "--date", EARLIER, status=2)
    assert f"the run night locks at {DAY}" in done.stderr


@pytest.mark.usefixtures("cache")
def test_a_stopped_run_goes_on_at_its_own_day_only(tmp_path: Path) -> None:
    folder = site(tmp_path, small=SPEC.replace('["rich"], ["numpy"], ["requests"], ', ""))
    matrix(folder, "--verify", "none", "--date", EARLIER, status=1)  # the index had nothing then
    (began,) = (folder / "results" / "runs").iterdir()
    (began / "told").unlink()  # as if it had been stopped
    matrix(folder, "--verify", "none")
    assert len(Results(folder=folder / "results").runs()) == 2


@pytest.mark.usefixtures("cache")
def test_a_second_run_is_another_and_new_begins_anew(tmp_path: Path) -> None:
    folder = site(tmp_path, small=SPEC.replace('["rich"], ["numpy"], ["requests"], ', ""))
    matrix(folder, "--verify", "none", "--run", "a")
    matrix(folder, "--verify", "none")
    assert len(Results(folder=folder / "results").runs()) == 2


@pytest.mark.usefixtures("cache")
def test_a_full_disk_is_told_and_the_next_run_completes(tmp_path: Path) -> None:
    mount = shutil.which("mount")
    folder = site(tmp_path, small=SPEC)
    place = folder / "results"
    place.mkdir()
    words = [str(mount), "-t", "tmpfs", "-o", "size=24k", "mlenv-test", str(place)]
    if mount is None or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        done = matrix(folder, "--verify", "none", "--jobs", "1", "--run", "a", status=4)
        assert "No space left" in done.stderr
        subprocess.run([str(mount), "-o", "remount,size=8m", str(place)], check=True)
        matrix(folder, "--verify", "none", "--run", "a")
        assert {each.verdict for each in results(folder)} == {"ok"}
        assert len(results(folder)) == 6
    finally:
        subprocess.run([str(shutil.which("umount")), str(place)], check=True)


@pytest.mark.network
def test_real_packages_are_installed_verified_and_pruned(tmp_path: Path) -> None:
    folder = site(tmp_path, small=SPEC.replace('["mpmath"], ["namex"]', '["packaging"]'))
    text = (folder / "specs" / "small.toml").read_text("utf-8")
    few = text.replace('["filelock"], ["rich"], ', "")
    (folder / "specs" / "small.toml").write_text(few, encoding="utf-8")
    cache = tmp_path / "cache"
    done = real(folder, cache)
    assert done.returncode == 0, done.stderr
    found = results(folder)
    assert {(each.verdict, each.phase, each.level) for each in found} == {
        ("ok", "verify", "static")
    }
    assert all(set(each.seconds) == {"lock", "build", "verify"} for each in found)
    assert not list(cache.glob("matrix/*"))


@pytest.mark.usefixtures("cache")
def test_a_cell_of_another_architecture_is_locked_and_not_tried_again(tmp_path: Path) -> None:
    other = "arm64" if platform.machine() == "x86_64" else "amd64"
    text = f'name = "a"\npython = "{PYTHON}"\ncuda = "cpu"\npackages = ["mpmath"]\n'
    folder = site(tmp_path, a=text + f'[targets.far]\nplatform = "linux/{other}"\n')
    done = matrix(folder, "--verify", "static", "--run", "a", status=6)
    (found,) = results(folder)
    assert (found.verdict, found.phase, found.broken) == ("unknown", "build", False)
    assert found.lock is not None
    assert "other-machine: a:far cannot be installed on this machine" in done.stdout
    before = stamps(folder)
    matrix(folder, "--verify", "static", "--run", "a", status=6)
    assert stamps(folder) == before


def result(verdict: Verdict, *, code: str | None = None, may: bool = False) -> CellResult:
    why = Why(code=code, what="w", cause="c", fix="f") if code else None
    return CellResult(
        run="r",
        night=DAY,
        cell="c",
        spec="s",
        verdict=verdict,
        phase="lock",
        why=why,
        allow_failure=may,
    )


@pytest.mark.parametrize(
    ("found", "missing", "status"),
    [
        pytest.param([], [], 0, id="no cells"),
        pytest.param([result("ok"), result("impossible")], [], 0, id="impossible is never red"),
        pytest.param([result("failed", code="no-solution")], [], 1, id="failed"),
        pytest.param([result("failed", may=True), result("ok")], [], 0, id="it may fail"),
        pytest.param([result("unknown", code="network-failed")], [], 4, id="something broke"),
        pytest.param([result("unknown", code="no-gpu")], [], 6, id="not all was shown"),
        pytest.param([result("unknown", code="no-gpu", may=True)], [], 0, id="that may be too"),
        pytest.param([result("ok")], ["d"], 4, id="a cell without a result"),
        pytest.param(
            [result("failed"), result("unknown", code="network-failed")],
            [],
            1,
            id="red comes first",
        ),
    ],
)
def test_what_results_come_to(found: list[CellResult], missing: list[str], status: int) -> None:
    assert worst(found, missing) == status
