"""A spec edited as text: what is changed, and that every comment stays."""

from __future__ import annotations

import tomllib

import pytest

from mlenv.catalog.load import shipped
from mlenv.errors import UsageError
from mlenv.intake.editing import Place, add, remove

CATALOG = shipped()
SPEC = """\
# the cluster's stack
name = "train"
python = "3.12"  # what the driver's tools have
framework = "torch==2.8.*"  # see the ticket
packages = [
    "requests",  # for the tracker
    # data
    "datasets>=3",
]

[stack]
logger = ["wandb"]

[targets.h100]
gpus = ["H100"]  # two racks
framework = ["torch==2.9.*"]
"""


@pytest.mark.parametrize(
    ("wanted", "place", "path", "expected"),
    [
        pytest.param(["rich"], Place(), "packages", "rich", id="nothing usual: packages"),
        pytest.param(["numpy<2.4"], Place(), "stack.numeric", "numpy<2.4", id="a usual layer"),
        pytest.param(["mlflow"], Place(), "stack.logger", "mlflow", id="a layer that is there"),
        pytest.param(["mlflow"], Place(layer="config"), "stack.config", "mlflow", id="--layer"),
        pytest.param(["pytest"], Place(dev=True), "dev.packages", "pytest", id="--dev"),
        pytest.param(["jax"], Place(), "framework", "jax", id="a second framework"),
        pytest.param(["Datasets>=4"], Place(), "packages", "Datasets>=4", id="another version"),
        pytest.param(["cupy-cuda12x"], Place(), "framework", "cupy", id="a framework's package"),
    ],
)
def test_a_requirement_goes_where_it_belongs(
    wanted: list[str], place: Place, path: str, expected: str
) -> None:
    found = add(SPEC, wanted, CATALOG, place)
    at = tomllib.loads(found.text)
    for word in path.split("."):
        at = at[word]
    assert expected in at
    assert len(found.did) >= 1
    comments = [row.partition("#")[2] for row in SPEC.splitlines() if "#" in row]
    assert all(f"#{each}" in found.text for each in comments)


def test_a_version_changes_wherever_the_package_is() -> None:
    found = add(SPEC, ["torch==2.10.*"], CATALOG, Place())
    content = tomllib.loads(found.text)
    assert content["framework"] == "torch==2.10.*"
    assert content["targets"]["h100"]["framework"] == ["torch==2.10.*"]
    assert 'framework = "torch==2.10.*"  # see the ticket' in found.text
    assert found.did == (
        "framework: torch==2.8.* is torch==2.10.* now",
        "targets.h100.framework: torch==2.9.* is torch==2.10.* now",
    )


def test_extras_and_local_versions_of_frameworks_say_the_toolkit() -> None:
    found = add('name = "a"\npython = "3.12"\n', ["jax[cuda12]>=0.5"], CATALOG, Place())
    assert tomllib.loads(found.text) == {
        "name": "a",
        "python": "3.12",
        "framework": "jax>=0.5",
        "cuda": "12",
    }
    again = add(found.text, ["torch==2.8.0+cu126"], CATALOG, Place())
    assert tomllib.loads(again.text)["cuda"] == "12"
    assert again.did[-1] == 'cuda stays "12", though 12.6 was asked for'


def test_what_is_there_already_changes_nothing() -> None:
    found = add(SPEC, ["wandb", "torch==2.8.*"], CATALOG, Place())
    assert found.did[0] == "framework: torch==2.8.* is there already"
    assert tomllib.loads(add(SPEC, ["wandb"], CATALOG, Place()).text) == tomllib.loads(SPEC)


def test_dev_opens_the_variant_that_holds_it() -> None:
    found = add(SPEC, ["pytest"], CATALOG, Place(dev=True))
    assert tomllib.loads(found.text)["image"] == {"variants": ["runtime", "dev"]}
    assert "dev is new" in found.did[-1]


@pytest.mark.parametrize(
    ("names", "gone"),
    [
        (["wandb"], "stack"),
        (["Requests", "datasets"], "packages"),
    ],
)
def test_a_package_is_removed_and_an_empty_list_with_it(names: list[str], gone: str) -> None:
    found = remove(SPEC, names)
    content = tomllib.loads(found.text)
    assert not content.get(gone)
    assert len(found.did) == len(names)
    assert "# two racks" in found.text


def test_a_framework_is_removed_wherever_it_is() -> None:
    found = remove(SPEC, ["torch"])
    content = tomllib.loads(found.text)
    assert "framework" not in content
    assert "framework" not in content["targets"]["h100"]


@pytest.mark.parametrize(
    ("wanted", "cause"),
    [
        (["a @ https://h.example/a.whl"], "URL"),
        (["not a requirement"], "no PEP 508 requirement"),
        (["x; sys_platform == 'win32'"], "not for Linux"),
        (["torch==2.8.0+rocm6.2"], "no build for CUDA"),
        (['x"]\nname = "evil'], "no PEP 508 requirement"),
    ],
)
def test_what_is_no_requirement_is_refused(wanted: list[str], cause: str) -> None:
    with pytest.raises(UsageError) as caught:
        add(SPEC, wanted, CATALOG, Place())
    (reason,) = caught.value.reasons
    assert reason.code == "edit-order"
    assert cause in reason.cause


def test_every_name_that_is_nowhere_is_told_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        remove(SPEC, ["wandbb", "zzz"])
    assert [each.fix for each in caught.value.reasons] == [
        "did you mean `wandb`?",
        "it has datasets, requests, torch, wandb",
    ]
