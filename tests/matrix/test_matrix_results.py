"""The results folder: what is written can be read, whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlenv.errors import UsageError
from mlenv.matrix.cell import cell_id
from mlenv.matrix.result import CellResult, Row, Rows, Run
from mlenv.matrix.results import Results

if TYPE_CHECKING:
    from pathlib import Path

RUN = Run(
    run="20261128-020000",
    night="2026-11-28",
    began="2026-11-28T02:00:00Z",
    mlenv="0.1",
    level="static",
    on="local",
    specs=("specs/torch.toml",),
    cells=("torch-1",),
)
RESULT = CellResult(
    run=RUN.run,
    night=RUN.night,
    cell="torch-1",
    spec="torch",
    verdict="ok",
    phase="verify",
    lock="0" * 64,
    cell_spec="1" * 64,
    seconds={"lock": 1.5},
)
ROWS = Rows(
    artefacts_sha256="0" * 64,
    backend="uv",
    package=(
        Row(name="a", version="1", size=10, index="default", filename="a-1.whl", sha256="2" * 64),
    ),
)


def test_what_is_put_can_be_read(tmp_path: Path) -> None:
    results = Results(folder=tmp_path)
    results.put_run(RUN)
    results.put(RESULT, ROWS, 'name = "torch"\n')
    assert results.runs() == (RUN.run,)
    assert results.run(RUN.run) == RUN
    assert list(results.cells(RUN.run)) == [RESULT]
    assert results.rows("0" * 64) == ROWS
    assert results.spec("1" * 64) == 'name = "torch"\n'
    assert results.cell(RUN.run, "other") is None


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    results = Results(folder=tmp_path)
    results.put(RESULT)
    path = tmp_path / "runs" / RUN.run / "cells" / "torch-1.json"
    path.write_text("{", encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        results.cell(RUN.run, "torch-1")
    assert caught.value.reasons[0].code == "result-unreadable"
    assert str(path) in caught.value.reasons[0].what


@pytest.mark.parametrize(
    ("target", "axes", "begins"),
    [
        pytest.param(None, {}, "train-", id="a spec without targets"),
        pytest.param(
            "h100",
            {"python": "3.12", "framework": "torch==2.8.*", "cuda": "12.8"},
            "train-h100-py3.12-torch2.8-cu12.8-",
            id="words are short",
        ),
        pytest.param(None, {"packages": "../../x y"}, "train-x-y-", id="no path in a name"),
    ],
)
def test_an_id_can_be_read(target: str | None, axes: dict[str, str], begins: str) -> None:
    found = cell_id("train", target, axes)
    assert found.startswith(begins)
    assert "/" not in found
    assert found == cell_id("train", target, dict(axes))


def test_ids_of_values_that_look_alike_differ() -> None:
    one = cell_id("train", None, {"framework": "torch==2.8"})
    other = cell_id("train", None, {"framework": "torch>=2.8"})
    assert one != other
