"""The imports inside an image: the script by itself, and what is made of its answer."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import sysconfig
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest

import containers
from mlenv.errors import HostError, ImageError
from mlenv.host.process import Finished
from mlenv.imaging.proof import prove
from mlenv.smoke.imports import modules, same

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlenv.host.engine_port import Engine, ImageFacts, Made, Order, Trial

EXTENSION = sysconfig.get_config_var("EXT_SUFFIX")

WHEELS: dict[str, dict[str, str]] = {
    "good": {"good.py": "print('noise')"},
    "package": {"package/__init__.py": "", "package/inner.py": "raise SystemExit"},
    "two-names": {"_two.py": "raise ImportError", "two.py": ""},
    "own-name": {"own_name.py": "", "script.py": "import nothing_of_that_name"},
    "broken": {"broken.py": "import nothing_of_that_name"},
    "leaves": {"leaves.py": "raise SystemExit('bye')"},
    "ends": {"ends.py": "import os; os._exit(3)"},
    "crashes": {"crashes.py": "import os; os.kill(os.getpid(), 11)"},
    "driver": {"driver.py": "raise ImportError('libcuda.so.1: cannot open shared object file')"},
    "data": {"data/share/some.txt": ""},
    "company": {"company.py": "import sys; assert 'good' not in sys.modules"},
    "space-one": {"space/one/__init__.py": ""},
    "space-two": {"space/two.py": ""},
    "last": {"zlast.py": "import sys; assert 'package' in sys.modules"},
}
"""Distribution -> its files."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def found(site: Path) -> dict[str, Any]:
    return tried(site, dict.fromkeys(WHEELS, "1.0"))


def installed(tmp_path: Path) -> Path:
    for name, wheel in WHEELS.items():
        info = tmp_path / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "RECORD").write_text("".join(f"{path},,\n" for path in wheel))
        for path, text in wheel.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
    return tmp_path


def tried(site: Path, wanted: dict[str, str], *, seconds: float = 180.0) -> dict[str, Any]:
    script = files("mlenv.smoke").joinpath("imports.py").read_text(encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", script.replace("SECONDS = 180.0", f"SECONDS = {seconds}")],
        env={**os.environ, "PYTHONPATH": str(site)},
        input=json.dumps(wanted),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return {each["name"]: each for each in json.loads(done.stdout)["packages"]}


@pytest.mark.parametrize(
    ("name", "status", "module", "text"),
    [
        pytest.param("good", "imported", "", "", id="one that prints"),
        pytest.param("package", "imported", "", "", id="a package, without what lies in it"),
        pytest.param("two-names", "imported", "", "", id="a private module beside a public one"),
        pytest.param("own-name", "imported", "", "", id="a script beside what it is named for"),
        pytest.param("broken", "failed", "broken", "nothing_of_that_name", id="one that fails"),
        pytest.param("leaves", "failed", "leaves", "bye", id="one that leaves"),
        pytest.param("ends", "failed", "ends", "ended the interpreter", id="one that ends all"),
        pytest.param("crashes", "failed", "crashes", "SIGSEGV", id="one that crashes"),
        pytest.param("driver", "driver", "driver", "libcuda.so.1", id="one that wants a driver"),
        pytest.param("data", "nothing", "", "", id="one that has no module"),
        pytest.param("company", "imported", "", "", id="one that fails only in company"),
        pytest.param("space-one", "imported", "", "", id="a package of a namespace"),
        pytest.param("space-two", "imported", "", "", id="a module of a namespace"),
        pytest.param("last", "failed", "zlast", "AssertionError", id="none has what another lost"),
    ],
)
def test_a_package_is_imported(
    name: str, status: str, module: str, text: str, found: dict[str, Any]
) -> None:
    assert (found[name]["status"], found[name]["module"]) == (status, module)
    assert text in found[name]["text"]


def test_what_is_not_as_locked_is_told(site: Path) -> None:
    found = tried(site, {"Good": "1.0.0", "package": "2.0", "absent": "1.0"})
    assert {name: each["status"] for name, each in found.items()} == {
        "Good": "version",
        "package": "version",
        "absent": "missing",
    }


def test_one_that_hangs_loses_only_itself(tmp_path: Path) -> None:
    site = installed(tmp_path)
    (site / "good.py").write_text("import time; time.sleep(600)")
    found = tried(site, {"data": "1.0", "good": "1.0", "package": "1.0"}, seconds=2.0)
    assert found["good"]["text"] == "it was not imported within 2 s"
    assert found["package"]["status"] == "imported"


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        pytest.param(["a/__init__.py", "a/b.py", "a-1.dist-info/RECORD"], ["a"], id="a package"),
        pytest.param([f"a{EXTENSION}", "../../bin/a"], ["a"], id="a compiled module"),
        pytest.param(["a/__init__.pyi", "a-stubs/__init__.pyi"], [], id="stubs"),
        pytest.param(["nvidia/cublas/lib/libcublas.so.12"], [], id="a library is no module"),
        pytest.param(
            ["google/protobuf/__init__.py", f"google/_upb/_message{EXTENSION}"],
            ["google.protobuf"],
            id="a namespace with a private part",
        ),
        pytest.param(["_a.py"], ["_a"], id="a private module alone"),
        pytest.param(["a.py", "tests/__init__.py", "setup-x.py"], ["a"], id="tests left behind"),
        pytest.param(["a/x.py", "a/y/__init__.py", "a/z/q.py"], ["a.x", "a.y"], id="shallow ones"),
    ],
)
def test_modules_of_a_wheel(paths: list[str], expected: list[str]) -> None:
    assert modules(paths) == expected


