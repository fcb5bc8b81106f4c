"""A locked folder as a venv in the cache: by uv, from hashes, and made once for each lock.

A venv that is there is used again, since the first probes hold every file of it against the lock.
Nothing is solved here, and nothing is written into the folder.
"""

from __future__ import annotations

import platform
import re
from typing import TYPE_CHECKING

from mlenv.backends import uv as backend
from mlenv.errors import HostError, Reason
from mlenv.files import digest
from mlenv.host import disk, process, tools
from mlenv.layers import DEFAULT_INDEX, DEV, SOURCE, slices
from mlenv.machine import ARCHITECTURES
from mlenv.report.runner import runner_failed
from mlenv.runners.channels import installed
from mlenv.solve.asking import passes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from mlenv.lock import Lock

_SECONDS = 3600.0
_DONE = "mlenv-verify.done"
_COMPILED = "--compile-bytecode"
"""Each probe is a process of its own, and torch takes 9 s to import from its sources."""
_MARK = re.compile(r"^\W*((error|cause|[Cc]aused by):)?")


def synced(
    lock: Lock, folder: Path, cache: Path, *, variant: str, say: Callable[[str], None]
) -> str:
    """Return the interpreter of a venv that holds what ``lock`` says.

    Args:
        lock: what it holds.
        folder: where the lock lies, with uv.lock or ``layers/``.
        cache: where the venv goes.
        variant: ``runtime`` or ``dev``.
        say: shows one line of progress.

    Raises:
        HostError: ``runner-failed``: uv could not install it; ``other-machine``, ``tool-missing``,
            ``tool-timeout``, ``disk-failed``.
    """
    key = digest([lock.artefacts_sha256, lock.target.python, lock.target.platform, variant])
    venv = cache / "verify" / key[:24]
    python = venv / "bin" / "python"
    if (venv / _DONE).is_file() and python.exists():
        return str(python)
    check_machine(lock)
    say(f"installing {lock.title}: {len(lock.package)} packages")
    with tools.scratch() as scratch:
        made = disk.read(folder, [backend.PROJECT, backend.ANSWER])
        if lock.backend == "conda":
            installed(lock, folder, venv, cache, variant=variant, say=say)
        else:
            _make(lock.target.python, venv, scratch)
        if backend.ANSWER in made:
            _from_answer(lock, made, venv, scratch, variant=variant)
        else:
            indexes = backend.indexes(made.get(backend.PROJECT, ""))
            _from_layers(lock, indexes, venv, scratch, variant=variant)
    disk.write(venv / _DONE, lock.title + "\n", durable=False)
    return str(python)


def check_machine(lock: Lock) -> None:
    """Refuse what uv would only find out by the hash of a wheel of another architecture.

    Raises:
        HostError: ``other-machine``.
    """
    wanted, here = ARCHITECTURES[lock.target.platform], platform.machine()
    if wanted != here:
        raise HostError(
            Reason(
                code="other-machine",
                what=f"{lock.title} cannot be installed on this machine",
                cause=f"it is locked for {lock.target.platform} ({wanted}), and this is {here}",
                fix=f"verify it on such a machine ({wanted}), or with --runner slurm --python VENV",
            )
        )


def _make(version: str, venv: Path, scratch: Path) -> None:
    words = ["venv", "--clear", "--python", version, str(venv)]
    said = _said(words, scratch, {})
    if said:
        raise runner_failed(
            f"there is no Python {version} to verify it with",
            f"uv finds none here, and could not fetch one: {said}",
            f"install it (`uv python install {version}`, or put python{version} on PATH), or "
            "name an environment of your own with --python",
        )


def _from_answer(
    lock: Lock, made: Mapping[str, str], venv: Path, scratch: Path, *, variant: str
) -> None:
    for name, text in made.items():
        disk.write(scratch / name, text, durable=False)
    words = ["sync", "--locked", "--no-install-project", "--python", lock.target.python, _COMPILED]
    words += ["--all-groups" if variant == "dev" else "--no-default-groups"]
    _uv(words, scratch, {"UV_PROJECT_ENVIRONMENT": str(venv)})


def _from_layers(
    lock: Lock, indexes: Mapping[str, str], venv: Path, scratch: Path, *, variant: str
) -> None:
    for number, each in enumerate(slices(p for p in lock.package if p.subdir is None)):
        if variant != "dev" and each.layer in DEV:
            continue
        path = scratch / f"{number}.txt"
        disk.write(path, each.file.text, durable=False)
        words = ["pip", "install", "--python", str(venv / "bin" / "python"), "--no-deps"]
        words += ["--require-hashes", "--break-system-packages"]
        words += [_COMPILED]
        words += [] if each.layer in SOURCE else ["--only-binary", ":all:"]
        if each.index != DEFAULT_INDEX:
            words += ["--default-index", _url(each.index, indexes)]
        _uv([*words, "-r", str(path)], scratch, {})


def _url(alias: str, indexes: Mapping[str, str]) -> str:
    if alias in indexes:
        return indexes[alias]
    raise runner_failed(
        f"the index `{alias}` of the lock is not known here",
        f"{backend.PROJECT} does not name it",
        "run `mlenv build` on the spec again, and verify the folder that it writes",
    )


def _uv(words: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> None:
    said = _said(words, cwd, environment)
    if said:
        raise runner_failed(
            "uv could not install the environment",
            said,
            "see that the indexes of the lock can be reached, and that there is room on the disk; "
            "or name an environment of your own with --python",
        )


def _said(words: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> str:
    """Run uv, and return what it complains of; nothing where all went well."""
    done = process.run(
        [tools.uv(), "--no-progress", *words],
        cwd=cwd,
        seconds=_SECONDS,
        env=environment,
        inherit=passes,
    )
    if not done.status:
        return ""
    said = [_MARK.sub("", each).strip() for each in done.stderr.splitlines()]
    return "; ".join([*dict.fromkeys(filter(None, said))][-3:]) or f"status {done.status}"
