"""A file for Modal: the image, and a function that runs in it.

Where no image of a registry is named, Modal makes its own from the hash-pinned requirements that
lie beside; what the recipe has from Debian is then not in it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlenv.export.requirements import requirements
from mlenv.files import File

if TYPE_CHECKING:
    from mlenv.export.source import Source

GPUS = ("B200", "H200", "H100", "A100", "L40S", "A10", "L4", "T4")
"""What Modal calls its GPUs. Source: https://modal.com/docs/guide/gpu, read 2026-11-28."""


def modal(source: Source) -> tuple[File, ...]:
    """Return the file for ``modal run``, and what it reads.

    Raises:
        ValueError: Modal has no such machine.
    """
    if source.architecture != "x86_64":
        raise ValueError(f"Modal has no machine of {source.lock.target.platform}")
    listed = requirements(source) if source.image is None else ()
    gpu = f"gpu={_gpu(source)!r}, " if source.gpu and source.gpus else ""
    words = "".join(f"            {each!r},\n" for each in source.words)
    text = f'''{source.note()}
"""{source.lock.title} on Modal: `modal run {_name(source)}`."""

import subprocess
from pathlib import Path

import modal

{_image(source)}
app = modal.App({source.stem!r})


@app.function(image=image, {gpu}timeout=3600)
def job() -> None:
    subprocess.run(
        [
{words}        ],
        check=True,
    )


@app.local_entrypoint()
def main() -> None:
    job.remote()
'''
    if source.image is not None:
        text = text.replace("from pathlib import Path\n", "")
    return (File(_name(source), text), *listed)


def _name(source: Source) -> str:
    return f"{re.sub(r'[^a-z0-9]+', '_', source.stem)}_modal.py"


def _image(source: Source) -> str:
    if source.image is not None:
        return f"image = modal.Image.from_registry({source.image!r}).entrypoint([])"
    python = repr(source.python.short)
    return f"""image = modal.Image.debian_slim(python_version={python}).uv_pip_install(
    requirements=[str(Path(__file__).with_name("requirements.txt"))],
    extra_options="--no-deps --require-hashes",
)"""


def _gpu(source: Source) -> str:
    """Return the first GPU of the target that Modal has; any where it has none of them."""
    asked = [each.upper().partition(" ")[0] for each in source.lock.target.gpus]
    name = next((each for each in asked if each in GPUS), "any")
    return name if source.gpus == 1 else f"{name}:{source.gpus}"
