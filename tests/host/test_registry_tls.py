"""The registry client and who it trusts."""

from __future__ import annotations

import hashlib
import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest

import containers
from faultyregistry import Proxy, Turn, faulty
from mlenv.errors import HostError
from mlenv.host import mirrors
from mlenv.host.mirrors import Mirrors
from mlenv.host.registry import Descriptor, Registry
from mlenv.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from containers import Hub

pytestmark = pytest.mark.registry
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a certificate for localhost that nobody has signed, with its key."""
    for name in BUNDLES:
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "server.pem"
    command = (
        f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
        f"-addext subjectAltName=DNS:localhost -keyout {path}.key -out {path}"
    )
    try:
        subprocess.run(["openssl", *command.split()], check=True, capture_output=True)  # noqa: S607
    except FileNotFoundError:
        pytest.skip("there is no openssl program to make a certificate with")
    return path


@pytest.fixture
def secure(hub: Hub, certificate: Path) -> Iterator[Proxy]:
    """Yield a registry that speaks TLS only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, f"{certificate}.key")
    with faulty(hub.port, context) as running:
        yield running


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry(offline=False, mirrors=Mirrors(), logins=lambda _: None) as opened:
        yield opened


def test_a_registry_that_is_not_trusted_is_told(registry: Registry, secure: Proxy) -> None:
    with pytest.raises(HostError, match="the server is not trusted: self-signed") as caught:
        registry.resolve(parse_reference(f"{secure.address}/a:1"), "linux/amd64")
    assert "SSL_CERT_FILE" in caught.value.reasons[0].fix


def test_a_registry_is_trusted_as_the_user_says(  # noqa: PLR0917 (fixtures)
    registry: Registry,
    secure: Proxy,
    hub: Hub,
    certificate: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    digest = hub.push(containers.made_image([{"a": b"b"}], tmp_path / "i"), "a", "1")
    name = parse_reference(f"{secure.address}/a:1")
    assert registry.resolve(name, "linux/amd64").digest == digest
    (tmp_path / "f").write_bytes(b"x" * 9)
    one = Descriptor(media_type="x/y", digest=digest_of(tmp_path / "f"), size=9)
    assert registry.upload(name, one, tmp_path / "f") == 9
    registry.download(name, one, tmp_path / "g")
    # Where the registry sends on to plain http, nothing goes there.
    secure.scheme = "http"
    (tmp_path / "f").write_bytes(b"y" * 9)
    two = Descriptor(media_type="x/y", digest=digest_of(tmp_path / "f"), size=9)
    with pytest.raises(HostError, match="which is not https"):
        registry.upload(name, two, tmp_path / "f")
    secure.turns = [Turn("GET .*/blobs/", 307, 9, {"Location": f"http://127.0.0.1:{hub.port}/"})]
    with pytest.raises(HostError, match="which is not https"):
        registry.download(name, one, tmp_path / "g")


def test_insecure_means_plain_http_and_no_less_trust(
    secure: Proxy, hub: Hub, certificate: Path, tmp_path: Path
) -> None:
    assert certificate.is_file()
    digest = hub.push(containers.made_image([{"a": b"b"}], tmp_path / "i"), "a/b", "1")
    text = (
        f'[[registry]]\nprefix = "ghcr.io"\nlocation = "{secure.address}"\ninsecure = true\n'
        f'[[registry]]\nprefix = "docker.io"\nlocation = "{hub.address}"\ninsecure = true\n'
    )
    known = Mirrors(rules=mirrors.parse(text, "registries.conf"))
    with Registry(offline=False, mirrors=known, logins=lambda _: None) as registry:
        with pytest.raises(HostError, match="not trusted"):
            registry.resolve(parse_reference("ghcr.io/a:1"), "linux/amd64")
        found = registry.resolve(parse_reference("a/b:1"), "linux/amd64")
    assert found.digest == digest


def digest_of(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
