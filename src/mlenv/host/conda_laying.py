"""Lays conda packages out below a prefix, from their files alone: no solve, no channel, no GPU.

Nothing of a package is executed: no link script, and of its programs only the interpreter, to
compile. A file is looked at only after its SHA-256 was, for rattler checks none of a file that
lies on the disk. The text of this module stands for itself, on the standard library and py-rattler:
it is a part of ``layers/conda.py``, which the build of an image runs.
"""

from __future__ import annotations

import _imp
import asyncio
import hashlib
import json
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import rattler

META = "conda-meta"
"""The folder of a prefix that has a record of each package."""

_CLOBBERED = re.compile(r"__clobber-from-[^/]+$")
"""What rattler adds to the name of a file that another package has too."""
_BLOCK_BYTES = 1 << 20
_PYC = re.compile(
    r"(?P<folder>.*/)__pycache__/(?P<stem>[^/]+)\.cpython-\d+t?(?P<level>\.opt-\d)?\.pyc"
)
_MODULE = re.compile(r"lib/python3\.\d+t?/.*\.py")
_PYC_HEAD = 16


@dataclass(frozen=True)
class Artefact:
    """A package of a channel, and what its file must be."""

    url: str
    sha256: str
    md5: str | None = None
    """Not looked at, only told in its record."""

    @property
    def filename(self) -> str:
        """The name of its file."""
        return self.url.rpartition("/")[2]

    @property
    def subdir(self) -> str:
        """The folder of its channel: ``linux-64`` or ``noarch``."""
        return self.url.rsplit("/", 2)[1]

    @property
    def channel(self) -> str:
        """The address of its channel, as conda's records have it."""
        return self.url.rsplit("/", 2)[0] + "/"


class DiffersError(Exception):
    """A file is not the one that was locked."""

    def __init__(self, artefact: Artefact, found: str) -> None:
        """Keep what was locked, and the SHA-256 that was found."""
        super().__init__(f"{artefact.url}: its SHA-256 is {found}, not {artefact.sha256}")
        self.artefact = artefact
        self.found = found


@dataclass(frozen=True)
class Laid:
    """A package that was laid out."""

    artefact: Artefact
    name: str
    record: bytes
    """Its file of ``conda-meta``, with nothing of this machine."""
    files: Mapping[str, str]
    """Path below the prefix -> where it lies there: elsewhere if two packages have that path."""

    @property
    def record_path(self) -> str:
        """Where its record lies below the prefix."""
        return f"{META}/{re.sub(r'[.](conda|tar[.]bz2)$', '', self.artefact.filename)}.json"


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(_BLOCK_BYTES):
            found.update(data)
    return found.hexdigest()


def lay(
    files: Mapping[Path, Artefact], prefix: Path, *, target: str, subdir: str, scratch: Path
) -> tuple[Laid, ...]:
    """Install packages into ``prefix``, which is empty or not there; return them sorted by name.

    Args:
        files: each file, and what it must be; with a Python, where a package is pure Python.
        prefix: where the environment is laid out.
        target: where it will lie: what stands in its scripts and programs.
        subdir: ``linux-64`` or ``linux-aarch64``, of this machine or not.
        scratch: a folder on the disk of ``prefix`` for what is unpacked; to be removed after.

    Raises:
        DiffersError: a file is not the one that was locked. Nothing is installed.
        OSError: the disk.
        rattler.exceptions.InstallerError: a package is damaged.
    """
    import rattler  # noqa: PLC0415 (80 MB)

    records = asyncio.run(_records(files, scratch))
    asyncio.run(
        rattler.install(
            records,
            target_prefix=prefix,
            cache_dir=scratch / "unpacked",
            platform=rattler.Subdir(subdir),
            show_progress=False,
            execute_link_scripts=False,
            alternative_target_prefix=target,
        )
    )
    return tuple(sorted(_laid(prefix, files.values()), key=lambda each: each.name))


async def _records(files: Mapping[Path, Artefact], scratch: Path) -> list[rattler.RepoDataRecord]:
    """Return what each file says of itself, once all were seen to be what they must be."""
    import rattler  # noqa: PLC0415
    from rattler.package_streaming import PackageArchive  # noqa: PLC0415

    for path, each in files.items():
        if (found := sha256_of(path)) != each.sha256:
            raise DiffersError(each, found)
    records = []
    index = scratch / "index.json"
    for path, each in files.items():
        archive = await PackageArchive.from_path(path)
        index.write_bytes(await archive.read_file("info/index.json") or b"")
        record = rattler.PackageRecord.from_index_json(
            index, path.stat().st_size, each.sha256, each.md5
        )
        records.append(rattler.RepoDataRecord(record, each.filename, path.as_uri(), each.channel))
    return records


