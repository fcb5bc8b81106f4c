"""Everything mlenv refuses on purpose: a code, what was asked, why not, and the way out.

``CODES`` is the one table of every code: what it means and with which status mlenv leaves.
Codes are stable and kebab-case; each is raised at one place (``tests/test_architecture.py``).
A stack that cannot be and a file that cannot be written are both a ``Reason``; what differs is
the class of the error; the exit status stands beside the code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Exit(IntEnum):
    """The exit statuses of mlenv."""

    DONE = 0
    """done; for ``verify``: verified (or ``static-ok`` when only that was asked for)"""
    FAILED = 1
    """verification failed, or ``--check`` and ``diff`` found a difference"""
    USAGE = 2
    """the command line or the spec is wrong"""
    IMPOSSIBLE = 3
    """no such stack: proven unsatisfiable"""
    BROKEN = 4
    """a tool, the network or the disk failed; nothing is known about the stack"""
    IMAGE = 5
    """the image could not be built"""
    UNPROVEN = 6
    """not verified: nothing wrong was seen, but nothing was proven"""
    INTERRUPTED = 130
    """interrupted"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One thing mlenv has to say about what was asked, in the user's own words."""

    code: str
    what: str
    """What was asked, or what happened: one sentence without a full stop."""
    cause: str
    fix: str
    where: tuple[str, ...] = ()
    """The lines it is about, as ``FILE:LINE: KEY``; key paths before a file is known."""
    source: str | None = None
    """Where the fact comes from, with its date."""
    nearest: tuple[str, ...] = ()
    """The smallest edits of the spec that work, best first."""

    @property
    def exit_status(self) -> Exit:
        """The status mlenv leaves with when this ends a command."""
        return CODES[self.code][0]

    def text(self, kind: str = "error") -> str:
        """Return the lines a person reads; ``kind`` is ``error`` or ``warning``."""
        lines = [f"{kind}[{self.code}]: {self.what}"]
        lines += [f"  at:      {each}" for each in self.where]
        lines.append(f"  cause:   {self.cause}")
        if self.source:
            lines.append(f"  source:  {self.source}")
        lines += [f"  nearest: {each}" for each in self.nearest]
        lines.append(f"  fix:     {self.fix}")
        return "\n".join(lines)

    def located(self, places: Mapping[str, str]) -> Reason:
        """Return this reason with its key paths replaced by ``FILE:LINE: KEY``."""
        return replace(self, where=tuple(places.get(each, each) for each in self.where))


class MlenvError(Exception):
    """A deliberate failure: one or more reasons, all known mistakes at once."""

    def __init__(self, *reasons: Reason) -> None:
        """Keep ``reasons``; there is at least one."""
        super().__init__(*reasons)
        self.reasons = reasons

    @property
    def exit_status(self) -> Exit:
        """The status of the first reason, which is the one that ended the command."""
        return self.reasons[0].exit_status

    def __str__(self) -> str:
        """Return all reasons as a person reads them."""
        return "\n\n".join(each.text() for each in self.reasons)


class UsageError(MlenvError):
    """The command line or the spec is wrong."""


class StackError(MlenvError):
    """No such stack can be: proven from published facts or by the solver."""


class HostError(MlenvError):
    """A tool, the network or the disk failed; nothing is known about the stack."""


class ImageError(MlenvError):
    """The image could not be built."""


