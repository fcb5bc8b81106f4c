"""Who to be at a package index: read where uv reads it, so that one setting serves both.

A password goes only to the scheme, host and port that it was given for. What ``~/.netrc`` says is
not read here: ``requests`` does that where nothing is found. Nothing is kept, and nothing shown.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from mlenv.errors import HostError
from mlenv.host import process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_KEYRING_SECONDS = 60.0
_VARIABLES = ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class _Index:
    parts: SplitResult
    user: str | None
    password: str | None


def credentials(
    url: str, environ: Mapping[str, str], indexes: Mapping[str, str] | None = None
) -> tuple[str, str] | None:
    """Return the user and password for ``url``; the password is empty where only a user is known.

    An index counts when its scheme, host and port are those of ``url``; of several, the one whose
    path is the longest beginning of that of ``url``.

    Args:
        url: what is about to be read.
        environ: the variables of uv: UV_INDEX, UV_DEFAULT_INDEX, UV_INDEX_URL,
            UV_EXTRA_INDEX_URL, UV_INDEX_NAME_USERNAME, UV_INDEX_NAME_PASSWORD.
        indexes: alias -> URL of further indexes.
    """
    found = _index(url, environ, indexes or {})
    return (found.user or "", found.password or "") if found else None


def login(
    url: str, environ: Mapping[str, str], indexes: Mapping[str, str] | None = None
) -> tuple[str, str] | None:
    """Return what ``credentials`` does, and ask the keyring for a password that is not known.

    It is asked where UV_KEYRING_PROVIDER is ``subprocess``, about the index and then its host.
    """
    found = _index(url, environ, indexes or {})
    if found is None:
        return None
    password = found.password
    if found.user and password is None and environ.get("UV_KEYRING_PROVIDER") == "subprocess":
        password = _from_keyring(found.parts, found.user)
    return found.user or "", password or ""


def from_environment(
    indexes: Mapping[str, str],
) -> Callable[[str], tuple[str, str] | None]:
    """Return ``login`` over this process's variables, as ``host.http.Web`` takes it."""
    return partial(login, environ=os.environ, indexes=indexes)


def split(url: str) -> SplitResult | None:
    """Return the parts of an http or https URL, None where it is none."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _PORTS and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number, or half an IPv6 address
        return None
    return parts if usable else None


def _index(url: str, environ: Mapping[str, str], indexes: Mapping[str, str]) -> _Index | None:
    if (wanted := split(url)) is None:
        return None
    known = [
        index
        for index in _indexes(environ, indexes)
        if _realm(index.parts) == _realm(wanted) and (index.user or index.password)
    ]
    return max(known, key=lambda index: _shared_path(index.parts, wanted), default=None)


def _indexes(environ: Mapping[str, str], indexes: Mapping[str, str]) -> Iterator[_Index]:
    named = [*indexes.items()]
    for variable in _VARIABLES:
        for word in environ.get(variable, "").split():
            alias = re.match(r"([\w.-]+)=", word, re.ASCII)
            named.append((alias[1], word[alias.end() :]) if alias else ("", word))
    for name, url in named:
        if (parts := split(url)) is None:
            continue
        about = f"UV_INDEX_{re.sub(r'[^A-Z0-9]', '_', name.upper())}"
        user = environ.get(f"{about}_USERNAME") if name else None
        password = environ.get(f"{about}_PASSWORD") if name else None
        if not (user or password):
            user, password = (each and unquote(each) for each in (parts.username, parts.password))
        yield _Index(parts, user, password)


def _realm(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def _shared_path(index: SplitResult, wanted: SplitResult) -> int:
    path = index.path.rstrip("/") + "/"
    return len(path) if f"{wanted.path}/".startswith(path) else 0


@cache
def _from_keyring(parts: SplitResult, user: str) -> str | None:
    host = parts.netloc.rpartition("@")[2]
    for place in (urlunsplit((parts.scheme, host, parts.path, "", "")), host):
        try:
            done = process.run(
                ["keyring", "get", place, user], cwd=Path.cwd(), seconds=_KEYRING_SECONDS
            )
        except HostError:  # no keyring, or a locked one: the index will say what it lacks
            return None
        if done.status == 0 and (password := done.stdout.strip("\r\n")):
            return password
    return None
