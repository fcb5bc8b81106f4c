"""One request to a registry: with its login, its redirects, another try, and an end.

An Authorization goes to the registry's own scheme, host and port only, wherever it redirects to,
and nothing goes from https to plain http. What an answer means is no business of this room.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urljoin, urlsplit

from mlenv.errors import HostError
from mlenv.host import outage, registry_outage
from mlenv.host.login import split
from mlenv.host.registry_body import pieces, short
from mlenv.host.registry_origin import Origins, origin_of, proxies, signed
from mlenv.host.registry_outage import PassingError
from mlenv.host.registry_token import Fetch, Rights, Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import requests

    from mlenv.host.mirrors import Place
    from mlenv.host.registry_login import Login
    from mlenv.host.session import Sessions

    T = TypeVar("T")

TRIES = 3
THREADS = 16
"""How many threads can use one ``Wire`` without opening connections anew."""

_CONNECT_SECONDS = 10.0
_READ_SECONDS = 30.0
_BACKOFF_SECONDS = 0.3
_LONGEST_WAIT_SECONDS = 60.0
_MOVED = frozenset({301, 302, 303, 307, 308})
_HOPS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request to a registry."""

    what: str
    """How an error about it begins: ``cannot read ghcr.io/a/b:1``."""
    place: Place
    path: str
    """From ``/v2/`` on, or the whole URL that the registry named."""
    method: str = "GET"
    rights: str = "pull"
    mount: str = ""
    """A further repository to be read."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Callable[[], Iterable[bytes] | bytes] | None = None
    """Makes the body anew for each try; what is no bytes has a length."""
    good: frozenset[int] = frozenset({200})
    tries: int = TRIES
    seconds: float = _READ_SECONDS
    """How long it may say nothing."""

    @property
    def scopes(self) -> tuple[str, ...]:
        """The rights as token servers are asked for them."""
        own = f"repository:{self.place.repository}:{self.rights}"
        return (own, f"repository:{self.mount}:pull") if self.mount else (own,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A short answer, read to its end."""

    status: int
    url: str
    headers: Mapping[str, str]
    body: bytes


