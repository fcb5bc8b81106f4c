"""Measure what mlenv adds to uv: seconds and peak memory, cold and warm.

    python bench/lock.py [SPEC] [--rounds N] [--out FILE.json]

The table goes to stderr, the numbers as JSON to stdout. Cold means empty caches of uv and of
mlenv; "wheels known" means an empty cache of uv only, so that the first-time reads of wheel
contents, which mlenv keeps by hash, are shown apart. ``uv lock`` solves the pyproject.toml that
mlenv wrote. A number is the best of the rounds; rounds alternate, so that a slow minute of the
network meets both. Memory is that of the largest process, not their sum.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import uv

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parent.parent
MLENV = (sys.executable, "-m", "mlenv")
UV = (uv.find_uv_bin(),)

GOALS = {
    "lock cold / uv cold": 1.25,
    "lock wheels known / uv cold": 1.25,
    "lock warm / uv warm": 1.5,
    "help seconds": 0.15,
    "no-op build seconds": 0.25,
    "peak mib": 150.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run of one program."""

    seconds: float
    mib: float


class Caches:
    """The caches of uv and of mlenv, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        """Begin with empty caches below ``folder``."""
        self._uv = folder / "uv"
        self._own = folder / "own"

    def empty(self, *, own: bool) -> None:
        """Empty the cache of uv, and mlenv's ``own`` too."""
        shutil.rmtree(self._uv, ignore_errors=True)
        if own:
            shutil.rmtree(self._own, ignore_errors=True)

    def env(self) -> Mapping[str, str]:
        """Return the environment that leads to them."""
        return {
            **os.environ,
            "UV_CACHE_DIR": str(self._uv),
            "XDG_CACHE_HOME": str(self._own),
            "NO_COLOR": "1",
        }


def run(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> Measured:
    """Run ``argv``; say its last words and leave if it fails."""
    with tempfile.TemporaryFile() as talk:
        start = time.perf_counter()
        child = subprocess.Popen(
            argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=talk, stderr=talk
        )
        _, status, used = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            talk.seek(0)
            sys.stderr.write(talk.read().decode(errors="replace")[-4000:])
            sys.exit(f"{' '.join(argv)} left with {child.returncode}")
    unit = 1024 if sys.platform != "darwin" else 1024 * 1024
    return Measured(seconds=seconds, mib=used.ru_maxrss / unit)


def mlenv_lock(spec: Path, out: Path, caches: Caches) -> Measured:
    """Measure ``mlenv lock`` into an empty folder."""
    shutil.rmtree(out, ignore_errors=True)
    return run([*MLENV, "lock", str(spec), "--out", str(out)], cwd=ROOT, env=caches.env())


def uv_lock(locked: Path, folder: Path, caches: Caches) -> Measured:
    """Measure ``uv lock`` on the pyproject.toml that mlenv wrote below ``locked``."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    found = sorted(locked.rglob("pyproject.toml"))
    if not found:
        sys.exit(f"mlenv left no pyproject.toml below {locked}")
    shutil.copy(found[0], folder)
    argv = [*UV, "lock", "--python", sys.executable, "--no-python-downloads"]
    return run(argv, cwd=folder, env=caches.env())


def rounds(spec: Path, folder: Path, count: int) -> dict[str, list[Measured]]:
    """Return every run of every row, ``count`` runs each."""
    ours, theirs = Caches(folder / "ours"), Caches(folder / "theirs")
    out, alone = folder / "out", folder / "alone"
    found: dict[str, list[Measured]] = {}

    def keep(row: str, measured: Measured) -> None:
        found.setdefault(row, []).append(measured)
        print(f"{row:<22}{measured.seconds:>9.3f} s{measured.mib:>9.1f} MiB", file=sys.stderr)

    for _ in range(count):
        ours.empty(own=True)
        keep("lock cold", mlenv_lock(spec, out, ours))
        theirs.empty(own=True)
        keep("uv cold", uv_lock(out, alone, theirs))
        ours.empty(own=False)
        keep("lock wheels known", mlenv_lock(spec, out, ours))
        keep("lock warm", mlenv_lock(spec, out, ours))
        keep("uv warm", uv_lock(out, alone, theirs))
    build = [*MLENV, "build", str(spec), "--out", str(out)]
    run(build, cwd=ROOT, env=ours.env())
    for _ in range(max(count, 5)):
        keep("no-op build", run(build, cwd=ROOT, env=ours.env()))
        keep("help", run([*MLENV, "--help"], cwd=ROOT, env=ours.env()))
    return found


def summary(found: Mapping[str, Sequence[Measured]]) -> dict[str, float]:
    """Return what the goals are about."""
    best = {row: min(each.seconds for each in several) for row, several in found.items()}
    ours = [each.mib for row, several in found.items() if "uv" not in row for each in several]
    return {
        "lock cold / uv cold": best["lock cold"] / best["uv cold"],
        "lock wheels known / uv cold": best["lock wheels known"] / best["uv cold"],
        "lock warm / uv warm": best["lock warm"] / best["uv warm"],
        "help seconds": best["help"],
        "no-op build seconds": best["no-op build"],
        "peak mib": max(ours),
    }


def main() -> None:
    """Measure, print the table, print the numbers."""
    parser = argparse.ArgumentParser(description="measure mlenv against uv alone")
    parser.add_argument("spec", nargs="?", type=Path, default=ROOT / "specs" / "torch.toml")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write the JSON here too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = rounds(given.spec.resolve(), Path(folder), given.rounds)
    numbers = summary(found)
    print(f"\n{'':<30}{'is':>9}{'goal':>9}", file=sys.stderr)
    for name, value in numbers.items():
        mark = "" if value <= GOALS[name] else "  missed"
        print(f"{name:<30}{value:>9.3f}{GOALS[name]:>9.2f}{mark}", file=sys.stderr)
    document = {
        "spec": given.spec.name,
        "rounds": {
            row: [{"seconds": round(each.seconds, 4), "mib": round(each.mib, 1)} for each in runs]
            for row, runs in found.items()
        },
        "is": {name: round(value, 4) for name, value in numbers.items()},
        "goals": GOALS,
    }
    text = json.dumps(document, indent=2)
    if given.out:
        given.out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
