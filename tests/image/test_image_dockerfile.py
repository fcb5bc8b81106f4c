"""The Dockerfile as text: golden folders, a linter of its own, and what must never get in."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlenv.image.dockerfile import build_tools, dockerfile, ignore_file, init_file
from mlenv.image.instruction import parse
from mlenv.image.lint import lint
from mlenv.image.recipe import Recipe, pinned
from mlenv.image.steps import label
from mlenv.layers import layer_files
from mlenv.lock import Base, Lock, Package, Stack, Target, Tools
from mlenv.machine import Python
from mlenv.model import CONTROL

if TYPE_CHECKING:
    from mlenv.files import File

GOLDEN = Path(__file__).parents[1] / "golden"
DIGEST = f"sha256:{'ab' * 32}"
TOOL = f"setuptools==80.9.0 --hash=sha256:{'cd' * 32}"


def package(
    name: str, version: str, layer: str, *, index: str = "default", size: int = 1_000_000
) -> Package:
    return Package(
        name=name,
        version=version,
        layer=layer,
        index=index,
        filename=f"{name}-{version}",
        sha256=name.encode().hex().ljust(64, "0")[:64],
        size=size,
    )


def lock(*packages: Package, toolkit: str = "12.8", **target: object) -> Lock:
    return Lock(
        name="train",
        backend="uv",
        verdict="ok",
        spec_sha256="1" * 64,
        artefacts_sha256="2" * 64,
        exclude_newer="2026-11-22T00:00:00Z",
        tools=Tools(mlenv="0.1.0", uv="0.13.9", catalog="2026-11-22T00:00:00Z"),
        target=Target.model_validate(
            {"name": "h100", "platform": "linux/amd64", "python": "3.12"} | target
        ),
        stack=Stack(toolkit=toolkit, channel="default"),
        base=Base(reference="python:3.12-slim-bookworm"),
        init=package("dumb-init", "1.2.5.post1", "init"),
        package=packages,
    )


PLAIN = Recipe(name="train", python=Python(12), base="python:3.12-slim-bookworm", gpu=True)


def recipe(**changes: object) -> Recipe:
    return replace(PLAIN, **changes)  # type: ignore[arg-type]  # a table of cases holds any field


@dataclass(frozen=True)
class Case:
    name: str
    recipe: Recipe
    lock: Lock

    @property
    def files(self) -> list[File]:
        further = (init_file(self.lock), build_tools(self.recipe))
        return sorted(
            [
                dockerfile(self.recipe, self.lock),
                ignore_file(),
                *layer_files(self.lock.package),
                *(each for each in further if each),
            ]
        )


CASES = [
    Case(
        "image-torch",
        recipe(base_digest=DIGEST, compile=True, driver_floor="525"),
        lock(
            package("nvidia-cublas-cu12", "12.8.4.1", "cuda", size=594_000_000),
            package("nvidia-cudnn-cu12", "9.10.2.21", "cudnn", size=707_000_000),
            package("nvidia-nccl-cu12", "2.27.3", "comm", size=322_000_000),
            package("torch", "2.8.0", "framework", size=888_000_000),
            package("triton", "3.4.0", "framework", size=156_000_000),
            package("numpy", "2.3.5", "domain", size=16_000_000),
            package("rich", "14.1.0", "rest"),
            gpus=("sm_90",),
            driver=">=535",
        ),
    ),
    Case(
        "image-everything",
        recipe(
            apt=("libibverbs1", "git=1:2.39.5-0+deb12u2"),
            compile=True,
            variants=("runtime", "dev"),
            labels={"org.example.team": 'a "b" \\ $HOME `id`', "org.example.a": "1"},
            indexes={"corp": "https://pkgs.corp.example/simple"},
            build_tools=(TOOL,),
            uv_digest=DIGEST,
        ),
        lock(
            package("torch", "2.8.0+cu126", "framework", index="pytorch-cu126", size=888_000_000),
            package("jax", "0.8.0", "framework"),
            package("corp-model", "1.0", "rest", index="corp"),
            package("docopt", "0.6.2", "source"),
            package("jupyterlab", "4.5.0", "dev"),
            package("oldtool", "1.0", "dev-source"),
            toolkit="12.6",
        ),
    ),
    Case(
        "image-free-threaded",
        recipe(
            python=Python(14, free_threaded=True),
            base="debian:bookworm-slim",
            brings_python=False,
            gpu=False,
        ),
        lock(package("numpy", "2.3.5", "domain"), toolkit="cpu", python="3.14t"),
    ),
    Case(
        "image-nvcc",
        recipe(base="nvidia/cuda:12.8.1-devel-ubuntu24.04", brings_python=False, compile=True),
        lock(
            package("nvidia-cublas-cu12", "12.8.4.1", "cuda", size=594_000_000),
            package("torch", "2.8.0", "framework", size=888_000_000),
        ),
    ),
]


def instructions(text: str) -> list[str]:
    """Return the instructions as an engine reads them: no comments, no continued lines."""
    return [" ".join((each.word, *each.flags, each.text)) for each in parse(text)]


def shell(instruction: str) -> str:
    """Return what the shell of a RUN instruction is given."""
    return re.sub(r"^RUN\s+(--mount=\S+\s+)*", "", instruction)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_folder_is_as_committed(case: Case, pytestconfig: pytest.Config) -> None:
    expected = GOLDEN / case.name / "expected"
    if pytestconfig.getoption("golden", default=None) == "write":
        shutil.rmtree(expected, ignore_errors=True)
        for each in case.files:
            path = expected / each.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(each.text, encoding="utf-8")
    found = {
        path.relative_to(expected).as_posix(): path.read_text(encoding="utf-8")
        for path in expected.rglob("*")
        if path.is_file()
    }
    assert found == {each.path: each.text for each in case.files}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_linter_finds_no_mistake(case: Case) -> None:
    found = lint(dockerfile(case.recipe, case.lock).text, case.files)
    assert [str(each) for each in found if each.level == "error"] == []
    warned = [each.rule for each in found if each.level == "warning"]
    assert warned == (["second-cuda"] if case.name == "image-nvcc" else [])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_shell_can_read_every_step(case: Case) -> None:
    steps = instructions(dockerfile(case.recipe, case.lock).text)
    for each in (shell(step) for step in steps if step.startswith("RUN ")):
        done = subprocess.run(
            ["/bin/sh", "-n", "-c", each], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), each


@pytest.mark.parametrize(
    ("variants", "last"),
    [
        pytest.param(("runtime",), "runtime", id="runtime alone"),
        pytest.param(("dev", "runtime"), "runtime", id="runtime is the default beside dev"),
        pytest.param(("dev",), "dev", id="dev alone"),
    ],
)
def test_build_without_a_target_gives(variants: tuple[str, ...], last: str) -> None:
    text = dockerfile(
        recipe(variants=variants),
        CASES[1].lock.model_copy(update={"package": (package("jupyterlab", "4.5.0", "dev"),)}),
    ).text
    stages = [each for each in instructions(text) if each.startswith("FROM ")]
    assert stages[-1].endswith(f" AS {last}")
    assert ("layer-dev" in text) is ("dev" in variants)


def test_one_copy_a_layer_and_the_light_ones_last() -> None:
    text = dockerfile(CASES[0].recipe, CASES[0].lock).text
    copies = [each.split()[1] for each in instructions(text) if each.startswith("COPY ")]
    layers = ("cuda", "cudnn", "comm", "framework", "domain", "rest")
    assert copies == ["--from=build", *(f"--from=layer-{each}" for each in layers)]


def test_each_step_sees_its_own_file_only() -> None:
    before = dockerfile(CASES[0].recipe, CASES[0].lock).text
    moved = tuple(
        each.model_copy(update={"version": "14.2.0"}) if each.name == "rich" else each
        for each in CASES[0].lock.package
    )
    after = dockerfile(CASES[0].recipe, CASES[0].lock.model_copy(update={"package": moved})).text
    changed = [a for a, b in zip(instructions(before), instructions(after), strict=True) if a != b]
    assert [re.findall(r"source=(layers/\S+),", each) for each in changed] == [
        ["layers/05-rest.txt"]
    ]


def test_a_date_moves_nothing() -> None:
    other = CASES[0].lock.model_copy(update={"exclude_newer": "2027-01-01T00:00:00Z"})
    text = dockerfile(CASES[0].recipe, other).text
    assert text == dockerfile(CASES[0].recipe, CASES[0].lock).text


def test_gpu_settings_are_for_gpu_stacks() -> None:
    assert "NVIDIA_DRIVER" not in dockerfile(recipe(gpu=False, driver_floor="525"), lock()).text
    text = dockerfile(recipe(driver_floor="525.60.13"), lock()).text
    assert ' NVIDIA_REQUIRE_CUDA="driver>=525.60.13"\n' in text


def test_labels_of_the_lock_cannot_be_replaced() -> None:
    text = dockerfile(recipe(labels={"dev.mlenv.toolkit": "99.9"}), lock()).text
    found = [each for each in text.splitlines() if each.startswith("LABEL dev.mlenv.toolkit=")]
    assert found[-1] == 'LABEL dev.mlenv.toolkit="12.8"'


def test_source_packages_are_built_with_locked_tools_only() -> None:
    text = dockerfile(CASES[1].recipe, CASES[1].lock).text
    (step,) = (each for each in instructions(text) if "layers/06-source.txt" in each)
    order = [
        step.index("--only-binary :all: -r /run/build.txt"),
        step.index("--no-build-isolation -r /run/layer.txt"),
        step.index("uv pip uninstall -r /run/build.txt"),
    ]
    assert order == sorted(order)


def test_an_index_without_a_url_is_refused() -> None:
    with pytest.raises(ValueError, match="has no URL"):
        dockerfile(recipe(), lock(package("a", "1", "rest", index="corp")))


def test_a_tool_version_that_is_none_is_refused() -> None:
    odd = lock().tools.model_copy(update={"uv": "0.13.9\\"})
    with pytest.raises(ValueError, match="no version of uv"):
        dockerfile(recipe(), lock().model_copy(update={"tools": odd}))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "Train\nRUN id"},
        {"name": ""},
        {"base": "python:3.12 AS x"},
        {"base": f"python@{DIGEST}"},
        {"base": "python:3.12\n"},
        {"base": ""},
        {"base_digest": "sha256:short"},
        {"uv_digest": "latest"},
        {"apt": ("git; id",)},
        {"apt": ("tini-",)},
        {"apt": ("-o=Dpkg",)},
        {"apt": ("git\n",)},
        {"apt": ("git=",)},
        {"apt": ("git=1 git",)},
        {"apt": ("git=$(id)",)},
        {"apt": ("git=~1",)},
        {"apt": ("git=1:~1",)},
        {"apt": ("git=1=2",)},
        {"variants": ()},
        {"variants": ("test",)},
        {"labels": {'a" b="': "1"}},
        {"labels": {"": "1"}},
        {"indexes": {"a b": "https://pkgs.corp.example"}},
        {"indexes": {"corp": "https://pkgs.corp.example/'; id; '"}},
        {"indexes": {"corp": "https://user:word@pkgs.corp.example/simple"}},
        {"indexes": {"corp": "file:///etc"}},
        {"driver_floor": '525" X="'},
        {"driver_floor": ""},
        {"build_tools": ("setuptools",)},
        {"build_tools": (f"{TOOL}\n-r x",)},
    ],
    ids=repr,
)
def test_a_hostile_recipe_cannot_be_made(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"recipe of no|cannot stand"):
        recipe(**changes)


@given(text=st.text())
def test_any_label_is_one_line_that_reads_back(text: str) -> None:
    if CONTROL.search(text):
        with pytest.raises(ValueError, match="one line"):
            label("org.example.a", text)
        return
    line = label("org.example.a", text)
    assert line.splitlines() == [line]
    assert [each.word for each in parse(f"{line}\nUSER 1")] == ["LABEL", "USER"]
    assert parse(line)[0].pairs == (("org.example.a", text),)
    body = line.removeprefix('LABEL org.example.a="').removesuffix('"')
    assert re.fullmatch(r'(?:[^\\"$]|\\[\\"$])*', body)
    assert re.sub(r'\\([\\"$])', r"\1", body) == text


@given(text=st.text(max_size=40))
def test_no_text_of_a_recipe_can_add_an_instruction(text: str) -> None:
    words = [
        each.split()[0] for each in instructions(dockerfile(recipe(apt=("git",)), lock()).text)
    ]
    for key, value in {"name": text, "base": text, "apt": (text,), "driver_floor": text}.items():
        try:
            made = recipe(**{"apt": ("git",)} | {key: value})
        except ValueError:
            continue
        found = instructions(dockerfile(made, lock()).text)
        assert [each.split()[0] for each in found] == words


def test_a_reference_is_a_name_and_a_digest() -> None:
    assert pinned("a/b:1") == ("a/b:1", None)
    assert pinned(f"a/b:1@{DIGEST}") == ("a/b:1", DIGEST)
