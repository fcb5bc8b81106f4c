"""The pyproject.toml that is put to uv, as golden text; and the small files beside it."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from drive import TODAY, catalog
from mlenv.backends import uv
from mlenv.plan.decide import Wish, plan
from mlenv.plan.model import Constraint
from mlenv.spec.parse import parse_spec
from mlenv.spec.stack import stacks

if TYPE_CHECKING:
    from mlenv.plan.model import Plan

GOLDEN = Path(__file__).parents[1] / "golden"
HEAD = 'name = "s"\npython = "3.12"\n'
CPU = f'{HEAD}cuda = "cpu"\n'
DEV = '[image]\nvariants = ["runtime", "dev"]\n'
CORP = """
[indexes.corp]
url = "https://pkgs.corp.example/simple"
packages = ["corp-*"]
exclude-newer = false
[indexes.dated]
url = "https://other.example/simple"
packages = ["other"]
exclude-newer = "2025-11-01T00:00:00Z"
[indexes.plain]
url = "https://plain.example/simple"
packages = ["plain"]
"""


def planned(spec: str) -> Plan:
    (stack,) = stacks(parse_spec(spec, origin="spec.toml").spec)
    return plan(stack, catalog(), Wish(exclude_newer=TODAY))


def question(spec: str, **changes: object) -> uv.Question:
    found = planned(spec)
    plain = uv.Question(plan=found, requirements=found.requirements, constraints=found.constraints)
    return replace(plain, **changes)  # type: ignore[arg-type]


def document(spec: str, **changes: object) -> dict[str, object]:
    return tomllib.loads(uv.project(question(spec, **changes), version="0.13.9").text)


def settings(spec: str, **changes: object) -> dict[str, object]:
    tool = document(spec, **changes)["tool"]
    assert isinstance(tool, dict)
    found = tool["uv"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        pytest.param("torch", question(f'{HEAD}framework = "torch"\n'), id="torch alone"),
        pytest.param(
            "torch-cuda126",
            question(
                f'{HEAD}framework = "torch==2.8.*"\ncuda = "12.6"\npackages = ["torchvision"]\n'
            ),
            id="torch 2.8 at 12.6 with torchvision",
        ),
        pytest.param(
            "groups",
            question(
                f'{CPU}packages = ["hydra-core"]\n[dev]\neditors = ["jupyter"]\n'
                f'typecheck = "mypy"\npackages = ["pytest"]\n{DEV}',
                sources=("antlr4-python3-runtime",),
                build=("setuptools", "wheel>=0.40"),
            ),
            id="dev group and build group",
        ),
        pytest.param(
            "indexes",
            question(f'{CPU}packages = ["corp-tools[x]>=1", "other", "plain", "numpy"]\n{CORP}'),
            id="indexes",
        ),
        pytest.param(
            "free-threaded",
            question(f'{HEAD}framework = "torch"\n'.replace("3.12", "3.14t")),
            id="free-threaded",
        ),
        pytest.param(
            "prereleases",
            question(f'{CPU}packages = ["numpy>=2.4.0rc1", "rich"]\n'),
            id="a prerelease that is asked for",
        ),
    ],
)
def test_text_is_as_committed(name: str, asked: uv.Question, pytestconfig: pytest.Config) -> None:
    file = uv.project(asked, version="0.13.9")
    expected = GOLDEN / f"locks-{name}" / "expected" / "pyproject.toml"
    if pytestconfig.getoption("golden") == "write":
        expected.parent.mkdir(parents=True, exist_ok=True)
        expected.write_text(file.text, encoding="utf-8")
    assert file.path == "pyproject.toml"
    assert file.text == expected.read_text(encoding="utf-8")


def test_no_golden_text_is_left_over() -> None:
    cases = {"torch", "torch-cuda126", "groups", "indexes", "free-threaded", "prereleases"}
    assert {each.name.removeprefix("locks-") for each in GOLDEN.glob("locks-*")} == cases


@pytest.mark.parametrize(
    ("package", "searching", "expected"),
    [
        pytest.param("numpy", False, "disallow", id="none is asked for"),
        pytest.param("numpy>=2.4.0rc1", False, "explicit", id="a candidate"),
        pytest.param("numpy>=2.4.0b1", False, "explicit", id="a beta"),
        pytest.param("numpy==2.4.0.dev0", False, "explicit", id="a development release"),
        pytest.param("rc1-tools>=2", False, "disallow", id="a name that looks like one"),
        pytest.param("numpy", True, "if-necessary", id="where nothing else is"),
    ],
)
def test_prereleases(package: str, expected: str, *, searching: bool) -> None:
    spec = f'{CPU}packages = ["{package}"]\n'
    assert settings(spec, prereleases=searching)["prerelease"] == expected


def test_source_packages_are_allowed_by_name_only() -> None:
    spec = f'{CPU}packages = ["rich"]\n'
    assert settings(spec)["no-build"] is True
    assert "no-binary-package" not in settings(spec)
    taken = settings(spec, sources=("b", "a"))
    assert (taken["no-build"], taken["no-binary-package"]) == (True, ["a", "b"])
    assert "no-build" not in settings(spec, searching=True)


def test_no_default_index_and_no_url_of_one_is_named() -> None:
    found = settings(f'{CPU}packages = ["rich"]\n')
    assert "index" not in found
    assert "sources" not in found
    text = uv.project(question(f'{CPU}packages = ["rich"]\n'), version="0.13.9").text
    assert "http" not in text


def test_every_index_is_explicit_and_named_for_its_packages() -> None:
    found = settings(f'{CPU}packages = ["corp-tools", "rich"]\n{CORP}')
    rows = found["index"]
    assert isinstance(rows, list)
    assert all(each["explicit"] is True for each in rows)
    assert [each.get("exclude-newer") for each in rows] == [False, "2025-11-01T00:00:00Z", None]
    assert found["sources"] == {"corp-tools": {"index": "corp"}}


def test_to_learn_what_lacks_no_environment_is_required() -> None:
    spec = f'{CPU}packages = ["rich"]\n'
    assert settings(spec)["environments"] == settings(spec)["required-environments"]
    assert not {"environments", "required-environments"} & settings(spec, anywhere=True).keys()


def test_constraints_are_sorted_and_unique() -> None:
    rows = tuple(Constraint(key="", text=each, why="") for each in ("b<2", "a<1", "b<2"))
    found = settings(f'{CPU}packages = ["rich"]\n', constraints=rows)
    assert found["constraint-dependencies"] == ["a<1", "b<2"]


def test_the_project_is_never_called_like_a_package() -> None:
    head = document(f"{CPU.replace(chr(34) + 's' + chr(34), chr(34) + 'rich' + chr(34))}")
    project = head["project"]
    assert isinstance(project, dict)
    assert project["name"] == "mlenv-rich"


@pytest.mark.parametrize(
    ("python", "target", "marker", "interpreter", "requires"),
    [
        pytest.param(
            "3.12",
            "",
            "platform_machine == 'x86_64' and implementation_name == 'cpython' "
            "and python_version == '3.12'",
            "3.12\n",
            ">=3.11",
            id="a newer Python than the oldest host",
        ),
        pytest.param(
            "3.10",
            '[targets.a]\nplatform = "linux/arm64"\n',
            "platform_machine == 'aarch64' and implementation_name == 'cpython' "
            "and python_version == '3.10'",
            "3.10\n",
            ">=3.10",
            id="an older one, on arm64",
        ),
        pytest.param(
            "3.14t",
            "",
            "platform_machine == 'x86_64' and implementation_name == 'cpython' "
            "and python_version == '3.14'",
            "3.14t\n",
            ">=3.11",
            id="free-threaded",
        ),
    ],
)
def test_the_environment_is_the_one_of_the_target(
    python: str, target: str, marker: str, interpreter: str, requires: str
) -> None:
    spec = f'name = "s"\npython = "{python}"\ncuda = "cpu"\npackages = ["rich"]\n{target}'
    found = planned(spec)
    assert uv.environment(found) == f"sys_platform == 'linux' and {marker}"
    assert (uv.interpreter(found).path, uv.interpreter(found).text) == (
        ".python-version",
        interpreter,
    )
    project = document(spec)["project"]
    assert isinstance(project, dict)
    assert project["requires-python"] == requires


def test_the_command_asks_for_no_interpreter_and_no_colour() -> None:
    words = uv.command("/bin/uv", "/bin/python", offline=False)
    assert words[:4] == ("/bin/uv", "lock", "--python", "/bin/python")
    assert {"--no-python-downloads", "--no-progress", "never"} <= set(words)
    assert "--offline" not in words
    assert uv.command("uv", "python", offline=True)[-1] == "--offline"


@pytest.mark.parametrize(
    ("requirement", "name"),
    [
        pytest.param(text, "corp.tools", id=text)
        for text in (
            *("corp.tools", "corp.tools>=1", "corp.tools[a,b]==2", "corp.tools ; x == 'y'"),
            *("corp.tools~=1", "corp.tools!=2", "corp.tools<3", "corp.tools @ https://x.example/"),
        )
    ],
)
def test_the_name_of_a_requirement(requirement: str, name: str) -> None:
    assert uv.name(requirement) == name


@pytest.mark.parametrize(
    ("name", "passed"),
    [
        *((each, True) for each in ("PATH", "HOME", "HTTPS_PROXY", "SSL_CERT_FILE", "NETRC")),
        *((each, True) for each in ("UV_INDEX_CORP_PASSWORD", "UV_DEFAULT_INDEX", "UV_CACHE_DIR")),
        *((each, True) for each in ("UV_KEYRING_PROVIDER", "UV_HTTP_TIMEOUT", "UV_CONFIG_FILE")),
        *((each, False) for each in ("UV_PRERELEASE", "UV_EXCLUDE_NEWER", "UV_RESOLUTION")),
        *((each, False) for each in ("UV_PYTHON", "UV_FROZEN", "UV_TORCH_BACKEND", "UV_OVERRIDE")),
        *((each, False) for each in ("VIRTUAL_ENV", "PYTHONPATH", "CONDA_PREFIX", "UV_NO_BINARY")),
    ],
)
def test_variables_that_change_what_is_chosen_stay_behind(name: str, *, passed: bool) -> None:
    assert (uv.PASSED_ON.match(name) is not None) is passed
