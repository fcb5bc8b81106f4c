"""The settings of type checkers and linter, matched to what is locked.

What a checker takes for granted (the Python that runs it, the stubs it has) is said here, so that
it judges the code as the locked environment would run it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mlenv.files import File

if TYPE_CHECKING:
    from mlenv.export.source import Source

_RULES = (
    ("B", "mutable defaults, loop variables in closures, and their like"),
    ("E4,E7,E9,F", "what is wrong in any code"),
    ("I", "imports in order"),
    ("PERF", "work that a loop does again and again"),
    ("PLE,PLW", "what a reader takes for something else"),
    ("RUF008,RUF009,RUF012", "mutable defaults of classes and dataclasses: configurations"),
    ("S301,S302,S307,S506", "pickles, `eval` and YAML, which run code when they are loaded"),
    ("UP", "older spellings than the locked Python needs"),
)
"""Rules of ruff -> what they catch."""
_BY_PACKAGE = (
    ("numpy", "NPY", "numpy's global random state, and what numpy 2 took away"),
    ("pandas", "PD", "pandas' older ways"),
    ("fastapi", "FAST", "FastAPI's older ways"),
)


def pyright(source: Source) -> tuple[File, ...]:
    """Return ``pyrightconfig.json``, for pyright, Pylance and basedpyright.

    The environment is left to whoever runs it: a checker finds the one it is installed in, and an
    editor has one chosen. Source: https://microsoft.github.io/pyright/#/configuration.
    """
    document = {
        "pythonVersion": source.python.short,
        "pythonPlatform": "Linux",
        "typeCheckingMode": "standard",
        # Much of the field ships no stubs; what is inferred from its source is better than none.
        "useLibraryCodeForTypes": True,
        "reportMissingTypeStubs": "none",
        "reportMissingModuleSource": "warning",
    }
    text = json.dumps(document, indent=2)
    return (File("pyrightconfig.json", f"{source.note('//')}\n{text}\n"),)


def mypy(source: Source) -> tuple[File, ...]:
    """Return ``mypy.ini``. Source: https://mypy.readthedocs.io/en/stable/config_file.html."""
    held = {each.name for each in source.packages}
    lines = [
        source.note(),
        "[mypy]",
        f"python_version = {source.python.short}",
        "platform = linux",
        "warn_unused_ignores = True",
        "warn_redundant_casts = True",
        "# what has no stubs is read, and not refused",
        "follow_untyped_imports = True",
        *(["plugins = pydantic.mypy"] if "pydantic" in held else []),
    ]
    return (File("mypy.ini", "\n".join(lines) + "\n"),)


def ruff(source: Source) -> tuple[File, ...]:
    """Return ``ruff.toml`` with the rules that catch the field's traps.

    No rule of ruff knows ``.item()`` in a loop, which waits for the GPU each time round.
    Source: https://docs.astral.sh/ruff/rules/, read 2026-11-28.
    """
    held = {each.name for each in source.packages}
    rules = [*_RULES, *(row[1:] for row in _BY_PACKAGE if row[0] in held)]
    names = [", ".join(f'"{code}"' for code in codes.split(",")) for codes, _ in rules]
    lines = [
        source.note(),
        f'target-version = "py3{source.python.minor}"',
        "",
        "[lint]",
        "select = [",
        *(f"    {each},  # {says}" for each, (_, says) in zip(names, rules, strict=True)),
        "]",
    ]
    return (File("ruff.toml", "\n".join(lines) + "\n"),)
