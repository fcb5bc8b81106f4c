"""The Python of an image, run on this machine: bytecode is made by the very one that reads it.

Its standard library and the image's shared libraries are unpacked into a folder, and it is started
by the loader of the image: no root, no chroot, no container. Nothing else of the image is unpacked,
no link is made that could lead out of the folder, and no mode but "may be run" is kept.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlenv.errors import HostError
from mlenv.host import disk, process
from mlenv.host.overlay import Overlay
from mlenv.host.rootfs import unusable
from mlenv.host.tarball import BrokenError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlenv.host.tarball import Stream

LIBRARY_BYTES = 64 << 20
"""Of one shared library: larger ones (cuDNN's, LLVM's) are no Python's."""
TOTAL_BYTES = 1 << 30
SECONDS = 60.0

_LOADERS = {"x86_64": "lib64/ld-linux-x86-64.so.2", "aarch64": "lib/ld-linux-aarch64.so.1"}
"""Source: the psABI supplements of x86-64 and AArch64, "Program Interpreter"."""
_LIBRARY = re.compile(
    r"((?:usr/(?:local/)?)?lib(?:64)?(?:/[a-z0-9_]+-linux-gnu)?)/[^/]+\.so(?:\.[0-9.]+)?"
)
_LEFT_OUT = re.compile(r"/(?:test|tests|__pycache__|site-packages|dist-packages|idlelib)/")
_KEPT = "interpreter.json"
_SAYS = "import sys; print(sys.version.split()[0], sys.prefix)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """The Python of an image, as a program of this machine."""

    argv: tuple[str, ...] | None
    """What to run it with; give it ``-I``. None where it cannot run here."""
    version: str | None = None
    """In full, as it says itself: ``3.12.12``."""
    why_not: str = ""


def interpreter(
    layers: Sequence[Path], version: str, folder: Path, *, image: str = "the base image"
) -> Interpreter:
    """Return the CPython ``version`` (``3.12``, ``3.14t``) of an image, unpacked into ``folder``.

    Args:
        layers: the blobs of its layers, the lowest first.
        version: which of its Pythons.
        folder: where to; what lies there of an earlier call is used.
        image: what errors call it.

    Raises:
        HostError: ``base-unusable``: no such Python, or a damaged layer; ``disk-failed``.
    """
    parts = _kept(folder)
    if parts is None:
        loader = _LOADERS.get(platform.machine()) if platform.system() == "Linux" else None
        try:
            overlay = Overlay(layers)
            program = _program(overlay, version, image)
            found = overlay.file(loader) if loader else None
            if found is None:
                return Interpreter(argv=None, why_not="the image is of another platform than this")
            parts = _unpacked(overlay, program, found, folder)
        except BrokenError as error:
            raise unusable(image, f"a layer of it cannot be read: {error}") from error
        except OSError as error:
            raise disk.failed(folder, error) from error
    started, run, *places = (str(folder / each) for each in parts)
    # All libraries are the image's own: the loader's other places would be this machine's.
    return _tried((started, "--inhibit-cache", "--library-path", ":".join(places), run))


def is_kept(folder: Path) -> bool:
    """Tell whether an interpreter lies in ``folder``, so that no layer is needed for it."""
    return _kept(folder) is not None


def _program(overlay: Overlay, version: str, image: str) -> str:
    for each in ("usr/local/bin", "usr/bin"):
        found = overlay.file(f"{each}/python{version}")
        if found is not None:
            return found
    raise unusable(
        image,
        f"it has no Python {version} in /usr/local/bin or /usr/bin",
        f"name a base image that brings Python {version}",
    )


def _kept(folder: Path) -> tuple[str, ...] | None:
    try:
        found = json.loads((folder / _KEPT).read_bytes())
    except (OSError, ValueError):
        return None
    return tuple(map(str, found)) if isinstance(found, list) and len(found) > 2 else None


def _unpacked(overlay: Overlay, program: str, loader: str, folder: Path) -> tuple[str, ...]:
    """Return the loader, the program, and the folders of libraries, as paths in the folder."""
    wanted, places = _wanted(overlay, program, loader)
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _write(overlay, wanted, work)
        parts = (loader, program, *places)
        (work / _KEPT).write_text(json.dumps(parts), encoding="utf-8")
        work.chmod(0o755)
        _renamed(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return parts


def _renamed(work: Path, folder: Path) -> None:
    try:
        work.rename(folder)
    except OSError:
        if _kept(folder) is None:  # else another mlenv was there first
            shutil.rmtree(folder)  # what a broken-off `clean` left
            work.rename(folder)


def _wanted(
    overlay: Overlay, program: str, loader: str
) -> tuple[dict[str, list[str]], tuple[str, ...]]:
    """Return path of a file -> the paths it is wanted at, and the folders of shared libraries."""
    prefix, _, name = program.rpartition("/bin/")
    standard = tuple(f"{prefix}/{each}/{name}/" for each in ("lib", "lib64"))
    wanted: dict[str, list[str]] = {program: [program], loader: [loader]}
    places: dict[str, None] = {}
    for path in overlay.nodes:
        library = _LIBRARY.fullmatch(path)
        if not library and not (path.startswith(standard) and not _LEFT_OUT.search(path)):
            continue
        real = overlay.file(path)
        if real is None or overlay.nodes[real].size > LIBRARY_BYTES:
            continue
        if path not in wanted.setdefault(real, []):
            wanted[real].append(path)
        if library:
            places[library[1]] = None
    if sum(overlay.nodes[each].size for each in wanted) > TOTAL_BYTES:
        raise BrokenError(f"its Python and its libraries have more than {TOTAL_BYTES >> 20} MiB")
    # /usr/local first, as ld.so.conf has it
    return wanted, tuple(sorted(places, key=lambda each: ("local" not in each, each)))


def _write(overlay: Overlay, wanted: dict[str, list[str]], work: Path) -> None:
    total = 0

    def use(names: tuple[str, ...], stream: Stream) -> None:
        nonlocal total
        first, *others = (path for name in names for path in wanted[name])
        target = work / first
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        with target.open("xb") as file:
            while data := stream.read():
                total += len(data)
                if total > TOTAL_BYTES:
                    raise BrokenError(f"its Python has more than {TOTAL_BYTES >> 20} MiB")
                file.write(data)
        target.chmod(0o755 if any(overlay.nodes[each].executable for each in names) else 0o644)
        for each in others:
            path = work / each
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            os.link(target, path)

    overlay.contents(wanted, use)


def _tried(argv: tuple[str, ...]) -> Interpreter:
    try:
        done = process.run(
            [*argv, "-I", "-S", "-c", _SAYS],
            cwd=Path("/"),
            seconds=SECONDS,
            inherit=lambda name: name in {"PATH", "TMPDIR"},
        )
    except HostError as error:
        return Interpreter(argv=None, why_not=error.reasons[0].cause)
    version, _, prefix = done.stdout.strip().partition(" ")
    if done.status != 0:
        last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        return Interpreter(argv=None, why_not=f"it does not start here: {last}")
    if not argv[-1].startswith(f"{prefix}/"):
        return Interpreter(argv=None, why_not=f"it takes its library from {prefix}")
    return Interpreter(argv=argv, version=version)
