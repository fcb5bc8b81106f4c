"""What a build needs of this machine to reach the network: certificates, logins, mirrors, proxies.

Each is a file that the engine mounts for one step, and that no layer keeps. Proxies are no files:
the engine takes them from its environment by name, so no password stands in a list of processes.
Only what this machine is set up with is passed on; nothing is asked of the network.
"""

from __future__ import annotations

import os
import ssl
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit, urlunsplit

from mlenv.host import disk
from mlenv.host.login import login

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LIMIT_BYTES = 500_000
"""The largest secret that BuildKit takes. Source: moby/buildkit, secrets.MaxSecretSize."""
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY", "NO_PROXY")
_LOOPBACK = ("localhost", "127.", "::1")
_MIRROR = "UV_PYTHON_INSTALL_MIRROR"


def write_secrets(
    folder: Path,
    *,
    ca_cert: Path | None,
    default_index: str,
    indexes: Mapping[str, str],
    environ: Mapping[str, str] | None = None,
) -> dict[str, Path]:
    """Write the secrets of a build into ``folder``, readable by nobody else; return id -> file.

    Args:
        folder: a private one that is removed when the build is done.
        ca_cert: certificates of the user's choice, beside those that everybody trusts; None: the
            bundle that this machine's variables name, if one does.
        default_index: the URL that packages come from.
        indexes: alias -> URL of further indexes. One that nobody has a login for needs no secret.
        environ: variables to read instead of this process's own.

    Raises:
        HostError: ``disk-failed``: a file that is named cannot be read, or holds no certificate.
    """
    environ = os.environ if environ is None else environ
    found: dict[str, str | None] = {
        "ca": _certificates(ca_cert, environ),
        "netrc": _netrc(environ),
        "uv-index": _signed(default_index, environ, {}) or default_index,
        "python-mirror": _python_mirror(environ),
    }
    for alias, url in indexes.items():
        found[f"uv-index-{alias}"] = _signed(url, environ, {alias: url})
    written = {}
    for name, text in found.items():
        if text:
            written[name] = folder / name
            _write_private(written[name], text)
    return written


def proxies(environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return the names of the proxy variables that are set.

    BuildKit and buildah know these as build arguments that no history keeps.
    """
    environ = os.environ if environ is None else environ
    names = [each for name in _PROXIES for each in (name, name.lower())]
    return tuple(each for each in names if environ.get(each))


def loops_back(urls: Iterable[str], environ: Mapping[str, str] | None = None) -> bool:
    """Tell whether a URL, or a proxy, is of this machine, where no sandbox's network leads."""
    environ = os.environ if environ is None else environ
    shown = [*urls, *(environ[each] for each in proxies(environ) if each.upper() != "NO_PROXY")]
    hosts = [urlsplit(each if "://" in each else f"//{each}").hostname or "" for each in shown]
    return any(each.startswith(_LOOPBACK) for each in hosts)


def _certificates(ca_cert: Path | None, environ: Mapping[str, str]) -> str | None:
    named = next((environ[name] for name in _BUNDLES if environ.get(name)), None)
    if ca_cert is None:
        path = Path(named) if named else None
        return _read(path) if path and path.is_file() else None
    own = _read(ca_cert)
    # One that opens TLS may leave some hosts alone: theirs are signed by those that all trust.
    public = _read(Path(ssl.get_default_verify_paths().cafile or _shipped()))
    both = f"{own.rstrip()}\n{public}"
    return both if len(both.encode()) < _LIMIT_BYTES else own


def _read(path: Path) -> str:
    text = disk.text(path)
    with disk.spoken(path):
        ssl.create_default_context(cafile=str(path))
    return text


def _shipped() -> str:
    from requests.adapters import DEFAULT_CA_BUNDLE_PATH  # noqa: PLC0415 (0.1 s)

    return DEFAULT_CA_BUNDLE_PATH


def _netrc(environ: Mapping[str, str]) -> str | None:
    path = Path(environ.get("NETRC") or Path.home() / ".netrc")
    return disk.text(path) if path.is_file() else None


def _signed(url: str, environ: Mapping[str, str], indexes: Mapping[str, str]) -> str | None:
    """Return ``url`` with the login that this machine has for it; None where it has none."""
    found = login(url, environ, indexes)
    if found is None or not any(found):
        return None
    parts = urlsplit(url)
    user, password = (quote(each, safe="") for each in found)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{place}"))


def _python_mirror(environ: Mapping[str, str]) -> str | None:
    """Return where uv would fetch a Python: its variable, else its configuration.

    Source: uv's reference, "Configuration files": the user's is read before the system's.
    """
    if environ.get(_MIRROR) or environ.get("UV_NO_CONFIG"):
        return environ.get(_MIRROR)
    home = environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    system = (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
    named = environ.get("UV_CONFIG_FILE")
    paths = [Path(named)] if named else [Path(each) / "uv/uv.toml" for each in (home, *system)]
    for path in (*paths, *([] if named else [Path("/etc/uv/uv.toml")])):
        if path.is_file():
            try:
                found = tomllib.loads(disk.text(path)).get("python-install-mirror")
            except tomllib.TOMLDecodeError:  # uv says so when it is run
                continue
            if isinstance(found, str):
                return found
    return None


def _write_private(path: Path, text: str) -> None:
    with disk.spoken(path):
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