@pytest.mark.parametrize(
    ("found", "locked", "expected"),
    [
        ("1.0", "1.0", True),
        ("2024.08.30", "2024.8.30", True),
        ("2.8.0+cu126", "2.8.0", True),
        ("2.8.0", "2.8.0+cu126", False),
        ("1.0-1", "1.0.1", True),
        ("1.0", "1.0.0", False),
        ("1.10", "1.1", False),
    ],
)
def test_versions_are_compared_as_they_are_meant(
    found: str,
    locked: str,
    expected: bool,  # noqa: FBT001 (a column)
) -> None:
    assert same(found, locked) is expected


@pytest.mark.parametrize("version", ["3.8", "3.13"])
def test_the_script_runs_on_other_pythons(version: str, tmp_path: Path) -> None:
    script = files("mlenv.smoke").joinpath("imports.py").read_text(encoding="utf-8")
    try:
        prefix, full = containers.host_python(version)
    except containers.Missing as error:
        pytest.skip(str(error))
    done = subprocess.run(
        [f"{prefix}/bin/python{version}", "-I", "-W", "error", "-c", script],
        input='{"absent": "1"}',
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    answer = json.loads(done.stdout)
    assert (answer["python"], answer["packages"][0]["status"]) == (full, "missing")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """An engine whose images answer what a test wants."""

    answer: Callable[[Trial], tuple[int, str, str]]
    name: str = "answering"
    version: str = "1"
    reproducible: bool = False

    def run(self, trial: Trial) -> Finished:
        status, stdout, stderr = self.answer(trial)
        return Finished(argv=trial.argv, status=status, stdout=stdout, stderr=stderr)

    def prune(self, label: str) -> int:
        raise NotImplementedError

    def build(self, order: Order, line: Callable[[str], None]) -> Made:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def load(self, archive: Path) -> str:
        raise NotImplementedError

    def tag(self, image: str, name: str) -> None:
        raise NotImplementedError

    def push(self, name: str, progress: Callable[[str], None]) -> str:
        raise NotImplementedError

    def inspect(self, image: str) -> ImageFacts | None:
        raise NotImplementedError

    def digest(self, reference: str) -> str | None:
        raise NotImplementedError

    def remove(self, image: str) -> None:
        raise NotImplementedError


def answering(packages: list[dict[str, str]]) -> Engine:
    rows = [{"version": "1", "module": "", "text": "", **each} for each in packages]
    return Answering(answer=lambda _: (0, json.dumps({"python": "3.12.1", "packages": rows}), ""))


def test_each_package_that_fails_is_one_reason() -> None:
    engine = answering(
        [
            {"name": "b", "status": "failed", "module": "b.c", "text": "ImportError: libGL.so.1"},
            {"name": "a", "status": "missing", "text": "it is not installed"},
            {"name": "c", "status": "driver", "module": "c", "text": "libcuda.so.1"},
        ]
    )
    with pytest.raises(ImageError) as caught:
        prove(engine, "image", {})
    assert [each.what for each in caught.value.reasons] == [
        "a 1 cannot be imported in the image (user 1000)",
        "b 1, module b.c, cannot be imported in the image (user 1000)",
    ]
    assert caught.value.exit_status == 5


def test_a_driver_is_not_asked_for() -> None:
    (proof,) = prove(answering([{"name": "c", "status": "driver"}]), "image", {}, users=("1",))
    assert proof.bad == ()
    assert (proof.user, proof.python) == ("1", "3.12.1")


def test_an_image_that_runs_nothing_is_told() -> None:
    engine = Answering(answer=lambda _: (127, "", "exec: python: not found\n"))
    with pytest.raises(HostError) as caught:
        prove(engine, "image", {})
    assert caught.value.reasons[0].code == "engine-failed"
    assert "python: not found" in caught.value.reasons[0].cause
