"""What an environment holds, as one JSON line; its own interpreter runs this."""

from __future__ import annotations

import json
import os
import platform
import sys
import sysconfig
from importlib import metadata

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def inventory() -> dict[str, Any]:
    """Return the interpreter, and each package with its version, needs and origin."""
    found = {}
    for each in metadata.distributions():
        name = each.metadata["Name"]
        if not name or name in found:  # the first on the path is imported
            continue
        found[name] = {
            "name": name,
            "version": each.version,
            "requires": each.requires or [],
            "requested": each.read_text("REQUESTED") is not None,
            "direct": _direct(each.read_text("direct_url.json")),
        }
    return {
        "python": platform.python_version(),
        "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "machine": platform.machine(),
        "conda": os.path.isdir(os.path.join(sys.prefix, "conda-meta")),
        "packages": list(found.values()),
    }


def _direct(text: str | None) -> str:
    """Return where a package came from that is of no index: a kind, never an address."""
    if not text:
        return ""
    try:
        row = json.loads(text)
    except ValueError:
        return "an address"
    if "vcs_info" in row:
        return "a repository"
    return "a folder" if "dir_info" in row else "an address"


if __name__ == "__main__":
    sys.stdout.write(json.dumps(inventory()) + "\n")
