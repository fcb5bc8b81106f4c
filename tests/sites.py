"""Environments and locks of a few bytes, for runners: what is locked is what is there."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from judging import lock
from mlenv.verify.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PYTHON = sys.executable


def subject(
    folder: Path, *, toolkit: str = "cpu", checks: tuple[str, ...] | list[str] = ()
) -> Subject:
    """Return a locked folder that demands nothing but this Python, and those checks."""
    python = "{}.{}".format(*sys.version_info)
    rows = [{"name": each, "run": [each], "gpus": 0} for each in checks]
    found = lock({}, toolkit=toolkit, python=python, compile_="none")
    return Subject(folder=folder, lock=found, smoke={"target": {}, "checks": rows})


def site(folder: Path, programs: Mapping[str, str]) -> str:
    """Return an interpreter on whose PATH there are those programs, as a shell would start it."""
    place = folder / "bin"
    place.mkdir()
    for name, text in programs.items():
        path = place / name
        path.write_text(f"#!{PYTHON}\n{text}\n", encoding="utf-8")
        path.chmod(0o755)
    start = place / "python"
    start.write_text(f'#!/bin/sh\nPATH={place}:$PATH exec {PYTHON} "$@"\n', encoding="utf-8")
    start.chmod(0o755)
    return str(start)
