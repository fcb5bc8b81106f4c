"""The probe as it is shipped: a copy of the room, with probes of a test's own, run by a Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipapp
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlenv.smoke

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOM = Path(mlenv.smoke.__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A folder or a file to run."""

    root: Path
    python: str = sys.executable

    @property
    def words(self) -> list[str]:
        if self.root.is_file():
            return [self.python, str(self.root)]
        return [self.python, "-m", "mlenv.smoke"]

    def start(
        self, plan: Mapping[str, Any], *words: str, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start it with a plan on its standard input, in a session of its own."""
        path = {} if self.root.is_file() else {"PYTHONPATH": str(self.root)}
        running = subprocess.Popen(
            [*self.words, "--plan", "-", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, **path, **(env or {})},
        )
        assert running.stdin is not None
        running.stdin.write(json.dumps({"schema": "mlenv.plan/1", **plan}))
        running.stdin.close()
        running.stdin = None
        return running

    def report(
        self,
        *names: str,
        env: Mapping[str, str] | None = None,
        **plan: Any,  # noqa: ANN401 (JSON)
    ) -> dict[str, Any]:
        """Run probes to the end and return the report."""
        out, errors = self.start({"probes": names, **plan}, env=env).communicate(timeout=240)
        assert out, errors
        report: dict[str, Any] = json.loads(out)
        return report

    def row(self, name: str, **plan: Any) -> dict[str, Any]:  # noqa: ANN401 (JSON)
        """Run one probe and return what is said of it."""
        report = self.report(name, **plan)
        (row,) = (each for each in report["probes"] if each["name"] == name)
        return dict(row)


def copied(folder: Path, *, probes: str = "", rows: Sequence[str] = ()) -> Path:
    """Copy the room to ``folder``, with a module ``tried`` of more probes, and return its root."""
    room = folder / "mlenv" / "smoke"
    shutil.copytree(ROOM, room, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "mlenv" / "__init__.py").write_text("")
    (room / "tried.py").write_text(probes)
    with (room / "register.py").open("a") as file:
        file.writelines(f"PROBES.update({{row.name: row for row in [{row}]}})\n" for row in rows)
    return folder


def packed(root: Path, target: Path) -> Path:
    """Pack a copy into one file."""
    main = "import sys\nfrom mlenv.smoke.__main__ import main\nsys.exit(main())\n"
    (root / "__main__.py").write_text(main)
    zipapp.create_archive(root, target)
    return target
