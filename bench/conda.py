"""Measure a conda lock: against the real conda-lock over one channel, and over a large channel.

    python bench/conda.py [--rounds N] [--records N]

The channel is the tests' own, served on loopback; conda-lock gets an environment of its own, and
rattler in place of the conda that it runs (``tests/condashim.py``). "Solve and write" is what mlenv
does between reading a spec and having its files, in a process that runs already; "the command" is
all of ``mlenv lock``, the start of Python included. The large channel holds that many records, of
names that depend on each other; its time and peak memory are those of the whole command. A number
is the best of the rounds. The table goes to stderr, the numbers as JSON to stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import uv
import yaml

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import condachannel  # noqa: E402 (the tests' own)
from drive import catalog, desk  # noqa: E402
from mlenv.build.job import build  # noqa: E402
from mlenv.build.verdict import Order  # noqa: E402
from mlenv.spec.parse import parse_spec  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

GOALS = {
    "solve and write / conda-lock lock": 0.1,
    "large channel, seconds": 5.0,
    "large channel, mib": 1228.8,
}
TARGETS = {"linux-64": "amd64", "linux-aarch64": "arm64"}
TODAY = "2026-11-01T00:00:00Z"


def spec(channel: str, *lines: str) -> str:
    """Return a spec over a channel, for both platforms."""
    said = ['name = "stack"', 'backend = "conda"', 'python = "3.12"', *lines]
    for name in TARGETS.values():
        said += [f"[targets.{name}]", f'platform = "linux/{name}"', 'driver = ">=570"']
    return "\n".join([*said, "[lock]", f"channels = [{json.dumps(channel)}]", ""])


def best(rounds: int, run: Callable[[Path], None]) -> float:
    """Return the seconds of the fastest round; each has an empty folder."""
    found = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as name:
            start = time.perf_counter()
            run(Path(name))
            found.append(time.perf_counter() - start)
    return min(found)


def in_process(text: str, folder: Path) -> None:
    """Solve and write, with empty caches."""
    parsed = parse_spec(text, origin="spec.toml")
    with desk(folder / "cache") as at:
        order = Order(out=folder / "images", today=TODAY, recipe=False)
        outcomes = build(parsed, catalog(), at, order)
    if not all(each.lock for each in outcomes):
        raise SystemExit("\n".join(str(each.reasons) for each in outcomes))


def command(text: str, folder: Path) -> None:
    """Run the whole of ``mlenv lock``, with empty caches."""
    (folder / "spec.toml").write_text(text, encoding="utf-8")
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    subprocess.run(
        [sys.executable, "-m", "mlenv", "lock", "spec.toml"],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
    )


def conda_lock(bin_: Path, channel: str, folder: Path) -> None:
    """Run the real ``conda-lock lock`` for the same."""
    shim = folder / "conda"
    code = (ROOT / "tests" / "condashim.py").read_text("utf-8")
    shim.write_text(f"#!{sys.executable}\n{code}", encoding="utf-8")
    shim.chmod(0o755)
    wanted = ["python 3.12.*", "pytorch * *cuda*", "cuda-version 12.6.*"]
    asked = {"channels": [channel], "platforms": [*TARGETS], "dependencies": wanted}
    (folder / "environment.yml").write_text(yaml.safe_dump(asked), encoding="utf-8")
    machine = {"__cuda": "12.8", "__glibc": "2.36", "__linux": "5.10", "__unix": "0"}
    virtual = {"subdirs": {each: {"packages": machine} for each in TARGETS}}
    (folder / "virtual.yml").write_text(yaml.safe_dump(virtual), encoding="utf-8")
    argv = [str(bin_ / "conda-lock"), "lock", "--conda", str(shim), "--file", "environment.yml"]
    argv += ["--virtual-package-spec", "virtual.yml", "--lockfile", "lock.yml"]
    subprocess.run(argv, cwd=folder, check=True, capture_output=True)


def large(root: Path, records: int) -> str:
    """Write a channel of ``records`` records; return its address."""
    found = condachannel.stubs(root)
    path = root / "linux-64" / "repodata.json"
    document = json.loads(path.read_text("utf-8"))
    rows = document["packages.conda"]
    (model,) = [row for row in rows.values() if row["name"] == "libcublas"][:1]
    for number in range(records):
        name, version = f"filler{number // 30}", f"1.{number % 30}"
        needs = [f"filler{number // 30 + 1} >=1.{number % 30}"] if number // 30 % 5 else []
        row = model | {"name": name, "version": version, "depends": needs, "constrains": []}
        rows[f"{name}-{version}-h9ab20c4_0.conda"] = row
    path.write_text(json.dumps(document), encoding="utf-8")
    return found.url


def peak(text: str, folder: Path) -> tuple[float, float]:
    """Return the seconds and the peak MiB of ``mlenv lock``."""
    (folder / "spec.toml").write_text(text, encoding="utf-8")
    code = (
        "import resource, subprocess, sys, time\n"
        "start = time.perf_counter()\n"
        "subprocess.run([sys.executable, '-m', 'mlenv', 'lock', 'spec.toml'], check=True)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024\n"
        "print(time.perf_counter() - start, used)\n"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        check=True,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    seconds, mib = map(float, done.stdout.split()[-2:])
    return seconds, mib


def measure(rounds: int, records: int) -> dict[str, float]:
    """Return what was measured."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv = folder / "venv"
        for words in (
            ["venv", "--quiet", "--python", sys.executable, str(venv)],
            ["pip", "install", "--quiet", "--python", str(venv), "conda-lock==4.0.3"],
        ):
            subprocess.run([uv.find_uv_bin(), *words], check=True)
        stubs = condachannel.stubs(folder / "channel")
        with condachannel.served(stubs) as channel:
            text = spec(channel.url, 'framework = "torch"', 'cuda = "12.6"')
            found["conda-lock lock, seconds"] = best(
                rounds, lambda at: conda_lock(venv / "bin", channel.url, at)
            )
            found["solve and write, seconds"] = best(rounds, lambda at: in_process(text, at))
            found["the command, seconds"] = best(rounds, lambda at: command(text, at))
        theirs = found["conda-lock lock, seconds"]
        for each in ("solve and write", "the command"):
            found[f"{each} / conda-lock lock"] = found[f"{each}, seconds"] / theirs
        address = large(folder / "large", records)
        (folder / "run").mkdir()
        one = spec(address, 'framework = "torch"', 'cuda = "12.6"').partition("[targets.arm64]")
        text = one[0] + "[lock]" + one[2].partition("[lock]")[2]
        seconds, mib = peak(text, folder / "run")
        found["large channel, seconds"], found["large channel, mib"] = seconds, mib
    return found


def main() -> None:
    """Measure, and show it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--records", type=int, default=300_000)
    asked = parser.parse_args()
    found = measure(asked.rounds, asked.records)
    for name, value in found.items():
        goal = f"   goal {GOALS[name]:g}" if name in GOALS else ""
        print(f"{name:36} {value:10.3f}{goal}", file=sys.stderr)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
