"""The index that uv uses where none is named: uv is asked, and no host is known here."""

from __future__ import annotations

import re

from mlenv.host import outage, process, tools
from mlenv.solve.asking import passes

_SECONDS = 60.0


def default_index() -> str:
    """Return the URL of the index that uv uses where none is named.

    Raises:
        HostError: ``network-failed``: uv's own configuration names none; ``tool-missing``,
            ``tool-timeout``, ``disk-failed``.
    """
    words = [tools.uv(), "pip", "compile", "-", "--emit-index-url", "--no-header", "--offline"]
    with tools.scratch() as folder:  # of nothing: uv only says where it would ask
        words += ["--quiet", "--python", tools.python()]
        done = process.run(words, cwd=folder, seconds=_SECONDS, inherit=passes)
    found = re.search(r"^--index-url (\S+)$", done.stdout, re.MULTILINE)
    if found is None:
        raise outage.failed("the package index", "uv names none", "set UV_DEFAULT_INDEX")
    return found[1]
