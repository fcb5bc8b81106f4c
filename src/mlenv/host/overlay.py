"""The layers of an image as the one file system that they make, without unpacking them.

Upper layers hide what lies below: by a file of the same path, by a whiteout, by an opaque folder.
Links are followed inside the image only. It knows names and contents, not owners or modes.

Source: OCI image-spec 1.1, "Image Layer Filesystem Changeset", Whiteouts and Opaque Whiteout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlenv.host.tarball import BrokenError, Kind, Stream, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

ENTRIES = 1_000_000
NAME_BYTES = 1 << 27
"""All paths and targets together."""
_LINKS = 40
"""Source: Linux, MAXSYMLINKS."""
_GONE = ".wh."
_OPAQUE = ".wh..wh..opq"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What a path of the image is."""

    kind: Kind
    layer: int
    """The number of the layer that it is in; 0 is the lowest."""
    size: int
    executable: bool
    target: str
    """Of a symlink, or the path whose content a hard link has."""


class Overlay:
    """The file system of an image."""

    def __init__(self, layers: Sequence[Path]) -> None:
        """Read the names of all layers, the lowest first in ``layers``.

        Raises:
            BrokenError: a layer is damaged, or goes beyond the limits.
            OSError: a layer cannot be read.
        """
        self._layers = tuple(layers)
        self.nodes: dict[str, Node] = {}
        self._folders: set[str] = set()  # also those that no layer names
        self._entries = self._names = 0
        gone, covered = set[str](), set[str]()
        numbers = reversed(range(len(self._layers)))
        self.sizes = tuple(self._add(each, gone, covered) for each in numbers)[::-1]
        """The bytes of each layer, unpacked."""

    def resolve(self, path: str) -> str | None:
        """Return the path that ``path`` leads to through all links; None where there is nothing."""
        todo, done, links = list(reversed(path.split("/"))), list[str](), 0
        while todo:
            part = todo.pop()
            if part in {"", "."}:
                continue
            if part == "..":
                del done[-1:]
                continue
            here = "/".join((*done, part))
            node = self.nodes.get(here)
            if node is None and here not in self._folders:
                return None
            if node is None or node.kind != "symlink":
                done.append(part)
                continue
            links += 1
            if links > _LINKS:
                return None
            done = [] if node.target.startswith("/") else done
            todo += reversed(node.target.split("/"))
        return "/".join(done)

    def file(self, path: str) -> str | None:
        """Return the file that ``path`` leads to through all links; None where that is none."""
        found = self.resolve(path)
        node = self.nodes.get(found or "")
        return found if node is not None and node.kind in {"file", "hardlink"} else None

    def contents(
        self,
        paths: Collection[str],
        use: Callable[[tuple[str, ...], Stream], None],
    ) -> None:
        """Give the content of all ``paths``, which are files, to ``use``; in no order.

        Hard links of one file are given together, for a stream is read once.

        Raises:
            BrokenError, OSError: as at first.
        """
        wanted: dict[tuple[int, str], list[str]] = {}
        for path in paths:
            node = self.nodes[path]
            origin = node.target if node.kind == "hardlink" else path
            wanted.setdefault((node.layer, origin), []).append(path)
        for number in sorted({number for number, _ in wanted}):
            for stream, entry in opened(self._layers[number]):
                named = wanted.get((number, entry.path))
                if named is None or entry.kind != "file":
                    continue
                use(tuple(named), stream)

    def _add(self, number: int, gone: set[str], covered: set[str]) -> int:
        found, below_gone, below_covered = dict[str, Node](), set[str](), set[str]()
        stream = None
        for stream, entry in opened(self._layers[number]):  # noqa: B007 (its size is read below)
            self._count(len(entry.path) + len(entry.target))
            folder, _, name = entry.path.rpartition("/")
            if name == _OPAQUE:
                below_covered.add(folder)
            elif name.startswith(_GONE):
                path = f"{folder}/{name.removeprefix(_GONE)}".lstrip("/")
                below_gone.add(path)
                below_covered.add(path)
            elif entry.path and not _hidden(entry.path, gone, covered):
                self._folders.update(_above(entry.path))
                found[entry.path] = Node(
                    kind=entry.kind,
                    layer=number,
                    size=entry.size,
                    executable=entry.executable,
                    target=entry.target,
                )
                if entry.kind != "folder":
                    below_covered.add(entry.path)
        self.nodes = {**found, **self.nodes}
        gone |= below_gone
        covered |= below_covered
        return stream.unpacked if stream else 0

    def _count(self, name_bytes: int) -> None:
        self._entries += 1
        self._names += name_bytes
        if self._entries > ENTRIES or self._names > NAME_BYTES:
            raise BrokenError("it has more files than any base image")


def _hidden(path: str, gone: set[str], covered: set[str]) -> bool:
    if path in gone:
        return True
    return any(each in covered for each in _above(path))


def _above(path: str) -> Iterator[str]:
    yield ""
    at = path.find("/")
    while at >= 0:
        yield path[:at]
        at = path.find("/", at + 1)
