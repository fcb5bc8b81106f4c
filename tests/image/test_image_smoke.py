"""What smoke.json demands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlenv.cuda import Arch, Gpu
from mlenv.image.smoke import smoke
from mlenv.lock import Base, Lock, Package, Stack, Target, Tools
from mlenv.spec.model import Smoke

if TYPE_CHECKING:
    import pytest

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
CHECK = Smoke(name="imports", run=("python", "-c", "import torch"), gpus=0)


def test_text_is_as_committed(pytestconfig: pytest.Config) -> None:
    file = smoke(lock(), gpus=[H100, A100, H100], checks=[CHECK])
    if pytestconfig.getoption("golden", default=None) == "write":
        EXPECTED.parent.mkdir(parents=True, exist_ok=True)
        EXPECTED.write_text(file.text, encoding="utf-8")
    assert file.path == "smoke.json"
    assert file.text == EXPECTED.read_text(encoding="utf-8")


def test_order_of_the_inputs_does_not_count() -> None:
    one = smoke(lock(), gpus=[H100, A100], checks=[])
    turned = lock(package=tuple(reversed(lock().package)))
    assert smoke(turned, gpus=[A100, H100], checks=[]) == one
