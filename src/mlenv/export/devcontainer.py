"""``.devcontainer/devcontainer.json``: the dev image as an editor's own machine.

VS Code and Cursor read it alike. The user is the image's own, who is not root; its uid becomes
that of whoever opens the folder, so that files stay theirs.
"""

from __future__ import annotations

import json
import posixpath
from typing import TYPE_CHECKING, Any

from mlenv.files import File

if TYPE_CHECKING:
    from mlenv.export.source import Source

EXTENSIONS = (
    *("ms-python.python", "ms-python.vscode-pylance", "ms-python.debugpy"),
    *("ms-toolsai.jupyter", "charliermarsh.ruff"),
)
_BY_PACKAGE = {"mypy": "ms-python.mypy-type-checker"}
_PYTHONS = {"uv": "/opt/venv/bin/python", "conda": "/opt/conda/bin/python"}


def devcontainer(source: Source) -> tuple[File, ...]:
    """Return the file that an editor opens the folder by.

    Source: https://containers.dev/implementors/json_reference/, read 2026-11-28.
    """
    held = {each.name for each in source.packages}
    more = [each for name, each in _BY_PACKAGE.items() if name in held]
    document: dict[str, Any] = {
        "name": source.lock.title,
        **_image(source),
        "runArgs": [*(["--gpus=all"] if source.gpu else []), "--init", "--ipc=host"],
        "remoteUser": "ml",
        "updateRemoteUserUID": True,
        "customizations": {
            "vscode": {
                "extensions": [*EXTENSIONS, *more],
                "settings": {
                    "python.defaultInterpreterPath": _PYTHONS[source.lock.backend],
                    "python.terminal.activateEnvironment": False,
                    "[python]": {"editor.defaultFormatter": "charliermarsh.ruff"},
                },
            }
        },
    }
    text = json.dumps(document, indent=2)
    return (File(".devcontainer/devcontainer.json", f"{source.note('//')}\n{text}\n"),)


def _image(source: Source) -> dict[str, Any]:
    if source.image is not None:
        return {"image": source.image}
    folder = posixpath.join("..", source.folder)
    variants = source.lock.image.variants if source.lock.image else ()
    stage = "dev" if "dev" in variants else "runtime"
    recipe = {"dockerfile": posixpath.join(folder, "Dockerfile"), "context": folder}
    return {"build": {**recipe, "target": stage}}
