"""``python probe.pyz --plan FILE|- [--out FILE]``: run a plan's probes and report what they saw.

Exit status: 0 the report is complete, whatever it says; 1 it is not, something ended the run; 2
the command line or the plan is wrong. Whether the environment is good is for the host to judge.
"""

from __future__ import annotations

import argparse
import json
import sys

from mlenv.smoke import harness, register

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

PLAN_SCHEMA = "mlenv.plan/1"


def main(words: Sequence[str] | None = None) -> int:
    """Run, and return the exit status."""
    parser = argparse.ArgumentParser(prog="probe", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--plan", metavar="FILE|-", help="what to run (JSON)")
    parser.add_argument(
        "--out", metavar="FILE", help="where the report goes, after every probe anew"
    )
    parser.add_argument("--list", action="store_true", help="name the probes there are")
    asked = parser.parse_args(words)
    if asked.list:
        for each in register.PROBES.values():
            gpu = "gpu" if each.gpu else "-"
            print(f"{each.level} {each.name:24} {each.seconds:5g} s {gpu:3} {' '.join(each.needs)}")  # noqa: T201
        return 0
    if not asked.plan:
        parser.error("--plan is needed")
    try:
        plan = _plan(asked.plan)
    except (OSError, ValueError) as error:
        parser.error(f"the plan cannot be used: {error}")
    return harness.run(plan, asked.out)


def _plan(path: str) -> dict[str, Any]:
    """Read a plan; what is not said in it has a value that demands nothing."""
    if path == "-":
        text = sys.stdin.read()
    else:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    plan = json.loads(text)
    if not isinstance(plan, dict) or plan.get("schema") != PLAN_SCHEMA:
        raise ValueError(f"its schema is not {PLAN_SCHEMA}")
    shapes = {"probes": list, "params": dict, "expect": dict, "limits": dict}
    for key, shape in shapes.items():
        if not isinstance(plan.setdefault(key, shape()), shape):
            raise ValueError(f"`{key}` is no {shape.__name__}")  # noqa: TRY004 (of a file)
    return plan


if __name__ == "__main__":
    sys.exit(main())
