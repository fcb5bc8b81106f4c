"""Measure a matrix of real stacks: planning, and locking against `uv lock` in a plain loop.

    python bench/matrix.py [--cells N] [--out FILE.json]

The table goes to stderr, the numbers as JSON to stdout. The matrix is 193 cells of torch, jax and
tensorflow over Pythons and toolkits. `uv lock` solves the pyproject.toml files that mlenv wrote,
one after the other, as a shell loop would. Both begin with an empty cache of uv; "wheels known"
means that mlenv's own cache, which keeps by hash what was read of wheels, is not empty. Cores are
busy by as much as all processes of a run have used of them.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import uv

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MLENV = (sys.executable, "-m", "mlenv", "matrix")
SPEC = """name = "big"
python = "3.12"
framework = "torch"
[targets.h100]
gpus = ["H100"]
driver = ">=580"
[matrix]
axes.python = ["3.10", "3.11", "3.12", "3.13", "3.14"]
axes.framework = ["torch", "torch==2.8.*", "torch==2.9.*", "torch==2.7.*", "jax", "jax==0.7.*",
    "tensorflow", "tensorflow==2.19.*"]
axes.cuda = ["12.6", "12.8", "12.9", "13.0", "cpu"]
exclude = [{ cuda = "cpu", python = "3.10" }]
include = [{ cuda = "cpu", python = "3.10", framework = "jax", allow-failure = true }]
"""
GOALS = {
    "plan seconds": 3.0,
    "run cold / loop cold": 0.6,
    "run wheels known / loop cold": 0.6,
    "cores busy, wheels known": 0.85,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A run of programs."""

    seconds: float
    busy: float
    """The part of all cores that it used."""


def adopt() -> None:
    """Let processes whose parent ends become ours, so that what they used is counted.

    Source: prctl(2), PR_SET_CHILD_SUBREAPER.
    """
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


def bury() -> None:
    """Wait for all of them."""
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def measured(commands: Sequence[Sequence[str]], cwd: Path, env: Mapping[str, str]) -> Measured:
    """Run commands one after the other."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    for words in commands:
        done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, check=False)
        if done.returncode not in {0, 1, 4, 6}:
            sys.exit(f"{' '.join(words)}: {done.stderr[-2000:]}")
    seconds = time.monotonic() - start
    bury()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(seconds=seconds, busy=used / seconds / len(os.sched_getaffinity(0)))


def ran(folder: Path, name: str, ids: Sequence[str], env: Mapping[str, str]) -> Measured:
    """Lock the cells with mlenv."""
    words = [*MLENV, "run", "big.toml", "--verify", "none", "--results", name, "--keep"]
    return measured([[*words, *(w for each in ids for w in ("--cell", each))]], folder, env)


def lockable(results: Path) -> list[str]:
    """Return the cells that can be locked here: some need an index that may be out of reach."""
    found = (json.loads(each.read_text("utf-8")) for each in results.glob("runs/*/cells/*.json"))
    return sorted(each["cell"] for each in found if each["verdict"] == "ok")


def looped(folder: Path, projects: Sequence[Path], env: Mapping[str, str]) -> Measured:
    """Lock the same with uv, one after the other."""
    words = [uv.find_uv_bin(), "lock", "--quiet", "--python", sys.executable]
    words += ["--no-python-downloads", "--project"]
    return measured([[*words, str(each)] for each in projects], folder, env)


def projects(folder: Path, name: str) -> list[Path]:
    """Return what mlenv wrote for uv, without the answers."""
    found = sorted(
        each.parent for each in (folder / name).glob("runs/*/underway/*/locks/*/uv.lock")
    )
    for number, each in enumerate(found):
        place = folder / "alone" / str(number)
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(each / "pyproject.toml", place)
        (place / "uv.lock").unlink(missing_ok=True)
    return sorted((folder / "alone").iterdir())


def main() -> None:
    """Measure, print the table, print the numbers."""
    parser = argparse.ArgumentParser(description="measure a matrix against a loop of uv lock")
    parser.add_argument("--cells", type=int, default=1000, help="so many of them at most")
    parser.add_argument("--out", type=Path, help="write the JSON here too")
    given = parser.parse_args()
    adopt()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / "big.toml").write_text(SPEC.replace("\n    ", " "), encoding="utf-8")
        env = {**os.environ, "UV_CACHE_DIR": text + "/uv", "MLENV_CACHE_DIR": text + "/own"}
        plan = [*MLENV, "plan", "big.toml", "--json"]
        first = measured([plan], folder, env)
        said = subprocess.run(plan, cwd=folder, env=env, capture_output=True, check=True).stdout
        stacks = {e["stack"]: e["id"] for e in json.loads(said)["cells"] if e["verdict"] == "ok"}
        step = max(1, len(stacks) // given.cells)
        ids = list(stacks.values())[::step][: given.cells]
        ran(folder, "survey", ids, env)
        ids = lockable(folder / "survey")
        for each in ("uv", "own"):
            shutil.rmtree(folder / each)
        rows = {"plan": first, "run cold": ran(folder, "a", ids, env)}
        shutil.rmtree(folder / "uv")
        rows["run wheels known"] = ran(folder, "b", ids, env)
        shutil.rmtree(folder / "uv")
        alone = projects(folder, "b")
        rows["loop cold"] = looped(folder, alone, env)
    numbers = {
        "plan seconds": rows["plan"].seconds,
        "run cold / loop cold": rows["run cold"].seconds / rows["loop cold"].seconds,
        "run wheels known / loop cold": rows["run wheels known"].seconds
        / rows["loop cold"].seconds,
        "cores busy, wheels known": rows["run wheels known"].busy,
    }
    print(f"{len(ids)} cells, {len(alone)} locks", file=sys.stderr)
    for name, row in rows.items():
        print(f"{name:<30}{row.seconds:>9.1f} s{row.busy:>8.0%} busy", file=sys.stderr)
    for name, value in numbers.items():
        print(f"{name:<30}{value:>9.2f}   goal {GOALS[name]}", file=sys.stderr)
    document = {"cells": len(ids), "locks": len(alone), "is": numbers, "goals": GOALS}
    printed = json.dumps(document, indent=2)
    if given.out:
        given.out.write_text(printed + "\n", encoding="utf-8")
    print(printed)


if __name__ == "__main__":
    main()
