"""Verifications in words: from a command line to runners, and from verdicts to what is shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlenv import memory
from mlenv.cli import opening, words
from mlenv.errors import Exit, MlenvError
from mlenv.files import LOCK_NAME
from mlenv.host import disk

if TYPE_CHECKING:
    from mlenv.report.runner import Runner
    from mlenv.report.verdict import Verdict
    from mlenv.verify.job import Verified
    from mlenv.verify.subject import Subject

_COLORS = {"verified": "green", "static-ok": "green", "failed": "red", "not-verified": "yellow"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifying:
    """One run of ``verify``, in the words of a command line."""

    static: bool
    quick: bool
    runner: str | None
    python: Path | None
    image: str | None
    lock: Path | None
    variant: str | None
    gpus: int
    timeout: int
    engine: str | None
    sbatch: tuple[str, ...]
    junit: Path | None
    html: Path | None
    report: Path | None
    out: Path
    target: str | None
    verbose: bool

    def run(self, subject: str, *, as_json: bool) -> int:
        """Verify what ``subject`` names; return the worst status."""
        found = self._found(subject)
        if len(found) > 1 and any((self.junit, self.html, self.report)):
            names = ", ".join(f"`{path.name}`" for path, _ in found)
            raise click.UsageError(f"several targets ({names}) and one file: pick one by --target")
        documents, status = [], Exit.DONE
        for folder, image in found:
            try:
                document, own = self._one(folder, image, quiet=as_json)
            except MlenvError as error:
                words.show_reasons(error.reasons, "error")
                document, own = words.failure(str(folder), error.reasons), error.exit_status
            documents.append(document)
            status = max(status, own)
        if as_json:
            words.emit(documents[0] if len(documents) == 1 else documents)
        return status

    def _found(self, subject: str) -> list[tuple[Path, str | None]]:
        """Return each locked folder, with the image that it shall be verified in."""
        from mlenv.verify import subject as room  # noqa: PLC0415 (loaded when used)

        path = Path(subject)
        if path.is_file():
            name = opening.spec_file(path).spec.name
            return [(each, self.image) for each in room.folders(self.out, name, self.target)]
        if path.is_dir():
            inside = [] if (path / LOCK_NAME).is_file() else sorted(path.glob(f"*/{LOCK_NAME}"))
            wanted = [each.parent for each in inside if self.target in {None, each.parent.name}]
            return [(each, self.image) for each in wanted or [path]]
        if self.image or _looks_like_a_path(subject):
            raise room.refused(
                f"{subject} cannot be verified",
                "there is no such file or folder",
                "name a spec, a folder with a mlenv.lock, or an image",
            )
        return [(self._lock_of(subject), subject)]

    def _lock_of(self, image: str) -> Path:
        from mlenv.host.sandbox import find_sandbox  # noqa: PLC0415 (loaded when used)
        from mlenv.verify import subject as room  # noqa: PLC0415

        if self.lock is not None:
            return self.lock
        words.say(f"note: {image} is no file and no folder here, so it is taken for an image")
        labels = find_sandbox(self.engine).labels(image)
        places = [*self.out.glob(f"*/{LOCK_NAME}"), *self.out.glob(f"*/*/{LOCK_NAME}")]
        return room.of_image(labels, image, sorted(each.parent for each in places))

    def _one(self, folder: Path, image: str | None, *, quiet: bool) -> tuple[dict[str, Any], Exit]:
        from mlenv.report.document import document  # noqa: PLC0415 (loaded when used)
        from mlenv.verify.job import Wish, verify  # noqa: PLC0415
        from mlenv.verify.subject import subject  # noqa: PLC0415

        found = subject(folder)
        with opening.progress() as say:
            runner, variant = self._runner(found, image, say)
            say(f"running the probes of {found.lock.title}")
            wish = Wish(
                scope="static" if self.static else "gpu",
                quick=self.quick,
                variant=variant,
                gpus=self.gpus,
                seconds=float(self.timeout),
            )
            done = verify(found, runner, wish)
        self._write(done)
        memory.remember(
            disk.cache_folder(),
            found.lock.artefacts_sha256,
            "verified",
            word=done.verdict.word,
            at=opening.today()[:10],
        )
        if self.verbose and done.log:
            words.say(done.log)
        if not quiet:
            _show(done.verdict)
        return document(done.verdict, runner=done.runner), done.verdict.exit_status

    def _runner(self, found: Subject, image: str | None, say: Any) -> tuple[Runner, str]:  # noqa: ANN401
        """Return where the probe shall run, and the variant that is there."""
        kind = self.runner or ("container" if image else "local")
        self._check_idle(kind, image)
        if kind == "container":
            return self._container(found, image or "", say)
        variant = self.variant or "runtime"
        if kind == "slurm":
            return self._slurm(found, image, variant, say), variant
        return self._local(found, variant, say), variant

    def _check_idle(self, kind: str, image: str | None) -> None:
        """Refuse options that would do nothing.

        Raises:
            click.UsageError: one does.
        """
        if kind == "container" and not image:
            raise click.UsageError("--runner container needs an image: name it with --image REF")
        if kind == "local" and image:
            raise click.UsageError("--runner local runs in no image: leave --image out")
        if kind == "container" and self.python:
            raise click.UsageError("--python is for --runner local or slurm: an image has its own")
        if self.engine and kind != "container":
            raise click.UsageError("--engine is for --runner container")
        if self.sbatch and kind != "slurm":
            raise click.UsageError("--sbatch is for --runner slurm")

    def _container(self, found: Subject, image: str, say: Any) -> tuple[Runner, str]:  # noqa: ANN401
        from mlenv.host.sandbox import find_sandbox  # noqa: PLC0415 (loaded when used)
        from mlenv.runners.container import Container  # noqa: PLC0415
        from mlenv.verify.subject import VARIANT, check_of_image  # noqa: PLC0415

        sandbox = find_sandbox(self.engine)
        say(f"looking at {image}")
        labels = sandbox.labels(image)
        check_of_image(labels, image, found.lock)
        variant = self.variant or labels.get(VARIANT, "runtime")
        return Container(sandbox=sandbox, image=image), variant

    def _local(self, found: Subject, variant: str, say: Any) -> Runner:  # noqa: ANN401
        from mlenv.runners.local import Local  # noqa: PLC0415 (loaded when used)

        return Local(python=self._interpreter(found, variant, say))

    def _interpreter(self, found: Subject, variant: str, say: Any) -> str:  # noqa: ANN401
        from mlenv.runners.local import interpreter  # noqa: PLC0415 (loaded when used)
        from mlenv.runners.venv import synced  # noqa: PLC0415

        if self.python is not None:
            return interpreter(self.python)
        return synced(found.lock, found.folder, disk.cache_folder(), variant=variant, say=say)

    def _slurm(self, found: Subject, image: str | None, variant: str, say: Any) -> Runner:  # noqa: ANN401
        from mlenv.host.slurm import find_slurm  # noqa: PLC0415 (loaded when used)
        from mlenv.runners.slurm import OnSlurm  # noqa: PLC0415

        slurm = find_slurm()
        python = "python" if image else self._interpreter(found, variant, say)
        return OnSlurm(
            slurm=slurm,
            shared=Path.cwd(),
            python=python,
            image=image,
            options=self.sbatch,
            say=say,
        )

    def _write(self, done: Verified) -> None:
        from mlenv.report.html import page  # noqa: PLC0415 (loaded when used)
        from mlenv.report.junit import junit  # noqa: PLC0415

        if self.junit:
            disk.write(self.junit, junit(done.verdict))
        if self.html:
            disk.write(self.html, page(done.verdict))
        if self.report:
            disk.write(self.report, done.raw)


def _looks_like_a_path(text: str) -> bool:
    beside = "/" in text and Path(text).parent.is_dir()
    return text.endswith((".toml", "/")) or text.startswith((".", "/", "~")) or beside


def _show(verdict: Verdict) -> None:
    from mlenv.report.text import verdict_text  # noqa: PLC0415 (loaded when used)

    head, _, rest = verdict_text(verdict).partition("\n")
    click.echo(click.style(head, fg=_COLORS[verdict.word], bold=True))
    click.echo(rest)
