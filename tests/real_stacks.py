"""Stacks that are known to run, as the lines of a spec: read off ``plan/real_stacks.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).parent / "plan" / "real_stacks.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Real:
    """One row: a stack, and who says that it runs."""

    lines: tuple[str, ...]
    source: str
    name: str


def rows() -> list[Real]:
    """Return all real stacks."""
    document = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return [_real(row, document["sources"]) for row in document["stack"]]


def _real(row: dict[str, list[str] | str], sources: dict[str, str]) -> Real:
    keys = [key for key in ("python", "cuda", "framework", "packages") if key in row]
    machine = [key for key in ("platform", "gpus", "driver", "glibc") if key in row]
    lines = [f"{key} = {row[key]!r}" for key in keys]
    lines += ["[targets.a]", *(f"{key} = {row[key]!r}" for key in machine)] if machine else []
    shown = " ".join(str(row[key]) for key in (*keys, *machine))
    return Real(lines=tuple(lines), source=sources[str(row["source"])], name=shown)
