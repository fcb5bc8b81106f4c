"""What is seen of a machine: NVML first, then the kernel, then nvidia-smi; engines and CDI."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mlenv.host.nvml import Answer, Device, ask, library
from mlenv.host.this import Engine, Machine, Senses, look

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SILENT = Answer(driver=None, why_not="NVML Shared Library Not Found")
PROC = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.15  Release Build  (a@b)\n"
    "GCC version:  gcc version 12.2.0\n"
)
SMI = "550.54.15, 9.0, 81559, NVIDIA H100 80GB HBM3\n550.54.15, [N/A], [N/A], Odd, GPU\n"


def seen(root: Path, *, nvml: Answer = SILENT, says: Mapping[str, str] | None = None) -> Machine:
    def run(argv: Sequence[str]) -> str | None:
        words = says or {}
        return words.get(" ".join(argv[:2])) or words.get(argv[0])

    return look(Senses(nvml=lambda: nvml, run=run, root=root, cache=root / "c", here=root))


def proc(root: Path) -> None:
    place = root / "proc/driver/nvidia"
    place.mkdir(parents=True)
    (place / "version").write_text(PROC, encoding="utf-8")


def test_nvml_is_believed_first(tmp_path: Path) -> None:
    proc(tmp_path)
    device = Device(name="NVIDIA H100", capability="9.0")
    found = seen(tmp_path, nvml=Answer(driver="580.65.06", devices=(device,)))
    assert (found.driver, found.driver_from) == ("580.65.06", "NVML")
    assert (found.devices, found.kernel_driver) == ((device,), "550.54.15")


def test_else_the_kernel_says_the_driver_and_nvidia_smi_the_gpus(tmp_path: Path) -> None:
    proc(tmp_path)
    found = seen(tmp_path, says={"nvidia-smi": SMI})
    assert (found.driver, found.driver_from) == ("550.54.15", "/proc")
    assert found.devices == (
        Device(name="NVIDIA H100 80GB HBM3", capability="9.0", mib=81559),
        Device(name="Odd, GPU", capability=None),
    )


def test_else_nvidia_smi_says_both(tmp_path: Path) -> None:
    found = seen(tmp_path, says={"nvidia-smi": SMI})
    assert (found.driver, found.driver_from, len(found.devices)) == ("550.54.15", "nvidia-smi", 2)


def test_a_machine_without_any_of_it(tmp_path: Path) -> None:
    found = seen(tmp_path, says={"nvidia-smi": "NVIDIA-SMI has failed because ..."})
    assert (found.driver, found.driver_from, found.devices) == (None, None, ())
    assert found.nvml_says == "NVML Shared Library Not Found"
    assert [each.version for each in found.engines] == [None, None, None]
    assert (found.nvidia_ctk, found.cdi) == (None, ())
    assert all(each.free_bytes > 0 for each in found.space)


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        pytest.param(
            {
                "docker --version": "Docker version 28.2.2, build 1",
                "docker info": json.dumps({"Runtimes": {"nvidia": {}}}),
            },
            Engine(name="docker", version="28.2.2", answers=True, nvidia_runtime=True),
            id="a daemon with the runtime",
        ),
        pytest.param(
            {
                "docker --version": "Docker version 28.2.2, build 1",
                "docker info": json.dumps({"ServerErrors": ["Cannot connect to the daemon"]}),
            },
            Engine(name="docker", version="28.2.2", why_not="Cannot connect to the daemon"),
            id="a daemon that does not run, of a new docker",
        ),
        pytest.param(
            {
                "docker --version": "Docker version 20.10.24",
                "docker info": "permission denied while trying to connect",
            },
            Engine(
                name="docker",
                version="20.10.24",
                why_not="permission denied while trying to connect",
            ),
            id="a daemon that refuses",
        ),
        pytest.param(
            {"docker --version": "Docker version 28.2.2", "docker info": "{half"},
            Engine(name="docker", version="28.2.2", why_not="{half"),
            id="no JSON",
        ),
    ],
)
def test_docker(tmp_path: Path, says: dict[str, str], expected: Engine) -> None:
    assert seen(tmp_path, says=says).engines[0] == expected


def test_buildah_has_no_daemon(tmp_path: Path) -> None:
    found = seen(tmp_path, says={"buildah --version": "buildah version 1.28.2"})
    assert found.engines[2] == Engine(name="buildah", version="1.28.2", answers=True)


def test_cdi_specs_of_nvidia_are_found(tmp_path: Path) -> None:
    for place, name, text in (
        ("etc/cdi", "nvidia.yaml", "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\n"),
        ("etc/cdi", "amd.yaml", "kind: amd.com/gpu\n"),
        ("etc/cdi", "notes.txt", "nvidia.com/gpu"),
        ("var/run/cdi", "nvidia.json", '{"kind": "nvidia.com/gpu"}'),
    ):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        (tmp_path / place / name).write_text(text, encoding="utf-8")
    found = seen(tmp_path, says={"nvidia-ctk": "NVIDIA Container Toolkit CLI version 1.17.8"})
    assert found.cdi == ("/etc/cdi/nvidia.yaml", "/var/run/cdi/nvidia.json")
    assert found.nvidia_ctk == "1.17.8"


class FakeError(Exception):
    """What a library raises."""


class FakeMemory:
    total = 80 * 2**30


class FakeLibrary:
    """NVML with two GPUs, of which calls may fail."""

    NVMLError: type[Exception] = FakeError

    def __init__(self, *failing: str) -> None:
        self.failing = failing
        self.ended = 0

    def _may_fail(self, name: str) -> None:
        if name in self.failing:
            raise FakeError(f"{name} failed")

    def nvmlInit(self) -> None:  # noqa: N802
        self._may_fail("init")

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.ended += 1
        self._may_fail("shutdown")

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        self._may_fail("driver")
        return "580.65.06"

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> object:  # noqa: N802
        if index:
            self._may_fail("second")
        return index

    def nvmlDeviceGetName(self, handle: object) -> str:  # noqa: N802
        return f"NVIDIA H{handle}00"

    def nvmlDeviceGetCudaComputeCapability(self, handle: object) -> tuple[int, int]:  # noqa: N802
        self._may_fail(f"capability {handle}")
        return 9, 0

    def nvmlDeviceGetMemoryInfo(self, handle: object) -> FakeMemory:  # noqa: N802
        self._may_fail(f"memory {handle}")
        return FakeMemory()


@pytest.mark.parametrize(
    ("failing", "driver", "capabilities", "why_not"),
    [
        pytest.param([], "580.65.06", ["9.0", "9.0"], None, id="all is well"),
        pytest.param(["init"], None, [], "init failed", id="no library, or no driver"),
        pytest.param(["driver"], None, [], "driver failed", id="it says nothing"),
        pytest.param(
            ["second"], "580.65.06", ["9.0"], "1 of 2 GPUs do not answer", id="one is lost"
        ),
        pytest.param(["capability 1"], "580.65.06", ["9.0", None], None, id="an old library"),
        pytest.param(["shutdown"], "580.65.06", ["9.0", "9.0"], None, id="it does not end"),
    ],
)
def test_nvml(
    failing: list[str], driver: str | None, capabilities: list[str | None], why_not: str | None
) -> None:
    fake = FakeLibrary(*failing)
    found = ask(fake)
    assert (found.driver, found.why_not) == (driver, why_not)
    assert [each.capability for each in found.devices] == capabilities
    assert fake.ended == (0 if failing == ["init"] else 1)


def test_memory_that_nobody_says_is_none() -> None:
    assert [each.mib for each in ask(FakeLibrary("memory 0")).devices] == [None, 80 * 1024]


def test_the_real_library_answers_with_and_without_a_driver() -> None:
    found = ask(library())
    assert (found.driver is None) == bool(found.why_not) or found.devices