class Wire:
    """The connections of a process to registries; up to ``THREADS`` threads may share them."""

    def __init__(self, *, offline: bool, logins: Callable[[str], Login | None]) -> None:
        """Open nothing yet; where ``offline``, never."""
        self._offline = offline
        self._tokens = Tokens(logins, self._fetched)
        self._lock = threading.Lock()
        self._sessions: Sessions | None = None
        self._origins = Origins(self._mine)

    def close(self) -> None:
        """Close every connection."""
        if self._sessions is not None:
            self._sessions.close()

    def say(self, ask: Ask) -> Answer:
        """Return an answer whose body says little.

        Raises:
            HostError: as ``ask``.
        """

        def take(answer: requests.Response) -> Answer:
            body = short(answer, ask.what)
            return Answer(
                status=answer.status_code, url=answer.url, headers=answer.headers, body=body
            )

        return self.ask(ask, take)

    def has(self, what: str, place: Place, digest: str, rights: str = "pull") -> bool:
        """Tell whether a blob is at a place.

        Raises:
            HostError: as ``ask``.
        """
        path = f"/v2/{place.repository}/blobs/{digest}"
        # Who sends on to where a blob is has it; what is signed there for GET refuses a HEAD.
        good = _MOVED | {200}
        try:
            self.say(
                Ask(what=what, place=place, path=path, method="HEAD", rights=rights, good=good)
            )
        except registry_outage.AbsentError:
            return False
        return True

    def ask(self, ask: Ask, take: Callable[[requests.Response], T]) -> T:
        """Return what ``take`` makes of a good answer; on what may pass, try again.

        Raises:
            AbsentError: ``registry-failed``: there is no such thing.
            PassingError: ``registry-failed``: it was tried often enough.
            HostError: ``network-off``, ``registry-denied``, ``registry-failed``.
        """
        if self._offline:
            raise outage.off(f"https://{ask.place.host}/{ask.place.repository}")
        tries = 0
        while True:
            tries += 1
            try:
                return self._once(ask, take)
            except PassingError as error:
                if tries >= ask.tries:
                    raise
                pause(error, tries)

    def _once(self, ask: Ask, take: Callable[[requests.Response], T]) -> T:
        rights = Rights(what=ask.what, place=ask.place, scopes=ask.scopes)
        renewed = False
        while True:
            used = self._tokens.header(rights)
            with _spoken(ask.what), self._sent(ask, used) as answer:
                status = answer.status_code
                if status in ask.good:
                    return take(answer)
                body = short(answer, ask.what)
                # Only the registry itself may ask for a login, not where it redirects to.
                own = origin_of(answer.url) == self._origins.of(ask.place)
            if status != 401 or renewed or not own:
                raise self._refused(ask, body, answer)
            self._tokens.renew(rights, answer.headers.get("WWW-Authenticate", ""), used)
            renewed = True

    def _sent(self, ask: Ask, authorization: str | None) -> requests.Response:
        """Return the answer, after redirects of what only reads."""
        origin = self._origins.of(ask.place)
        url = urljoin(origin, ask.path)
        for _ in range(_HOPS):
            if split(url) is None or (origin.startswith("https:") and not _is_https(url)):
                cause = f"{ask.place.registry} sends on to {outage.shown(url)}, which is not https"
                raise registry_outage.failed(ask.what, cause)
            answer = self._mine().request(
                ask.method,
                url,
                headers=dict(ask.headers),
                data=ask.body() if ask.body else None,
                auth=signed(authorization if origin_of(url) == origin else None),
                stream=True,
                timeout=(_CONNECT_SECONDS, ask.seconds),
                allow_redirects=False,
                proxies=proxies(url),
            )
            where = answer.headers.get("Location")
            if answer.status_code not in _MOVED or ask.method not in {"GET", "HEAD"} or not where:
                return answer
            url = urljoin(url, where)
            if ask.method == "HEAD" and origin_of(url) != origin:
                return answer
            answer.close()
        raise registry_outage.failed(ask.what, f"{ask.place.registry} redirects in a circle")

    def _refused(self, ask: Ask | Fetch, body: bytes, answer: requests.Response) -> HostError:
        status = answer.status_code
        trouble = self._tokens.trouble(ask.place) if status in {401, 403} else ""
        error = registry_outage.of_status(
            ask.what, status, body, ask.place.registry, trouble=trouble
        )
        return _in_time(error, answer)

    def _fetched(self, fetch: Fetch) -> bytes:
        """Return what a token server answers."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"} if fetch.form else {}
        tries = 0
        while True:
            tries += 1
            try:
                with (
                    _spoken(fetch.what),
                    self._mine().request(
                        "POST" if fetch.form else "GET",
                        fetch.url,
                        data=fetch.form,
                        headers={
                            "Accept": "application/json",
                            "Accept-Encoding": "identity",
                            **kind,
                        },
                        auth=signed(fetch.authorization),
                        stream=True,
                        timeout=(_CONNECT_SECONDS, _READ_SECONDS),
                        allow_redirects=False,
                        proxies=proxies(fetch.url),
                    ) as answer,
                ):
                    body = b"".join(pieces(answer, 1 << 20, fetch.what))
                    if answer.status_code == 200:
                        return body
                    raise self._refused(fetch, body, answer)
            except PassingError as error:
                if tries >= TRIES:
                    raise
                pause(error, tries)

    def _mine(self) -> requests.Session:
        from mlenv.host import session  # noqa: PLC0415 - it imports requests

        with self._lock:
            self._sessions = self._sessions or session.Sessions(THREADS)
        return self._sessions.mine()


def pause(error: PassingError, tries: int) -> None:
    """Wait before another try: longer each time, and as long as the server asks."""
    time.sleep(max(_BACKOFF_SECONDS * 2 ** (tries - 1), error.wait_seconds))


def _in_time(error: HostError, answer: requests.Response) -> HostError:
    """Return ``error``, with how long the server asks to wait."""
    said = answer.headers.get("Retry-After", "")
    if isinstance(error, PassingError) and said.isdecimal() and len(said) < 9:
        error.wait_seconds = min(_LONGEST_WAIT_SECONDS, float(said))
    return error


@contextmanager
def _spoken(what: str) -> Iterator[None]:
    """Turn what ``requests`` raises into words."""
    from requests import RequestException  # noqa: PLC0415 - 0.1 s that few commands need pay

    try:
        yield
    except RequestException as error:
        reason = outage.of_error("", error).reasons[0]
        kind = PassingError if outage.may_pass(error) else HostError
        raise registry_outage.failed(what, reason.cause, reason.fix, kind) from error


def _is_https(url: str) -> bool:
    return urlsplit(url).scheme == "https"
