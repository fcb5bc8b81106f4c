"""Import every locked package, inside the image that was built from the lock.

Run there as ``python -c TEXT``, with a JSON on the standard input: {distribution: version}, and for
a conda package {name: [version]}. One JSON comes back on the standard output. Standard library of
Python 3.8 only. Each import happens in a child: one that crashes, hangs or prints harms no other.
No GPU is used, and a package that only lacks the driver's library is said to lack that, not to be
broken.
"""

from __future__ import annotations

import glob
import importlib.machinery
import json
import os
import re
import select
import signal
import sys
import time
import traceback
from importlib import metadata
from keyword import iskeyword

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType
    from typing import Any

SECONDS = 180.0
"""For one module; the first import of a framework from a cold disk takes a minute."""
_DRIVER = re.compile(
    r"lib(cuda|nvidia-ml)\.so|found no NVIDIA driver|CUDA driver (is|version)", re.IGNORECASE
)
_ASIDE = frozenset(
    ("test", "tests", "doc", "docs", "example", "examples", "benchmarks", "conftest")
)
"""Top-level folders that a wheel should not have had, and nobody imports."""
_TEXT_LIMIT = 500


def main() -> None:
    """Read what is locked, import it, and write what came of it."""
    wanted = json.load(sys.stdin)
    answer = os.dup(1)
    os.dup2(2, 1)  # what a module prints while it is imported is no part of the answer
    found = {_name(each.metadata["Name"]): each for each in metadata.distributions()}
    conda = _conda()
    rows = [
        _begun_conda(name, version[0], conda.get(name))
        if isinstance(version, list)
        else _begun(name, version, found.get(_name(name)))
        for name, version in sorted(wanted.items())
    ]
    _import_all(rows)
    text = json.dumps({"python": sys.version.split()[0], "packages": [_ended(row) for row in rows]})
    with os.fdopen(answer, "w") as file:
        file.write(text + "\n")


def _name(text: str) -> str:
    return re.sub(r"[-_.]+", "-", str(text)).lower()


def _begun(name: str, version: str, found: metadata.Distribution | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": name,
        "version": version,
        "found": None,
        "modules": [],
        "said": {},
    }
    if found is not None:
        row["found"] = found.version
        row["modules"] = modules([str(each) for each in found.files or ()])
    return row


def _conda() -> dict[str, dict[str, Any]]:
    """Return name -> record of the conda packages of this environment."""
    found = {}
    for path in glob.glob(os.path.join(sys.prefix, "conda-meta", "*.json")):
        with open(path, encoding="utf-8") as file:
            record = json.load(file)
        found[record["name"]] = record
    return found


def _begun_conda(name: str, version: str, record: dict[str, Any] | None) -> dict[str, Any]:
    row = _begun(name, version, None)
    if record is not None:
        site = "lib/python{}.{}{}/site-packages/".format(*sys.version_info[:2], sys.abiflags)
        paths = [each[len(site) :] for each in record["files"] if each.startswith(site)]
        row.update(found=record["version"], modules=modules(paths))
    return row


def modules(paths: Iterable[str]) -> list[str]:
    """Return the shallowest modules among the files of a distribution, private ones last resort.

    A folder without ``__init__`` may be shared by many distributions, so its own modules count.
    """
    named = [each for each in map(_module, paths) if each is not None]
    packages = {name for name, package in named if package}
    names = {name for name, _ in named if not _inside(name, packages)}
    spaces = {name.rpartition(".")[0] for name in names}
    # Of a namespace that has packages, the modules that lie deeper still are somebody's parts.
    shallow = {name for name in names if not _inside(name.rpartition(".")[0], spaces - {""})}
    kept = {name for name in shallow if name.split(".")[0] not in _ASIDE}
    public = {name for name in kept if not any(part.startswith("_") for part in name.split("."))}
    return sorted(public or kept)


def _module(path: str) -> tuple[str, bool] | None:
    """Return the name of the module that a file is, and whether it is a package's own."""
    *folders, file = path.split("/")
    suffixes = importlib.machinery.SOURCE_SUFFIXES + importlib.machinery.EXTENSION_SUFFIXES
    ends = [len(each) for each in suffixes if file.endswith(each)]
    parts = [*folders, file[: -max(ends)]] if ends else []
    # Not `..`, `x.dist-info`, `x-stubs`.
    if not parts or not all(each.isidentifier() and not iskeyword(each) for each in parts):
        return None
    if parts[-1] == "__init__":
        return (".".join(parts[:-1]), True) if parts[:-1] else None
    return None if parts[-1] == "__main__" else (".".join(parts), False)


