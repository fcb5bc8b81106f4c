"""Requirements as files have them: the package they name, and whether they are for Linux."""

from __future__ import annotations

import re

from packaging.markers import InvalidMarker, Marker, UndefinedComparison, UndefinedEnvironmentName
from packaging.utils import canonicalize_name


def package(text: str) -> str:
    """Return the normalised name of what a requirement's text names; empty for none."""
    found = re.match(r"\s*([A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)", text, re.ASCII)
    return str(canonicalize_name(found[1])) if found else ""


def environment(python: str, architecture: str = "x86_64") -> dict[str, str]:
    """Return what markers ask of, for a CPython on Linux."""
    short = python.removesuffix("t")
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{short}.0",
        "os_name": "posix",
        "platform_machine": architecture,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{short}.0",
        "python_version": short,
        "sys_platform": "linux",
    }


def applies(marker: str, extras: frozenset[str] = frozenset(), python: str = "3.12") -> bool:
    """Tell whether a marker holds on Linux; one that cannot be read does not."""
    if not marker:
        return True
    try:
        parsed = Marker(marker)
        there = environment(python)
        return any(parsed.evaluate({**there, "extra": each}) for each in ("", *sorted(extras)))
    except (InvalidMarker, UndefinedComparison, UndefinedEnvironmentName):
        return False
