"""What a machine is told of itself: each finding, and how it is mended."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from mlenv.catalog.load import load
from mlenv.doctor import Finding, findings
from mlenv.fits import fit, gpu_names
from mlenv.host.nvml import Device
from mlenv.host.this import Engine, Machine, Space
from mlenv.spec.parse import parse_spec
from planning import WISH

TODAY = date(2026, 11, 22)
H100 = Device(name="NVIDIA H100 80GB HBM3", capability="9.0", mib=81559)
V100 = Device(name="Tesla V100-SXM2-16GB", capability="7.0", mib=16160)
RTX = Device(name="NVIDIA GeForce RTX 4090", capability="8.9", mib=24564)
DOCKER = Engine(name="docker", version="28.2.2", answers=True, nvidia_runtime=True)
ROOM = 200_000_000_000

BARE = Machine(
    system="Linux",
    architecture="x86_64",
    glibc="2.36",
    driver=None,
    driver_from=None,
    devices=(),
    nvml_says="NVML Shared Library Not Found",
    kernel_driver=None,
    engines=(),
    nvidia_ctk=None,
    cdi=(),
    space=(Space(of="the cache", path="/cache", free_bytes=ROOM),),
    uv="0.13.9",
    python="3.12.1",
)
GPU = replace(
    BARE,
    driver="580.65.06",
    driver_from="NVML",
    kernel_driver="580.65.06",
    nvml_says=None,
    devices=(H100,),
    engines=(DOCKER,),
    nvidia_ctk="1.17.8",
)


def found(machine: Machine, topic: str, today: date = TODAY) -> list[Finding]:
    return [each for each in findings(machine, load(), today) if each.topic == topic]


@pytest.mark.parametrize(
    ("machine", "topic", "state", "says", "fix"),
    [
        pytest.param(BARE, "driver", "note", "no NVIDIA driver", "580.65.06", id="no driver"),
        pytest.param(GPU, "driver", "good", "runs CUDA 11, 12, 13", "", id="a new driver"),
        pytest.param(
            replace(GPU, driver="550.54.15", kernel_driver="550.54.15"),
            "driver",
            "note",
            "all of it up to 12.4",
            "CUDA 13 needs driver 580.65.06",
            id="a driver of CUDA 12",
        ),
        pytest.param(
            replace(GPU, kernel_driver="570.26"),
            "driver",
            "mend",
            "the kernel runs 570.26",
            "restart the machine",
            id="an update without a restart",
        ),
        pytest.param(
            replace(GPU, driver_from="/proc", nvml_says="Driver/library version mismatch"),
            "driver",
            "mend",
            "version mismatch",
            "restart the machine",
            id="a library of another driver",
        ),
        pytest.param(GPU, "gpu", "good", "9.0, 80 GiB", "", id="a GPU"),
        pytest.param(
            replace(GPU, devices=()), "gpu", "mend", "no GPU answers", "--gpus all", id="no GPU"
        ),
        pytest.param(
            replace(GPU, nvml_says="1 of 2 GPUs do not answer"),
            "gpu",
            "mend",
            "1 of 2",
            "dmesg",
            id="a GPU fell off",
        ),
        pytest.param(
            replace(GPU, devices=(V100,)), "gpu", "note", "V100", "R580", id="the last driver of it"
        ),
        pytest.param(
            replace(GPU, devices=(Device(name="X1", capability="15.0"),)),
            "gpu",
            "note",
            "do not know it",
            "catalog refresh",
            id="a GPU of next year",
        ),
        pytest.param(BARE, "system", "good", "glibc 2.36", "", id="Linux"),
        pytest.param(
            replace(BARE, system="Darwin", glibc=None),
            "system",
            "note",
            "no glibc",
            "Linux",
            id="a Mac",
        ),
        pytest.param(BARE, "disk", "good", "200 GB free for the cache", "", id="room"),
        pytest.param(
            replace(BARE, space=(Space(of="the cache", path="/c", free_bytes=10**9),)),
            "disk",
            "mend",
            "1 GB free",
            "MLENV_CACHE_DIR",
            id="little room",
        ),
        pytest.param(BARE, "engine", "note", "no docker", "install one", id="no engine"),
        pytest.param(GPU, "engine", "good", "docker 28.2.2", "", id="an engine"),
        pytest.param(
            replace(GPU, engines=(Engine(name="docker", version="28", why_not="no daemon"),)),
            "engine",
            "mend",
            "does not answer: no daemon",
            "systemctl start docker",
            id="no daemon",
        ),
        pytest.param(
            GPU, "containers", "good", "the runtime `nvidia`", "", id="toolkit by runtime"
        ),
        pytest.param(
            replace(
                GPU, engines=(replace(DOCKER, nvidia_runtime=False),), cdi=("/etc/cdi/n.yaml",)
            ),
            "containers",
            "good",
            "/etc/cdi/n.yaml",
            "",
            id="toolkit by CDI",
        ),
        pytest.param(
            replace(GPU, nvidia_ctk=None),
            "containers",
            "mend",
            "not installed",
            "nvidia-container-toolkit",
            id="no toolkit",
        ),
        pytest.param(
            replace(GPU, engines=(replace(DOCKER, nvidia_runtime=False),)),
            "containers",
            "mend",
            "no engine knows it",
            "nvidia-ctk cdi generate",
            id="a toolkit that no engine knows",
        ),
    ],
)
def test_finding(machine: Machine, topic: str, state: str, says: str, fix: str) -> None:
    matching = [each for each in found(machine, topic) if each.state == state]
    assert any(says in each.says and fix in each.fix for each in matching), found(machine, topic)


def test_what_is_good_needs_no_fix_and_what_is_not_has_one() -> None:
    for machine in (BARE, GPU, replace(GPU, devices=(), engines=(), driver="450.80.02")):
        for each in findings(machine, load(), TODAY):
            assert bool(each.fix) == (each.state != "good"), each


def test_without_a_driver_nothing_is_said_of_containers() -> None:
    assert found(replace(BARE, engines=(DOCKER,)), "containers") == []


def test_stale_facts_are_listed_from_the_day_after() -> None:
    last = min(load().facts.review.values())
    assert found(BARE, "facts", last) == []
    late = found(BARE, "facts", last + timedelta(days=1))
    assert len(late) == list(load().facts.review.values()).count(last)
    assert all(str(last) in each.says for each in late)
    (old,) = found(BARE, "catalog", date(2027, 6, 1))
    assert (old.state, old.fix) == ("note", "`mlenv catalog refresh`")


@pytest.mark.parametrize(
    ("device", "name"),
    [
        pytest.param(H100, "NVIDIA H100", id="the longest name that is known"),
        pytest.param(V100, "Tesla V100", id="with dashes"),
        pytest.param(RTX, "NVIDIA GeForce RTX 4090", id="a GeForce"),
        pytest.param(Device(name="NVIDIA X1", capability="15.0"), "sm_150", id="its architecture"),
        pytest.param(
            Device(name="NVIDIA A100-SXM4-40GB MIG 1g.5gb", capability="8.0"),
            "NVIDIA A100",
            id="MIG",
        ),
        pytest.param(
            Device(name="NVIDIA H100", capability="10.0"), "sm_100", id="a name that does not agree"
        ),
    ],
)
def test_a_gpu_is_named_as_a_spec_would(device: Device, name: str) -> None:
    assert gpu_names(replace(GPU, devices=(device,)), load()) == (name,)


SPEC = 'name = "s"\npython = "3.12"\n'


@pytest.mark.parametrize(
    ("lines", "machine", "runs", "because"),
    [
        pytest.param('framework = "torch==2.9.1"', GPU, "yes", "", id="a GPU"),
        pytest.param('framework = "torch==2.9.1"', BARE, "no", "no GPU", id="no GPU"),
        pytest.param('framework = "torch"\ncuda = "cpu"', BARE, "yes", "", id="a CPU stack"),
        pytest.param('packages = ["rich"]', BARE, "yes", "", id="nothing that needs a GPU"),
        pytest.param(
            'framework = "torch==2.15.0"',
            replace(GPU, driver="550.54.15"),
            "no",
            "does not start on driver 550.54.15",
            id="an old driver",
        ),
        pytest.param(
            'framework = "torch==2.15.0"\n[targets.old]\nframework = ["torch==2.9.1"]',
            replace(GPU, driver="550.54.15"),
            "yes",
            "",
            id="by the overrides of a target",
        ),
        pytest.param(
            'framework = "torch==2.9.1"',
            replace(GPU, glibc="2.17"),
            "yes",
            "in an image only",
            id="an old glibc",
        ),
        pytest.param(
            'framework = "torch==2.9.1"', replace(GPU, system="Darwin"), "no", "Linux", id="a Mac"
        ),
        pytest.param('framework = "torhc"', GPU, "no", "`torhc` is no framework", id="a mistake"),
    ],
)
def test_which_specs_run(lines: str, machine: Machine, runs: str, because: str) -> None:
    got = fit(parse_spec(SPEC + lines, origin="s.toml"), machine, load(), WISH)
    assert got.runs == runs, got
    assert because in got.because
    assert bool(got.fix) == (runs == "no")