def _inside(name: str, packages: Iterable[str]) -> bool:
    parts = name.split(".")
    return any(".".join(parts[:count]) in packages for count in range(1, len(parts)))


def _import_all(rows: list[dict[str, Any]]) -> None:
    """Import in one child as long as that goes well: what it has loaded, it loads once."""
    todo = [(row, module) for row in rows for module in row["modules"]]
    while todo:
        names = [module for _, module in todo]
        count = 0
        for said in _child(names):
            row, module = todo[count]
            count += 1
            # What fails may fail only in the company of what came before.
            alone = said and len(names) > 1
            row["said"][module] = next(iter(_child([module])), "") if alone else said
        todo = todo[count:]


def _child(names: list[str]) -> Iterator[str]:
    """Yield for each module why it cannot be imported, or nothing; end with the first crash."""
    reader, writer = os.pipe()
    sys.stdout.flush()
    number = os.fork()
    if number == 0:
        os.close(reader)
        _be_child(names, writer)
    os.close(writer)
    count, crashed = 0, ""
    try:
        with os.fdopen(reader, "rb", buffering=0) as pipe:
            for said in _answers(pipe.fileno()):
                if said is None:
                    crashed = f"it was not imported within {SECONDS:g} s"
                    break
                count += 1
                yield said
    finally:
        status = _stopped(number)
    if count < len(names):
        yield crashed or _death(status)


def _be_child(names: list[str], writer: int) -> None:
    os.setpgid(0, 0)
    sys.argv = [""]
    for name in names:
        with _Told(writer):
            exec(f"import {name}", {})  # noqa: S102 (a name of identifiers, read off the wheel)
    os._exit(0)  # without what the modules would do at the end


class _Told:
    """Says what came of one import; whatever a module raises, SystemExit too, is the answer."""

    def __init__(self, writer: int) -> None:
        self._writer = writer

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        said = ""
        if error is not None:
            lines = traceback.format_exception_only(kind, error)
            said = lines[-1].strip()[:_TEXT_LIMIT] or type(error).__name__
        os.write(self._writer, (json.dumps(said) + "\n").encode())
        return True


def _answers(pipe: int) -> Iterator[str | None]:
    kept, until = b"", time.monotonic() + SECONDS
    while True:
        if not select.select([pipe], [], [], max(0.0, until - time.monotonic()))[0]:
            yield None
            return
        data = os.read(pipe, 65536)
        if not data:
            return
        *lines, kept = (kept + data).split(b"\n")
        for line in lines:
            until = time.monotonic() + SECONDS
            yield json.loads(line.decode())


def _stopped(number: int) -> int:
    for kill in (os.killpg, os.kill):
        try:
            kill(number, signal.SIGKILL)
        except OSError:
            continue
    return os.waitpid(number, 0)[1]


def _death(status: int) -> str:
    if os.WIFSIGNALED(status):
        return "it crashed: " + signal.Signals(os.WTERMSIG(status)).name
    return "it ended the interpreter"


def _ended(row: dict[str, Any]) -> dict[str, Any]:
    said, module = row.pop("said"), ""
    wrong = {name: text for name, text in said.items() if text}
    own = [name for name in said if _name(name) == _name(row["name"])]
    if row["found"] is None:
        status, text = "missing", "it is not installed"
    elif not same(row["found"], row["version"]):
        status, text = "version", row["found"] + " is installed"
    elif not said:
        status, text = "nothing", ""
    elif not wrong or any(name not in wrong for name in own or said):
        # A wheel may bring a script or an optional part beside what it is named for.
        status, text = "imported", ""
    else:
        module = (own or sorted(wrong))[0]
        text = wrong[module]
        status = "driver" if _DRIVER.search(text) else "failed"
    return dict(
        row, status=status, module=module, text=text, aside=wrong if status == "imported" else {}
    )


def same(found: str, locked: str) -> bool:
    """Tell whether an installed version is the locked one, however each is spelt."""
    one, other = _spelt(found), _spelt(locked)
    return one == other or ("+" not in other and one.partition("+")[0] == other)


def _spelt(version: str) -> str:
    plain = re.sub(r"[-_]", ".", version.strip().lower().lstrip("v"))
    return re.sub(r"(?<![0-9a-z])0+(?=\d)", "", plain)


if __name__ == "__main__":
    main()
