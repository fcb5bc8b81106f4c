"""What the probes say of broken drivers: real libraries, built from C, that break on demand."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from judging import asked, lock, report
from mlenv.report.judge import judge
from mlenv.smoke.kernels_driver import THREADS
from mlenv.smoke.oracle import COUNT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlenv.report.verdict import Verdict

FAKES = Path(__file__).parent / "fakes"
LIBRARIES = {"cuda.c": "libcuda.so.1", "nvml.c": "libnvidia-ml.so.1"}
PROBES = ("driver", "nvml", "kernel:ptx", "host")
Said = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A machine, and what is said of it."""

    settings: Mapping[str, str] = field(default_factory=dict)
    driver: str = "pass"
    nvml: str = "pass"
    kernel: str = "pass"
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Of the kernel's, those that matter here."""
    words: str = ""
    """In the message of the first probe that did not pass."""
    limit: float = 60.0
    """Seconds for the kernel; one that hangs takes all of it."""


def of_kernel(word: str, **facts: int) -> Case:
    return Case(settings={"KERNEL": word}, kernel="fail wrong-result", facts=facts)


def refused(status: int, reason: str, words: str) -> Case:
    return Case(
        settings={"INIT": str(status)},
        driver=f"fail {reason}",
        kernel="blocked driver",
        words=words,
    )


CASES = {
    "a machine in order": Case(facts={"wrong": 0, "wrong_kernel_seen": COUNT}),
    "a runtime that finds the driver too old": refused(35, "driver-too-old", "cuInit"),
    "a driver whose CUDA is below the lock's": Case(
        settings={"DRIVER_CUDA": "12020"},
        driver="fail driver-too-old",
        kernel="blocked driver",
        words="the driver runs CUDA 12.2, and the lock needs 13.0",
    ),
    "a driver that sees no device": Case(
        settings={"INIT": "100"},
        driver="skip no-device",
        kernel="skip no-device",
        words="CUDA_ERROR_NO_DEVICE (100)",
    ),
    "a driver that counts no device": Case(
        settings={"DEVICES": "0"}, driver="skip no-device", kernel="skip no-device"
    ),
    "a device that is lost": Case(
        settings={"OPEN": "999", "NVML_DEVICE": "15"},
        driver="fail driver-call-failed",
        nvml="fail gpu-lost",
        kernel="blocked driver",
        words="cuDevicePrimaryCtxRetain: CUDA_ERROR_UNKNOWN (999)",
    ),
    "a device in another's exclusive hands": Case(
        settings={"OPEN": "46"},
        driver="fail device-unavailable",
        kernel="blocked driver",
        words="CUDA_ERROR_DEVICE_UNAVAILABLE (46)",
    ),
    "a management library of another version": Case(
        settings={"NVML_INIT": "18"},
        nvml="fail driver-mismatch",
        words="NVML_ERROR_LIB_RM_VERSION_MISMATCH (18): Driver/library version mismatch",
    ),
    "a management library that lost the device": Case(
        settings={"NVML_INIT": "999"}, nvml="fail nvml-unknown", words="Unknown Error"
    ),
    "a stub": refused(34, "driver-stub", "CUDA_ERROR_STUB_LIBRARY"),
    "a fabric that is not up": refused(802, "system-not-ready", "CUDA_ERROR_SYSTEM_NOT_READY"),
    "a library and a module that differ": refused(803, "driver-mismatch", "DRIVER_MISMATCH"),
    "a compatibility package that is of no use": refused(
        804, "compat-not-supported", "forward compatibility"
    ),
    "an unknown refusal": refused(999, "driver-unknown", "CUDA_ERROR_UNKNOWN (999)"),
    "a slice of a GPU": Case(settings={"MIG": "2"}),
    "no memory left": Case(
        settings={"MEMORY": "2"}, kernel="fail out-of-memory", words="CUDA_ERROR_OUT_OF_MEMORY (2)"
    ),
    "code for another GPU": Case(
        settings={"LOAD": "209"}, kernel="fail no-kernel-image", words="(209)"
    ),
    "a GPU older than the code": Case(settings={"SM": "35"}, kernel="fail no-kernel-image"),
    "a driver without its compiler": Case(
        settings={"LOAD": "221"}, kernel="fail no-jit-compiler", words="(221)"
    ),
    "PTX that the driver cannot read": Case(
        settings={"PTX": "50"},
        kernel="fail ptx-too-new",
        words="Unsupported .version 6.0; current version is '5.0'",
    ),
    "a launch that fails": Case(
        settings={"KERNEL": "launch"}, kernel="fail launch-failed", words="(719)"
    ),
    "a kernel that does nothing": of_kernel("noop", wrong=COUNT, unwritten=COUNT, overrun=0),
    "a kernel that yields a NaN": of_kernel("nan", wrong=1, unwritten=0, overrun=0),
    "a kernel that forgets the last block": of_kernel(
        "tail", wrong=COUNT % THREADS, unwritten=COUNT % THREADS, overrun=0
    ),
    "a kernel that writes past the end": of_kernel(
        "overrun", wrong=0, unwritten=0, overrun=THREADS - COUNT % THREADS
    ),
    "a bit that flips": of_kernel("bitflip", wrong=1, unwritten=0, overrun=0),
    "a kernel that hangs": Case(settings={"KERNEL": "hang"}, kernel="timeout timeout", limit=3),
    "a driver that crashes": Case(
        settings={"KERNEL": "segfault"}, kernel="crash signal", facts={"signal": "SIGSEGV"}
    ),
}


