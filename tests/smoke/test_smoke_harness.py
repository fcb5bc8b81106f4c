"""The harness, over probes that crash, hang, flood, fork and are killed, run by real Pythons."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import containers
from mlenv.smoke.harness import CACHES
from probing import Probe, copied, packed

PROBES = """
import ctypes, os, signal, subprocess, sys, time
from mlenv.smoke.register import Fail, Skip

def good(given): return {"params": given.params, "expect": given.expect, "quick": given.quick}
def nothing(given): return None
def wrong(given): raise Fail("wrong-result", "4 of 9 are wrong", wrong=4)
def absent(given): raise Skip("no-device", "there is none", seen=0)
def raises(given): {}["key"]
def leaves(given): raise SystemExit("bye")
def interrupts(given): raise KeyboardInterrupt
def crashes(given): ctypes.string_at(8)
def aborts(given): print("last words", file=sys.stderr, flush=True); os.abort()
def ends(given): os._exit(3)
def odd(given): return {"set": {1}, ("a", "b"): 1}
def sleeps(given): time.sleep(600)
def stubborn(given):
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(each, signal.SIG_IGN)
    os.system("sleep 601 & sleep 602")
def stops(given): os.kill(os.getpid(), signal.SIGSTOP)
def floods(given):
    for _ in range(200):
        os.write(1, b"out" * 100000); os.write(2, b"err" * 100000)
    print("the last line")
def breeds(given):
    for _ in range(30):
        subprocess.Popen(["sleep", "603"], start_new_session=True)
    return {}
def daemon(given):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0: time.sleep(604)
        os._exit(0)
    return {}
def bomb(given):
    def burst():
        for _ in range(40):
            if os.fork() == 0:
                os.setsid()
                for _ in range(3): os.fork()
                time.sleep(605)
    burst(); os._exit(1)
def deaf(given): os.close(0); os.close(1); os.close(2); return {}
def reads(given): return {"read": sys.stdin.read()}
def place(given):
    open("left", "w").close()
    return {"files": sorted(os.listdir(".")), "path": sys.path, "argv": sys.argv,
            "caches": {name: os.listdir(text) for name, text in os.environ.items()
                       if text.startswith(os.getcwd())}}
def told(given):
    with open(given.params["path"], "w") as file: file.write(str(os.getpid()))
    time.sleep(600)
def gpu(given): return {}
"""
NAMES = [line.split("(")[0][4:] for line in PROBES.splitlines() if line.startswith("def ")]
ROWS = [
    *(f'probe("{each}", "tried:{each}", level=0, seconds=3)' for each in NAMES if each != "gpu"),
    'probe("gpu", "tried:gpu", level=3, seconds=3, gpu=True)',
    'probe("lacking", "tried:good", level=0, needs=("no_such_module.inner",))',
    'probe("unwritten", "no_such_module:good", level=0)',
]
SLEEPERS = ("601", "602", "603", "604", "605")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory.mktemp("probe"), probes=PROBES, rows=ROWS)


@pytest.fixture(scope="module")
def probe(root: Path) -> Probe:
    return Probe(root=root)


def with_driver(folder: Path, body: str) -> Probe:
    """Return a probe file whose ``driver`` does what ``body`` does."""
    text = f"{PROBES}\ndef driver(given): {body}\n"
    return Probe(
        root=copied(folder, probes=text, rows=[*ROWS, 'probe("driver", "tried:driver", level=1)'])
    )


def left_running() -> set[str]:
    """Return the command lines of what only a probe of this file starts."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().decode(errors="replace").replace("\0", " ").strip()
        except OSError:
            continue
        if text.startswith("sleep") and text.split()[-1] in SLEEPERS:
            found.add(text)
    return found


