"""Matrices in the words of platforms, held against the platforms' own schemas."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml
from test_matrix_plan import planned

from mlenv.cli import main
from mlenv.errors import UsageError
from mlenv.matrix.hosts import parse_runners
from mlenv.matrix.platforms import github
from mlenv.matrix.platforms.order import Order, labels

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlenv.matrix.cell import Cell
    from mlenv.matrix.result import Level

ROOT = Path(__file__).parent.parent.parent
HEAD = 'name = "a"\npython = "3.12"\nframework = "torch"\n'
H100 = HEAD + '[targets.x]\ngpus = ["H100", "A100"]\ndriver = ">=580.65.06"\n'
ARM = HEAD + '[targets.x]\nplatform = "linux/arm64"\n'
TWO = H100 + '[[smoke]]\nname = "b"\nrun = ["true"]\ngpus = 2\n'
NONE = HEAD + '[matrix]\naxes.python = ["3.12"]\nexclude = [{ python = "3.12" }]\n'


def emitted(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    assert main(["matrix", "emit", *words]) == status
    said = capsys.readouterr()
    return said.out if status == 0 else said.err


def spec(folder: Path, text: str) -> str:
    path = folder / "a.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def approved(path: Path, schema: str) -> None:
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def scripts(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield every script of a workflow."""
    for job in document["jobs"].values():
        yield from (step["run"] for step in job["steps"] if "run" in step)


@pytest.mark.parametrize(
    ("text", "level", "expected"),
    [
        pytest.param(HEAD, "gpu", ("ubuntu-24.04",), id="no GPU is named"),
        pytest.param(ARM, "gpu", ("ubuntu-24.04-arm",), id="another architecture"),
        pytest.param(H100, "static", ("ubuntu-24.04",), id="what needs none"),
        pytest.param(
            H100,
            "gpu",
            ("self-hosted", "linux", "x64", "gpu", "sm_80", "driver-580"),
            id="the oldest of its GPUs, and the driver's branch",
        ),
        pytest.param(
            TWO,
            "gpu",
            ("self-hosted", "linux", "x64", "gpu", "sm_80", "gpus-2", "driver-580"),
            id="several GPUs",
        ),
    ],
)
def test_labels_are_those_of_the_machine(
    text: str, level: Level, expected: tuple[str, ...]
) -> None:
    (cell,) = planned(text)
    assert labels(cell, Order(specs=("a.toml",), level=level)) == expected


RULES = """
[[runner]]
gpus = ["sm_80", "sm_90"]
driver = "580"
labels = ["pool", "h100"]
partition = "gpu"
time = "02:00:00"
[[runner]]
gpus = []
labels = ["cpu"]
"""


def test_rules_lead_to_machines() -> None:
    rules = parse_runners(RULES, origin="runners.toml")
    (gpu,), (none,) = planned(H100), planned(HEAD)
    order = Order(specs=("a.toml",), level="static", runners=rules)
    assert labels(gpu, order) == ("pool", "h100")
    assert labels(none, order) == ("cpu",)
    assert rules.of(gpu.needs).partition == "gpu"
    newer = planned(H100.replace("580.65.06", "590"))[0]
    assert rules.of(newer.needs).partition is None


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[[runner]]\npartitoin = 'a'\n", id="a misspelt key"),
        pytest.param("[[runner]]\npartition = 'a;b'\n", id="what a shell reads"),
        pytest.param("[[runner]]\noptions = ['-x']\n", id="no long option"),
        pytest.param("[[runner]\n", id="no TOML"),
    ],
)
def test_wrong_rules_are_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_runners(text, origin="runners.toml")
    assert {each.code for each in caught.value.reasons} == {"matrix-order"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nightly.yml", ()),
        ("ci.yml", ("--event", "pull-request", "--subset", "pairwise")),
    ],
)
def test_the_workflows_of_this_repository_are_what_emit_prints(
    name: str,
    words: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    pytestconfig: pytest.Config,
) -> None:
    monkeypatch.chdir(ROOT)
    own = ("specs", "--verify", "static", "--install", "pip install '.[conda]'", *words)
    text = emitted(capsys, *own, "--to", "github")
    path = ROOT / ".github" / "workflows" / name
    if pytestconfig.getoption("golden") == "write":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text
    approved(path, "vendor.github-workflows")


