"""Installs one layer's conda packages in the build of an image: fetched, hashed, then laid out.

It is run there by itself, beside the text of ``conda_laying``, from files of hash-pinned lines:

    install.py URL LAYER.txt --python URL LAYER.txt --out /layer/opt/conda

A Python of the same lock is laid out too, since it decides where pure-Python packages go, and it
compiles; what no line of the layer names is not kept. Standard library and py-rattler only.
"""

from __future__ import annotations

import argparse
import netrc
import os
import re
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from mlenv.host.conda_laying import META, Artefact, lay, settle, sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlenv.host.conda_laying import Laid

LINE = re.compile(
    r"(?P<place>(noarch|linux-64|linux-aarch64)/[A-Za-z0-9_][A-Za-z0-9._+!-]*\.(conda|tar\.bz2))"
    r" --hash=sha256:(?P<sha256>[0-9a-f]{64})"
)
_PYTHON = re.compile(r"/python-\d[^/]*$")
_TRIES = 3
_THREADS = 4
_SECONDS = 60


def main(words: list[str] | None = None) -> None:
    """Lay the packages of a layer out, or leave those of another file only."""
    parser = argparse.ArgumentParser(description="conda packages of hash-pinned lines, laid out")
    parser.add_argument("url", help="the address of the channel")
    parser.add_argument("layer", type=Path, help="the file of the layer's packages")
    parser.add_argument("--python", nargs=2, required=True, metavar=("URL", "FILE"))
    parser.add_argument("--only-python", action="store_true", help="keep nothing but the Python")
    parser.add_argument("--out", type=Path, required=True, help="the prefix to write to")
    parser.add_argument("--target", default="/opt/conda", help="where the prefix will lie")
    parser.add_argument("--subdir", required=True, help="linux-64 or linux-aarch64")
    parser.add_argument("--cache", type=Path, default=Path("/var/cache/mlenv"))
    asked = parser.parse_args(words)
    wanted = artefacts(asked.url, asked.layer)
    url, file = asked.python
    python = [each for each in artefacts(url, Path(file)) if _PYTHON.search(each.url)]
    with ThreadPoolExecutor(_THREADS) as pool:
        every = tuple(dict.fromkeys(python if asked.only_python else (*wanted, *python)))
        files = dict(zip(pool.map(lambda each: fetched(each, asked.cache), every), every))  # noqa: B905 (3.8)
    with tempfile.TemporaryDirectory() as folder:
        prefix, scratch = Path(folder) / "prefix", Path(folder) / "scratch"
        scratch.mkdir()
        laid = lay(files, prefix, target=asked.target, subdir=asked.subdir, scratch=scratch)
        own = {each.sha256 for each in (python if asked.only_python else wanted)}
        _keep([each for each in laid if each.artefact.sha256 in own], prefix, asked)
    print(f"laid {len(own)} packages out")  # noqa: T201 (it is a program)


def artefacts(url: str, layer: Path) -> tuple[Artefact, ...]:
    """Return the artefacts of a layer's file.

    Raises:
        SystemExit: a line is none.
    """
    found = []
    for line in layer.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        matched = LINE.fullmatch(line)
        if matched is None:
            sys.exit(f"{layer}: {line!r} is no package with its hash")
        found.append(Artefact(f"{url.rstrip('/')}/{matched['place']}", matched["sha256"]))
    return tuple(found)


def fetched(artefact: Artefact, cache: Path) -> Path:
    """Return where the file of an artefact lies, whole and hashed.

    Raises:
        SystemExit: it cannot be had, or is not the one that was locked.
    """
    path = cache / artefact.sha256 / artefact.filename
    if path.is_file() and sha256_of(path) == artefact.sha256:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    # Steps that run side by side share the cache, and their processes may have one number.
    beside = path.with_name(f".{artefact.filename}.{os.urandom(8).hex()}")
    for left in reversed(range(_TRIES)):
        try:
            answer = urllib.request.urlopen(_request(artefact.url), timeout=_SECONDS)  # noqa: S310
            with answer, beside.open("wb") as file:
                shutil.copyfileobj(answer, file)
            break
        except (urllib.error.URLError, OSError) as error:
            if not left or getattr(error, "code", 500) in {401, 403, 404}:
                sys.exit(f"cannot fetch {artefact.filename}: {error}")
            time.sleep(_TRIES - left)
    if (found := sha256_of(beside)) != artefact.sha256:
        beside.unlink()
        sys.exit(
            f"Hash mismatch for {artefact.filename}\n\nExpected:\n  sha256:{artefact.sha256}"
            f"\n\nComputed:\n  sha256:{found}"
        )
    beside.replace(path)
    return path


def _request(url: str) -> urllib.request.Request:
    """Return what is asked, with the login that the URL or a netrc has for its host."""
    parts = urlsplit(url)
    user, password = parts.username, parts.password
    request = urllib.request.Request(url.replace(f"{parts.netloc.rpartition('@')[0]}@", "", 1))  # noqa: S310
    if user is None and os.environ.get("NETRC") and parts.hostname:
        found = netrc.netrc(os.environ["NETRC"]).authenticators(parts.hostname)
        user, password = (found[0], found[2]) if found else (None, None)
    if user is not None:
        login = f"{unquote(user)}:{unquote(password or '')}"
        request.add_header("Authorization", f"Basic {b64encode(login.encode()).decode()}")
    return request


def _keep(packages: Iterable[Laid], prefix: Path, asked: argparse.Namespace) -> None:
    """Move what those packages have to where it shall be, and nothing else."""
    python = (str(prefix / "bin" / "python"),)
    for each in packages:
        places = {**each.files}
        places.update({path: path for path in settle(prefix, asked.target, each, python)})
        places[each.record_path] = each.record_path
        for path, place in sorted(places.items()):
            source, target = prefix / place, asked.out / path
            if os.path.lexists(source):  # stale bytecode that came with its package is gone
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(str(source), str(target))
    (asked.out / META).mkdir(parents=True, exist_ok=True)


if __name__ == "__main__":
    main()
