"""Hostile specs: each is refused in words, or changes one quoted value and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mlenv.catalog.load import shipped
from mlenv.errors import Exit, UsageError
from mlenv.image.dockerfile import dockerfile, init_file
from mlenv.image.instruction import parse
from mlenv.image.lint import lint
from mlenv.image.recipe import Recipe, pinned
from mlenv.image.smoke import smoke
from mlenv.layers import layer_files
from mlenv.lock import Lock, Package, Stack, Target, Tools
from mlenv.plan.ground import footing
from mlenv.spec.parse import parse_spec
from mlenv.spec.stack import stacks

if TYPE_CHECKING:
    from mlenv.files import File
    from mlenv.image.instruction import Instruction

HARMLESS = {
    "name": ("train", 'name = VALUE\npython = "3.12"'),
    "apt": ("git", "[image]\napt = [VALUE]"),
    "apt-version": ("1.0", "[image]\napt = [VALUE]"),
    "base": ("python:3.12-slim", "[image]\nbase = VALUE"),
    "label": ("text", '[image.labels]\n"org.example.a" = VALUE'),
    "label-key": ("org.example.b", '[image.labels]\nVALUE = "text"'),
    "url": (
        "https://pkgs.corp.example/simple",
        '[indexes.corp]\nurl = VALUE\npackages = ["corp-*"]',
    ),
    "alias": ("corp", '[indexes.VALUE]\nurl = "https://x.example/s"\npackages = ["corp-*"]'),
    "served": ("corp-*", '[indexes.corp]\nurl = "https://x.example/s"\npackages = [VALUE]'),
    "package": ("rich", "packages = [VALUE]"),
    "target": ("h100", "[targets.VALUE]\ngpus = []"),
    "gpu": ("H100", "[targets.a]\ngpus = [VALUE]"),
    "driver": (">=535", "[targets.a]\ndriver = VALUE"),
    "check": ("imports", '[[smoke]]\nname = VALUE\nrun = ["python"]'),
    "run": ("import torch", '[[smoke]]\nname = "a"\nrun = ["python", "-c", VALUE]'),
    "variant": ("dev", "[image]\nvariants = [VALUE]"),
}
"""Field -> a value that is right, and the lines that hold it."""

HOSTILE = {
    "a line that is an instruction": "x\nUSER root",
    "a carriage return": "x\rUSER root",
    "NEL": "x\x85USER root",
    "a line separator of Unicode": "x\u2028USER root",
    "a paragraph separator of Unicode": "x\u2029USER root",
    "a vertical tab": "x\x0bUSER root",
    "NUL": "x\x00y",
    "a bidi mark": "x\u202eresu",
    "a double quote and a second label": 'x" dev.mlenv.toolkit="0',
    "single quotes and a command": "x'; id; '",
    "a command in dollars": "x$(id)",
    "a command in backticks": "x`id`",
    "an argument of the file": "x${BASE_IMAGE}",
    "a short argument": "x$PATH",
    "a default of an argument": "x${Y:-$(id)}",
    "a backslash at the end": "x\\",
    "a backslash and a line": "x\\\nUSER root",
    "a mount": "x --mount=type=bind,source=/,target=/host",
    "a flag": "--mount=type=bind,source=/,target=/host",
    "an option of apt": "-oDpkg::Pre-Invoke::=id",
    "a comment": "x # y",
    "a directive": "# syntax=x.example/evil",
    "a heredoc": "x<<EOF",
    "a pipe": "x | sh",
    "a second command": "x; id",
    "in the background": "x & id",
    "a redirection": "x > /etc/passwd",
    "a path upward": "../../etc/passwd",
    "another stage": "x AS evil",
    "a credential": "https://user:word@pkgs.corp.example/simple",
    "over-long": "x" * 5000,
    "nothing": "",
    "blanks": "   ",
    "a glob": "x*",
    "a removal": "git-",
    "a home": "git=~root/x",
}
"""What is wrong with it -> the value."""


def made(text: str) -> tuple[tuple[Instruction, ...], tuple[File, ...]]:
    """Return the recipe of a spec as instructions, and the files it mounts."""
    catalog = shipped()
    (stack,) = stacks(parse_spec(text, origin="spec.toml").spec)
    spec = stack.spec
    base = footing(stack, catalog, None)
    name, digest = pinned(base.reference)
    recipe = Recipe(
        name=spec.name,
        python=stack.python,
        base=name,
        base_digest=digest,
        brings_python=base.brings_python,
        apt=spec.image.apt,
        compile=bool(spec.image.compile),
        variants=spec.image.variants,
        labels=spec.image.labels,
        indexes={alias: index.url for alias, index in spec.indexes.items()},
        gpu=False,
    )
    packages = [("rich", "default"), *(("corp-model", each) for each in spec.indexes)]
    lock = Lock(
        name=spec.name,
        backend="uv",
        verdict="ok",
        spec_sha256="1" * 64,
        artefacts_sha256="2" * 64,
        exclude_newer="2026-11-22T00:00:00Z",
        tools=Tools(mlenv="0.1.0", uv="0.13.9", catalog="2026-11-22T00:00:00Z"),
        target=Target(
            name=stack.target or "default",
            platform="linux/amd64",
            python="3.12",
            gpus=stack.gpus,
            driver=str(stack.driver) if stack.driver else None,
        ),
        stack=Stack(toolkit="cpu", channel="default"),
        init=_package("dumb-init", "default", "init"),
        package=tuple(_package(each, index, "rest") for each, index in packages),
    )
    checked = smoke(lock, gpus=(), checks=spec.smoke)
    assert [each["run"] for each in json.loads(checked.text)["checks"]] == [
        list(each.run) for each in spec.smoke
    ]
    init = init_file(lock)
    files = (*layer_files(lock.package), *((init,) if init else ()))
    text = dockerfile(recipe, lock).text
    assert [each for each in lint(text, files) if each.level == "error"] == []
    return parse(text), files


def _package(name: str, index: str, layer: str) -> Package:
    return Package(
        name=name,
        version="1.0",
        layer=layer,
        index=index,
        filename=f"{name}.whl",
        sha256="0" * 64,
        size=1,
    )


def spec_with(field: str, value: str) -> str:
    lines = HARMLESS[field][1].replace("VALUE", json.dumps(value))
    return lines if field == "name" else f'name = "train"\npython = "3.12"\n{lines}\n'


def refusal(field: str, value: str) -> UsageError | None:
    try:
        parse_spec(spec_with(field, value), origin="spec.toml")
    except UsageError as error:
        return error
    return None


def shape(steps: tuple[Instruction, ...]) -> list[tuple[str, int]]:
    return [(each.word, len(each.flags)) for each in steps]


@pytest.mark.parametrize("field", HARMLESS)
def test_the_harmless_twin_is_accepted(field: str) -> None:
    value = "git=1.0" if field == "apt-version" else HARMLESS[field][0]
    assert made(spec_with(field, value))


@pytest.mark.parametrize("wrong", HOSTILE)
@pytest.mark.parametrize("field", HARMLESS)
def test_a_hostile_value_is_refused_or_inert(field: str, wrong: str) -> None:
    value = HOSTILE[wrong]
    right = HARMLESS[field][0]
    if field == "apt-version":
        value, right = f"git={value}", f"git={right}"
    refused = refusal(field, value)
    if refused is not None:
        assert refused.exit_status == Exit.USAGE
        assert all(each.code.startswith("spec-") for each in refused.reasons)
        return
    steps, files = made(spec_with(field, value))
    twin, others = made(spec_with(field, right))
    assert shape(steps) == shape(twin)
    moved = [(a, b) for a, b in zip(steps, twin, strict=True) if a != b]
    # What a file of the folder is called, and an address that names it, may stand at two places.
    assert len(moved) <= (2 if field in {"alias", "url"} else 1)
    for new, old in moved:
        if new.word == "LABEL":
            ((key, text),) = new.pairs
            assert (key, text) == (old.pairs[0][0], value)
    # An index's alias is in the name of its file, too.
    named = [each.path.replace(value, right) if field == "alias" else each.path for each in files]
    assert named == [each.path for each in others]


def test_texts_that_are_accepted_are_those_that_are_quoted() -> None:
    every = [(field, wrong) for field in HARMLESS for wrong in HOSTILE]
    accepted = [(field, wrong) for field, wrong in every if not refusal(field, HOSTILE[wrong])]
    found = {(field, wrong) for field, wrong in accepted if field not in {"label", "run"}}
    assert found == {
        ("alias", "a removal"),  # an index may be called `git-`
        ("gpu", "another stage"),  # of the words of a GPU, which only a label shows
        ("gpu", "a removal"),
        ("served", "a glob"),
    }
    assert len(every) - len(accepted) > 400


@pytest.mark.parametrize("value", ["$(id)", "${BASE_IMAGE}", '" x="', "`id`", "\\", "'"])
def test_a_label_reads_back_as_it_was_written(value: str) -> None:
    steps, _ = made(spec_with("label", value))
    pairs = [pair for each in steps if each.word == "LABEL" for pair in each.pairs]
    assert ("org.example.a", value) in pairs
