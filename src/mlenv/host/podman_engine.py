"""Podman and buildah: no daemon, one library, nearly the same words.

Both build from the Dockerfile that Docker builds from, and with ``--timestamp`` twice to the same
bytes. Their own registries.conf says where images come from. buildah has no sandbox for running:
a trial there shares the host's network, and its files are its own to write to.

Source: buildah 1.28.2, run on 2026-11-22; podman is built on it, and has not been run.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlenv.host import disk, process, tools
from mlenv.host import engine_port as port
from mlenv.host.engine_port import ImageFacts, ImageLayer, Made, Order, Trial, checked, failed

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlenv.host.process import Finished

_ASK_SECONDS = 60.0
_MOVE_SECONDS = 3600.0
_UNIT = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


@dataclass(frozen=True, slots=True, kw_only=True)
class Buildah:
    """buildah, and what podman has from it."""

    program: str
    version: str
    isolation: tuple[str, ...]
    """What a step needs where the usual isolation cannot start."""

    @property
    def name(self) -> str:
        """``buildah``."""
        return "buildah"

    @property
    def reproducible(self) -> bool:
        """Always: ``--timestamp`` sets the times of files."""
        return True

    def build(self, order: Order, line: Callable[[str], None]) -> Made:
        """Build without a tag; each line of the log goes to ``line``."""
        with tools.scratch() as scratch:
            named = scratch / "id"
            # Cache mounts lie there; in a folder of all users another's could not be entered.
            kept = disk.cache_folder() / "buildah"
            with disk.spoken(kept):
                kept.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = process.stream(
                [self.program, *self._words(order, named)],
                cwd=order.folder,
                seconds=order.seconds,
                line=line,
                env={"TMPDIR": str(kept)},
            )
            image = None if status else disk.text(named).strip().removeprefix("sha256:")
            return Made(status=status, image=image)

    def answers(self) -> bool:
        """There is no daemon that could have died."""
        return True

    def load(self, archive: Path) -> str:
        """Read an image from a file; return its id."""
        what = f"load {archive.name}"
        done = self._asked("pull", "--quiet", f"docker-archive:{archive}", seconds=_MOVE_SECONDS)
        return checked(done, what).stdout.split()[-1].removeprefix("sha256:")

    def tag(self, image: str, name: str) -> None:
        """Give an image a name."""
        checked(self._asked("tag", image, name), f"tag {name}")

    def push(self, name: str, progress: Callable[[str], None]) -> str:
        """Push what ``name`` names to its registry; return the digest of its manifest there."""
        with tools.scratch() as scratch:
            written = scratch / "digest"
            lines: list[str] = []

            def line(text: str) -> None:
                lines[:] = [*lines[-9:], text]
                progress(text)

            status = process.stream(
                [self.program, "push", "--digestfile", str(written), name, f"docker://{name}"],
                cwd=scratch,
                seconds=_MOVE_SECONDS,
                line=line,
            )
            if status:
                said = next((each for each in reversed(lines) if each.strip()), "it said nothing")
                fix = f"log in with `{self.name} login`, or see registries.conf; then try again"
                raise failed(f"{self.name} could not push {name}", said, fix)
            return disk.text(written).strip()

    def inspect(self, image: str) -> ImageFacts | None:
        """Return the facts of an image; None where there is none of that name."""
        done = self._asked("inspect", "--type", "image", image)
        if done.status:
            return None
        found = json.loads(done.stdout)
        return _facts(found["FromImageID"], found["OCIv1"], size=self._size(image))

    def digest(self, reference: str) -> str | None:  # noqa: ARG002 (the port's)
        """Without pulling the image, buildah tells no digest."""
        return None

    def run(self, trial: Trial) -> Finished:
        """Run a program in an image: by its user, but with the host's network."""
        name = f"mlenv-{uuid.uuid4().hex[:12]}"
        started = self._asked("from", "--pull-never", "--name", name, trial.image)
        checked(started, f"start {trial.image}")
        words = ["run", *self.isolation, "--user", trial.user, name, "--", *trial.argv]
        try:
            return self._asked(*words, seconds=trial.seconds, text=trial.text)
        finally:
            self._asked("rm", name)

    def remove(self, image: str) -> None:
        """Take a name, or an image that has none, away."""
        done = self._asked("rmi", image)
        if "not known" not in done.stderr:
            checked(done, f"remove {image}")

    def prune(self, label: str) -> int:
        """Remove the images that have ``label`` and no name; their bytes are not told."""
        words = ("images", "--quiet", "--filter", "dangling=true", "--filter", f"label={label}")
        for each in self._asked(*words).stdout.split():
            self.remove(each)
        return 0

    def _asked(
        self, *words: str, seconds: float = _ASK_SECONDS, text: str | None = None
    ) -> Finished:
        return process.run([self.program, *words], cwd=Path("/"), seconds=seconds, text=text)

    def _size(self, image: str) -> int:
        done = self._asked("images", "--json", image)
        rows = json.loads(done.stdout) if done.status == 0 else []
        number, _, unit = str(rows[0]["size"] if rows else "0 B").partition(" ")
        return int(float(number) * _UNIT.get(unit.upper(), 1))

    def _words(self, order: Order, named: Path) -> list[str]:
        network = "host" if self.isolation and order.network == "default" else order.network
        # The config of the other format names the container that each step ran in.
        words = ["build", *self.isolation, "--layers", "--format", "oci"]
        words += ["--timestamp", str(order.epoch), "--iidfile", str(named)]
        words += ["--target", order.target, "--platform", order.platform]
        words += [] if network == "default" else ["--network", network]
        words += ["--no-cache"] if order.fresh else []
        for name, path in order.secrets.items():
            words += ["--secret", f"id={name},src={path}"]
        for name, text in order.arguments.items():
            words += ["--build-arg", f"{name}={os.environ.get(name, '') if text is None else text}"]
        if order.cache is not None:
            words += ["--cache-from", order.cache, "--cache-to", order.cache]
        return [*words, "."]


