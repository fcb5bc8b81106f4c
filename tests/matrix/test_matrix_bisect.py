"""What moved between two real nights, and which of it broke a cell: on the loopback index.

Both nights are run by ``matrix run`` at two dates: real locks, real environments, real checks. A
package of the index knows by its version whether it is new; the last one checks all of them.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from facts import DEFAULT, Root
from loopback import Index, environment, wheel
from mlenv.cli import main
from mlenv.matrix.results import Results

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

PYTHON = "{}.{}".format(*sys.version_info)
OLD, NEW = "2025-05-01", "2025-06-01"
NIGHTS = ("2025-05-15", "2025-06-15")


def name(number: int) -> str:
    return f"example-{number:02}"


def spec(count: int) -> str:
    names = json.dumps([name(number) for number in range(count)])
    return f"""\
name = "many"
python = "{PYTHON}"
cuda = "cpu"
packages = {names}

[[smoke]]
name = "together"
run = ["python", "-c", "import example_{count - 1:02} as last; last.check()"]
"""


def check(harm: Sequence[int]) -> str:
    """Return a module that is in order unless all packages of ``harm`` are new."""
    new = " and ".join(f"importlib.import_module('example_{each:02}').NEW" for each in harm)
    return f"import importlib\ndef check():\n    assert not ({new or 'False'}), 'harm'\n"


def published(
    count: int, *, moved: Sequence[int], harm: Sequence[int], pins: Mapping[int, int]
) -> Root:
    """Return an index of ``count`` packages, of which ``moved`` have a newer version.

    Those of ``pins`` want another one in just their own version.
    """
    root = Root(url=DEFAULT)
    for number in range(count):
        for version, day in (("1.0", OLD), ("2.0", NEW))[: 2 if number in moved else 1]:
            text = f"NEW = {version == '2.0'}\n{check(harm)}"
            wants = [f"{name(pins[number])}=={version}"] if number in pins else []
            files = {f"{name(number).replace('-', '_')}.py": text}
            root.add(wheel(name(number), version, wants, files=files), uploaded=day)
    return root


@pytest.fixture
def nights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Yield what publishes packages, runs two nights, and returns the cell's id."""
    running: list[Index] = []

    def run(
        count: int,
        *,
        moved: Sequence[int],
        harm: Sequence[int],
        pins: Mapping[int, int] | None = None,
    ) -> str:
        index = Index(published(count, moved=moved, harm=harm, pins=pins or {}))
        index.__enter__()
        running.append(index)
        for key, text in environment(index, cache=tmp_path / "uv-cache").items():
            monkeypatch.setenv(key, text)
        monkeypatch.setenv("MLENV_CACHE_DIR", str(tmp_path / "cache"))
        monkeypatch.chdir(tmp_path)
        (tmp_path / "spec.toml").write_text(spec(count), encoding="utf-8")
        for night, status in zip(NIGHTS, (0, 1), strict=True):
            # a process of its own: its workers keep the environment that they began with
            words = ["matrix", "run", "spec.toml", "--verify", "static", "--date", night]
            argv = [sys.executable, "-m", "mlenv", *words]
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            assert done.returncode == status, done.stderr
        kept = Results(folder=tmp_path / "results")
        (found,) = kept.cells(kept.runs()[-1])
        return found.cell

    yield run
    for index in running:
        index.__exit__()


def document(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["matrix", *words, "--json"]) == status
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_report_names_the_one_package_that_moved(
    nights: Callable[..., str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    cell = nights(4, moved=[2], harm=[2])
    (told,) = document(capsys, "report")["cells"]
    assert (told["cell"], told["standing"]) == (cell, "broke")
    suspect = told["suspect"]
    assert (suspect["name"], suspect["before"], suspect["after"]) == ("example-02", "1.0", "2.0")
    assert (suspect["grounds"], suspect["of"]) == ("only", 1)
    assert suspect["bytes"] > 0
    assert main(["matrix", "report"]) == 0
    page = (tmp_path / "matrix.html").read_text("utf-8")
    assert "example-02 1.0 → 2.0" in page
    assert "check:together" in page


def test_one_package_of_forty_is_found_in_few_steps(
    nights: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    cell = nights(41, moved=range(40), harm=[17])
    told = document(capsys, "bisect", cell)
    assert [each["name"] for each in told["packages"]] == ["example-17"]
    assert (told["kind"], told["moved"], told["refused"]) == ("found", 40, 0)
    assert told["tries"] <= math.log2(40) + 2


def test_two_that_only_together_do_harm_are_both_found(
    nights: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    cell = nights(5, moved=range(4), harm=[1, 3])
    assert main(["matrix", "bisect", cell]) == 0
    said = capsys.readouterr().out
    assert "these broke it together, not one of them less" in said
    assert "example-01 1.0 -> 2.0" in said
    assert "example-03 1.0 -> 2.0" in said
    assert said.count(" -> ") == 2


def test_what_no_solver_parts_is_named_together(
    nights: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    cell = nights(6, moved=range(5), harm=[3], pins={1: 3, 3: 1})
    told = document(capsys, "bisect", cell)
    assert [each["name"] for each in told["packages"]] == ["example-01", "example-03"]
    assert told["together"] == ["example-01", "example-03"]
    assert told["refused"] > 0


def test_a_good_lock_that_fails_today_clears_the_packages(
    nights: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    cell = nights(3, moved=[0, 1], harm=[0])
    # the machine changed: whatever is installed, the check fails
    for path in (tmp_path / "results" / "specs").glob("*.toml"):
        text = path.read_text("utf-8")
        path.write_text(text.replace("last.check()", "assert False"), encoding="utf-8")
    told = document(capsys, "bisect", cell, status=6)
    assert (told["kind"], told["packages"]) == ("good-fails", [])


def test_a_cell_that_nobody_knows_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["matrix", "bisect", "no-such-cell", "--results", str(tmp_path)]) == 2
    assert "has no result of no-such-cell" in capsys.readouterr().err
