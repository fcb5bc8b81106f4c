"""What a registry wants to see before it answers: a password, or a token for certain rights.

A login goes to the registry that it is for, and to the token server which that registry names,
there over https or on this machine only. Tokens are kept in memory, one for each set of rights.

Source: the distribution specification's token authentication, and its OAuth2 for identity tokens.
"""

from __future__ import annotations

import json
import re
import threading
import time
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlunsplit

from mlenv.host import outage, registry_outage
from mlenv.host.login import split
from mlenv.host.mirrors import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mlenv.errors import HostError
    from mlenv.host.mirrors import Place
    from mlenv.host.registry_login import Login

_PARAMETER = r'[\w-]+\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s",]+)'
_CHALLENGE = re.compile(rf"(?:^|,)\s*(\w+)\s+({_PARAMETER}(?:\s*,\s*{_PARAMETER})*)", re.ASCII)
_USUAL_SECONDS = 60.0
"""How long a token lives that does not say so itself (the specification's number)."""
_EARLY_SECONDS = 10.0
_CLIENT = "mlenv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What is about to be done, and at which place."""

    what: str
    """How an error about it begins."""
    place: Place
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """A request to a token server."""

    what: str
    place: Place
    url: str
    authorization: str | None = None
    form: str | None = None
    """What is posted; without, it is a GET."""


class Tokens:
    """The Authorization headers of a process; threads may share them."""

    def __init__(
        self, logins: Callable[[str], Login | None], fetch: Callable[[Fetch], bytes]
    ) -> None:
        """Ask nobody yet.

        Args:
            logins: registry -> who to be there.
            fetch: what sends a request to a token server and returns a success's body.
        """
        self._logins = logins
        self._fetch = fetch
        self._lock = threading.Lock()
        self._known: dict[tuple[str, tuple[str, ...]], tuple[str, float]] = {}

    def header(self, rights: Rights) -> str | None:
        """Return the Authorization to send, None where none is known to be wanted."""
        found, until = self._known.get(_key(rights), (None, 0.0))
        return found if time.monotonic() < until else None

    def trouble(self, place: Place) -> str:
        """Return why the login for a place could not be read; nothing where it could."""
        login = self._logins(place.registry)
        return login.trouble if login else ""

    def renew(self, rights: Rights, challenge: str, used: str | None) -> None:
        """Get what ``challenge``, a WWW-Authenticate, asks for.

        Args:
            rights: what was refused.
            challenge: the header.
            used: the Authorization that did not do.

        Raises:
            HostError: ``registry-denied``: there is no login, or it is refused;
                ``registry-failed``.
        """
        with self._lock:
            now = self.header(rights)
            if now is not None and now != used:
                return  # another thread was faster
            asked = challenges(challenge)
            if "bearer" in asked:
                found, seconds = self._bearer(rights, asked["bearer"])
            elif "basic" in asked and (used is None or not used.startswith("Basic ")):
                found, seconds = self._basic(rights), float("inf")
            else:
                raise _unwelcome(rights, self._logins(rights.place.registry))
            self._known[_key(rights)] = found, time.monotonic() + seconds

    def _basic(self, rights: Rights) -> str:
        login = self._logins(rights.place.registry)
        if login is None or not login.user:
            raise _unwelcome(rights, login)
        return _basic(login)

    def _bearer(self, rights: Rights, asked: Mapping[str, str]) -> tuple[str, float]:
        realm = split(asked.get("realm", ""))
        what, place = rights.what, rights.place
        if realm is None:
            raise registry_outage.failed(what, f"{place.registry} names no token server")
        login = self._logins(place.registry)
        if login and login.usable and realm.scheme != "https" and not is_loopback(realm.netloc):
            cause = f"{place.registry} wants the login sent over plain http, so it was not sent"
            raise registry_outage.not_let(what, cause, place.registry)
        # What the registry asks for may be more than we know to: a proxy names its own repository.
        extra = (each for each in asked.get("scope", "").split() if each not in rights.scopes)
        fields = [("scope", each) for each in (*rights.scopes, *extra)]
        if service := asked.get("service"):
            fields.append(("service", service))
        if login and login.token:
            url = urlunsplit(realm._replace(fragment=""))
            body = self._fetch(
                Fetch(what=what, place=place, url=url, form=_form(fields, login.token))
            )
        else:
            header = _basic(login) if login and login.user else None
            query = urlencode([*parse_qsl(realm.query, keep_blank_values=True), *fields])
            url = urlunsplit(realm._replace(query=query, fragment=""))
            body = self._fetch(Fetch(what=what, place=place, url=url, authorization=header))
        return _token(body, rights, outage.shown(url))


def challenges(header: str) -> Mapping[str, Mapping[str, str]]:
    """Return scheme -> its parameters, all names in lower case."""
    found: dict[str, dict[str, str]] = {}
    for scheme, text in _CHALLENGE.findall(header):
        pairs = (each.partition("=") for each in re.findall(_PARAMETER, text, re.ASCII))
        row = {name.strip().lower(): _unquoted(value.strip()) for name, _, value in pairs}
        found.setdefault(scheme.lower(), row)
    if header.strip().lower() == "basic":  # a realm is prescribed, and left out by some
        found["basic"] = {}
    return found


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value


def _form(fields: list[tuple[str, str]], token: str) -> str:
    scope = " ".join(text for name, text in fields if name == "scope")
    rest = [each for each in fields if each[0] != "scope"]
    own = [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", _CLIENT)]
    return urlencode([*own, *rest, ("scope", scope)])


def _token(body: bytes, rights: Rights, server: str) -> tuple[str, float]:
    try:
        whole = json.loads(body)
    except (ValueError, RecursionError):
        whole = None
    row = whole if isinstance(whole, dict) else {}
    text = row.get("token") or row.get("access_token")
    if not isinstance(text, str) or re.fullmatch(r"[\x21-\x7e]+", text, re.ASCII) is None:
        raise registry_outage.failed(rights.what, f"{server} answered without a token")
    said = row.get("expires_in")
    seconds = float(said) if isinstance(said, int | float) and said > 0 else _USUAL_SECONDS
    return f"Bearer {text}", max(1.0, seconds - _EARLY_SECONDS)


def _basic(login: Login) -> str:
    return f"Basic {b64encode(f'{login.user}:{login.password}'.encode()).decode()}"


def _key(rights: Rights) -> tuple[str, tuple[str, ...]]:
    return rights.place.registry, rights.scopes


def _unwelcome(rights: Rights, login: Login | None) -> HostError:
    registry = rights.place.registry
    if login is None:
        cause = f"{registry} wants a login, and there is none"
    elif login.trouble:
        cause = f"{registry} wants a login, and {login.trouble}"
    else:
        cause = f"{registry} refused the login that is there"
    return registry_outage.not_let(rights.what, cause, registry)
