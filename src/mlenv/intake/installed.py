"""An environment that runs, as ``mlenv.smoke.inventory`` lists it.

What its user asked for is kept with its version. Installers mark that; where none did, it is what
no other package there asks for. The rest comes along, and the lock pins it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement

from mlenv.intake import hints
from mlenv.intake.draft import Draft, Said, unreadable
from mlenv.intake.requires import environment, package

if TYPE_CHECKING:
    from mlenv.intake.draft import Source

_TOOLS = frozenset({"pip", "setuptools", "wheel", "uv", "pkg-resources", "distribute"})


def read(source: Source) -> Draft:
    """Return what is installed in an environment.

    Raises:
        UsageError: ``intake-unreadable``.
    """
    try:
        content = json.loads(source.text)
        python, rows = str(content["python"]), list(content["packages"])
        packages = {package(str(row["name"])): row for row in rows}
    except (ValueError, KeyError, TypeError):
        fix = "name an interpreter with --python"
        raise unreadable(source.name, "its interpreter listed no packages", fix) from None
    draft = Draft(file=source.name)
    short = ".".join(python.split(".")[:2])
    draft.pythons.append(Said(text=f"=={short}.*", at=draft.file))
    if content.get("free_threaded"):
        draft.pythons[-1] = Said(text=f"=={short}t.*", at=draft.file)
    if content.get("machine") == "aarch64":
        draft.platforms.append("linux-aarch64")
    if content.get("conda") is True:
        why = "an exported environment.yml has them: `conda env export --from-history`"
        draft.leave(None, "packages of conda's that are not Python's", why)
    _packages(draft, packages, short)
    return draft


def _packages(draft: Draft, packages: dict[str, dict[str, Any]], python: str) -> None:
    own = {name for name, row in packages.items() if row.get("direct")}
    marked = {name for name, row in packages.items() if row.get("requested")} - own
    if marked | own | _TOOLS >= packages.keys():
        marked = set()  # an installer that marks all of them tells nothing
    known = {name: row for name, row in packages.items() if name not in own}
    asked = {each for row in known.values() for each in _needs(row, python)}
    direct = marked or {name for name in known if name not in asked}
    for name in own:
        place = packages[name]["direct"]
        draft.leave(None, f"{name} from {place}", "the project's own code is no part of a stack")
        direct |= set(_needs(packages[name], python)) & known.keys()
    count = 0
    for name, row in sorted(known.items()):
        if name in _TOOLS:
            continue
        version = str(row.get("version", ""))
        wanted = name in direct and not hints.COMPONENT.fullmatch(name)
        count += not wanted
        draft.require(f"{name}=={version}", None, direct=wanted)
    draft.note(None, f"{count} packages come with others: the lock pins them anew")


def _needs(row: dict[str, Any], python: str) -> list[str]:
    """Return the packages that one asks for on this Python, no extras taken."""
    found = []
    for text in row.get("requires") or ():
        try:
            parsed = Requirement(str(text))
        except InvalidRequirement:
            continue
        there = {**environment(python), "extra": ""}
        if parsed.marker is None or parsed.marker.evaluate(there):
            found.append(package(parsed.name))
    return found
