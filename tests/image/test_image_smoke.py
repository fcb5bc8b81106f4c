"""What smoke.json demands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlenv.cuda import Arch, Gpu
from mlenv.image.smoke import smoke
from mlenv.lock import Base, Lock, Package, Stack, Target, Tools
from mlenv.spec.model import Smoke

EXPECTED = Path(__file__).parents[1] / "golden" / "image-smoke" / "expected" / "smoke.json"


def package(name: str, version: str, layer: str) -> Package:
    return Package(
        name=name,
        version=version,
        layer=layer,
        index="default",
        filename=f"{name}.whl",
        sha256="0" * 64,
        size=1,
    )


def lock(**changes: object) -> Lock:
    known: dict[str, object] = {
        "name": "train",
        "backend": "uv",
        "verdict": "ok",
        "spec_sha256": "1" * 64,
        "artefacts_sha256": "2" * 64,
        "exclude_newer": "2026-11-22T00:00:00Z",
        "tools": Tools(mlenv="0.1.0", uv="0.13.9", catalog="2026-11-22T00:00:00Z"),
        "target": Target(name="h100", platform="linux/amd64", python="3.12", driver=">=535"),
        "stack": Stack(toolkit="12.8", channel="default", cudnn="9.10.2.21", nccl="2.27.3"),
        "base": Base(reference="python:3.12-slim-bookworm"),
        "package": (
            package("torch", "2.8.0", "framework"),
            package("nvidia-cudnn-cu12", "9.10.2.21", "cudnn"),
            package("jupyterlab", "4.5.0", "dev"),
        ),
    }
    return Lock.model_validate(known | changes)


H100 = Gpu(name="H100", arch=Arch(9, 0))
A100 = Gpu(name="A100", arch=Arch(8, 0))
TORCH = {"torch": "torch"}
BOTH = {"torch": "Torch", "jax": "jax"}
CHECK = Smoke(name="imports", run=("python", "-c", "import torch"), gpus=0)


def test_text_is_as_committed(pytestconfig: pytest.Config) -> None:
    file = smoke(lock(), gpus=[H100, A100, H100], frameworks=BOTH, checks=[CHECK])
    if pytestconfig.getoption("golden", default=None) == "write":
        EXPECTED.parent.mkdir(parents=True, exist_ok=True)
        EXPECTED.write_text(file.text, encoding="utf-8")
    assert file.path == "smoke.json"
    assert file.text == EXPECTED.read_text(encoding="utf-8")


@pytest.mark.parametrize("toolkit", ["cpu", "none"])
def test_a_stack_without_cuda_promises_no_probe(toolkit: str) -> None:
    stack = Stack(toolkit=toolkit, channel="default")
    file = smoke(lock(stack=stack), gpus=[], frameworks=TORCH, checks=[])
    assert json.loads(file.text)["probes"] == []


def test_a_framework_that_the_lock_lacks_has_no_probe() -> None:
    file = smoke(lock(package=()), gpus=[H100], frameworks=TORCH, checks=[])
    assert json.loads(file.text)["probes"] == ["driver", "mapped-libraries"]


def test_a_framework_is_proved_under_its_own_name() -> None:
    packages = (package("cupy-cuda12x", "14.2.0", "framework"),)
    frameworks = {"cupy": "cupy-cuda12x", "torch": "torch"}
    file = smoke(lock(package=packages), gpus=[H100], frameworks=frameworks, checks=[])
    assert json.loads(file.text)["probes"] == ["driver", "mapped-libraries", "kernel:cupy"]


def test_order_of_the_inputs_does_not_count() -> None:
    one = smoke(lock(), gpus=[H100, A100], frameworks=TORCH, checks=[])
    turned = lock(package=tuple(reversed(lock().package)))
    assert smoke(turned, gpus=[A100, H100], frameworks=TORCH, checks=[]) == one
