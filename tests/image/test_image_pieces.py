from __future__ import annotations

import hashlib
from importlib.metadata import version

import pytest

from mlenv.errors import UsageError
from mlenv.image.pieces import BUILDER, HEAVY_BYTES, LIMIT, Piece, Place, pieces
from mlenv.lock import Lock, Package, Stack, Target, Tools

HEX = "0" * 64

PLACE = Place(backend="uv", python_full="3.12.12")


def package(name: str, layer: str, size: int = 1000, suffix: str = "py3-none-any.whl") -> Package:
    return Package(
        name=name,
        version="1.0",
        layer=layer,
        index="default",
        filename=f"{name}-1.0-{suffix}",
        sha256=hashlib.sha256(name.encode()).hexdigest(),
        size=size,
    )


def lock(*packages: Package, init: bool = True) -> Lock:
    return Lock(
        name="train",
        backend="uv",
        verdict="ok",
        spec_sha256=HEX,
        artefacts_sha256=HEX,
        exclude_newer="2026-11-22T00:00:00Z",
        tools=Tools(mlenv="0", uv="0.13.9", catalog="2026-11-22T00:00:00Z"),
        target=Target(name="any", platform="linux/amd64", python="3.12"),
        stack=Stack(toolkit="cpu", channel="default"),
        init=package("dumb-init", "init") if init else None,
        package=packages,
    )


TORCH = package("torch", "framework", 800_000_000)
STACK = (
    *(package("rich", "rest"), package("attrs", "rest"), package("pytest", "dev")),
    *(TORCH, package("triton", "framework", 7_000_000), package("jinja2", "framework")),
    package("numpy", "domain", HEAVY_BYTES),
    *(package("nvidia-cublas", "cuda", 400_000_000), package("cuda-toolkit", "cuda")),
)


def shown(found: tuple[Piece, ...]) -> list[tuple[str, list[str]]]:
    return [(each.name, [one.name for one in each.packages]) for each in found]


def test_heavy_wheels_are_alone_and_light_ones_by_layer() -> None:
    found = pieces(lock(*STACK), variant="runtime", place=PLACE)
    assert shown(found) == [
        ("dumb-init", ["dumb-init"]),
        ("cuda-toolkit", ["cuda-toolkit"]),
        ("nvidia-cublas", ["nvidia-cublas"]),
        ("framework", ["jinja2", "triton"]),
        ("torch", ["torch"]),
        ("numpy", ["numpy"]),
        ("rest", ["attrs", "rich"]),
    ]
    assert found[3].text == "mlenv: jinja2 1.0, triton 1.0"


def test_the_dev_variant_has_what_the_runtime_has_and_more_above() -> None:
    runtime = pieces(lock(*STACK), variant="runtime", place=PLACE)
    dev = pieces(lock(*STACK), variant="dev", place=PLACE)
    assert dev[:-1] == runtime
    assert shown(dev[-1:]) == [("pytest", ["pytest"])]


def test_the_order_of_the_lock_changes_nothing() -> None:
    one = pieces(lock(*STACK), variant="dev", place=PLACE)
    assert pieces(lock(*reversed(STACK)), variant="dev", place=PLACE) == one


def test_a_heavy_wheel_has_one_key_in_every_lock() -> None:
    (alone,) = pieces(lock(TORCH, init=False), variant="runtime", place=PLACE)
    (among,) = (
        each for each in pieces(lock(*STACK), variant="dev", place=PLACE) if each.name == "torch"
    )
    assert alone.key == among.key


def test_what_changes_the_bytes_changes_the_key() -> None:
    other = TORCH.model_copy(update={"sha256": HEX})
    keys = [
        pieces(
            lock(wheel, init=False),
            variant="runtime",
            place=Place(backend="uv", python_full=python, bytecode=compiled),
        )[0]
        for wheel, python, compiled in (
            (TORCH, "3.12.12", True),
            (other, "3.12.12", True),
            (TORCH, "3.12.11", True),
            (TORCH, "3.12.12", False),
        )
    ]
    assert len({each.key for each in keys}) == 4


def test_there_are_never_more_layers_than_an_engine_mounts() -> None:
    heavy = [package(f"heavy{number:03}", "domain", HEAVY_BYTES + number) for number in range(300)]
    found = pieces(lock(*heavy, *STACK), variant="dev", place=PLACE)
    assert len(found) == LIMIT
    assert sum(len(each.packages) for each in found) == 300 + len(STACK) + 1
    together = max(found, key=lambda each: len(each.packages))
    alone = {each.name for each in found}
    assert {"torch", "nvidia-cublas", "heavy299"} <= alone
    assert "heavy000" in {each.name for each in together.packages}


def test_many_packages_are_counted_in_the_history() -> None:
    light = [package(f"package{number}", "rest") for number in range(40)]
    (found,) = pieces(lock(*light, init=False), variant="runtime", place=PLACE)
    assert found.text == "mlenv: 40 packages of layer rest"


def test_a_source_package_needs_an_engine() -> None:
    with pytest.raises(UsageError) as caught:
        pieces(
            lock(package("antlr4", "source", suffix="x.tar.gz"), TORCH),
            variant="runtime",
            place=PLACE,
        )
    (reason,) = caught.value.reasons
    assert reason.code == "needs-engine"
    assert "antlr4" in reason.what
    assert "--engine docker" in reason.fix


def test_the_key_names_the_compressor_that_is_installed() -> None:
    assert f"isal {version('isal')}" in BUILDER
