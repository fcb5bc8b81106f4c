"""An environment of conda packages: from the files that a lock names, and from nothing else.

No channel is asked what it has, nothing is solved, and no GPU has to be here. A file that was
fetched once stays in the cache, so that it is there offline. What is refused, or breaks off, leaves
the prefix as it was.
"""

from __future__ import annotations

import shutil
from concurrent.futures import as_completed
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from mlenv.errors import HostError, Reason
from mlenv.host import disk, http, outage, tools
from mlenv.host.conda import rattler_version
from mlenv.host.conda_laying import META, Artefact, DiffersError, Laid, lay, sha256_of
from mlenv.host.crew import Crew

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mlenv.host.http import Web

THREADS = 4


def install(  # noqa: PLR0913 (what, where, and with what)
    artefacts: Iterable[Artefact],
    prefix: Path,
    *,
    subdir: str,
    web: Web,
    cache: Path,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Make ``prefix`` an environment of ``artefacts`` and of nothing else.

    Args:
        artefacts: all of them: a lock is closed under what its packages need.
        prefix: a folder that is not there, is empty, or is such an environment already.
        subdir: ``linux-64`` or ``linux-aarch64``; it need not be of this machine.
        web: the network.
        cache: the folder of mlenv's caches.
        say: shows one line of progress.

    Raises:
        HostError: ``hash-differs``: a file is not the one that was locked; ``network-off``,
            ``network-failed``, ``conda-unreadable``, ``disk-failed``.
    """
    prefix = prefix.absolute()
    with disk.spoken(prefix):
        if prefix.is_dir() and any(prefix.iterdir()) and not (prefix / META).is_dir():
            raise disk.refused(prefix, "it holds other files", "choose a folder that is not there")
        prefix.parent.mkdir(parents=True, exist_ok=True)
    files = fetch(artefacts, web=web, cache=cache, say=say)
    with tools.scratch(prefix.parent) as scratch:
        made = scratch / "prefix"
        say(f"installing {len(files)} packages")
        laid_out(files, made, target=str(prefix), subdir=subdir, scratch=scratch)
        with disk.spoken(prefix):
            if prefix.is_dir():
                prefix.rename(scratch / "former")
            made.rename(prefix)


def laid_out(
    files: Mapping[Path, Artefact], prefix: Path, *, target: str, subdir: str, scratch: Path
) -> tuple[Laid, ...]:
    """Lay files out like ``conda_laying.lay``, with errors in words.

    Raises:
        HostError: ``hash-differs``, ``conda-unreadable``, ``disk-failed``, ``tool-missing``.
    """
    rattler_version()
    from rattler import exceptions  # noqa: PLC0415 (80 MB)

    damaged = (exceptions.InstallerError, exceptions.ExtractError, exceptions.IoError)
    try:
        return lay(files, prefix, target=target, subdir=subdir, scratch=scratch)
    except OSError as error:
        if error.errno is None:  # rattler's word for an archive that is none
            raise _unreadable(str(error)) from error
        raise disk.failed(prefix, error) from error
    except DiffersError as error:
        raise http.hash_differs(error.artefact.url, error.artefact.sha256, error.found) from error
    except (*damaged, ValueError, KeyError) as error:
        raise _unreadable(str(error)) from error


def fetch(
    artefacts: Iterable[Artefact],
    *,
    web: Web,
    cache: Path,
    say: Callable[[str], None] = lambda _: None,
) -> dict[Path, Artefact]:
    """Return where the file of each artefact lies: in the cache, or in a channel on this disk.

    Raises:
        HostError: ``hash-differs``, ``network-off``, ``network-failed``, ``disk-failed``.
    """
    wanted = tuple(artefacts)
    with Crew(THREADS) as crew:
        running = {
            crew.submit(partial(_fetched, each, web, cache, crew.go_on)): each for each in wanted
        }
        for number, done in enumerate(as_completed(running), start=1):
            done.result()
            say(f"package {number} of {len(wanted)}: {running[done].filename}")
    return {done.result(): each for done, each in running.items()}


def _fetched(artefact: Artefact, web: Web, cache: Path, go_on: Callable[[int], None]) -> Path:
    if artefact.url.startswith("file://"):
        path = Path(unquote(urlsplit(artefact.url).path))
        if not path.is_file():
            raise outage.failed(artefact.url, "there is no such file", "bring the channel back")
        return path
    path = kept(artefact, cache)
    with disk.spoken(path):
        if path.is_file() and sha256_of(path) == artefact.sha256:
            path.touch()
            return path
    web.whole(artefact.url, path, artefact.sha256, go_on)
    return path


def kept(artefact: Artefact, cache: Path) -> Path:
    """Return where the file of an artefact lies once it was fetched."""
    return cache / "conda" / "packages" / artefact.sha256[:2] / artefact.sha256 / artefact.filename


def remove(prefix: Path) -> None:
    """Remove an environment, if there is one.

    Raises:
        HostError: ``disk-failed``.
    """
    with disk.spoken(prefix):
        if prefix.is_dir():
            shutil.rmtree(prefix)


def _unreadable(cause: str) -> HostError:
    return HostError(
        Reason(
            code="conda-unreadable",
            what="a conda package cannot be laid out",
            cause=" ".join(cause.split())[:400],
            fix="tell whoever serves the channel, or keep that build out of the spec",
        )
    )
