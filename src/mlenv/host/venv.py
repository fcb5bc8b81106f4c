"""The empty environment that packages are installed into, as files of a layer.

What ``uv venv`` leaves, but for the scripts that activate it in a shell: an image has its PATH.
Nothing is run, and no interpreter has to be here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlenv.host.layer import LayerWriter

ACTIVATION = (
    *("activate", "activate.bat", "activate.csh", "activate.fish", "activate.nu", "activate.ps1"),
    *("activate.xsh", "activate_this.py", "deactivate.bat", "pydoc.bat"),
)
"""What ``uv venv`` writes into ``bin`` beside the interpreter. Source: uv 0.13.9, 2026-11-22."""

_CACHE_TAG = b"Signature: 8a477f597d28d172789f06886806bc55"
"""Cache Directory Tagging Specification, https://bford.info/cachedir/"""


def skeleton(
    writer: LayerWriter,
    *,
    interpreter: str,
    version: str,
    uv: str,
    prefix: str = "/opt/venv",
) -> None:
    """Write the environment of ``interpreter``.

    Args:
        writer: the layer.
        interpreter: its path in the image, with its version: ``/usr/local/bin/python3.12``; it ends
            in ``t`` where it is free-threaded.
        version: of the interpreter, in full: ``3.12.12``.
        uv: the version of uv that the other route has; its file says so.
        prefix: where the environment lies in the image.

    Raises:
        ValueError: ``version`` is none, or ``interpreter`` no path from the root.

    Source: read off what uv 0.13.9 writes, 2026-11-22.
    """
    found = re.fullmatch(r"(\d+\.\d+)\.\d+\w*", version, re.ASCII)
    home, _, name = interpreter.rpartition("/")
    if not found or not home.startswith("/") or not name:
        raise ValueError(f"{interpreter!r} {version!r} is no interpreter")
    python = f"python{found[1]}{'t' if name.endswith('t') else ''}"
    config = (
        *(f"home = {home}", "implementation = CPython", f"uv = {uv}"),
        *(f"version_info = {version}", "include-system-site-packages = false"),
    )
    writer.add_folder(prefix)
    writer.add_bytes(f"{prefix}/.gitignore", b"*")
    writer.add_bytes(f"{prefix}/CACHEDIR.TAG", _CACHE_TAG)
    writer.add_link(f"{prefix}/bin/python", interpreter)
    for link in sorted({"python3", f"python{found[1]}", python}):
        writer.add_link(f"{prefix}/bin/{link}", "python")
    writer.add_folder(f"{prefix}/lib/{python}/site-packages")
    writer.add_link(f"{prefix}/lib64", "lib")
    writer.add_bytes(f"{prefix}/pyvenv.cfg", "".join(f"{line}\n" for line in config).encode())
