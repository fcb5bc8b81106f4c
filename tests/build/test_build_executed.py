"""Verdicts, executed: a lock is installed by plain uv, and what it holds is imported.

No GPU is needed for that: a framework that lacks a library, or meets one of another version,
fails where it is imported. The environments are big, so there is never more than one.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from drive import desk
from mlenv.build.job import build
from mlenv.build.verdict import Order
from mlenv.catalog.load import load
from mlenv.errors import Exit
from mlenv.host.tools import uv
from mlenv.plan.decide import judged
from mlenv.plan.model import Plan
from mlenv.spec.parse import parse_spec
from planning import WISH, spec_of, stack_of
from real_stacks import rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from real_stacks import Real

pytestmark = pytest.mark.network

TODAY = "2026-11-22T00:00:00Z"
PYTHON = "{}.{}".format(*sys.version_info)
SMALL = f'name = "small"\npython = "{PYTHON}"\ncuda = "cpu"\npackages = ["hydra-core"]\n'
"""It holds compiled wheels, and a source package that is built."""
EACH = 2
"""So many stacks of each framework are installed a night."""
IMPORTED = ("torch", "torchvision", "torchaudio", "jax", "tensorflow", "cupy", "hydra-core")
MODULES = {"hydra-core": "hydra"}
SHOW = """\
import importlib, json, sys
print(json.dumps([importlib.import_module(each).__version__ for each in sys.argv[1:]]))
"""


def plain_uv(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run uv as somebody without mlenv does; what it downloads is gone afterwards."""
    dropped = {"VIRTUAL_ENV", "PYTHONPATH"}
    env = {name: text for name, text in os.environ.items() if name not in dropped}
    words = (*words, "--no-cache", "--no-python-downloads")
    return subprocess.run(
        [uv(), *words], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


def is_here(python: str) -> bool:
    """Tell whether uv finds an interpreter."""
    return plain_uv(Path(), "python", "find", python).returncode == 0


def executed(spec: str, folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Lock ``spec``, install the lock, import it; return module -> version locked and imported."""
    began = time.monotonic()
    with desk(folder / "cache") as at:
        order = Order(out=folder / "out", today=TODAY)
        (made,) = build(parse_spec(spec, origin="spec.toml"), load(), at, order)
    assert made.exit_status is Exit.DONE, "\n".join(each.text() for each in made.reasons)
    assert made.lock is not None
    assert made.folder is not None
    locked = time.monotonic()
    held = {each.name.partition("-cuda1")[0]: each.version for each in made.lock.package}
    done = plain_uv(made.folder, "sync", "--locked")
    assert done.returncode == 0, done.stderr
    synced = time.monotonic()
    environment = made.folder / ".venv"
    wanted = [name for name in IMPORTED if name in held]
    try:
        shown = subprocess.run(
            [environment / "bin" / "python", "-c", SHOW, *(MODULES.get(e, e) for e in wanted)],
            capture_output=True,
            text=True,
            check=False,
        )
        mib = sum(e.lstat().st_size for e in environment.rglob("*") if e.is_file()) >> 20
    finally:
        shutil.rmtree(environment)
    assert shown.returncode == 0, shown.stderr
    said = json.loads(shown.stdout.splitlines()[-1])
    print(  # noqa: T201 (the figures are the result)
        f"{mib} MiB: locked in {locked - began:.1f} s, installed in {synced - locked:.1f} s, "
        f"imported in {time.monotonic() - synced:.1f} s: {dict(zip(wanted, said, strict=True))}"
    )
    return {name: held[name] for name in wanted}, {
        name: version.partition("+")[0] for name, version in zip(wanted, said, strict=True)
    }


def sample(day: str) -> Iterator[Real]:
    """Yield some stacks of each framework that are told to be fine: others every day."""
    groups, here = defaultdict(list), cache(is_here)
    for real in rows():
        stack = stack_of(*real.lines)
        said = judged(stack, load(), WISH)
        if not isinstance(said, Plan) or said.verdict != "ok" or said.channel != "default":
            continue
        if stack.platform == "linux/amd64" and said.frameworks and here(str(stack.python)):
            (row, *_) = (each.candidate.build.row for each in said.frameworks if each.candidate)
            groups[row.name].append(real)
    for name, found in sorted(groups.items()):
        yield from random.Random(f"{day} {name}").sample(found, min(EACH, len(found)))  # noqa: S311


def test_a_small_lock_is_installed_and_imported(tmp_path: Path) -> None:
    locked, imported = executed(SMALL, tmp_path)
    assert imported == locked


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_real_stacks_are_installed_and_imported(
    tmp_path: Path, subtests: pytest.Subtests, capsys: pytest.CaptureFixture[str]
) -> None:
    day = os.environ.get("MLENV_SAMPLE") or dt.datetime.now(dt.UTC).date().isoformat()
    for number, real in enumerate(sample(day)):
        with capsys.disabled(), subtests.test(real.name):
            print("", real.name, sep="\n")  # noqa: T201
            locked, imported = executed(spec_of(*real.lines), tmp_path / str(number))
            assert imported == locked