@pytest.fixture(scope="session")
def drivers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with both libraries, built here."""
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("gcc is not here")
    folder = tmp_path_factory.mktemp("drivers")
    for source, name in LIBRARIES.items():
        argv = [gcc, "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror"]
        argv += [f"-Wl,-soname,{name}", "-o", str(folder / name), str(FAKES / source), "-lm"]
        subprocess.run(argv, check=True)
    return folder


def said(
    drivers: Path, probes: tuple[str, ...], settings: Mapping[str, str], limit: float = 60
) -> dict[str, Said]:
    """Run the probes on such a machine, and return what each said."""
    plan = {
        "schema": "mlenv.plan/1",
        "probes": probes,
        "expect": {"driver_cuda_min": "13.0", "gpus": ["sm_90"]},
        "limits": {"kernel:ptx": limit},
    }
    hidden = ("CUDA_", "NVIDIA_", "LD_LIBRARY_PATH", "MLENV_FAKE_")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(hidden)}
    done = subprocess.run(
        [sys.executable, "-m", "mlenv.smoke", "--plan", "-"],
        input=json.dumps(plan),
        env={
            **kept,
            **{f"MLENV_FAKE_{name}": text for name, text in settings.items()},
            "LD_LIBRARY_PATH": str(drivers),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    report = json.loads(done.stdout)
    assert report["complete"]
    return {each["name"]: each for each in report["probes"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """What was said of every machine, and how long all of it took."""

    said: Mapping[str, dict[str, Said]]
    seconds: float


@pytest.fixture(scope="session")
def machines(drivers: Path) -> Machines:
    """Run every case once; three at a time, since some of each is waiting."""
    begun = time.monotonic()
    with ThreadPoolExecutor(3) as pool:
        each = pool.map(
            lambda case: said(drivers, PROBES, case.settings, case.limit), CASES.values()
        )
        found = dict(zip(CASES, each, strict=True))
    return Machines(said=found, seconds=time.monotonic() - begun)


def outcome(probe: Said) -> str:
    return " ".join(filter(None, (probe["status"], probe["reason"])))


@pytest.mark.parametrize("name", CASES)
def test_said_of(machines: Machines, name: str) -> None:
    case, probes = CASES[name], machines.said[name]
    assert {each: outcome(probes[each]) for each in PROBES} == {
        "driver": case.driver,
        "nvml": case.nvml,
        "kernel:ptx": case.kernel,
        "host": "pass",
    }
    facts = probes["kernel:ptx"]["facts"]
    assert {key: facts.get(key) for key in case.facts} == case.facts
    broken = [each["message"] for each in probes.values() if each["status"] != "pass"]
    assert case.words in "".join(broken[:1])


def test_all_machines_together_take_less_than_a_minute(machines: Machines) -> None:
    assert machines.seconds < 60


def test_facts_of_the_driver_and_of_its_devices(machines: Machines) -> None:
    facts = machines.said["a machine in order"]["driver"]["facts"]
    (device,) = facts["devices"]
    assert facts["driver_cuda"] == "13.0"
    assert facts["paths"][0].endswith("libcuda.so.1")
    assert device["sm"] == "sm_90"
    assert device["uuid"] == "GPU-00112233-4455-6677-8899-aabbccddeeff"
    assert (device["multiprocessors"], device["compute_mode"]) == (132, "default")


def test_facts_that_were_found_before_the_refusal_are_kept(machines: Machines) -> None:
    facts = machines.said["a fabric that is not up"]["driver"]["facts"]
    assert facts["driver_cuda"] == "13.0"
    assert (facts["call"], facts["status"]) == ("cuInit", 802)


def test_a_slice_has_its_own_name(machines: Machines) -> None:
    probes = machines.said["a slice of a GPU"]
    (device,) = probes["driver"]["facts"]["devices"]
    (whole,) = probes["nvml"]["facts"]["devices"]
    assert device["mig"]
    assert device["uuid"].startswith("MIG-")
    assert whole["mig"]
    assert [each["uuid"][:4] for each in whole["mig_devices"]] == ["MIG-", "MIG-"]


def test_a_lost_gpu_is_told_by_its_place(machines: Machines) -> None:
    facts = machines.said["a device that is lost"]["nvml"]["facts"]
    assert facts["devices"] == [{"index": 0, "error": "gpu-lost"}]


@pytest.mark.parametrize(
    ("settings", "key", "value"),
    [
        pytest.param({"THROTTLE": "72"}, "throttle", ["hardware-slowdown", "hardware-thermal"]),
        pytest.param({"ECC": "3"}, "ecc_uncorrected", 3),
        pytest.param({"MODE": "3"}, "compute_mode", "exclusive-process"),
        pytest.param({}, "persistence", True),
        pytest.param({}, "power_mw", None, id="what this driver has no function for"),
    ],
)
def test_management_library_tells(
    drivers: Path, settings: dict[str, str], key: str, value: object
) -> None:
    (device,) = said(drivers, ("nvml",), settings)["nvml"]["facts"]["devices"]
    assert device[key] == value


def test_speed_is_told_in_a_sentence(drivers: Path) -> None:
    probe = said(drivers, ("speed:driver",), {})["speed:driver"]
    assert probe["status"] == "pass"
    assert "elements your loop measures Python" in probe["facts"]["boundary"]["sentence"]
    for each in ("launch_us", "launch_and_wait_us", "graph_node_us", "ctypes_us"):
        times = probe["facts"][each]
        assert 0 <= times["low"] <= times["median"] <= times["high"]
    assert 0 < probe["facts"]["copy_fraction"] < 1


def test_a_library_that_is_no_library_is_no_missing_driver(tmp_path: Path) -> None:
    (tmp_path / "libcuda.so.1").write_bytes(b"")
    probe = said(tmp_path, ("driver",), {})["driver"]
    assert outcome(probe) == "fail driver-unloadable"


def judged(probes: Mapping[str, Said], gpus: int = 1) -> Verdict:
    """Judge what was said of a machine, of a stack that has nothing but a kernel."""
    plan = replace(
        asked(lock({}, toolkit="13.0", compile_="none"), min_gpus=gpus),
        probes=PROBES,
        required=frozenset(PROBES) - {"nvml"},
    )
    return judge(plan, report(plan, dict(probes)))


ROOTS = {
    "a runtime that finds the driver too old": "driver-too-old",
    "a driver whose CUDA is below the lock's": "driver-too-old",
    "a device that is lost": "gpu-lost",
    "a device in another's exclusive hands": "gpu-busy",
    "a management library of another version": "driver-mismatch",
    "a management library that lost the device": "nvml-lost",
    "a stub": "stub-driver",
    "a fabric that is not up": "fabric-manager",
    "a library and a module that differ": "driver-mismatch",
    "a compatibility package that is of no use": "forward-compat",
    "an unknown refusal": "uvm-missing",
    "no memory left": "out-of-memory",
    "code for another GPU": "no-kernel-image",
    "a GPU older than the code": "no-kernel-image",
    "a driver without its compiler": "no-jit-compiler",
    "PTX that the driver cannot read": "ptx-too-new",
    "a launch that fails": "kernel-died",
    "a kernel that does nothing": "wrong-numbers",
    "a kernel that yields a NaN": "wrong-numbers",
    "a kernel that forgets the last block": "wrong-numbers",
    "a kernel that writes past the end": "wrong-numbers",
    "a bit that flips": "wrong-numbers",
    "a kernel that hangs": "gpu-hangs",
    "a driver that crashes": "driver-crashed",
}
"""What is to be mended first; of the other machines, two have no GPU and two are in order."""
GOOD = ("a machine in order", "a slice of a GPU")


@pytest.mark.parametrize("name", CASES)
def test_verdict_on(machines: Machines, name: str) -> None:
    found = judged(machines.said[name])
    status = 0 if name in GOOD else 1 if name in ROOTS else 6
    assert int(found.exit_status) == status
    if name in ROOTS:
        assert found.root is not None
        assert found.root.id == ROOTS[name]
        assert found.root.cause
        assert found.root.fix
    elif name in GOOD:
        assert found.findings == ()
    else:
        assert found.root is not None
        assert found.root.id in {"no-gpu", "container-without-gpu"}


def test_two_gpus_are_not_had_of_a_slice(machines: Machines) -> None:
    found = judged(machines.said["a slice of a GPU"], gpus=2)
    assert int(found.exit_status) == 6
    assert {"mig", "too-few-gpus"} <= {each.id for each in found.findings}
