"""Which scheme a registry speaks, and what every request to it has in common.

Plain http counts only where the user says so, or on this machine: then it is tried out, once.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mlenv.host.mirrors import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from mlenv.host.mirrors import Place

_PROBE_SECONDS = (10.0, 5.0)


class Origins:
    """The scheme and host of each registry; threads may share them."""

    def __init__(self, session: Callable[[], requests.Session]) -> None:
        """Ask nobody yet."""
        self._session = session
        self._lock = threading.Lock()
        self._known: dict[str, str] = {}

    def of(self, place: Place) -> str:
        """Return the scheme and host to speak to; where http is allowed, learn which it speaks."""
        if not place.insecure:
            return f"https://{place.host}"
        with self._lock:
            known = self._known.get(place.host)
        if known is None:
            # Nobody stands between us and loopback, so what is likelier is tried first.
            schemes = ("http", "https") if is_loopback(place.host) else ("https", "http")
            speaks = [each for each in schemes if self._speaks(f"{each}://{place.host}")]
            if not speaks:
                return f"{schemes[0]}://{place.host}"
            known = f"{speaks[0]}://{place.host}"
            with self._lock:
                self._known[place.host] = known
        return known

    def _speaks(self, origin: str) -> bool:
        from requests import RequestException, exceptions  # noqa: PLC0415 - 0.1 s

        try:
            with self._session().get(
                f"{origin}/v2/",
                auth=signed(None),
                stream=True,
                timeout=_PROBE_SECONDS,
                allow_redirects=False,
                proxies=proxies(origin),
            ) as answer:
                # What speaks TLS answers 400 to plain http.
                return origin.startswith("https:") or answer.status_code != 400
        except exceptions.SSLError as error:
            return "CERTIFICATE_VERIFY_FAILED" in str(error)  # the request itself will say so
        except RequestException:
            return False


def origin_of(url: str) -> str:
    """Return the scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def signed(
    header: str | None,
) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
    """Return what sets this Authorization or none; without it ``~/.netrc`` would count."""

    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        if header is not None:
            request.headers["Authorization"] = header
        return request

    return sign


def proxies(url: str) -> dict[str, str]:
    """Keep loopback off the proxies, as Go and so Docker do."""
    host = urlsplit(url).hostname or ""
    return {"no_proxy": host} if is_loopback(host) else {}
