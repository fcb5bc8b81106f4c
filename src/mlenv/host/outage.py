"""Why the network did not give what was asked, in words that hold no credential.

What ``requests`` and ``urllib3`` say themselves is never shown: it holds whole URLs, with their
queries and the passwords of proxies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlenv.errors import HostError, Reason
from mlenv.host.login import split

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

_ABSENT = frozenset({404, 410})
_DENIED = frozenset({401, 403})
_CREDENTIALS = (
    "give the credentials of the index in ~/.netrc, in UV_INDEX_NAME_USERNAME and "
    "UV_INDEX_NAME_PASSWORD, or in a keyring (UV_KEYRING_PROVIDER=subprocess)"
)
_NETWORK = "check the network (and HTTPS_PROXY, where a proxy is needed), then try again"
_LATER = "try again later"
_URL = "check the URL of the index"


class AbsentError(HostError):
    """The server has no such page or file: it answered 404 or 410."""


class DeniedError(HostError):
    """The server gives it to others, or lists nothing at all: it answered 401 or 403."""


def shown(url: str) -> str:
    """Return ``url`` without its user, its password, its query and its fragment."""
    parts = split(url)
    if parts is None:
        return url.partition("?")[0].rpartition("@")[2][:200]
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def failed(url: str, cause: str, fix: str = _LATER, kind: type[HostError] = HostError) -> HostError:
    """Return the ``network-failed`` about ``url``."""
    what = f"cannot read {shown(url)}"
    return kind(Reason(code="network-failed", what=what, cause=cause, fix=fix))


def off(url: str) -> HostError:
    """Return the ``network-off`` about ``url``."""
    return HostError(
        Reason(
            code="network-off",
            what=f"{shown(url)} is needed, and it is not in the cache",
            cause="--offline forbids the network",
            fix="run the same command once without --offline",
        )
    )


def of_status(url: str, status: int) -> HostError:
    """Return what an HTTP status other than success means."""
    from http import HTTPStatus  # noqa: PLC0415

    known = {each.value: each.phrase for each in HTTPStatus}
    cause = f"the server answered {status} {known.get(status, '')}".rstrip()
    if status in _DENIED:
        return failed(url, cause, _CREDENTIALS, DeniedError)
    if status in _ABSENT:
        return failed(url, cause, f"{_URL} and the name", AbsentError)
    return failed(url, cause)


def of_error(url: str, error: requests.RequestException) -> HostError:
    """Return what an exception of ``requests`` means."""
    import socket  # noqa: PLC0415 - what is met on failure only is imported on failure only
    import ssl  # noqa: PLC0415

    from requests import exceptions as known  # noqa: PLC0415

    chain = tuple(_chain(error))
    said = [each.verify_message for each in chain if isinstance(each, ssl.SSLCertVerificationError)]
    told = [each.strerror for each in chain if isinstance(each, OSError) and each.strerror]
    untrusted = ": ".join(["the server is not trusted", *said[:1]])
    if any(isinstance(each, socket.gaierror) for each in chain):
        told = ["the name of the server cannot be resolved"]
    for kind, cause, fix in (
        (known.ProxyError, "the proxy did not let it through", "check HTTPS_PROXY and NO_PROXY"),
        (known.SSLError, untrusted, "name your bundle of CA certificates in SSL_CERT_FILE"),
        (known.TooManyRedirects, "the server redirects in a circle", _URL),
        (known.InvalidURL, "this is no http or https URL", _URL),
        (known.InvalidSchema, "this is no http or https URL", _URL),
        (known.MissingSchema, "this is no http or https URL", _URL),
        (known.Timeout, "the server did not answer in time", _NETWORK),
    ):
        if isinstance(error, kind):
            return failed(url, cause, fix)
    return failed(url, told[0] if told else "the connection broke off", _NETWORK)


def may_pass(error: requests.RequestException) -> bool:
    """Tell whether it is worth to try again."""
    from requests import exceptions as known  # noqa: PLC0415

    passing = (known.ConnectionError, known.Timeout, known.ChunkedEncodingError)
    return isinstance(error, passing) and not isinstance(error, known.SSLError)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, BaseException) and id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [*each.args, getattr(each, "reason", None), each.__cause__, each.__context__]
