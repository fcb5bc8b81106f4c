"""What one wheel says as a row of the catalog: requirements (tier B), what it was built for (C).

Pure: the texts come from ``host.parts``. What cannot be read in them is left out, never guessed.
"""

from __future__ import annotations

import json
import re
from email.parser import HeaderParser
from typing import TYPE_CHECKING, Any

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from mlenv.catalog import scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlenv.catalog.scan import Row, Wheel
    from mlenv.host.parts import Parts

_CAPABILITY = re.compile(r"(?:sm|compute)_\d{2,3}[af]?")


def metadata_row(package: str, wheel: Wheel, read: Parts) -> Row:
    """Return the row about one wheel."""
    said = HeaderParser().parsestr(read.metadata, headersonly=True)
    requires = _requirements(said.get_all("Requires-Dist", ()))
    at = _environment(wheel)
    row: Row = {"file": wheel.file.filename}
    if base := _gpu(_active(requires, at, "")):
        row["requires"] = base
    wanted = [e for e in said.get_all("Provides-Extra", ()) if scope.keeps_extra(package, e)]
    extras = {extra: _gpu(_active(requires, at, extra)) for extra in wanted}
    if kept := {extra: found for extra, found in sorted(extras.items()) if found}:
        row["extras"] = kept
    row |= _of_small(package, read.small)
    if read.names:
        row["bundled"] = list(read.names)
    return row


def discovered(read: Parts) -> set[str]:
    """Return the names in a wheel's Requires-Dist that the catalog follows."""
    said = HeaderParser().parsestr(read.metadata, headersonly=True)
    names = {canonicalize_name(r.name) for r in _requirements(said.get_all("Requires-Dist", ()))}
    return {name for name in names if scope.DISCOVERED.fullmatch(name)}


def _requirements(lines: Iterable[str]) -> tuple[Requirement, ...]:
    found = []
    for line in lines:
        try:
            found.append(Requirement(str(line)))
        except InvalidRequirement:
            continue
    return tuple(found)


def _environment(wheel: Wheel) -> dict[str, str]:
    """Return the variables of PEP 508 markers on a machine that the wheel is for."""
    if any("312" in each or each in {"py3", "py2.py3"} for each in wheel.pythons):
        python = "3.12"
    else:
        known = [each for each in wheel.pythons if re.fullmatch(r"cp3\d{1,3}", each)]
        python = f"3.{known[0][3:]}" if known else "3.12"
    machine = "x86_64" if wheel.architecture == "any" else wheel.architecture
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }


def _active(requires: Iterable[Requirement], at: Mapping[str, str], extra: str) -> dict[str, str]:
    """Return requirement -> specifier of those that hold with ``extra``, and not without."""
    found = {}
    for each in requires:
        if not _holds(each, at, extra) or (extra and _holds(each, at, "")):
            continue
        name = canonicalize_name(each.name)
        extras = f"[{','.join(sorted(each.extras))}]" if each.extras else ""
        found[name + extras] = str(each.specifier) or "*"
    return found


def _holds(requirement: Requirement, at: Mapping[str, str], extra: str) -> bool:
    if requirement.marker is None:
        return True
    try:
        return requirement.marker.evaluate({**at, "extra": extra})
    except (UndefinedComparison, UndefinedEnvironmentName, ValueError):
        return False


def _gpu(found: Mapping[str, str]) -> dict[str, str]:
    return {name: of for name, of in sorted(found.items()) if scope.is_about_gpus(name)}


def _of_small(package: str, text: str) -> Row:
    """Return ``built-for`` and ``code`` as the small file of a wheel says them."""
    if not text:
        return {}
    if package == "torch":
        cuda = _group(r"(?m)^cuda(?:\s*:[^=\n]*)?\s*=\s*['\"]([\d.]{1,20})['\"]", text)
        return {"built-for": _short(cuda) if cuda else "cpu"}
    if package == "tensorflow":
        return _of_tensorflow(text)
    if package.startswith("cupy-") or package == "xformers":
        return _of_json(package, text)
    cuda = _group(r"(?m)^\s*(?:cuda_version|cuda)\s*=\s*['\"]([\d.]{1,20})['\"]", text)
    return {"built-for": _short(cuda)} if cuda else {}


def _of_tensorflow(text: str) -> Row:
    if _group(r"['\"]is_cuda_build['\"]\s*[:,]\s*(False)", text):
        return {"built-for": "cpu"}
    cuda = _group(r"['\"]cuda_version['\"]\s*[:,]\s*['\"]([\d.]{1,20})['\"]", text)
    code = _group(r"['\"]cuda_compute_capabilities['\"]\s*[:,]\s*\[([^\]]{0,2000})\]", text) or ""
    row: Row = {"built-for": _short(cuda)} if cuda else {}
    if found := _CAPABILITY.findall(code):
        row["code"] = found
    return row


def _of_json(package: str, text: str) -> Row:
    """Read ``{"cuda": "12.x"}`` of cupy, ``{"version": {"cuda": 1208}}`` of xformers."""
    try:
        said: Any = json.loads(text)
        said = said["version"]["cuda"] if package == "xformers" else said["cuda"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    if type(said) is int and 1000 <= said < 100_000:
        return {"built-for": f"{said // 100}.{said % 100}"}
    cuda = _group(r"(\d{1,3}(?:\.\d{1,3})?)(?!\d)", said) if isinstance(said, str) else None
    return {"built-for": cuda} if cuda else {}


def _group(pattern: str, text: str) -> str | None:
    found = re.search(pattern, text, re.ASCII)
    return found[1] if found else None


def _short(version: str) -> str:
    return ".".join(version.split(".")[:2])
