"""A spec as each of its targets sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlenv.spec.parse import parse_spec
from mlenv.spec.stack import Asked, Stack, stacks

VALID = Path(__file__).parent.parent / "valid"


def of(name: str) -> tuple[Stack, ...]:
    path = VALID / f"{name}.toml"
    return stacks(parse_spec(path.read_text(encoding="utf-8"), origin=path.name).spec)


def words(asked: tuple[Asked, ...]) -> list[tuple[str, str, str]]:
    return [(each.key, each.layer, str(each.requirement)) for each in asked]


def test_a_target_that_overrides_nothing_takes_the_rest() -> None:
    h100, _ = of("target-overrides")
    assert (str(h100.python), str(h100.cuda), str(h100.cudnn)) == ("3.12", "13", "9.13")
    assert words(h100.frameworks) == [
        ("framework[0]", "framework", "torch>=2.9"),
        ("framework[1]", "framework", "jax"),
    ]
    assert words(h100.packages) == [("packages[0]", "packages", "wandb")]
    assert (h100.base, h100.folder) == ("auto", "train/h100")
    assert (h100.keys["cuda"], h100.keys["base"]) == ("cuda", "image.base")


def test_a_target_overrides_for_itself_only() -> None:
    _, v100 = of("target-overrides")
    assert (str(v100.python), str(v100.cuda), str(v100.cudnn)) == ("3.11", "12.8", "9.10")
    assert words(v100.frameworks) == [
        ("targets.v100.framework[0]", "framework", "torch==2.8.*"),
    ]
    assert v100.packages == ()
    assert (v100.base, v100.folder) == ("ubuntu:22.04", "train/v100")
    for word in ("python", "framework", "cuda", "cudnn", "packages", "base", "gpus", "driver"):
        assert v100.keys[word] == f"targets.v100.{word}"


def test_one_target_needs_no_folder_of_its_own() -> None:
    (only,) = of("arm64")
    assert (only.folder, only.platform, only.gpus) == ("train", "linux/arm64", ("GH200",))


def test_without_targets_there_is_one_stack_without_a_name() -> None:
    (only,) = of("short-form")
    assert (only.target, only.platform, only.gpus, only.driver) == (None, "linux/amd64", (), None)
    assert only.keys["driver"] == "targets"


def test_layers_come_bottom_up_after_the_packages() -> None:
    (only,) = of("layers")
    assert [each.key for each in only.packages] == [
        *("stack.numeric[0]", "stack.domain[0]", "stack.domain[1]", "stack.config[0]"),
        *("stack.logger[0]", "stack.launcher[0]"),
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("dev", ["jupyterlab", "mypy", "pytest", "ruff"], id="with the dev variant"),
        pytest.param("image", [], id="without one"),
    ],
)
def test_dev_is_asked_for_where_its_image_is(name: str, expected: list[str]) -> None:
    (only,) = of(name)
    assert [str(each.requirement) for each in only.packages if each.layer == "dev"] == expected
