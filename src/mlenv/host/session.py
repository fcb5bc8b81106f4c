"""Connections that threads share, and whom they trust.

``requests`` alone would trust the list that it ships, and know neither SSL_CERT_FILE nor what an
administrator added to the system. Verification cannot be switched off here. Importing this room
imports ``requests``, 0.1 s, so whoever may not need the network imports it late.
"""

from __future__ import annotations

import os
import ssl
import threading
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import DEFAULT_CA_BUNDLE_PATH, HTTPAdapter

from mlenv.host import disk

if TYPE_CHECKING:
    from collections.abc import Mapping


def trusted(environ: Mapping[str, str]) -> ssl.SSLContext:
    """Return a context that trusts whom the user names, else the system, else the shipped list.

    REQUESTS_CA_BUNDLE counts before CURL_CA_BUNDLE before SSL_CERT_FILE and SSL_CERT_DIR.

    Raises:
        HostError: ``disk-failed``: a bundle that is named cannot be read, or holds no certificate.
    """
    names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
    named = next((Path(environ[name]) for name in names if environ.get(name)), None)
    if named is None and not _system_has_any():
        named = Path(DEFAULT_CA_BUNDLE_PATH)
    if named is None:
        return ssl.create_default_context()
    with disk.spoken(named):
        if named.is_dir():
            return ssl.create_default_context(capath=str(named))
        named.stat()
        return ssl.create_default_context(cafile=str(named))


def _system_has_any() -> bool:
    paths = ssl.get_default_verify_paths()
    return bool(paths.cafile or (paths.capath and any(Path(paths.capath).iterdir())))


class Sessions:
    """One session a thread, all on the same connections."""

    def __init__(self, threads: int) -> None:
        """Keep up to ``threads`` connections open to each host."""
        self._adapter = _Adapter(threads)
        self._local = threading.local()

    def mine(self) -> requests.Session:
        """Return the session of this thread."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.headers["User-Agent"] = "mlenv"
            session.mount("https://", self._adapter)
            session.mount("http://", self._adapter)
        return session

    def close(self) -> None:
        """Close the connections of all threads."""
        self._adapter.close()


class Basic(requests.auth.AuthBase):
    """A user and a password in UTF-8; ``requests`` itself writes Latin-1 or fails."""

    def __init__(self, user: str, password: str) -> None:
        """Keep what is sent."""
        self._sent = f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header."""
        request.headers["Authorization"] = self._sent
        return request


class _Adapter(HTTPAdapter):
    """Connections that trust whom ``trusted`` says; its certificates are read once."""

    def __init__(self, connections: int) -> None:
        super().__init__(pool_connections=32, pool_maxsize=connections)
        self._building = threading.Lock()
        self._context: ssl.SSLContext | None = None

    def build_connection_pool_key_attributes(
        self,
        request: requests.PreparedRequest,
        verify: Any,  # noqa: ANN401 - the signature is that of requests
        cert: Any = None,  # noqa: ANN401
    ) -> tuple[Any, Any]:
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, self._trust() if host["scheme"] == "https" else {}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # noqa: ANN401, ARG002
        """Verify always, and add no certificates to those of the context."""
        conn.cert_reqs = "CERT_REQUIRED"

    def _trust(self) -> dict[str, Any]:
        with self._building:
            if self._context is None:
                self._context = trusted(os.environ)
        return {"ssl_context": self._context, "cert_reqs": "CERT_REQUIRED"}
