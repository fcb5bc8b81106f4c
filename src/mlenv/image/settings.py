"""What an image tells its engine: variables, first process, user, labels. Both routes read it here.

The recipe of an engine writes them as instructions, our own assembly as a config: so an image is
started alike, whoever built it. No file of an image is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlenv.image.recipe import Recipe
    from mlenv.lock import Lock

PREFIXES = {"uv": "/opt/venv", "conda": "/opt/conda"}
"""Backend -> where the environment lies in every image."""
HOME = "/home/ml"
"""Of uid 1000, and of group 0, which a user that has no name is in."""
OWNER = (1000, 0)
"""The uid and gid of the image's user."""
PASSWD = f"ml:x:1000:0::{HOME}:/bin/sh"
"""The user's line of /etc/passwd, where the base image has no uid 1000."""
OWN = "dev.mlenv."
"""What the keys of our own labels begin with: later than any label of the user's."""
BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How an image is started."""

    env: Mapping[str, str]
    """In order; ``${PATH}`` in a value is what the base image has."""
    entrypoint: tuple[str, ...]
    cmd: tuple[str, ...]
    user: str
    workdir: str
    labels: Mapping[str, str]
    """In order, our own last."""


def settings(recipe: Recipe, lock: Lock, variant: str) -> Settings:
    """Return how the image of ``variant`` is started."""
    return Settings(
        env=environment(lock.backend) | account() | gpu(recipe),
        entrypoint=(f"{PREFIXES[lock.backend]}/bin/{lock.init.name}", "--") if lock.init else (),
        cmd=("python",),
        user=":".join(map(str, OWNER)),
        workdir=HOME,
        labels=_labels(recipe, lock, variant),
    )


def environment(backend: str) -> dict[str, str]:
    """Return the variables that lead to the environment; the build has them too.

    They are all the activation that there is: no shell has to run a hook.
    """
    prefix = PREFIXES[backend]
    return {
        "CONDA_PREFIX" if backend == "conda" else "VIRTUAL_ENV": prefix,
        "PATH": f"{prefix}/bin:${{PATH}}",
        "PYTHONNOUSERSITE": "1",
    }


def account() -> dict[str, str]:
    """Return the variables that stand in for an account, for a uid that has none.

    ``getpass.getuser`` asks LNAME before the list of accounts, and torch asks getpass.
    """
    return {"HOME": HOME, "LNAME": "ml"}


def gpu(recipe: Recipe) -> dict[str, str]:
    """Return what the container toolkit reads.

    NVIDIA_VISIBLE_DEVICES is left to who starts the image: ``all`` would give a pod of Kubernetes
    every GPU of its node, and enroot wants exactly that.
    """
    if not recipe.gpu:
        return {}
    found = {"NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}
    if recipe.driver_floor:
        found["NVIDIA_REQUIRE_CUDA"] = f"driver>={recipe.driver_floor}"
    return found


def _labels(recipe: Recipe, lock: Lock, variant: str) -> dict[str, str]:
    ours = {
        "spec-sha256": lock.spec_sha256,
        "artefacts-sha256": lock.artefacts_sha256,
        "toolkit": lock.stack.toolkit,
        "python": str(recipe.python),
        "gpus": ",".join(lock.target.gpus),
        "driver": lock.target.driver or "",
        "variant": variant,
    }
    named = {
        "org.opencontainers.image.title": recipe.name,
        BASE_NAME: recipe.base,
        BASE_DIGEST: recipe.base_digest or "",
    }
    own = {f"{OWN}{key}": text for key, text in ours.items()}
    # A key that stands twice stands where it stood first: what is ours goes last, and counts.
    theirs = {key: text for key, text in sorted(recipe.labels.items()) if key not in own}
    return {key: text for key, text in (named | theirs | own).items() if text or key in theirs}
