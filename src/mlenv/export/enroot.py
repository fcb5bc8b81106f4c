"""A script that imports the image as a squashfs file for enroot, and starts it.

enroot shows no GPU unless NVIDIA_VISIBLE_DEVICES says which, and of the driver ``utility`` alone
unless NVIDIA_DRIVER_CAPABILITIES says more: both are said here, where they belong, and not in the
image, which Kubernetes starts too.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from mlenv.files import File
from mlenv.reference import DOCKER_HUB

if TYPE_CHECKING:
    from mlenv.export.source import Source

GPUS = {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}
"""What makes GPUs appear. SLURM's cgroups leave of ``all`` those of the job.

Source: enroot, conf/hooks/98-nvidia.sh, read 2026-11-28.
"""
MOUNT = "/workspace"
"""Where the folder that one starts in lies in the container."""


def enroot(source: Source) -> tuple[File, ...]:
    """Return the script.

    Source: enroot, doc/cmd/import.md, create.md and start.md, read 2026-11-28.
    """
    stem = source.squashed
    names = tuple(GPUS) if source.gpu else ()
    flags = "".join(f"--env {each} " for each in names)
    quoted = shlex.quote(address(source))
    lines = [
        "#!/usr/bin/env bash",
        source.note(),
        f"# {stem}.sqsh is made once; pyxis takes it too: srun --container-image=./{stem}.sqsh",
        "set -euo pipefail",
        "",
        f"if [ ! -e {stem}.sqsh ]; then",
        f"    rm -f {stem}.part.sqsh",
        f"    enroot import --arch {source.architecture} --output {stem}.part.sqsh {quoted}",
        f"    mv {stem}.part.sqsh {stem}.sqsh",
        "fi",
        f"enroot list | grep -xF {stem} >/dev/null || enroot create --name {stem} {stem}.sqsh",
        "",
        *(f"export {name}={GPUS[name]}" for name in names),
        'if [ "$#" -eq 0 ]; then',
        f"    set -- {shlex.join(source.words)}",
        "fi",
        f'exec enroot start {flags}--mount "$PWD:{MOUNT}" {stem} "$@"',
    ]
    return (File(f"{source.stem}-enroot.sh", "\n".join(lines) + "\n"),)


def address(source: Source) -> str:
    """Return the image in enroot's words: ``docker://ghcr.io#me/train:1``."""
    if source.image is None:
        return f"dockerd://{source.local}"
    return f"docker://{pyxis(source)}"


def pyxis(source: Source) -> str:
    """Return the image of a registry in pyxis' words: ``ghcr.io#me/train:1``."""
    found = source.reference
    mark = f"@{found.digest}" if found.digest else f":{found.tag}"
    if found.registry == DOCKER_HUB:
        return f"{found.name}{mark}"
    return f"{found.registry}#{found.repository}{mark}"
