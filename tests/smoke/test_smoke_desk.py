"""The checks of a desk, the user's own, the data loader's workers and the GIL, on this machine."""

from __future__ import annotations

import sys
import sysconfig
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from mlenv.smoke.loader import LEAST_BYTES
from mlenv.smoke.register import PROBES
from probing import Probe, copied

if TYPE_CHECKING:
    from pathlib import Path

DESK = [name for name in PROBES if name.startswith("desk:")]


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    return Probe(root=copied(tmp_path_factory.mktemp("probe")))


@pytest.mark.parametrize("name", DESK)
def test_a_tool_that_is_not_installed_is_skipped_and_another_is_used(
    probe: Probe, name: str
) -> None:
    missing = [each for each in PROBES[name].needs if find_spec(each) is None]
    row = probe.row(name)
    if missing:
        assert (row["status"], row["reason"]) == ("skip", "not-installed")
        assert row["message"] == f"the module {missing[0]} is not installed"
    else:
        assert row["status"] == "pass", row["message"]


@pytest.mark.parametrize(
    ("params", "status", "message"),
    [
        pytest.param({"run": ["true"]}, "pass", "", id="a command that ends well"),
        pytest.param(
            {"run": ["python", "-c", "import sys; assert sys.prefix == " + repr(sys.prefix)]},
            "pass",
            "",
            id="`python` is the environment's",
        ),
        pytest.param({"run": ["test", "-z", "$HOME"]}, "fail", "test ended with", id="no shell"),
        pytest.param({"run": ["cat"]}, "pass", "", id="its standard input is empty"),
        pytest.param(
            {"run": ["python", "-c", "raise SystemExit('no data')"]},
            "fail",
            "python ended with status 1: no data",
            id="the last line is told",
        ),
        pytest.param(
            {"run": ["no-such-program"]}, "fail", "no-such-program cannot be started", id="none"
        ),
        pytest.param(
            {"run": ["sleep", "60"], "seconds": 0.2}, "fail", "was not done in 0.2 s", id="long"
        ),
        pytest.param({}, "fail", "the plan names no command for it", id="no words"),
    ],
)
def test_a_check_of_the_users_own(
    probe: Probe, params: dict[str, Any], status: str, message: str
) -> None:
    row = probe.row("check:mine", params={"check:mine": params})
    assert row["status"] == status
    assert message in row["message"]


def test_a_check_may_be_cut_short_by_the_plan(probe: Probe) -> None:
    row = probe.row(
        "check:mine", params={"check:mine": {"run": ["sleep", "60"]}}, limits={"check:mine": 0.5}
    )
    assert row["status"] == "timeout"


def test_workers_hand_over_an_epoch(probe: Probe) -> None:
    row = probe.row("dataloader", params={"dataloader": {"shm_bytes": 1}})
    assert row["status"] == "pass", row["message"]
    assert (row["facts"]["fork"], row["facts"]["spawn"]) == (2016, 2016)


def test_a_small_shared_memory_is_named(probe: Probe) -> None:
    row = probe.row("dataloader", params={"dataloader": {"shm_bytes": 1 << 60}})
    assert row["reason"] == "shm-small"
    assert LEAST_BYTES > 64 << 20


@pytest.mark.skipif(bool(sysconfig.get_config_var("Py_GIL_DISABLED")), reason="free-threaded")
def test_a_build_with_the_gil_says_so(probe: Probe) -> None:
    row = probe.row("gil")
    assert (row["status"], row["reason"]) == ("skip", "not-free-threaded")


FREE = """
import os, sys, sysconfig, warnings
if os.environ.get("MLENV_FREE"):
    sysconfig.get_config_vars()["Py_GIL_DISABLED"] = 1
    sys._is_gil_enabled = lambda: "bad" in sys.modules
    sys.path[:] = [each for each in sys.path if not each.endswith("-packages")]
    sys.path.append(os.environ["MLENV_FREE"])
"""
"""Makes a build with the GIL act as one without, since there is none of those here."""
BAD = """
import warnings
text = "The global interpreter lock (GIL) has been enabled to load module 'bad._inner', which"
warnings.warn(text, RuntimeWarning)
"""


def test_who_switches_the_gil_back_on_is_named(tmp_path: Path) -> None:
    probe = Probe(root=copied(tmp_path / "probe"))
    (probe.root / "sitecustomize.py").write_text(FREE)
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    site = tmp_path / "site"
    for name, text in {
        "good": "",
        "bad": BAD,
        "broken": "1 / 0",
        "ends": "import os; os._exit(0)",
    }.items():
        info = site / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")
        (info / "RECORD").write_text(f"{name}.py,,\n{name}_/_inner{suffix},,\n")
        (site / f"{name}.py").write_text(text)
    row = probe.report("gil", env={"MLENV_FREE": str(site)})["probes"][0]
    assert (row["status"], row["reason"]) == ("fail", "gil-switched-on")
    assert row["facts"]["switched_on_by"] == {"bad": ["bad._inner"]}
    assert row["facts"]["tried"] == ["bad", "broken", "ends", "good"]
    errors = row["facts"]["not_imported"]
    assert errors["broken"][0] == "broken: division by zero"
    assert errors["ends"] == ["it ended the interpreter"]


def test_host_says_what_an_error_leaves_out_and_no_secret(probe: Probe) -> None:
    env = {"TORCH_HOME": "/x", "CUDA_TOKEN": "hush", "AWS_SECRET_ACCESS_KEY": "hush"}
    facts = probe.report("host", env=env)["probes"][0]["facts"]
    assert facts["environment"]["TORCH_HOME"] == "/x"
    assert "hush" not in str(facts)
    assert {"shm_bytes", "tmp", "libc", "tools", "python_h"} <= facts.keys()
