"""Docker, driven by two hands: its client builds and runs, its API does all else.

The API cannot build with ``RUN --mount`` (it reaches the classic builder only), and gives a
program inside no standard input that ends. Clients before 23 have BuildKit in them; later ones
need the buildx plugin, and without it they build nothing of ours. Nothing is installed here.

Source: docker 20.10.24 and 28.2.2 (client), the API by docker-py 7.2.0, run on 2026-11-22.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlenv.errors import HostError
from mlenv.host import disk, docker_api, process, tools
from mlenv.host.engine_port import ImageFacts, Made, Order, Trial, failed

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlenv.host.process import Finished

_ASK_SECONDS = 30.0
_BUILDKIT_INSIDE = 23
"""The first client that has no BuildKit in it and wants a plugin."""
_REWRITES = (0, 13)
"""The first BuildKit that can set the times of files. Source: its release notes of 0.13."""
_HAS_THAT = (26,)
"""The first daemon with such a BuildKit; Debian's says ``v0.0.0+unknown`` for its version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """What of BuildKit a client reaches."""

    plugin: bool
    """buildx, or the client's own."""
    keeps: bool = False
    """It is not the daemon's own, or the daemon keeps images in containerd: then it can write
    OCI archives and export its cache."""
    rewrites: bool = False
    """It can set the times of files, and the daemon reads what comes of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Docker:
    """A client of Docker whose daemon answers."""

    program: str
    version: str
    host: str | None
    """The address of the daemon; None: where the API looks by itself."""
    builder: Builder

    @property
    def name(self) -> str:
        """``docker``."""
        return "docker"

    @property
    def reproducible(self) -> bool:
        """Whether a build, done again, gives the same bytes."""
        return self.builder.rewrites

    def build(self, order: Order, line: Callable[[str], None]) -> Made:
        """Build without a tag; each line of the log goes to ``line``."""
        with tools.scratch() as scratch:
            named = scratch / "id"
            archive = scratch / "image.tar" if self.builder.rewrites else None
            status = process.stream(
                [self.program, *_words(order, self.builder, named, archive)],
                cwd=order.folder,
                seconds=order.seconds,
                line=line,
                env={"DOCKER_BUILDKIT": "1", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"},
            )
            if status:
                return Made(status=status, image=None)
            if archive is not None:
                return Made(status=0, image=self.load(archive))
            return Made(status=0, image=self._image(named))

    def _image(self, named: Path) -> str | None:
        """Return the id of what was built, of all digests that the builder names.

        Where images are kept in containerd, an id is that of the manifest, else of the config.
        """
        text = disk.text(named).strip()
        found = _document(text) if self.builder.plugin else {"": text}
        names = ("", "containerimage.digest", "containerimage.config.digest")
        for each in (str(found[name]) for name in names if name in found):
            facts = self.inspect(each)
            if facts is not None:
                return facts.image
        return None

    def answers(self) -> bool:
        """Tell whether the daemon still lives."""
        with suppress(HostError):
            done = _asked(self.program, "version", "--format", "{{.Server.Version}}")
            return done.status == 0
        return False

    def load(self, archive: Path) -> str:
        """Read an image from a file; return its id."""
        return docker_api.load(self.host, archive)

    def tag(self, image: str, name: str) -> None:
        """Give an image a name."""
        docker_api.tag(self.host, image, name)

    def push(self, name: str, progress: Callable[[str], None]) -> str:
        """Push what ``name`` names to its registry; return the digest of its manifest there."""
        return docker_api.push(self.host, name, progress)

    def inspect(self, image: str) -> ImageFacts | None:
        """Return the facts of an image; None where there is none of that name."""
        return docker_api.inspect(self.host, image)

    def digest(self, reference: str) -> str | None:
        """Return the digest that ``reference`` has in its registry; None where it is not known."""
        return docker_api.digest(self.host, reference)

    def remove(self, image: str) -> None:
        """Take a name, or an image that has none, away."""
        docker_api.remove(self.host, image)

    def prune(self, label: str) -> int:
        """Remove the images that have ``label`` and no name; return the bytes that are free now."""
        return docker_api.prune(self.host, label)

    def run(self, trial: Trial) -> Finished:
        """Run a program in an image: no network, nothing to write to but /tmp, no rights."""
        name = f"mlenv-{uuid.uuid4().hex[:12]}"
        words = ["run", "--rm", "--interactive", "--name", name, "--pull", "never"]
        words += ["--network", "none", "--read-only", "--tmpfs", "/tmp:exec"]  # noqa: S108 (inside)
        words += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        ended = False
        try:
            done = process.run(
                [self.program, *words, "--user", trial.user, trial.image, *trial.argv],
                cwd=Path.home(),
                seconds=trial.seconds,
                text=trial.text,
            )
            ended = True
        finally:
            if not ended:  # a client that is killed leaves its container running
                with suppress(HostError):
                    _asked(self.program, "rm", "--force", name)
        if done.status == _NOT_STARTED:
            said = done.stderr.strip().splitlines() or ["it did not say why"]
            fix = "run `docker run` by hand to see more"
            raise failed(f"docker could not start {trial.image}", said[-1], fix)
        return done


_NOT_STARTED = 125
"""Source: docker run's reference, "Exit status"."""