@pytest.mark.parametrize("text", [TWO, ARM])
def test_a_workflow_is_valid_and_its_scripts_are_sound(
    text: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "w.yml"
    path.write_text(emitted(capsys, spec(tmp_path, text), "--to", "github"), encoding="utf-8")
    approved(path, "vendor.github-workflows")
    shellcheck = shutil.which("shellcheck", path=str(Path(sys.executable).parent))
    assert shellcheck
    for each in scripts(yaml.safe_load(path.read_text("utf-8"))):
        assert "${{" not in each
        words = [shellcheck, "--shell", "bash", "-"]
        done = subprocess.run(words, input=each, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def outputs(text: str) -> Mapping[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


def test_the_include_list_has_a_job_for_each_stack(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = H100 + '[matrix]\naxes.cuda = ["12.8", "13.2"]\naxes.python = ["3.12", "2.7"]\n'
    words = [spec(tmp_path, text.replace(', "2.7"', "")), "--to", "github", "--include"]
    found = outputs(emitted(capsys, *words))
    jobs = json.loads(found["part0"])["include"]
    assert found["count"] == found["count0"] == str(len(jobs))
    assert all(each["runs-on"][0] == "self-hosted" for each in jobs)
    assert len({each["name"] for each in jobs}) == len(jobs)


def test_an_empty_matrix_starts_no_job(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = spec(tmp_path, NONE)
    found = outputs(emitted(capsys, path, "--to", "github", "--include"))
    assert (found["count"], json.loads(found["part0"])) == ("0", {"include": []})
    workflow = yaml.safe_load(emitted(capsys, path, "--to", "github"))
    assert "count0 != '0'" in workflow["jobs"]["cells0"]["if"]
    child = yaml.safe_load(emitted(capsys, path, "--to", "gitlab", "--include"))
    assert "no-cells" in child


def many(count: int) -> tuple[Cell, ...]:
    import dataclasses  # noqa: PLC0415 (only here)

    (cell,) = planned(HEAD)
    return tuple(dataclasses.replace(cell, id=f"c{n}", stack=str(n)) for n in range(count))


def test_more_than_256_jobs_are_split() -> None:
    order = Order(specs=("a.toml",), level="static")
    cells = many(600)
    found = outputs(github.outputs(cells, order, 3))
    counts = [found[f"count{n}"] for n in range(3)]
    assert counts == ["256", "256", "88"]
    jobs = yaml.safe_load(github.workflow(cells, order))["jobs"]
    assert [each for each in jobs if each.startswith("cells")] == ["cells0", "cells1", "cells2"]
    with pytest.raises(UsageError, match="write the workflow anew"):
        github.outputs(cells, order, 2)


@pytest.mark.parametrize("words", [(), ("--include",)])
@pytest.mark.parametrize("text", [H100, NONE])
def test_pipelines_of_gitlab_are_valid(
    text: str, words: tuple[str, ...], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "child.yml"
    said = emitted(capsys, spec(tmp_path, text), "--to", "gitlab", *words)
    path.write_text(said, encoding="utf-8")
    approved(path, "vendor.gitlab-ci")


def test_an_indexed_job_for_each_kind_of_node(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "b.toml").write_text(ARM.replace('"a"', '"b"'), encoding="utf-8")
    words = [spec(tmp_path, TWO), str(tmp_path / "b.toml"), "--to", "kubernetes"]
    text = emitted(capsys, *words, "--image", "ghcr.io/me/mlenv:1", "--run", "night-1")
    config, *jobs = yaml.safe_load_all(text)
    for each in (config, *jobs):
        kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)
    assert len(jobs) == 2
    (container,) = jobs[0]["spec"]["template"]["spec"]["containers"]
    assert container["resources"] == {"limits": {"nvidia.com/gpu": 2}}
    assert config["data"]["cells-0"].startswith("--cell a-x-")
    assert jobs[1]["spec"]["template"]["spec"]["nodeSelector"] == {"kubernetes.io/arch": "arm64"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["--to", "kubernetes"], "--image", id="no image"),
        pytest.param(["--to", "github", "--install", "a\nb"], "one line", id="two lines"),
        pytest.param(["--to", "github", "--install", "${{ x }}"], "one line", id="an expression"),
    ],
)
def test_what_cannot_be_emitted_is_refused(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert said in emitted(capsys, spec(tmp_path, HEAD), *words, status=2)
