"""What an export is made from: a lock, what lies beside it, and what was asked for.

The one door of the room. A lock is a file that anybody may have edited, and what is written from
it is read by shells, schedulers and package managers: so every word is held against its alphabet
here, and the modules beside this one quote it all the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from mlenv.layers import DEFAULT_INDEX, DEV
from mlenv.machine import ARCHITECTURES, Python
from mlenv.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlenv.cuda import Arch
    from mlenv.export.about import About
    from mlenv.lock import Lock, Package
    from mlenv.reference import Reference

NOTE = "written by mlenv"
"""What stands in every file that was exported: one without it is the user's, and is left alone."""

_STEM = re.compile(r"[a-z0-9]([a-z0-9_.-]{0,61}[a-z0-9])?")
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.!+-]{0,126}")
_FILENAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+!-]{0,250}")
_ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,62}")
_URL = re.compile(r"(https?|file)://[A-Za-z0-9.:\[\]-]*(/[A-Za-z0-9._~%+,=:/-]*)?")
_TOOLKIT = re.compile(r"[0-9]{1,2}(\.[0-9]{1,2}){0,2}|cpu|none")
_FILE_URL = re.compile(r"(https?|file)://[!#-&(-;=?-\[\]-_a-~]*")
_FOLDER = re.compile(r"[^\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What an export is made from.

    Raises:
        ValueError: a word of it is outside its alphabet; none that mlenv wrote is.
    """

    lock: Lock
    variant: Literal["runtime", "dev"] = "runtime"
    indexes: Mapping[str, str] = field(default_factory=dict)
    """Alias -> URL of every index beside the default one."""
    urls: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 -> where the file lies."""
    about: Mapping[str, About] = field(default_factory=dict)
    """SHA-256 -> what the package in that file says of itself."""
    asked: tuple[str, ...] = ()
    """The requirements of the stack itself, PEP 508."""
    image: str | None = None
    """The image of the lock, where it was named."""
    folder: str = "."
    """The locked folder, seen from where the files are written."""
    gpus: int = 1
    """How many a job asks for, where the stack uses any."""
    command: tuple[str, ...] = ()
    """What a job runs; nothing: it shows its GPUs."""
    archs: tuple[Arch, ...] = ()
    """Of the target's GPUs."""

    def __post_init__(self) -> None:
        """Check every word that will stand in a file."""
        lock = self.lock
        Python.parse(lock.target.python)
        _expect(_TOOLKIT, "a toolkit", lock.stack.toolkit)
        _expect(_STEM, "a name", lock.name, lock.target.name)
        for each in (*lock.package, *([lock.init] if lock.init else [])):
            _expect(_NAME, "a package's name", each.name)
            _expect(_VERSION, f"a version of {each.name}", each.version)
            _expect(_FILENAME, f"a file of {each.name}", each.filename)
            _expect(_ALIAS, f"the index of {each.name}", each.index)
        _expect(_URL, "an index's URL", *self.indexes.values())
        _expect(_FILE_URL, "a file's URL", *self.urls.values())
        _expect(_FOLDER, "a folder", self.folder)
        if self.image is not None:
            parse_reference(self.image)

    @property
    def stem(self) -> str:
        """What files are called after: ``train``, or ``train-h100`` where the spec has targets."""
        return self.lock.title.replace(":", "-")

    @property
    def squashed(self) -> str:
        """What its squashfs is called, without the suffix: another lock never finds an old one."""
        dev = "-dev" if self.variant == "dev" else ""
        return f"{self.stem}{dev}-{self.lock.artefacts_sha256[:12]}"

    @property
    def gpu(self) -> bool:
        """Whether the stack uses GPUs at all."""
        return self.lock.stack.toolkit not in {"cpu", "none"}

    @property
    def python(self) -> Python:
        """The interpreter."""
        return Python.parse(self.lock.target.python)

    @property
    def architecture(self) -> str:
        """``x86_64`` or ``aarch64``."""
        return ARCHITECTURES[self.lock.target.platform]

    @property
    def marker(self) -> str:
        """The environment that the lock is for, as PEP 508 says it."""
        return (
            "sys_platform == 'linux' "
            f"and platform_machine == '{self.architecture}' "
            "and implementation_name == 'cpython' "
            f"and python_version == '{self.python.short}'"
        )

    @property
    def local(self) -> str:
        """What ``mlenv image`` calls the image in an engine: ``train:latest``, ``train:dev``."""
        name, _, target = self.lock.title.partition(":")
        words = [*([target] if target else []), *(["dev"] if self.variant == "dev" else [])]
        return f"{name}:{'-'.join(words) or 'latest'}"

    @property
    def reference(self) -> Reference:
        """The image that was named.

        Raises:
            ValueError: none was.
        """
        if self.image is None:
            raise ValueError("its image lies in a registry, and nobody said in which")
        return parse_reference(self.image)

    @property
    def packages(self) -> tuple[Package, ...]:
        """What the variant installs, sorted by name."""
        found = (p for p in self.lock.package if self.variant == "dev" or p.layer not in DEV)
        return tuple(sorted(found, key=lambda each: (each.name, each.version)))

    @property
    def words(self) -> tuple[str, ...]:
        """What a job runs."""
        shown = ("nvidia-smi", "-L") if self.gpu else ("python", "--version")
        return self.command or shown

    def note(self, mark: str = "#") -> str:
        """Return the line by which mlenv knows its own file again."""
        return f"{mark} {NOTE} for {self.lock.title}; without this line mlenv leaves the file alone"

    def url(self, alias: str) -> str | None:
        """Return the URL of an index; None for the default one, which nobody names.

        Raises:
            ValueError: nobody knows it.
        """
        if alias == DEFAULT_INDEX and alias not in self.indexes:
            return None
        if alias not in self.indexes:
            raise ValueError(f"nobody knows the URL of the index {alias}")
        return self.indexes[alias]

    def further(self, packages: Iterable[Package]) -> tuple[str, ...]:
        """Return the URLs of the indexes beside the default one that ``packages`` lie on."""
        aliases = sorted({each.index for each in packages} - {DEFAULT_INDEX})
        return tuple(url for each in aliases if (url := self.url(each)) is not None)


def _expect(pattern: re.Pattern[str], what: str, *values: str) -> None:
    for each in values:
        if not pattern.fullmatch(each):
            raise ValueError(f"{each[:80]!r} is not {what}")