@pytest.mark.parametrize(
    ("name", "status", "reason", "message"),
    [
        pytest.param("good", "pass", None, "", id="facts are a pass"),
        pytest.param("nothing", "pass", None, "", id="no facts are a pass too"),
        pytest.param("wrong", "fail", "wrong-result", "4 of 9 are wrong", id="Fail"),
        pytest.param("absent", "skip", "no-device", "there is none", id="Skip"),
        pytest.param("raises", "fail", "exception", "KeyError: 'key'", id="an exception"),
        pytest.param("leaves", "fail", "exception", "SystemExit: bye", id="sys.exit"),
        pytest.param("interrupts", "fail", "exception", "KeyboardInterrupt: ", id="an interrupt"),
        pytest.param("crashes", "crash", "signal", "killed by SIGSEGV", id="a segfault"),
        pytest.param("aborts", "crash", "signal", "killed by SIGABRT", id="an abort"),
        pytest.param("ends", "crash", "exit", "it ended with status 3 and no result", id="_exit"),
        pytest.param("sleeps", "timeout", "timeout", "no result in 3 s", id="a hang"),
        pytest.param("stubborn", "timeout", "timeout", "no result in 3 s", id="a deaf hang"),
        pytest.param("stops", "timeout", "timeout", "no result in 3 s", id="one that is stopped"),
        pytest.param("floods", "pass", None, "", id="a flood of output"),
        pytest.param("breeds", "pass", None, "", id="one that leaves processes"),
        pytest.param("daemon", "pass", None, "", id="one that leaves a daemon"),
        pytest.param("bomb", "crash", "exit", "it ended with status 1 and no result", id="a bomb"),
        pytest.param("deaf", "pass", None, "", id="one that closes its streams"),
        pytest.param("odd", "pass", None, "", id="facts that are no JSON"),
        pytest.param(
            "lacking",
            "skip",
            "not-installed",
            "the module no_such_module.inner is not installed",
            id="a module that is not installed",
        ),
        pytest.param(
            "unwritten",
            "fail",
            "exception",
            "ModuleNotFoundError: No module named 'mlenv.smoke.no_such_module'",
            id="a probe nobody wrote",
        ),
        pytest.param(
            "nobody",
            "error",
            "unknown-probe",
            "this probe file has no probe nobody",
            id="an unknown name",
        ),
    ],
)
def test_one_probe_is_one_row_and_the_next_one_runs(
    probe: Probe, name: str, status: str, reason: str | None, message: str
) -> None:
    report = probe.report(name, "good")
    first, last = report["probes"]
    assert (first["status"], first["reason"], first["message"]) == (status, reason, message)
    assert (last["status"], report["complete"]) == ("pass", True)
    assert left_running() == set()


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13"])
def test_one_file_runs_under_every_python(root: Path, tmp_path: Path, version: str) -> None:
    try:
        prefix, full = containers.host_python(version)
    except containers.Missing as error:
        pytest.skip(str(error))
    shipped = packed(root, tmp_path / "probe.pyz")
    probe = Probe(root=shipped, python=str(prefix / "bin" / f"python{version}"))
    report = probe.report("good", "crashes", "wrong", "host", "distributions", "needed", quick=True)
    statuses = {each["name"]: each["status"] for each in report["probes"]}
    assert report["host"]["python"] == full
    assert report["probe_sha256"] == hashlib.sha256(shipped.read_bytes()).hexdigest()
    assert (statuses["good"], statuses["crashes"], statuses["wrong"]) == ("pass", "crash", "fail")
    assert (statuses["host"], statuses["needed"]) == ("pass", "pass")


def test_what_the_plan_says_reaches_the_probe_and_the_report(probe: Probe) -> None:
    report = probe.report(
        "good",
        nonce="n1",
        lock_digest="sha256:1",
        quick=True,
        params={"good": {"a": 1}},
        expect={"b": 2},
    )
    facts = report["probes"][0]["facts"]
    assert (facts["params"], facts["expect"], facts["quick"]) == ({"a": 1}, {"b": 2}, True)
    assert (report["nonce"], report["lock_digest"]) == ("n1", "sha256:1")


def test_a_failure_keeps_its_facts_and_a_crash_its_last_words(probe: Probe) -> None:
    rows = {each["name"]: each for each in probe.report("wrong", "aborts", "crashes")["probes"]}
    assert rows["wrong"]["facts"]["wrong"] == 4
    assert "last words" in rows["aborts"]["stderr"]
    assert "tried.py" in rows["crashes"]["stderr"]  # Python's own account of a segfault
    assert rows["crashes"]["facts"]["signal"] == "SIGSEGV"


def test_of_a_flood_the_end_is_kept(probe: Probe) -> None:
    row = probe.row("floods")
    assert row["stdout"].startswith("[...]\n")
    assert row["stdout"].endswith("the last line\n")
    assert row["stderr"].endswith("err")
    assert len(row["stdout"]) < 6100


def test_each_probe_stands_in_a_folder_of_its_own_with_cold_caches(probe: Probe) -> None:
    first, second = (each["facts"] for each in probe.report("place", "place")["probes"])
    assert first["files"] == second["files"]
    assert first["caches"] == {name: [] for name in CACHES}
    assert first["argv"] == [""]


