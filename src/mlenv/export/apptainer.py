"""An Apptainer definition file of the image.

The image itself, by its name or digest, and nothing of the recipe again: two recipes drift apart.
A SIF is not reproducible, so its name for the world is the digest of the image it came from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlenv.files import File

if TYPE_CHECKING:
    from mlenv.export.source import Source


def apptainer(source: Source) -> tuple[File, ...]:
    """Return the file for ``apptainer build``.

    Source: https://apptainer.org/docs/user/latest/definition_files.html and /gpu.html.
    """
    lock = source.lock
    nv = " --nv" if source.gpu else ""
    lines = [
        source.note(),
        *_origin(source),
        "",
        "%labels",
        f"    dev.mlenv.artefacts-sha256 {lock.artefacts_sha256}",
        f"    dev.mlenv.toolkit {lock.stack.toolkit}",
        "",
        "%help",
        f"    {lock.title}: Python {source.python}, CUDA {lock.stack.toolkit}",
        f"    apptainer exec{nv} {source.stem}.sif python ...",
        *_gpu_help(source),
    ]
    return (File(f"{source.stem}.def", "\n".join(lines) + "\n"),)


def _origin(source: Source) -> tuple[str, ...]:
    if source.image is None:
        return (
            "# the image that `mlenv image` loaded into docker; --image names one of a registry",
            "Bootstrap: docker-daemon",
            f"From: {source.local}",
        )
    # containers/image takes a tag or a digest, and refuses both together.
    found = source.reference
    named = f"{found.name}@{found.digest}" if found.digest else f"{found.name}:{found.tag}"
    return ("Bootstrap: docker", f"From: {named}")


def _gpu_help(source: Source) -> tuple[str, ...]:
    if not source.gpu:
        return ()
    return ("    Without --nv, or APPTAINER_NV=1 in the environment, it sees no GPU.",)
