"""Measure ``mlenv matrix report``: ten thousand results to a page, and that page in a browser.

    python bench/report.py [--cells N] [--nights N] [--rounds N] [--out FILE.json]

The table goes to stderr, the numbers as JSON to stdout. Results are written as runs write them,
with locks of 150 packages of which some move every night. "report" is a whole process; its
processor seconds stand beside it, since a busy machine stretches the clock. "opens" is until
Chromium has laid the page out and its script has run, and "busy" what the page's own thread worked
for that; "filters" is words typed into the filter. The ratio holds the report against reading the
same files with nothing but json. A number is the best of the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from nightly import Nights

GOALS = {"report, s": 5.0, "opens, s": 2.0}
PACKAGES = 150
AXES = ("python", "framework", "cuda")


def fill(folder: Path, cells: int, nights: int) -> None:
    """Write ``cells`` times ``nights`` results; every tenth cell fails in the last nights."""
    kept = Nights(folder)
    points = []
    for n in range(cells):
        release, toolkit = n // 4 % 8, n // 32
        axes = {"python": f"3.{11 + n % 4}", "framework": f"torch==2.{release}.*"}
        points.append(axes | {"cuda": f"{toolkit}.0"})
    held = {f"package-{number:03}": "1.0" for number in range(PACKAGES)}
    for night in range(nights):
        for each in range(night * 7, night * 7 + 5):
            held[f"package-{each % PACKAGES:03}"] = f"1.{night}"
        late = night >= nights - 2
        kept.night(*(_cell(n, axes, held, late=late) for n, axes in enumerate(points)))


def _cell(
    number: int, axes: dict[str, str], held: dict[str, str], *, late: bool
) -> tuple[str, dict[str, str], dict[str, str], dict[str, object]]:
    own = held | {f"own-{number % 8}": "1.0"}  # eight stacks a night, as equal cells share theirs
    bad: dict[str, object] = {}
    if late and number % 10 == 0:
        bad = {"verdict": "failed", "log": "x" * 4000}
    told: dict[str, object] = {
        "versions": {"torch": "2.9.1", "toolkit": "12.8"},
        "log": "said\n" * 40,
        **bad,
    }
    return "stacks", axes, own, told


def reported(results: Path, page: Path) -> tuple[float, float]:
    """Return the seconds on the clock and of the processor that the command takes."""
    words = [sys.executable, "-m", "mlenv", "matrix", "report", str(results), "--out", str(page)]
    # bytecode is kept, as where mlenv is installed
    env = {key: text for key, text in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    subprocess.run(words, env=env, check=True, capture_output=True)
    seconds = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def read_bare(results: Path) -> float:
    """Return the processor seconds that reading every result takes, in a process that is up."""
    start = time.process_time()
    for path in results.glob("runs/*/cells/*.json"):
        json.loads(path.read_bytes())
    return time.process_time() - start


def opened(page: Path) -> tuple[float, float, float]:
    """Return the seconds until the page is there, those it worked, and until a filter answers."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 (where a browser is)

    program = shutil.which("chromium")
    with sync_playwright() as driver:
        words = ["--no-sandbox"] if os.geteuid() == 0 else []
        running = driver.chromium.launch(executable_path=program, args=words)
        at = running.new_page()
        session = at.context.new_cdp_session(at)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        start = time.monotonic()
        at.goto(page.as_uri())
        at.evaluate("() => new Promise(requestAnimationFrame)")
        seconds = time.monotonic() - start
        rows = session.send("Performance.getMetrics")["metrics"]
        busy = next(row["value"] for row in rows if row["name"] == "TaskDuration")
        start = time.monotonic()
        at.fill("#filter", "python=3.12 cuda=1.0")
        at.evaluate("() => new Promise(requestAnimationFrame)")
        filtered = time.monotonic() - start
        running.close()
    return seconds, busy, filtered


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cells", type=int, default=200)
    parser.add_argument("--nights", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        results, page = Path(place) / "results", Path(place) / "matrix.html"
        fill(results, asked.cells, asked.nights)
        runs = [reported(results, page) for _ in range(asked.rounds)]
        bare = min(read_bare(results) for _ in range(asked.rounds))
        shown = [opened(page) for _ in range(asked.rounds)] if shutil.which("chromium") else []
        size = page.stat().st_size
    found = {
        "results": asked.cells * asked.nights,
        "report, s": round(min(wall for wall, _ in runs), 2),
        "report, processor s": round(min(cpu for _, cpu in runs), 2),
        "ratio to json alone": round(min(cpu for _, cpu in runs) / bare, 1),
        "page, MB": round(size / 1e6, 2),
    }
    if shown:
        found |= {
            "opens, s": round(min(each for each, _, _ in shown), 2),
            "opens, busy s": round(min(each for _, each, _ in shown), 2),
            "filters, s": round(min(each for _, _, each in shown), 2),
        }
    for name, value in found.items():
        goal = f"  (goal {GOALS[name]})" if name in GOALS else ""
        print(f"{name:24} {value}{goal}", file=sys.stderr)
    text = json.dumps(found, indent=2) + "\n"
    if asked.out:
        asked.out.write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
