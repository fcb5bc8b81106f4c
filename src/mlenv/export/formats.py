"""The formats of ``mlenv export``: one row each. A new one is a module and a row here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mlenv.export.apptainer import apptainer
from mlenv.export.checkers import mypy, pyright, ruff
from mlenv.export.cyclonedx import cyclonedx
from mlenv.export.devcontainer import devcontainer
from mlenv.export.enroot import enroot
from mlenv.export.environment import environment
from mlenv.export.jupyter import jupyter
from mlenv.export.kubernetes import kubernetes
from mlenv.export.modal import modal
from mlenv.export.poetry import poetry
from mlenv.export.pylock import pylock
from mlenv.export.requirements import requirements
from mlenv.export.slurm import slurm

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mlenv.export.source import Source
    from mlenv.files import File

Need = Literal["urls", "about", "image"]
"""What a format cannot do without: addresses of files, what packages say, an image's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format."""

    says: str
    """What it is, for the help: a line of 60 columns at most."""
    files: Callable[[Source], tuple[File, ...]]
    use: str
    """The next command, for a person; ``{}`` is the file."""
    backends: tuple[str, ...] = ("uv",)
    """Whose locks it can tell."""
    variant: Literal["runtime", "dev"] = "runtime"
    """Which variant it is of, where none is named."""
    needs: tuple[Need, ...] = ()


_ANY = ("uv", "conda")


FORMATS: Mapping[str, Format] = {
    "requirements": Format(
        says="requirements.txt with hashes, for pip and a venv",
        files=requirements,
        use="pip install --requirement {}",
    ),
    "pylock": Format(
        says="pylock.toml (PEP 751), for uv and pip",
        files=pylock,
        use="uv pip sync {}",
        needs=("urls",),
    ),
    "poetry": Format(
        says="pyproject.toml with every version pinned, for Poetry",
        files=poetry,
        use="poetry lock",
    ),
    "environment.yml": Format(
        says="every build by name, for conda, mamba and micromamba",
        files=environment,
        use="conda env create --file {}",
        backends=("conda",),
        needs=("urls",),
    ),
    "cyclonedx": Format(
        says="a bill of materials with hashes and licences (SBOM)",
        files=cyclonedx,
        use="give {} to whoever audits",
        backends=_ANY,
        needs=("about",),
    ),
    "devcontainer": Format(
        says=".devcontainer/ for VS Code and Cursor",
        files=devcontainer,
        use="open this folder in the editor, and reopen it in the container",
        backends=_ANY,
        variant="dev",
    ),
    "jupyter": Format(
        says="a kernel spec: the image as a kernel of Jupyter here",
        files=jupyter,
        use="jupyter kernelspec install --user $(dirname {})",
        backends=_ANY,
        variant="dev",
    ),
    "pyright": Format(
        says="pyrightconfig.json, for pyright and Pylance",
        files=pyright,
        use="pyright",
        backends=_ANY,
        variant="dev",
    ),
    "mypy": Format(says="mypy.ini", files=mypy, use="mypy .", backends=_ANY, variant="dev"),
    "ruff": Format(
        says="ruff.toml with rules for the field's traps",
        files=ruff,
        use="ruff check",
        backends=_ANY,
        variant="dev",
    ),
    "apptainer": Format(
        says="a definition file of the image",
        files=apptainer,
        use="apptainer build IMAGE.sif {}",
        backends=_ANY,
    ),
    "enroot": Format(
        says="a script that imports the image as .sqsh and starts it",
        files=enroot,
        use="bash {}",
        backends=_ANY,
    ),
    "slurm": Format(
        says="a batch script for SLURM with pyxis",
        files=slurm,
        use="sbatch {}",
        backends=_ANY,
    ),
    "kubernetes": Format(
        says="a Job, on nodes whose GPUs can run it",
        files=kubernetes,
        use="kubectl apply --filename {}",
        backends=_ANY,
        needs=("image",),
    ),
    "modal": Format(
        says="an image and a function for Modal",
        files=modal,
        use="modal run {}",
    ),
}
"""Name -> format, in the order of the help."""
