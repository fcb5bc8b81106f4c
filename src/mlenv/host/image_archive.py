"""Images as files: one archive that engines load, or a folder in OCI's layout.

What lies there afterwards is whole, or was there before. What the files mean is said elsewhere.
"""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mlenv.host import disk
from mlenv.host.layer import EPOCH

if TYPE_CHECKING:
    from collections.abc import Mapping

    Members = Mapping[str, bytes | Path]
    """Path in the archive -> its content, or the file that has it."""


def check_place(path: Path, *, archive: bool) -> None:
    """Refuse a place that an archive, or a layout, is not to be written over.

    Raises:
        HostError: ``disk-failed``.
    """
    with disk.spoken(path):
        if archive:
            if path.is_dir():
                raise disk.refused(path, "it is a folder", "name a file that ends in .tar")
            return
        if path.exists() and any(path.iterdir()) and not (path / "oci-layout").is_file():
            raise disk.refused(
                path, "it holds files that are no image", "name a folder that is not there yet"
            )


def write_archive(path: Path, members: Members) -> None:
    """Write ``members`` to the tar archive ``path``, in one step; the same bytes each time.

    Raises:
        HostError: ``disk-failed``; what lay at ``path`` is untouched.
    """
    with disk.spoken(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.mlenv-{os.urandom(4).hex()}")
        try:
            with tarfile.open(beside, "w", format=tarfile.PAX_FORMAT) as tar:
                for name in sorted(members):
                    _add(tar, name, members[name])
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def _add(tar: tarfile.TarFile, name: str, content: bytes | Path) -> None:
    info = tarfile.TarInfo(name)
    info.mtime, info.mode = EPOCH, 0o644
    if isinstance(content, bytes):
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
        return
    with content.open("rb") as file:
        info.size = os.fstat(file.fileno()).st_size
        tar.addfile(info, file)


def write_layout(folder: Path, members: Members) -> None:
    """Make ``folder`` hold ``members``, and of what it held nothing.

    Raises:
        HostError: ``disk-failed``: also where it holds what is no layout; it is untouched then.
    """
    check_place(folder, archive=False)
    with disk.spoken(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.mlenv-", dir=folder.parent))
        try:
            beside.chmod(0o755)
            for name, content in members.items():
                place = beside / name
                place.parent.mkdir(parents=True, exist_ok=True)
                _put(place, content)
            if folder.exists():
                shutil.rmtree(folder)
            beside.rename(folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def _put(place: Path, content: bytes | Path) -> None:
    if isinstance(content, bytes):
        place.write_bytes(content)
        return
    try:
        os.link(content, place)  # gigabytes need not lie there twice
    except OSError:
        shutil.copyfile(content, place)
