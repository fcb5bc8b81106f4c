"""``--to pyright``, ``mypy``, ``ruff``: the tools take their settings."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from exporting import exported, ran, tool

if TYPE_CHECKING:
    from pathlib import Path

TRAPS = """
import pickle
from dataclasses import dataclass

import numpy as np
import torch

np.random.seed(1)


@dataclass
class Config:
    layers: list = [64, 64]


class Model:
    hooks = []

    def train(self, betas=[0.9, 0.99]):
        steps = []
        for step in range(3):
            steps.append(lambda: step)
        return steps, torch.zeros(3), pickle.load(open("m", "rb"))
"""
TYPED = """
import torch
from torch import Tensor


def loss(x: Tensor) -> Tensor:
    return torch.relu(x).sum()


wrong: int = loss(torch.zeros(2))
"""
STUB = {
    "torch/__init__.py": "from torch._tensor import Tensor\n\n"
    "def relu(x: Tensor) -> Tensor: ...\ndef zeros(*size: int) -> Tensor: ...\n",
    "torch/_tensor.py": "class Tensor:\n    def sum(self) -> 'Tensor': ...\n",
}
"""As much of torch as ``TYPED`` uses; like torch itself it says its types in its source."""


def test_ruff_sees_the_traps_of_the_field(torch_folder: Path, tmp_path: Path) -> None:
    exported(torch_folder, tmp_path, "--to", "ruff")
    (tmp_path / "train.py").write_text(TRAPS, encoding="utf-8")
    argv = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "json"]
    done = ran([*argv, "train.py"], tmp_path, {})
    assert done.stderr == ""
    found = {each["code"] for each in json.loads(done.stdout)}
    assert {"B006", "B023", "RUF008", "RUF012", "S301", "NPY002"} <= found


def stubbed(place: Path) -> Path:
    """Return the interpreter of a small environment with a torch."""
    (packages,) = place.glob("lib/python3.*/site-packages")
    for name, text in STUB.items():
        path = packages / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return place / "bin" / "python"


@pytest.mark.network
def test_pyright_checks_a_file_of_torch_without_an_error_of_its_settings(
    torch_folder: Path, tmp_path: Path
) -> None:
    programs = tool(tmp_path / "tool", "basedpyright")
    python = stubbed(tmp_path / "tool")
    place = exported(torch_folder, tmp_path / "work", "--to", "pyright")
    (place / "train.py").write_text(TYPED, encoding="utf-8")
    argv = [str(programs / "basedpyright"), "--outputjson", "--pythonpath", str(python), "train.py"]
    done = ran(argv, place, {})
    assert "config" not in done.stderr.lower()
    found = json.loads(done.stdout)
    rules = [each.get("rule") for each in found["generalDiagnostics"]]
    assert rules == ["reportAssignmentType"], done.stdout


@pytest.mark.network
def test_mypy_checks_a_file_of_torch_without_an_error_of_its_settings(
    torch_folder: Path, tmp_path: Path
) -> None:
    programs = tool(tmp_path / "tool", "mypy")
    python = stubbed(tmp_path / "tool")
    place = exported(torch_folder, tmp_path / "work", "--to", "mypy")
    (place / "train.py").write_text(TYPED, encoding="utf-8")
    argv = [str(programs / "mypy"), "--python-executable", str(python), "train.py"]
    done = ran(argv, place, {})
    assert done.stderr == ""
    assert done.stdout.splitlines()[0].endswith(
        'Incompatible types in assignment (expression has type "Tensor", variable has type "int")'
        "  [assignment]"
    )
    assert done.stdout.splitlines()[1:] == ["Found 1 error in 1 file (checked 1 source file)"]
