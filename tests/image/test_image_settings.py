"""How an image is started: one source for the recipe of an engine and for our own assembly."""

from __future__ import annotations

import json

import pytest

from mlenv.image.dockerfile import dockerfile
from mlenv.image.instruction import parse
from mlenv.image.recipe import Recipe
from mlenv.image.settings import settings
from mlenv.lock import Lock, Package, Stack, Target, Tools
from mlenv.machine import Python

INIT = Package(
    name="dumb-init",
    version="1.2.5.post1",
    layer="init",
    index="default",
    filename="dumb_init.whl",
    sha256="3" * 64,
    size=9054,
)
LOCK = Lock(
    name="train",
    backend="uv",
    verdict="ok",
    spec_sha256="1" * 64,
    artefacts_sha256="2" * 64,
    exclude_newer="2026-11-22T00:00:00Z",
    tools=Tools(mlenv="0.1.0", uv="0.13.9", catalog="2026-11-22T00:00:00Z"),
    target=Target(name="h100", platform="linux/amd64", python="3.12", gpus=("H100", "A100")),
    stack=Stack(toolkit="12.8", channel="default"),
    init=INIT,
)
RECIPE = Recipe(
    name="train",
    python=Python(12),
    base="python:3.12-slim-bookworm",
    base_digest=f"sha256:{'ab' * 32}",
    labels={"org.example.team": 'a "b" \\ $HOME', "dev.mlenv.toolkit": "99.9", "org.example.e": ""},
    gpu=True,
    driver_floor="525",
)
MADE = settings(RECIPE, LOCK, "runtime")


def test_a_nameless_user_has_a_home_and_a_name() -> None:
    assert (MADE.user, MADE.workdir) == ("1000:0", "/home/ml")
    assert (MADE.env["HOME"], MADE.env["LNAME"]) == ("/home/ml", "ml")


def test_the_first_process_is_that_of_the_lock() -> None:
    assert MADE.entrypoint == ("/opt/venv/bin/dumb-init", "--")
    without = LOCK.model_copy(update={"init": None})
    assert settings(RECIPE, without, "runtime").entrypoint == ()


def test_no_library_path_and_no_choice_of_gpus() -> None:
    assert not {"LD_LIBRARY_PATH", "NVIDIA_VISIBLE_DEVICES"} & MADE.env.keys()
    assert MADE.env["NVIDIA_REQUIRE_CUDA"] == "driver>=525"


def test_what_the_lock_says_stands_last_and_counts() -> None:
    assert MADE.labels["dev.mlenv.toolkit"] == "12.8"
    assert MADE.labels["org.example.e"] == ""
    own = [key.startswith("dev.mlenv.") for key in MADE.labels]
    assert own == sorted(own)


@pytest.mark.parametrize("variants", [("runtime",), ("runtime", "dev")])
def test_recipe_and_settings_say_the_same(variants: tuple[str, ...]) -> None:
    recipe = Recipe(**{**{k: getattr(RECIPE, k) for k in RECIPE.__slots__}, "variants": variants})
    made = settings(recipe, LOCK, "runtime")
    steps = parse(dockerfile(recipe, LOCK).text)
    last = {each.word: each.text for each in steps}
    assert json.loads(last["ENTRYPOINT"]) == list(made.entrypoint)
    assert json.loads(last["CMD"]) == list(made.cmd)
    assert (last["USER"], last["WORKDIR"]) == (made.user, made.workdir)
    final = steps[max(i for i, each in enumerate(steps) if each.word == "FROM") :]
    filled = {"${BASE_IMAGE}": recipe.base, "${BASE_DIGEST}": recipe.base_digest}
    labels = {k: filled.get(v, v) for each in final if each.word == "LABEL" for k, v in each.pairs}
    assert labels == dict(made.labels)
    build = [each for each in steps if each.word == "ENV" and "UV_NO_CONFIG" not in each.text]
    assert {key: text for each in build for key, text in each.pairs} == dict(made.env)