@dataclass(frozen=True, slots=True, kw_only=True)
class Podman(Buildah):
    """podman: buildah, and a sandbox to run in."""

    runtime: tuple[str, ...] = ()
    """Another OCI runtime, where the usual one cannot start."""

    @property
    def name(self) -> str:
        """``podman``."""
        return "podman"

    def inspect(self, image: str) -> ImageFacts | None:
        """Return the facts of an image; None where there is none of that name."""
        done = self._asked("image", "inspect", image)
        if done.status:
            return None
        (found,) = json.loads(done.stdout)
        rows = self._asked("history", "--format", "json", image)
        steps = [(str(each["CreatedBy"]), int(each["size"])) for each in json.loads(rows.stdout)]
        config = found.get("Config") or {}
        return ImageFacts(
            image=found["Id"],
            size=found["Size"],
            platform=f"{found['Os']}/{found['Architecture']}",
            layers=port.layers(found["RootFS"]["Layers"], steps[::-1]),
            environment=port.variables(config.get("Env")),
            labels=found.get("Labels") or {},
            user=found.get("User") or "",
            history=tuple(text for text, _ in steps[::-1]),
            digests=tuple(found.get("RepoDigests") or ()),
        )

    def run(self, trial: Trial) -> Finished:
        """Run a program in an image: no network, nothing to write to but /tmp, no rights."""
        name = f"mlenv-{uuid.uuid4().hex[:12]}"
        words = [*self.runtime, "run", "--rm", "--interactive", "--name", name, "--pull", "never"]
        words += ["--network", "none", "--read-only", "--read-only-tmpfs=true"]
        words += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        ended = False
        try:
            done = self._asked(
                *words,
                *("--user", trial.user, trial.image, *trial.argv),
                seconds=trial.seconds,
                text=trial.text,
            )
            ended = True
        finally:
            if not ended:
                self._asked(*self.runtime, "rm", "--force", name)
        return checked(done, f"start {trial.image}") if done.status == _NOT_STARTED else done


_NOT_STARTED = 125


def find_buildah() -> tuple[Buildah | None, str]:
    """Return buildah, or why it is not to be had."""
    program = shutil.which("buildah")
    if program is None:
        return None, "buildah is not on PATH"
    version, why = _version(program)
    if not version:
        return None, why
    return Buildah(program=program, version=version, isolation=_isolation()), ""


def find_podman() -> tuple[Podman | None, str]:
    """Return podman, or why it is not to be had."""
    program = shutil.which("podman")
    if program is None:
        return None, "podman is not on PATH"
    version, why = _version(program)
    if not version:
        return None, why
    runc = _isolation() and shutil.which("runc")
    runtime = ("--runtime", "runc") if runc else ()
    return Podman(program=program, version=version, isolation=_isolation(), runtime=runtime), ""


def _version(program: str) -> tuple[str, str]:
    done = process.run([program, "--version"], cwd=Path("/"), seconds=_ASK_SECONDS)
    found = re.search(r"\d+\.\d+\S*", done.stdout)
    if done.status or found is None:
        said = done.stderr.strip().splitlines() or ["it tells no version"]
        return "", f"{program}: {said[-1]}"
    return found[0], ""


def _isolation() -> tuple[str, ...]:
    """Return ``chroot`` where no OCI runtime of theirs starts: below cgroups v1, in a container."""
    if os.environ.get("BUILDAH_ISOLATION"):
        return ()
    inside = any(Path(each).exists() for each in ("/.dockerenv", "/run/.containerenv"))
    unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    return () if unified and not inside else ("--isolation", "chroot")


def _facts(image: str, document: Any, *, size: int) -> ImageFacts:  # noqa: ANN401 (JSON)
    config = document.get("config") or {}
    history = [str(each.get("created_by", "")) for each in document.get("history") or ()]
    filled = [each for each in document.get("history") or () if not each.get("empty_layer")]
    diff_ids = document["rootfs"]["diff_ids"]
    made = [str(each.get("created_by", "")) for each in filled]
    if len(made) != len(diff_ids):
        made = [""] * len(diff_ids)
    return ImageFacts(
        image=image,
        size=size,
        platform=f"{document['os']}/{document['architecture']}",
        layers=tuple(
            ImageLayer(diff_id=each, size=None, made_by=text)
            for each, text in zip(diff_ids, made, strict=True)
        ),
        environment=port.variables(config.get("Env")),
        labels=config.get("Labels") or {},
        user=config.get("User") or "",
        history=tuple(history),
        digests=(),
    )
