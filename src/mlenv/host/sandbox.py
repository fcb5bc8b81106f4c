"""A program in a container of this machine, with folders of ours in it: for what takes a GPU.

Whatever entrypoint an image has, it does not run. The container has no network, no rights, and is
gone afterwards, also where its client is killed. Nothing is built, pushed or configured here.
"""

from __future__ import annotations

import json
import re
import shutil
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlenv.errors import HostError
from mlenv.host import process
from mlenv.host.engine_port import checked, failed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SANDBOXES = ("docker", "podman")
_ASK_SECONDS = 60.0
_PULL_SECONDS = 4 * 3600.0
_NOT_STARTED = 125
"""Source: docker run's reference, "Exit status"."""
_NO_GPU = re.compile(
    r"could not select device driver|unresolvable CDI devices?|nvidia-container-cli"
    r"|no such device nvidia\.com/gpu|CDI device injection failed",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A program to run in an image."""

    image: str
    program: str
    """Looked for on the image's PATH; it takes the place of the entrypoint."""
    words: tuple[str, ...]
    seconds: float
    reads: Mapping[str, Path]
    """Path in the container -> file or folder that it may read."""
    writes: Mapping[str, Path]
    """Path in the container -> folder that it may write to, whoever its user is."""
    gpus: bool = False
    """Whether it gets the GPUs of the machine."""
    shm: str = "1g"
    """How large its /dev/shm is; an engine's own 64 MB are too few for NCCL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visited:
    """How a visit ended."""

    status: int
    """As the engine tells it: 128 and a number for a signal."""
    without_gpu: str = ""
    """Why the container could not be started with the GPUs; then it was not started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """docker or podman, for running."""

    name: str
    program: str

    def labels(self, image: str) -> dict[str, str]:
        """Return the labels of an image; one that is not here is pulled.

        Raises:
            HostError: ``engine-failed``, ``tool-timeout``.
        """
        done = self._asked("image", "inspect", image)
        if done.status:
            pulled = process.run(
                [self.program, "pull", image], cwd=Path("/"), seconds=_PULL_SECONDS
            )
            checked(pulled, f"pull {image}")
            done = checked(self._asked("image", "inspect", image), f"inspect {image}")
        rows: list[dict[str, Any]] = json.loads(done.stdout)
        return dict(rows[0].get("Config", {}).get("Labels") or {})

    def visit(self, visit: Visit, line: Callable[[str], None]) -> Visited:
        """Run a program in an image; each line that it says goes to ``line``.

        Raises:
            HostError: ``engine-failed``: it was not started; ``tool-timeout``: it was told to end
                when its time was up.
        """
        name = f"mlenv-{uuid.uuid4().hex[:12]}"
        said: list[str] = []

        def keep(text: str) -> None:
            said.append(text)
            del said[:-20]
            line(text)

        for folder in visit.writes.values():
            folder.chmod(0o777)  # the image's user is not ours
        try:
            status = process.stream(
                [self.program, *self._words(visit, name)],
                cwd=Path("/"),
                seconds=visit.seconds,
                line=keep,
            )
        finally:
            with suppress(HostError):  # gone already, where all went well
                self._asked("rm", "--force", name)
        refusal = next((each for each in said if _NO_GPU.search(each)), "")
        if visit.gpus and refusal and status != 0:
            return Visited(status=status, without_gpu=refusal.strip())
        if status == _NOT_STARTED:
            fix = f"run `{self.name} run` by hand to see more"
            raise failed(f"{self.name} could not start {visit.image}", "\n".join(said[-3:]), fix)
        return Visited(status=status)

    def _words(self, visit: Visit, name: str) -> list[str]:
        words = ["run", "--rm", "--name", name, "--network", "none", "--shm-size", visit.shm]
        words += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        words += ["--security-opt", "label=disable", "--entrypoint", visit.program]
        if visit.gpus:
            # podman knows GPUs by CDI only; docker had `--gpus` long before it had CDI.
            cdi = ["--device", "nvidia.com/gpu=all"]
            words += cdi if self.name == "podman" else ["--gpus", "all"]
        for path, place in visit.reads.items():
            words += ["--volume", f"{place}:{path}:ro"]
        for path, place in visit.writes.items():
            words += ["--volume", f"{place}:{path}"]
        return [*words, visit.image, *visit.words]

    def _asked(self, *words: str) -> process.Finished:
        return process.run([self.program, *words], cwd=Path("/"), seconds=_ASK_SECONDS)


def find_sandbox(wanted: str | None = None) -> Sandbox:
    """Return the engine called ``wanted``, else the first that answers.

    Raises:
        HostError: ``engine-failed``: none answers; ``tool-timeout``.
    """
    reasons = []
    for name in (wanted,) if wanted else SANDBOXES:
        program = shutil.which(name)
        if program is None:
            reasons.append(f"{name} is not on PATH")
            continue
        done = process.run([program, "info"], cwd=Path("/"), seconds=_ASK_SECONDS)
        if done.status == 0:
            return Sandbox(name=name, program=program)
        reasons.append(f"{name}: {(done.stderr.strip() or 'no answer').splitlines()[-1]}")
    raise failed(
        "no container engine can run an image here",
        "; ".join(reasons),
        "start its daemon (or set DOCKER_HOST), or verify the folder by --runner local",
    )
