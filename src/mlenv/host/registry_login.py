"""Who to be at a registry: what ``docker login`` and ``podman login`` left, and their helpers.

Docker's SDK reads config.json, credsStore and credHelpers. A login is looked up when a registry
asks for one, once; where it cannot be read the registry is asked as nobody, and why is said only
if that does not do. Nothing is shown and nothing written.
"""

from __future__ import annotations

import json
import os
import threading
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mlenv.errors import HostError
from mlenv.host import disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_CONFIG_KEYS = frozenset({"auths", "credsStore", "credHelpers"})
_LEGACY_PATHS = ("", "v1", "v2")
"""What may follow the host in a key; anything else is podman's login for some repositories only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A user and a password, or a token instead of both; neither where there is a ``trouble``."""

    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    """An identity token, to be changed for others at the token server."""
    trouble: str = ""
    """Why what is there could not be read."""

    @property
    def usable(self) -> bool:
        """Whether there is something to log in with."""
        return bool(self.token or self.user or self.password)


def from_environment(
    environ: Mapping[str, str] = os.environ,
) -> Callable[[str], Login | None]:
    """Return registry -> login, as REGISTRY_AUTH_FILE, docker and podman have it; None without.

    REGISTRY_AUTH_FILE counts alone. Else the first of: $DOCKER_CONFIG/config.json (or that in
    ~/.docker), $XDG_RUNTIME_DIR/containers/auth.json.
    """
    known: dict[str, Login | None] = {}
    lock = threading.Lock()

    def login(registry: str) -> Login | None:
        with lock:  # a helper may ask the user, so it runs once
            if registry not in known:
                known[registry] = _looked_up(registry, tuple(_paths(environ)))
            return known[registry]

    return login


def _paths(environ: Mapping[str, str]) -> Iterator[Path]:
    if named := environ.get("REGISTRY_AUTH_FILE"):
        yield Path(named)
        return
    if folder := environ.get("DOCKER_CONFIG"):
        yield Path(folder) / "config.json"
    elif home := environ.get("HOME"):
        yield Path(home) / ".docker" / "config.json"
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "containers" / "auth.json"


def _looked_up(registry: str, paths: tuple[Path, ...]) -> Login | None:
    found: Login | None = None
    for path in paths:
        try:
            here = _in_file(registry, path)
        except HostError as error:
            here = Login(trouble=error.reasons[0].cause)
        if here is not None and here.usable:
            return here
        found = found or here
    return found


def _in_file(registry: str, path: Path) -> Login | None:
    with disk.spoken(path):
        there = path.is_file()
    if not there:
        return None
    try:
        whole = json.loads(disk.text(path))
    except (ValueError, RecursionError):
        return Login(trouble=f"{path} is no JSON")
    if not isinstance(whole, dict):
        return Login(trouble=f"{path} is no JSON object")
    if not (kept := {key: whole[key] for key in _CONFIG_KEYS & whole.keys() if whole[key]}):
        return None
    return _of_sdk(registry, kept, path)


def _of_sdk(registry: str, config: dict[str, object], path: Path) -> Login | None:
    from docker import auth, errors  # noqa: PLC0415 - 0.2 s that only a login costs

    auths = config.get("auths")
    if isinstance(auths, dict):
        config = {**config, "auths": _usable(auths)}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a helper that is missing is an error right after
            found = auth.load_config(config_dict=config).resolve_authconfig(registry)
    except errors.DockerException:
        return Login(trouble=f"the credential helper that {path} names failed")
    except (ValueError, LookupError, TypeError, AttributeError):
        # The SDK looks at no types, and a login without a colon ends it.
        return Login(trouble=f"{path}, or the helper it names, holds no login that can be read")
    return _login({key.lower(): text for key, text in (found or {}).items()})


def _login(found: Mapping[str, object]) -> Login | None:
    user, password, token = (
        text if isinstance(text := found.get(key), str) else ""
        for key in ("username", "password", "identitytoken")
    )
    login = Login(user=user, password=password, token=token)
    return login if login.usable else None


def _usable(auths: Mapping[str, object]) -> Mapping[str, object]:
    """Leave out podman's logins for single repositories, and tokens that are empty."""
    return {
        key: {name: text for name, text in row.items() if text or name != "identitytoken"}
        for key, row in auths.items()
        if _is_host(key) and isinstance(row, dict)
    }


def _is_host(key: str) -> bool:
    path = key.removeprefix("https://").removeprefix("http://").partition("/")[2]
    return path.strip("/") in _LEGACY_PATHS