def _laid(prefix: Path, artefacts: Iterable[Artefact]) -> Iterator[Laid]:
    """Yield each package, after its record was rewritten to say where it came from."""
    known = {each.filename: each for each in artefacts}
    for path in (prefix / META).glob("*.json"):
        record = json.loads(path.read_bytes())
        artefact = known[record["fn"]]
        files = {_CLOBBERED.sub("", each): each for each in record["files"]}
        made = _normal(record, artefact)
        _put(path, made)
        yield Laid(artefact=artefact, name=record["name"], record=made, files=files)


def _normal(record: dict[str, Any], artefact: Artefact) -> bytes:
    """Return a record that is the same on every machine, whatever else is installed."""
    for name in ("extracted_package_dir", "package_tarball_full_path", "link", "requested_spec"):
        record.pop(name, None)
    record |= {"url": artefact.url, "channel": artefact.channel, "requested_specs": []}
    record["files"] = sorted(_CLOBBERED.sub("", each) for each in record["files"])
    paths = record["paths_data"]["paths"]
    for each in paths:
        each["_path"] = _CLOBBERED.sub("", each["_path"])
        each.pop("original_path", None)
    paths.sort(key=lambda each: str(each["_path"]))
    return json.dumps(record, indent=2, sort_keys=True).encode() + b"\n"


def settle(prefix: Path, target: str, package: Laid, python: Sequence[str]) -> tuple[str, ...]:
    """Make a package's bytecode such that no time stamp makes it stale; return what was added.

    An image's files get other times than a package's have, and its users may write none: bytecode
    that goes by times would be made anew at each start. PEP 552: an unchecked hash stays good.

    Args:
        prefix: where it was laid out.
        target: where it will lie.
        package: as ``lay`` returned it.
        python: what starts the interpreter of the environment, or one of the same version; where
            it is empty, modules without bytecode stay so.
    """
    places = {path: prefix / place for path, place in package.files.items()}
    missing = {path for path in places if _MODULE.fullmatch(path)}
    for path, place in places.items():
        found = _PYC.fullmatch(path)
        if found is None:
            continue
        source = f"{found['folder']}{found['stem']}.py"
        if source in places and _untimed(place, places[source]):
            missing -= set() if found["level"] else {source}
        else:
            place.unlink()
    return _compiled(prefix, target, sorted(missing), python) if python and missing else ()


def _untimed(path: Path, source: Path) -> bool:
    """Rewrite the head of a .pyc that goes by its source's time; False where it has another."""
    data, text = path.read_bytes(), source.read_bytes()
    # PEP 552: magic number, flags (0: by time), time and size of the source; 4 bytes each.
    if data[4:8] != bytes(4) or data[12:_PYC_HEAD] != (len(text) & 0xFFFFFFFF).to_bytes(
        4, "little"
    ):
        return False
    hashed = _imp.source_hash(int.from_bytes(data[:4], "little"), text)
    _put(path, data[:4] + b"\1\0\0\0" + hashed + data[_PYC_HEAD:])
    return True


def _compiled(
    prefix: Path, target: str, modules: Iterable[str], python: Sequence[str]
) -> tuple[str, ...]:
    found = tuple(modules)
    words = ("-q", "-q", "-j", "1", "--invalidation-mode", "unchecked-hash", "-i", "-")
    subprocess.run(  # noqa: S603 (a list, and no shell); 1: a module does not compile, as some do
        [*python, "-s", "-S", "-m", "compileall", "-s", str(prefix), "-p", target, *words],
        input="".join(f"{prefix / each}\n" for each in found),
        text=True,
        cwd="/",
        env={"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"},
        check=False,
    )
    folders = {(prefix / each).parent / "__pycache__" for each in found}
    stems = {str((prefix / each).with_suffix("")) for each in found}
    return tuple(
        sorted(
            str(each.relative_to(prefix))
            for folder in folders
            for each in folder.glob("*.pyc")
            if str(folder.parent / each.name.partition(".cpython-")[0]) in stems
        )
    )


def _put(path: Path, data: bytes) -> None:
    """Write a file anew: the one that lies there may be the same as one of rattler's cache."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(data)
    beside.chmod(path.stat().st_mode & 0o777)
    beside.replace(path)
