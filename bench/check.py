"""Measure ``mlenv check``: one spec in a fresh process, and ten thousand cells in one.

    python bench/check.py [--cells N] [--rounds N] [--out FILE.json]

The table goes to stderr, the numbers as JSON to stdout. "beyond start-up" is what a fresh process
spends after its imports: the catalog, the spec, the verdict; "refreshed" is that with a refreshed
catalog in the cache. The ratios are of whole processes, imports and all. All are CPU time, so that
other work on the machine counts little, and with bytecode at hand, as where mlenv is installed:
whatever PYTHONDONTWRITEBYTECODE says, it is kept for these runs. Cells are drawn with a fixed seed
from every framework release of the catalog, toolkits, Pythons, GPUs, drivers and platforms; their
time is that of one core. A number is the best of the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from mlenv.catalog import kept
from mlenv.catalog.load import Catalog, load
from mlenv.machine import Drivers, Platform, Prefix, Python
from mlenv.plan.decide import Wish, judged
from mlenv.spec.parse import parse_spec
from mlenv.spec.stack import Stack, stacks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GOALS = {
    "one spec, beyond start-up, ms": 60.0,
    "one spec, refreshed, ms": 60.0,
    "10,000 cells, s": 10.0,
}
WISH = Wish(exclude_newer="2026-11-22T00:00:00Z")
SPEC = """name = "train"
python = "3.12"
framework = "torch==2.8.0"
cuda = "12.8"
[targets.a]
gpus = ["A100"]
driver = ">=570"
"""
ONE = f"""
import time
import mlenv.cli, mlenv.cli.opening, mlenv.cli.words, mlenv.build.verdict
from mlenv.cli import opening
from mlenv.plan.decide import Wish, judged
from mlenv.spec.parse import parse_spec
from mlenv.spec.stack import stacks
imported = time.process_time()
with opening.swift():
    (stack,) = stacks(parse_spec({SPEC!r}, origin="spec.toml").spec)
    answer = judged(stack, opening.catalog(), Wish(exclude_newer="2026-11-22T00:00:00Z"))
print(imported, time.process_time() - imported)
"""
PLATFORMS: tuple[Platform, ...] = ("linux/amd64", "linux/amd64", "linux/arm64")
CUDA = ("cpu", "12", "13", "11.8", "12.1", "12.4", "12.6", "12.8", "12.9", "13.0", "13.2")
PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.13t")
GPUS = ((), ("A100",), ("V100",), ("H100",), ("B200",), ("RTX 5090", "T4"))
DRIVERS = (">=450.80.02,<581", ">=525.60.13", ">=550", ">=570", ">=580.65.06")


def cells(catalog: Catalog, count: int) -> list[Stack]:
    """Return ``count`` stacks, the same at every call."""
    draw = random.Random(1)  # noqa: S311 (a sample, no secret)
    (base,) = stacks(parse_spec(SPEC, origin="spec.toml").spec)
    names = [
        text
        for row in catalog.frameworks.values()
        for package in dict.fromkeys(row.distribution.values())
        for text in (package, *(f"{package}=={r.text}" for r in catalog.releases(package)))
    ]
    found = []
    for _ in range(count):
        cuda = draw.choice((None, *CUDA))
        driver = draw.choice((None, *DRIVERS))
        asked = tuple(
            replace(
                base.frameworks[0],
                key=f"framework[{index}]",
                requirement=Requirement(draw.choice(names)),
            )
            for index in range(draw.choice((1, 1, 1, 2)))
        )
        found.append(
            replace(
                base,
                frameworks=asked,
                python=Python.parse(draw.choice(PYTHONS)),
                cuda=Prefix.parse(cuda) if cuda and cuda != "cpu" else cuda,
                gpus=draw.choice(GPUS),
                driver=Drivers.parse(driver) if driver else None,
                platform=draw.choice(PLATFORMS),
            )
        )
    return found


def many(catalog: Catalog, drawn: list[Stack]) -> tuple[float, Counter[str]]:
    """Return the seconds of one core that all cells take, and how often each answer came."""
    answers: Counter[str] = Counter()
    start = time.process_time()
    for each in drawn:
        answer = judged(each, catalog, WISH)
        answers[answer[0].code if isinstance(answer, tuple) else answer.verdict] += 1
    return time.process_time() - start, answers


def one(env: Mapping[str, str]) -> tuple[float, float]:
    """Return the seconds of a fresh process: until its imports are done, and what follows."""
    argv = [sys.executable, "-c", ONE]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=True, stdin=None)
    imports, rest = map(float, done.stdout.split())
    return imports, rest


def whole(argv: Sequence[str], env: Mapping[str, str]) -> float:
    """Return the seconds of a whole process."""
    child = subprocess.Popen(
        [sys.executable, *argv], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{' '.join(argv)} left with {child.returncode}")
    return used.ru_utime + used.ru_stime


def fresh(folder: Path, rounds: int) -> dict[str, float]:
    """Return what fresh processes take; the kinds alternate, and the first round does not count."""
    spec = folder / "spec.toml"
    spec.write_text(SPEC, encoding="utf-8")
    env = {key: text for key, text in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    env |= {"PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    shipped = env | {"MLENV_CACHE_DIR": str(folder / "nothing")}
    refreshed = env | {"MLENV_CACHE_DIR": str(folder / "refreshed")}
    os.environ["MLENV_CACHE_DIR"] = refreshed["MLENV_CACHE_DIR"]
    kept.write(kept.shipped())
    os.environ["MLENV_CACHE_DIR"] = shipped["MLENV_CACHE_DIR"]
    found: dict[str, list[float]] = {}
    for _ in range(rounds + 1):
        imports, rest = one(shipped)
        row = {
            "imports": imports,
            "rest": rest,
            "refreshed": one(refreshed)[1],
            "pass": whole(["-c", "pass"], shipped),
            "help": whole(["-m", "mlenv", "--help"], shipped),
            "check": whole(["-m", "mlenv", "check", str(spec)], shipped),
        }
        for name, seconds in row.items():
            found.setdefault(name, []).append(seconds)
    best = {name: min(several[1:]) for name, several in found.items()}
    return {
        "imports, ms": best["imports"] * 1000,
        "one spec, beyond start-up, ms": best["rest"] * 1000,
        "one spec, refreshed, ms": best["refreshed"] * 1000,
        "check / mlenv --help": best["check"] / best["help"],
        "check / python -c pass": best["check"] / best["pass"],
    }


def main() -> None:
    """Measure, print the table, print the numbers."""
    parser = argparse.ArgumentParser(description="measure `mlenv check`")
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--out", type=Path, help="write the JSON here too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        processes = fresh(Path(folder), given.rounds)
        seconds, answers = many(load(), cells(load(), given.cells))
    numbers = {**processes, "10,000 cells, s": seconds * 10_000 / given.cells}
    for name, value in numbers.items():
        goal = GOALS.get(name)
        mark = "" if goal is None or value <= goal else "  missed"
        print(f"{name:<32}{value:>9.2f}{goal or '-':>9}{mark}", file=sys.stderr)
    document = {
        "is": {name: round(value, 3) for name, value in numbers.items()},
        "goals": GOALS,
        "cells": given.cells,
        "answers": dict(answers.most_common()),
    }
    text = json.dumps(document, indent=2)
    if given.out:
        given.out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
