"""A ``pyproject.toml`` that Poetry locks to the versions of the lock, and to no other.

Every package is asked for by its exact version, those of another index from that index alone; so
Poetry has nothing to choose. Its hashes are its own: it takes all files of a version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlenv.files import File
from mlenv.layers import DEFAULT_INDEX, DEV

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlenv.export.source import Source
    from mlenv.lock import Package


def poetry(source: Source) -> tuple[File, ...]:
    """Return the file for ``poetry lock`` and ``poetry install``.

    Source: https://python-poetry.org/docs/repositories/ and /docs/dependency-specification/.
    """
    import tomli_w  # noqa: PLC0415 (loaded when used)

    minor = source.python.minor
    tool: dict[str, Any] = {
        "package-mode": False,
        "dependencies": _pins(source, (p for p in source.packages if p.layer not in DEV)),
    }
    if dev := _pins(source, (p for p in source.packages if p.layer in DEV)):
        tool["group"] = {"dev": {"dependencies": dev}}
    aliases = sorted({each.index for each in source.packages} - {DEFAULT_INDEX})
    if aliases:
        tool["source"] = [
            {"name": each, "url": source.url(each), "priority": "explicit"} for each in aliases
        ]
    document = {
        "project": {
            "name": f"mlenv-{source.stem}",
            "version": "0",
            "requires-python": f">=3.{minor},<3.{minor + 1}",
        },
        "tool": {"poetry": tool},
    }
    return (File("pyproject.toml", f"{source.note()}\n\n{tomli_w.dumps(document)}"),)


def _pins(source: Source, packages: Iterable[Package]) -> dict[str, dict[str, str]]:
    return {each.name: _pin(source, each) for each in packages}


def _pin(source: Source, package: Package) -> dict[str, str]:
    marker = f"sys_platform == 'linux' and platform_machine == '{source.architecture}'"
    found = {"version": f"=={package.version}", "markers": marker}
    if package.index != DEFAULT_INDEX:
        found["source"] = package.index
    return found