def find_docker() -> tuple[Docker | None, str]:
    """Return the first client on PATH that can build, else None; and why the others cannot."""
    reasons: list[str] = []
    for program in _clients():
        found = _docker(program)
        if isinstance(found, Docker):
            return found, ""
        reasons.append(found)
    return None, "; ".join(dict.fromkeys(reasons)) or "docker is not on PATH"


def _clients() -> list[str]:
    names = [str(Path(each) / "docker") for each in os.get_exec_path()]
    # Of a client that has two names, the first: /bin may be /usr/bin.
    found = {Path(each).resolve(): each for each in reversed(names) if shutil.which(each)}
    return [each for each in dict.fromkeys(names) if each in found.values()]


def _docker(program: str) -> Docker | str:
    done = _asked(program, "version", "--format", "{{json .}}")
    document = _document(done.stdout)
    client = document.get("Client") or {}
    if "ApiVersion" not in client:  # podman answers to that name, too
        return f"{program} is no Docker"
    server = document.get("Server")
    if not server or done.status:
        said = done.stderr.strip().splitlines() or ["its daemon does not answer"]
        return f"{program}: {said[0]}"
    version = str(server.get("Version"))
    builder = _builder(program, client=str(client.get("Version")), server=version)
    if builder is None:
        return f"{program}: its client {client.get('Version')} has no buildx plugin"
    return Docker(program=program, version=version, host=_host(program), builder=builder)


def _builder(program: str, *, client: str, server: str) -> Builder | None:
    if _number(client) < (_BUILDKIT_INSIDE,):
        return Builder(plugin=False)
    if _asked(program, "buildx", "version").status:
        return None
    said = _asked(program, "buildx", "inspect").stdout
    version = re.search(r"^Build[Kk]it(?: version)?:\s*v(\S+)", said, re.MULTILINE)
    other = re.search(r"^Driver:\s*(?!docker\s*$)\S", said, re.MULTILINE) is not None
    store = _asked(program, "info", "--format", "{{json .DriverStatus}}").stdout
    contained = "io.containerd.snapshotter" in store
    number = _number(version[1]) if version else ()
    new = number >= _REWRITES or (not other and _number(server) >= _HAS_THAT)
    return Builder(plugin=True, keeps=other or contained, rewrites=contained and new)


def _host(program: str) -> str | None:
    """Return where this client's daemon listens: a context may name it, and the API reads none."""
    done = _asked(program, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
    return done.stdout.strip() or None


def _words(order: Order, builder: Builder, named: Path, archive: Path | None) -> list[str]:
    words = ["buildx", "build"] if builder.plugin else ["build"]
    words += ["--progress", "plain", "--target", order.target, "--platform", order.platform]
    words += ["--network", order.network, *(["--no-cache"] if order.fresh else [])]
    for name, path in order.secrets.items():
        words += ["--secret", f"id={name},src={path}"]
    for name, text in order.arguments.items():
        words += ["--build-arg", name if text is None else f"{name}={text}"]
    if archive is not None:
        words += ["--output", f"type=oci,dest={archive},rewrite-timestamp=true"]
        words += ["--build-arg", f"SOURCE_DATE_EPOCH={order.epoch}"]
    else:
        own = ["--metadata-file", str(named), "--load"]
        words += own if builder.plugin else ["--iidfile", str(named)]
    return [*words, *_cache(order.cache, builder), "."]


def _cache(reference: str | None, builder: Builder) -> list[str]:
    if reference is None:
        return []
    if builder.keeps:
        kept = f"type=registry,ref={reference}"
        return ["--cache-from", kept, "--cache-to", f"{kept},mode=max"]
    return ["--cache-from", reference, "--build-arg", "BUILDKIT_INLINE_CACHE=1"]


def _asked(program: str, *words: str) -> Finished:
    return process.run([program, *words], cwd=Path("/"), seconds=_ASK_SECONDS)


def _document(text: str) -> dict[str, Any]:
    with suppress(ValueError):
        found = json.loads(text)
        return found if isinstance(found, dict) else {}
    return {}


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in re.findall(r"\d+", version)[:2])
