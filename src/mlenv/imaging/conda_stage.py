"""The conda packages of a lock on their way into layers: fetched, laid out, written one by one.

What a layer gets of a package depends on that package alone, and on where the environment will
lie, though all are laid out side by side: of two that have the same path, each keeps its own file.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlenv.host import disk, tools
from mlenv.host.conda_laying import META, settle
from mlenv.host.conda_prefix import fetch, laid_out
from mlenv.host.this import said
from mlenv.image.settings import PREFIXES
from mlenv.imaging.ground import Brought, like
from mlenv.repodata import SUBDIRS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mlenv.host.conda_laying import Artefact, Laid
    from mlenv.host.http import Web
    from mlenv.host.layer import LayerWriter
    from mlenv.lock import Lock, Package

_SAYS = "import sys; print(sys.version.split()[0])"


def history(writer: LayerWriter, prefix: str) -> None:
    """Write what makes a folder an environment to conda, which without it takes none for one."""
    writer.add_bytes(f"{prefix}/{META}/history", b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Packages that lie side by side."""

    prefix: Path
    target: str
    laid: Mapping[str, Laid]
    """SHA-256 of its file -> a package."""
    python: tuple[str, ...]
    """What runs an interpreter of the same version; nothing where nothing does."""

    def write(self, package: Package, writer: LayerWriter) -> None:
        """Write all that a package has to a layer.

        Raises:
            HostError: ``disk-failed``.
        """
        found = self.laid[package.sha256]
        with disk.spoken(self.prefix):
            added = settle(self.prefix, self.target, found, self.python)
            places = {**found.files, **{each: each for each in added}}
            for path in sorted(places):
                self._put(path, self.prefix / places[path], writer)
        writer.add_bytes(f"{self.target}/{found.record_path}", found.record)

    def _put(self, path: str, place: Path, writer: LayerWriter) -> None:
        path = f"{self.target}/{path}"
        if place.is_symlink():
            writer.add_link(path, str(place.readlink()))
        elif place.is_dir():
            writer.add_folder(path)
        elif place.is_file():  # bytecode that came with its package, and was stale, is gone
            state = place.stat()
            with place.open("rb") as file:
                writer.add_file(path, state.st_size, file, executable=bool(state.st_mode & 0o100))


class CondaFiles:
    """The conda packages of one lock."""

    def __init__(self, lock: Lock, found: Mapping[str, Artefact], web: Web, cache: Path) -> None:
        """Fetch nothing yet.

        Args:
            lock: of the backend conda.
            found: SHA-256 -> artefact, of all of them.
            web: the network.
            cache: the folder of mlenv's caches.
        """
        self._lock = lock
        self._found = found
        self._web = web
        self._cache = cache
        self._subdir = SUBDIRS[lock.target.platform]
        self._target = PREFIXES[lock.backend]

    @classmethod
    def of(
        cls, lock: Lock, found: Mapping[str, Artefact], web: Web, cache: Path
    ) -> CondaFiles | None:
        """Return the conda packages of a lock, where it has any; see ``__init__``."""
        return cls(lock, found, web, cache) if lock.backend == "conda" else None

    def interpreter(self) -> Brought:
        """Return the interpreter that the lock brings, ready to compile.

        Raises:
            HostError: ``hash-differs``, ``network-off``, ``network-failed``, ``disk-failed``,
                ``conda-unreadable``.
        """
        package = self._python()
        place = self._cache / "interpreters" / package.sha256 / "conda"
        program = place / "bin" / "python"
        if not program.is_file():
            files = fetch([self._found[package.sha256]], web=self._web, cache=self._cache)
            with disk.spoken(place):
                place.parent.mkdir(parents=True, exist_ok=True)
            with tools.scratch(place.parent) as scratch:
                self._lay(files, scratch / "conda", scratch)
                with disk.spoken(place):
                    if not place.exists():
                        (scratch / "conda").rename(place)
        runs = (said([str(program), "-I", "-S", "-c", _SAYS]) or "").strip() == package.version
        return Brought(
            python=f"{self._target}/bin/python",
            version=package.version,
            compiler=(str(program),) if runs else like(package.version),
            why_not="its Python does not run on this machine",
        )

    @contextmanager
    def staged(
        self, packages: Sequence[Package], python: tuple[str, ...], say: Callable[[str], None]
    ) -> Iterator[Stage]:
        """Lay packages out for as long as the ``with`` block lasts; ``python`` compiles.

        Raises:
            HostError: like ``interpreter``.
        """
        # Where a pure-Python package goes depends on the interpreter, so that is always there.
        wanted = {each.sha256: self._found[each.sha256] for each in (*packages, self._python())}
        files = fetch(wanted.values(), web=self._web, cache=self._cache, say=say)
        place = self._cache / "conda"
        with disk.spoken(place):
            place.mkdir(parents=True, exist_ok=True)
        with tools.scratch(place) as scratch:
            say(f"laying {len(files)} conda packages out")
            laid = self._lay(files, scratch / "prefix", scratch)
            yield Stage(
                prefix=scratch / "prefix",
                target=self._target,
                laid={each.artefact.sha256: each for each in laid},
                python=python,
            )

    def _lay(self, files: Mapping[Path, Artefact], prefix: Path, scratch: Path) -> tuple[Laid, ...]:
        return laid_out(files, prefix, target=self._target, subdir=self._subdir, scratch=scratch)

    def _python(self) -> Package:
        return next(e for e in self._lock.package if e.subdir is not None and e.name == "python")