def test_the_folder_of_a_shipped_file_is_not_in_the_path(root: Path, tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemError('shadowed')")
    facts = Probe(root=packed(root, tmp_path / "probe.pyz")).row("place")["facts"]
    assert str(tmp_path) not in facts["path"]


def test_what_is_left_running_is_counted(probe: Probe) -> None:
    assert probe.row("breeds")["facts"]["left_running"] >= 30
    assert probe.row("daemon")["facts"]["left_running"] >= 1


def test_a_plan_may_give_another_limit(probe: Probe) -> None:
    begun = time.monotonic()
    row = probe.row("sleeps", limits={"sleeps": 0.5})
    assert row["message"] == "no result in 0.5 s"
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_in_the_midst_leaves_a_report(
    probe: Probe, tmp_path: Path, how: signal.Signals
) -> None:
    out = tmp_path / "report.json"
    plan = {"probes": ["good", "stubborn", "good"], "limits": {"stubborn": 60}}
    with probe.start(plan, "--out", str(out)) as running:
        while not left_running():
            time.sleep(0.02)
        running.send_signal(how)
        assert running.wait(timeout=10) == 1
    report = json.loads(out.read_text())
    said = [(each["status"], each["reason"]) for each in report["probes"]]
    assert said == [("pass", None), ("error", "interrupted")]
    assert report["complete"] is False
    assert left_running() == set()


def test_a_kill_in_the_midst_leaves_what_was_found_before_and_no_process(
    probe: Probe, tmp_path: Path
) -> None:
    out, told = tmp_path / "report.json", tmp_path / "number"
    plan = {"probes": ["good", "told"], "params": {"told": {"path": str(told)}}}
    with probe.start(plan, "--out", str(out)) as running:
        while not told.exists() or not told.read_text():
            time.sleep(0.02)
        running.kill()
    report = json.loads(out.read_text())
    assert ([each["name"] for each in report["probes"]], report["complete"]) == (["good"], False)
    gone = Path("/proc") / told.read_text()
    until = time.monotonic() + 5
    while gone.exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert not gone.exists()


@pytest.mark.parametrize(
    ("body", "names", "said"),
    [
        pytest.param(
            "return {}",
            ["good", "gpu"],
            [("good", "pass", None), ("driver", "pass", None), ("gpu", "pass", None)],
            id="a driver that works, though nobody named it",
        ),
        pytest.param(
            "return {}",
            ["gpu", "driver"],
            [("driver", "pass", None), ("gpu", "pass", None)],
            id="a driver that was named too late",
        ),
        pytest.param(
            "raise Skip('no-driver', 'no libcuda')",
            ["driver", "gpu", "good"],
            [("driver", "skip", "no-driver"), ("gpu", "skip", "no-driver"), ("good", "pass", None)],
            id="no GPU here",
        ),
        pytest.param(
            "raise Fail('cuda', 'cuInit: 803')",
            ["driver", "gpu", "good"],
            [("driver", "fail", "cuda"), ("gpu", "blocked", "driver"), ("good", "pass", None)],
            id="a broken GPU",
        ),
        pytest.param(
            "crashes(given)",
            ["driver", "gpu"],
            [("driver", "crash", "signal"), ("gpu", "blocked", "driver")],
            id="a driver that crashes",
        ),
        pytest.param(
            "raise Skip('no-driver', 'no libcuda')",
            ["check:one", "check:two"],
            [
                ("driver", "skip", "no-driver"),
                ("check:one", "skip", "no-driver"),
                ("check:two", "pass", None),
            ],
            id="a user's check that wants a GPU",
        ),
    ],
)
def test_a_broken_driver_is_one_cause(
    tmp_path: Path, body: str, names: list[str], said: list[tuple[str, str, str | None]]
) -> None:
    params = {"check:one": {"run": ["true"], "gpus": 1}, "check:two": {"run": ["true"]}}
    report = with_driver(tmp_path, body).report(*names, params=params)
    assert [(each["name"], each["status"], each["reason"]) for each in report["probes"]] == said


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("", "the plan cannot be used", id="nothing"),
        pytest.param("[]", "its schema is not mlenv.plan/1", id="a list"),
        pytest.param('{"schema": "mlenv.plan/2"}', "is not mlenv.plan/1", id="another schema"),
        pytest.param(
            '{"schema": "mlenv.plan/1", "probes": "host"}', "`probes` is no list", id="a word"
        ),
    ],
)
def test_a_plan_that_is_none_ends_with_2(
    probe: Probe, tmp_path: Path, text: str, complaint: str
) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text)
    running = probe.start({}, "--plan", str(path))
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 2
    assert complaint in errors


def test_the_list_names_every_probe(probe: Probe) -> None:
    running = probe.start({}, "--list")
    out, _ = running.communicate(timeout=60)
    names = {line.split()[1] for line in out.splitlines()}
    assert {"host", "distributions", "mapped:torch", "dataloader", "desk:hydra"} <= names


def test_the_harness_itself_costs_little(root: Path, tmp_path: Path) -> None:
    probe = Probe(root=packed(root, tmp_path / "probe.pyz"))
    running = probe.start({"probes": ["nothing"] * 12}, "--out", str(tmp_path / "report.json"))
    with running:
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
    # Of the processor, children too: the clock's time is that of other tests as well.
    assert (used.ru_utime + used.ru_stime) / 12 < 0.15


def test_no_report_is_written_twice(probe: Probe, tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    running = probe.start({"probes": ["good"]}, "--out", str(out))
    said, _ = running.communicate(timeout=60)
    report: dict[str, Any] = json.loads(out.read_text())
    assert (said, report["complete"], list(tmp_path.iterdir())) == ("", True, [out])
