"""Free-threaded builds: which installed extension switches the GIL back on.

One that does not say it can live without the GIL brings it back for the whole process, with a
warning that scrolls past. Each distribution is imported in a process of its own, since what is
switched on stays on.
"""

from __future__ import annotations

import json
import os
import re
import sys
import sysconfig
import warnings
from importlib import metadata

from mlenv.smoke.imports import modules
from mlenv.smoke.owners import spelt
from mlenv.smoke.register import Fail, Skip, Tried, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mlenv.smoke.register import Given

_MODULE = re.compile(r"to load module '([\w.]+)'")


def switched(_given: Given) -> dict[str, Any]:
    """Import each distribution that has an extension, and ask whether the GIL is still off.

    Raises:
        Skip: ``not-free-threaded``: this build of Python has it always.
        Fail: ``gil-switched-on``, naming the distributions and their modules.
    """
    if not sysconfig.get_config_var("Py_GIL_DISABLED"):
        raise Skip("not-free-threaded", "this build of Python always has the GIL")
    if _is_on():
        raise Fail("gil-switched-on", "the GIL is on before anything is imported (PYTHON_GIL=1?)")
    tried = {name: _alone(names) for name, names in sorted(_extensions().items())}
    facts: dict[str, Any] = {
        "tried": sorted(tried),
        "forced_off": os.environ.get("PYTHON_GIL") == "0",
        "not_imported": {name: said["errors"] for name, said in tried.items() if said["errors"]},
        "switched_on_by": {name: said["by"] for name, said in tried.items() if said["on"]},
    }
    if facts["switched_on_by"]:
        names = ", ".join(facts["switched_on_by"])
        raise Fail("gil-switched-on", f"the GIL is switched back on by {names}", **facts)
    return facts


def _is_on() -> bool:
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def _extensions() -> dict[str, list[str]]:
    """Return the modules of each distribution that has an extension."""
    suffixes = (sysconfig.get_config_var("EXT_SUFFIX") or ".so", ".abi3.so", ".abi3t.so")
    found = {}
    for each in metadata.distributions():
        paths = [str(path) for path in each.files or ()]
        if any(path.endswith(suffixes) for path in paths):
            found[spelt(each.metadata["Name"] or "")] = modules(paths)
    return found


def _alone(names: list[str]) -> dict[str, Any]:
    reader, writer = os.pipe()
    number = os.fork()
    if number == 0:
        os.close(reader)
        with Tried():
            os.write(writer, json.dumps(_imported(names)).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        text = file.read()
    os.waitpid(number, 0)
    said: dict[str, Any] = {"on": False, "by": [], "errors": ["it ended the interpreter"]}
    return json.loads(text) if text else said


def _imported(names: list[str]) -> dict[str, Any]:
    errors = []
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for name in names:
            with Tried() as tried:
                load(name)
            if tried.error is not None:
                errors.append(f"{name}: {tried.error}"[:300])
    by = [found.group(1) for each in seen for found in [_MODULE.search(str(each.message))] if found]
    return {"on": _is_on(), "by": by, "errors": errors}