CODES: Mapping[str, tuple[Exit, str]] = {
    # the command line and the spec
    "spec-unreadable": (Exit.USAGE, "the spec cannot be read from disk, or is no text"),
    "spec-not-toml": (Exit.USAGE, "the spec is no TOML"),
    "spec-invalid": (Exit.USAGE, "a key or a value of the spec is wrong"),
    "spec-reserved": (Exit.USAGE, "the spec uses a key that is kept for a later mlenv"),
    "framework-unknown": (Exit.USAGE, "the catalog has no row for a framework"),
    "gpu-unknown": (Exit.USAGE, "no GPU is known by that name"),
    "not-ours": (Exit.USAGE, "a folder holds files of the user's that mlenv would overwrite"),
    "needs-engine": (Exit.USAGE, "the image holds what only a container engine can build"),
    "not-locked": (Exit.USAGE, "a folder holds no lock with the recipe of an image"),
    "image-order": (Exit.USAGE, "an image cannot be made or brought where it was asked to"),
    "export-order": (Exit.USAGE, "a lock cannot be exported as, or to where, it was asked"),
    "verify-order": (Exit.USAGE, "what is to be verified is not there, or not in that way"),
    "usage": (Exit.USAGE, "the command line is wrong"),
    "matrix-order": (Exit.USAGE, "a matrix cannot be planned or run in the way it was asked"),
    "result-unreadable": (Exit.USAGE, "a file of a results folder is damaged, or of a newer mlenv"),
    "intake-unreadable": (Exit.USAGE, "what `init --from` names is no file that it reads"),
    "edit-order": (Exit.USAGE, "a spec cannot be edited in the way it was asked"),
    "not-movable": (Exit.USAGE, "a package cannot be moved apart from the rest of its lock"),
    "image-unreadable": (Exit.USAGE, "what is named is no image, or a damaged one"),
    "lock-unreadable": (Exit.USAGE, "a mlenv.lock is damaged, or of a newer mlenv"),
    # no such stack
    "python-unsupported": (Exit.IMPOSSIBLE, "no release in the range takes this Python"),
    "no-wheel-for-python-abi": (Exit.IMPOSSIBLE, "no free-threaded (or other ABI) wheel"),
    "no-wheel-for-platform": (Exit.IMPOSSIBLE, "no wheel for this architecture"),
    "glibc-too-old": (Exit.IMPOSSIBLE, "a wheel needs a newer glibc than the target has"),
    "needs-build": (Exit.IMPOSSIBLE, "only source is published, and it is no pure Python"),
    "yanked": (Exit.IMPOSSIBLE, "every file in the range is yanked"),
    "cuda-not-offered": (Exit.IMPOSSIBLE, "no build of that framework for that toolkit"),
    "cpu-only-build": (Exit.IMPOSSIBLE, "what resolves is a CPU build, though a GPU is asked"),
    "cudnn-mismatch": (Exit.IMPOSSIBLE, "the cuDNN asked for is not what the framework takes"),
    "gpu-not-in-cudnn": (Exit.IMPOSSIBLE, "the cuDNN has no kernels for a target GPU"),
    "frameworks-disagree": (Exit.IMPOSSIBLE, "two packages pin different CUDA libraries"),
    "cuda-majors-mixed": (Exit.IMPOSSIBLE, "wheels of two CUDA majors, or of two toolkits"),
    "soname-mismatch": (Exit.IMPOSSIBLE, "an extension needs a library major the lock lacks"),
    "gpu-not-in-wheel": (Exit.IMPOSSIBLE, "no SASS or PTX that a target GPU can run"),
    "driver-too-old": (Exit.IMPOSSIBLE, "below the driver floor of the toolkit's major"),
    "no-forward-compat": (Exit.IMPOSSIBLE, "cuda-compat asked on a GPU that does not have it"),
    "gpu-needs-newer-driver": (Exit.IMPOSSIBLE, "no driver that old knows the GPU"),
    "driver-dropped-gpu": (Exit.IMPOSSIBLE, "a driver that new no longer knows the GPU"),
    "base-image-gate": (Exit.IMPOSSIBLE, "the base image refuses to start on that driver"),
    "files-collide": (Exit.IMPOSSIBLE, "two packages of the lock own one path"),
    "shadows-conda": (Exit.IMPOSSIBLE, "a package of an index would lie over one of a channel"),
    "extra-missing": (Exit.IMPOSSIBLE, "an extra does not exist in the release that resolves"),
    "no-solution": (Exit.IMPOSSIBLE, "the solver proves a conflict outside all of these"),
    # something failed; nothing is known about the stack
    "tool-missing": (Exit.BROKEN, "a program that is needed is not installed"),
    "tool-timeout": (Exit.BROKEN, "a program ran longer than its limit"),
    "solver-missing": (Exit.BROKEN, "the conda solver is not installed beside mlenv"),
    "hash-missing": (Exit.BROKEN, "a channel gives no hash of a file"),
    "solver-broke": (Exit.BROKEN, "the solver failed without an answer about the stack"),
    "solve-drifted": (Exit.BROKEN, "a solve at the locked date gives other artefacts"),
    "network-failed": (Exit.BROKEN, "an index could not be reached or answered with an error"),
    "network-off": (Exit.BROKEN, "--offline, and a fact is not in the cache"),
    "registry-failed": (Exit.BROKEN, "a registry could not be reached or answered with an error"),
    "registry-denied": (Exit.BROKEN, "a registry does not let this user read or write an image"),
    "engine-missing": (Exit.BROKEN, "no container engine that can do it is installed here"),
    "engine-failed": (Exit.BROKEN, "the container engine does not answer, or broke off"),
    "hash-differs": (Exit.BROKEN, "an artefact is not the one its hash names"),
    "wheel-unreadable": (Exit.BROKEN, "a wheel's directory cannot be read"),
    "conda-unreadable": (Exit.BROKEN, "a conda package is damaged, and cannot be laid out"),
    "disk-failed": (Exit.BROKEN, "a file or folder cannot be written or read"),
    "disk-full": (Exit.BROKEN, "a disk has too little room for what is to come"),
    "catalog-damaged": (Exit.BROKEN, "the refreshed facts in the cache are not what was written"),
    "folder-busy": (Exit.BROKEN, "another mlenv is writing to the same folder"),
    "runner-failed": (Exit.BROKEN, "the probe could not be run, and nothing came back"),
    "scheduler-failed": (Exit.BROKEN, "SLURM does not take a job, or does not answer"),
    "worker-lost": (Exit.BROKEN, "a process that worked at a cell was killed, or met a mistake"),
    "bisect-blind": (Exit.BROKEN, "a mix of two locks could be called neither good nor bad"),
    "report-unusable": (Exit.BROKEN, "what a probe sent back does not answer what was asked"),
    "interrupted": (Exit.INTERRUPTED, "the user, or the system, stopped mlenv"),
    # the image could not be built
    "bytecode-failed": (Exit.IMAGE, "the image's interpreter cannot compile a wheel's modules"),
    "image-failed": (Exit.IMAGE, "a step of the image's build failed"),
    "import-failed": (Exit.IMAGE, "a locked package cannot be imported in the image"),
    "image-differs": (Exit.IMAGE, "what is in the image is not what the lock says"),
    "base-unusable": (Exit.IMAGE, "the base image is damaged, or of another platform or Python"),
    "recipe-unsafe": (Exit.IMAGE, "the recipe breaks a rule that mlenv's own must keep"),
    # differences
    "out-of-date": (Exit.FAILED, "what lies there is not what the spec gives"),
    # warnings: they change no verdict
    "older-than-newest": (Exit.DONE, "a framework is older than the newest that fits alone"),
    "minor-version-mode": (
        Exit.DONE,
        "the driver is older than the toolkit: CUDA minor-version mode",
    ),
    "jit-needs-newer-driver": (Exit.DONE, "PTX of this toolkit cannot be compiled by that driver"),
    "not-checked": (Exit.DONE, "no driver or GPU was named, so none was checked"),
    "built-from-source": (Exit.DONE, "a source package is installed; it built to pure Python"),
    "prerelease-taken": (Exit.DONE, "a package of the set pins a prerelease of another"),
    "apt-floats": (Exit.DONE, "distribution packages are named without their versions"),
    "base-not-pinned": (Exit.DONE, "the base image is named by tag, not by digest"),
    "other-machine": (
        Exit.UNPROVEN,
        "a stack is locked for another architecture than this machine's",
    ),
    "fact-unknown": (Exit.UNPROVEN, "no source says whether this can run"),
    "small-collision": (Exit.DONE, "two packages write one path that no kernel depends on"),
}
"""Code -> (exit status, meaning). The reason codes of a verdict and all other failures alike."""
