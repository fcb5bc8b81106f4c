"""Layers put together: what a layer in the store holds, written once more into another one.

So a layer of many wheels is made again from parts that are known, and only the wheel that moved is
fetched, unpacked and compiled.
"""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from mlenv.host.layer import LayerWriter


def merge(blob: Path, writer: LayerWriter) -> None:
    """Write all that the layer ``blob`` holds to ``writer``; what lies there already stays.

    Raises:
        ValueError: it is no layer that a ``LayerWriter`` wrote.
        OSError: it cannot be read.
    """
    from isal import igzip  # noqa: PLC0415 (loaded when used)

    try:
        opened: Any = igzip.IGzipFile(blob)  # type: ignore[no-untyped-call]
        with opened as packed, tarfile.open(fileobj=packed, mode="r|") as tar:
            for each in tar:
                path = f"/{each.name}"
                if each.isdir():
                    writer.add_folder(path, each.mode, each.uid, each.gid)
                elif each.issym():
                    writer.add_link(path, each.linkname)
                elif (data := tar.extractfile(each)) is not None:
                    writer.add_file(path, each.size, data, executable=bool(each.mode & 0o100))
    except (tarfile.TarError, EOFError) as error:
        raise ValueError(f"{blob} is no layer of ours: {error}") from error
