"""What is secret stands in no blob, document, lock, record or line that an assembly leaves."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import certifi
import pytest

import imagery
from faultyregistry import Turn, faulty
from loopback import Behaviour, Index, environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from containers import Hub

pytestmark = pytest.mark.registry

REGISTRY, INDEX, PROXY, CERTIFICATE = (
    f"canary-{each}-x7" for each in ("registry", "index", "proxy", "certificate")
)
CANARIES = (REGISTRY, INDEX, PROXY, CERTIFICATE)


def _encoded(text: str) -> Iterator[bytes]:
    """Yield a secret as it is, and as headers and logins have it."""
    yield text.encode()
    for user in ("me", "reader"):
        yield base64.b64encode(f"{user}:{text}".encode()).rstrip(b"=")


def clean(where: str, data: bytes) -> None:
    for canary in CANARIES:
        for each in _encoded(canary):
            assert each not in data, f"{canary} stands in {where}"


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    argv = [sys.executable, "-m", "mlenv", "image", str(folder), "--engine", "none", "-v", *words]
    return subprocess.run(argv, capture_output=True, check=False, timeout=120)


@pytest.mark.parametrize("where", ["netrc", "URL"])
def test_no_secret_is_left_anywhere(
    mirrored: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    imagery.publish(mirrored, imagery.base(tmp_path / "base"))
    shelf = imagery.shelf()
    shelf.user, shelf.password = "reader", INDEX
    cache, temporary = tmp_path / "cache", tmp_path / "temporary"
    temporary.mkdir()
    with Index(shelf) as index, faulty(mirrored.port) as proxy:
        proxy.token_login = f"me:{REGISTRY}"
        env = environment(index, cache=tmp_path / "uv-cache")
        address = index.url.removeprefix("http://")
        env |= dict.fromkeys(("HTTP_PROXY", "http_proxy"), f"http://me:{PROXY}@{address}")
        env["MLENV_CACHE_DIR"], env["TMPDIR"] = str(cache), str(temporary)
        if where == "URL":
            env["UV_DEFAULT_INDEX"] = shelf.url.replace("://", f"://reader:{INDEX}@")
            (tmp_path / "netrc").write_text("")
        else:
            line = f"machine index.example login reader password {INDEX}\n"
            (tmp_path / "netrc").write_text(line)
        (tmp_path / "netrc").chmod(0o600)
        bundle = tmp_path / "ca.pem"
        certificates = Path(certifi.where()).read_text("utf-8")
        bundle.write_text(f"# {CERTIFICATE}\n{certificates}", "utf-8")
        token = base64.b64encode(f"me:{REGISTRY}".encode()).decode()
        (tmp_path / "docker").mkdir()
        login = {"auths": {proxy.address: {"auth": token}}}
        (tmp_path / "docker" / "config.json").write_text(json.dumps(login))
        env |= {
            "NETRC": str(tmp_path / "netrc"),
            "DOCKER_CONFIG": str(tmp_path / "docker"),
            "SSL_CERT_FILE": str(bundle),
        }
        for name, text in env.items():
            monkeypatch.setenv(name, text)
        folder = imagery.lock(tmp_path / "out", cache)
        target = f"{proxy.address}/me/small:1"
        given = ("--push", target, "--ca-cert", str(bundle))
        with index.behaving(Behaviour(broken={"index.example/simple/example-heavy/example": 404})):
            failed = run(folder, *given)
        assert (failed.returncode, b"network-failed" in failed.stderr) == (4, True), failed
        proxy.turns.append(Turn("PUT .*manifests", 403))
        denied = run(folder, *given, "--json")
        assert (denied.returncode, b"registry-denied" in denied.stderr) == (4, True), denied
        done = run(folder, *given, "--json")
        assert done.returncode == 0, done.stderr
        laid = run(folder, "--output", str(tmp_path / "layout"))
        assert laid.returncode == 0, laid.stderr
    assert proxy.tokens  # the login was used
    assert index.answer(f"{shelf.url}/example-light/", {}).status == 401
    for ran in (failed, denied, done, laid):
        clean("stdout", ran.stdout)
        clean("stderr", ran.stderr)
    for name, data in imagery.pull(mirrored, "me/small", "1").texts():
        clean(name, data)
    for top in (cache, tmp_path / "out", tmp_path / "layout"):
        files = [each for each in top.rglob("*") if each.is_file() and not each.is_symlink()]
        assert files
        for each in files:
            clean(str(each), each.read_bytes())
    assert os.listdir(temporary) == []  # noqa: PTH208
