"""A batch script for SLURM with pyxis: one task in the image, with the GPUs of its job."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from mlenv.export.enroot import GPUS, MOUNT, pyxis
from mlenv.files import File

if TYPE_CHECKING:
    from mlenv.export.source import Source

_HOUR = "01:00:00"


def slurm(source: Source) -> tuple[File, ...]:
    """Return the script for ``sbatch``.

    Source: SLURM's sbatch manual, and pyxis' README (its options of srun), read 2026-11-28.
    """
    stem = source.stem
    target = source.lock.target
    needs = [*target.gpus, *([f"driver {target.driver}"] if target.driver else [])]
    lines = [
        "#!/bin/bash",
        source.note(),
        f"#SBATCH --job-name={stem}",
        f"#SBATCH --output={stem}-%j.out",
        f"#SBATCH --time={_HOUR}",
        *([f"#SBATCH --gpus={source.gpus}"] if source.gpu and source.gpus else []),
        *([f"# locked for: {_comment(', '.join(needs))}"] if needs else []),
        "set -euo pipefail",
        "",
        *_image(source),
        "",
        *(f"export {name}={value}" for name, value in _variables(source).items()),
        'srun --container-image="$image" \\',
        f'    --container-mounts="$PWD:{MOUNT}" --container-workdir={MOUNT} \\',
        *_kept(source),
        f"    {shlex.join(source.words)}",
    ]
    return (File(f"{stem}.sbatch", "\n".join(lines) + "\n"),)


def _image(source: Source) -> tuple[str, ...]:
    if source.image is None:
        return (
            "# what `mlenv export --to enroot` imports; --image names one of a registry",
            f'image="$PWD/{source.squashed}.sqsh"',
        )
    return (f"image={shlex.quote(pyxis(source))}",)


def _variables(source: Source) -> dict[str, str]:
    return GPUS if source.gpu else {}


def _kept(source: Source) -> tuple[str, ...]:
    """Return the words that let the variables in before enroot's hook looks for them."""
    names = ",".join(_variables(source))
    return (f"    --container-env={names} \\",) if names else ()


def _comment(text: str) -> str:
    return " ".join(text.split())
