"""A kernel spec: the environment in a container, as a kernel of any Jupyter on this machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mlenv.export.source import NOTE
from mlenv.files import File

if TYPE_CHECKING:
    from mlenv.export.source import Source

_INSIDE = "/run/kernel.json"
_SCRIPT = (
    # The file is for its owner's eyes, so the kernel runs as whoever started Jupyter; ports and
    # folder are the host's, so that notebooks find their files where they are.
    'exec docker run --rm --init --network=host --ipc=host {gpus}--user="$(id -u):0" '
    f'--volume="$1:{_INSIDE}:ro" --volume="$PWD:$PWD" --workdir="$PWD" "$2" '
    f"python -m ipykernel_launcher -f {_INSIDE}"
)


def jupyter(source: Source) -> tuple[File, ...]:
    """Return the folder for ``jupyter kernelspec install --user``.

    Raises:
        ValueError: no kernel is in the environment.

    Source: https://jupyter-client.readthedocs.io/en/stable/kernels.html, read 2026-11-28.
    """
    lock = source.lock
    if "ipykernel" not in {each.name for each in source.packages}:
        raise ValueError('it holds no ipykernel: add "jupyter" to [dev] editors of its spec')
    toolkit = f", CUDA {lock.stack.toolkit}" if source.gpu else ""
    script = _SCRIPT.format(gpus="--gpus=all " if source.gpu else "")
    document = {
        "argv": ["sh", "-c", script, "kernel", "{connection_file}", source.image or source.local],
        "display_name": f"{lock.title}: Python {source.python}{toolkit}",
        "language": "python",
        "interrupt_mode": "message",
        "metadata": {"mlenv": f"{NOTE} for {lock.title}", "debugger": True},
    }
    text = json.dumps(document, indent=2)
    return (File(f"kernels/{source.stem}/kernel.json", f"{text}\n"),)
