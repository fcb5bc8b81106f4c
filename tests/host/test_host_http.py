from __future__ import annotations

import hashlib
import os
import socket
import ssl
import subprocess
import sys
import threading
from base64 import b64encode
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from http.server import HTTPServer, SimpleHTTPRequestHandler
from typing import TYPE_CHECKING

import pytest
from webserver import serving

from mlenv.errors import HostError
from mlenv.host import login
from mlenv.host.http import ACCEPT, Web
from mlenv.host.outage import AbsentError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = bytes(range(256)) * 1000


def nobody(_: str) -> None:
    return None


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep this machine's proxy and netrc out of the tests."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@pytest.fixture
def web() -> Iterator[Web]:
    with Web(offline=False, credentials=nobody) as opened:
        yield opened


def basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def test_the_tail_and_a_part_of_a_file_come_without_the_rest(web: Web) -> None:
    with serving(files={"/f": DATA}) as site:
        assert web.tail(f"{site.url}/f", 100) == (DATA[-100:], len(DATA))
        assert web.range(f"{site.url}/f", 10, 20) == DATA[10:20]
        assert site.ranges_asked() == ["bytes=-100", "bytes=10-19"]


def test_the_tail_of_a_short_file_is_the_file(web: Web) -> None:
    with serving(files={"/f": b"short"}) as site:
        assert web.tail(f"{site.url}/f", 100) == (b"short", 5)


def test_a_server_without_ranges_is_asked_once(web: Web) -> None:
    with serving(files={"/f": DATA}, ranges=False) as site:
        url = f"{site.url}/f"
        assert web.tail(url, 100) == (DATA[-100:], len(DATA))
        assert web.range(url, 10, 20) == DATA[10:20]
        assert len(site.asked) == 1
        web.forget(url)
        assert web.range(url, 10, 20) == DATA[10:20]
        assert len(site.asked) == 2


def test_a_server_without_ranges_from_the_end_is_asked_for_the_size(web: Web) -> None:
    with serving(files={"/f": DATA}, suffixes=False) as site:
        assert web.tail(f"{site.url}/f", 100) == (DATA[-100:], len(DATA))


def test_a_range_past_the_end_is_an_error(web: Web) -> None:
    with serving(files={"/f": DATA}) as site, pytest.raises(HostError, match="other bytes"):
        web.range(f"{site.url}/f", 10, len(DATA) + 1)


@pytest.mark.parametrize(
    "first",
    [
        pytest.param((500, 503), id="two server errors"),
        pytest.param((429,), id="too many requests"),
        pytest.param(("drop", "drop"), id="two dropped connections"),
        pytest.param(("cut", 502), id="a body that breaks off"),
    ],
)
def test_what_passes_is_tried_again(web: Web, first: tuple[int | str, ...]) -> None:
    with serving(files={"/f": DATA}, first=deque(first)) as site:
        assert web.tail(f"{site.url}/f", 100) == (DATA[-100:], len(DATA))
        assert len(site.asked) == len(first) + 1


@pytest.mark.parametrize(
    ("first", "asked", "cause", "fix"),
    [
        pytest.param((500,) * 9, 3, "500 Internal Server Error", "later", id="it goes on failing"),
        pytest.param((403,), 1, "403 Forbidden", "~/.netrc", id="the index forbids it"),
        pytest.param((401,), 1, "401 Unauthorized", "UV_INDEX_NAME_USERNAME", id="who are you"),
        pytest.param((404,), 1, "404 Not Found", "check the URL", id="it is not there"),
        pytest.param(("drop",) * 9, 3, "the connection broke off", "network", id="it only drops"),
    ],
)
def test_a_failure_is_told_in_words(
    web: Web, first: tuple[int | str, ...], asked: int, cause: str, fix: str
) -> None:
    with serving(files={"/f": DATA}, first=deque(first)) as site:
        with pytest.raises(HostError) as caught:
            web.range(f"{site.url}/f?token=secret", 0, 10)
        assert len(site.asked) == asked
    reason = caught.value.reasons[0]
    assert reason.code == "network-failed"
    assert cause in reason.cause
    assert fix in reason.fix
    assert "secret" not in str(caught.value)


def test_an_absent_page_is_told_apart(web: Web) -> None:
    with serving() as site, pytest.raises(AbsentError):
        web.page(f"{site.url}/simple/absent/")


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        pytest.param("http://me:secret@nowhere.invalid/x", "cannot be resolved", id="no such host"),
        pytest.param("ftp://me:secret@example.org/x", "no http or https URL", id="another scheme"),
        pytest.param("simple/x", "no http or https URL", id="no scheme"),
        pytest.param("http://[::1/x", "no http or https URL", id="half an address"),
    ],
)
def test_a_url_that_leads_nowhere_is_told_in_words(web: Web, url: str, cause: str) -> None:
    with pytest.raises(HostError) as caught:
        web.page(url)
    assert cause in caught.value.reasons[0].cause
    assert "secret" not in str(caught.value)


def test_a_refused_connection_is_told_in_words(web: Web) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(HostError, match="Connection refused"):
        web.page(f"http://127.0.0.1:{port}/")


def test_offline_opens_no_socket() -> None:
    with serving(files={"/f": DATA}) as site, Web(offline=True, credentials=nobody) as web:
        for read in (lambda: web.page(f"{site.url}/f"), lambda: web.tail(f"{site.url}/f", 1)):
            with pytest.raises(HostError) as caught:
                read()
            assert caught.value.reasons[0].code == "network-off"
        assert not site.asked


def test_a_page_comes_with_its_type_and_json_is_preferred(web: Web) -> None:
    kind = "application/vnd.pypi.simple.v1+json; charset=utf-8"
    with serving(files={"/simple/x/": '{"ü": 1}'.encode()}, kind=kind) as site:
        page = web.page(f"{site.url}/simple/x/")
        assert page == ("application/vnd.pypi.simple.v1+json", '{"ü": 1}')
        assert site.asked[0][1]["Accept"] == ACCEPT


def test_credentials_are_sent_and_survive_no_other_host() -> None:
    with (
        serving(files={"/f": DATA}, login=basic("mé", "pä€")) as home,
        serving(files={"/f": DATA}) as away,
    ):
        away.url = away.url.replace("127.0.0.1", "localhost")
        home.moved["/away"] = f"{away.url}/f"

        def known(url: str) -> tuple[str, str] | None:
            return ("mé", "pä€") if url.startswith(home.url) else None

        with Web(offline=False, credentials=known) as web:
            assert web.range(f"{home.url}/f", 0, 3) == DATA[:3]
            assert web.range(f"{home.url}/away", 0, 3) == DATA[:3]
        assert "Authorization" not in away.asked[0][1]


def test_netrc_counts_where_nothing_else_is_known(web: Web, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password pw\n", encoding="utf-8")
    netrc.chmod(0o600)
    with serving(files={"/f": DATA}, login=basic("me", "pw")) as site:
        assert web.range(f"{site.url}/f", 0, 3) == DATA[:3]


def test_a_proxy_is_used(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as proxy:
        proxy.files["http://index.example/f"] = DATA
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        assert web.range("http://index.example/f", 0, 3) == DATA[:3]


def test_a_whole_file_is_written_if_its_hash_is_right(web: Web, tmp_path: Path) -> None:
    path = tmp_path / "new" / "f.whl"
    with serving(files={"/f": DATA}, first=deque(["cut"])) as site:
        web.whole(f"{site.url}/f", path, hashlib.sha256(DATA).hexdigest())
        assert path.read_bytes() == DATA
        with pytest.raises(HostError) as caught:
            web.whole(f"{site.url}/f", path, "0" * 64)
    assert caught.value.reasons[0].code == "hash-differs"
    assert list(path.parent.iterdir()) == [path]


def test_sixteen_threads_share_it(web: Web) -> None:
    with serving(files={"/f": DATA}) as site, ThreadPoolExecutor(16) as pool:
        found = pool.map(lambda at: web.range(f"{site.url}/f", at, at + 9), range(400))
        assert list(found) == [DATA[at : at + 9] for at in range(400)]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a program its peak memory")
def test_a_large_answer_costs_no_memory(tmp_path: Path) -> None:
    code = (
        "import pathlib, re, sys\n"
        "from mlenv.host.http import Web\n"
        "def peak():\n"
        "    status = pathlib.Path('/proc/self/status').read_text()\n"
        "    return int(re.search(r'VmHWM:\\s+(\\d+)', status)[1])\n"
        "with Web(offline=False, credentials=lambda url: None) as web:\n"
        "    web.tail(sys.argv[1] + '/small', 10)\n"
        "    before = peak()\n"
        "    web.tail(sys.argv[1] + '/f', 10)\n"
        "    print((peak() - before) // 1024)\n"
    )
    with serving(files={"/f": bytes(100 << 20), "/small": b"x"}, ranges=False) as site:
        done = subprocess.run(
            [sys.executable, "-c", code, site.url],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
    assert int(done.stdout) < 10


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return a certificate for localhost that nobody has signed, with its key."""
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
def secure(certificate: Path) -> Iterator[str]:
    """Yield the URL of a server with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, f"{certificate}.key")
    handler = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = HTTPServer(("127.0.0.1", 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"https://localhost:{server.server_address[1]}/"
    server.shutdown()
    thread.join()
    server.server_close()


BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.mark.parametrize("name", BUNDLES[:3])
def test_a_bundle_that_the_user_names_is_trusted(
    name: str, secure: str, certificate: Path, monkeypatch: pytest.MonkeyPatch, web: Web
) -> None:
    for each in BUNDLES:
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, str(certificate))
    assert web.page(secure)[0] == "text/html"


def test_an_unknown_certificate_is_not_trusted(
    secure: str, monkeypatch: pytest.MonkeyPatch, web: Web
) -> None:
    for each in BUNDLES:
        monkeypatch.delenv(each, raising=False)
    with pytest.raises(HostError) as caught:
        web.page(secure)
    reason = caught.value.reasons[0]
    assert reason.cause.startswith("the server is not trusted: self")
    assert "SSL_CERT_FILE" in reason.fix


def test_a_bundle_that_is_not_there_is_named(
    secure: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, web: Web
) -> None:
    for each in BUNDLES:
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "absent.pem"))
    with pytest.raises(HostError) as caught:
        web.page(secure)
    assert caught.value.reasons[0].code == "disk-failed"
    assert "absent.pem" in caught.value.reasons[0].what


INDEX = "https://pkgs.example/corp/simple"


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        pytest.param({}, None, id="nothing is known"),
        pytest.param(
            {"UV_DEFAULT_INDEX": "https://me:p%40w@pkgs.example/corp/simple"},
            ("me", "p@w"),
            id="in the default index, percent-encoded",
        ),
        pytest.param(
            {"UV_INDEX": "https://a.example/ corp=https://me:pw@pkgs.example/x"},
            ("me", "pw"),
            id="in a named one of several",
        ),
        pytest.param(
            {"UV_EXTRA_INDEX_URL": "https://token@pkgs.example/"}, ("token", ""), id="a user alone"
        ),
        pytest.param(
            {"UV_INDEX_MY_CORP_USERNAME": "me", "UV_INDEX_MY_CORP_PASSWORD": "pw"},
            ("me", "pw"),
            id="by the alias of an index of the spec",
        ),
        pytest.param(
            {
                "UV_INDEX": "one=https://pkgs.example/other two=https://pkgs.example/corp",
                "UV_INDEX_ONE_PASSWORD": "1",
                "UV_INDEX_TWO_PASSWORD": "2",
            },
            ("", "2"),
            id="of two at one host, the one that holds the file",
        ),
        pytest.param(
            {"UV_INDEX_URL": "http://me:pw@pkgs.example/corp/simple"}, None, id="not from http"
        ),
        pytest.param(
            {"UV_INDEX_URL": "https://me:pw@pkgs.example:444/corp"}, None, id="not from a port"
        ),
        pytest.param(
            {"UV_INDEX_URL": "https://me:pw@pkgs.example:443/corp"}, ("me", "pw"), id="port 443"
        ),
        pytest.param(
            {"UV_INDEX_URL": "https://me:pw@evil.example/pkgs.example"}, None, id="not another host"
        ),
        pytest.param({"UV_INDEX_URL": "https://me:pw@[pkgs.example"}, None, id="not a damaged URL"),
    ],
)
def test_credentials_are_found_where_uv_finds_them(
    environ: dict[str, str], found: tuple[str, str] | None
) -> None:
    aliases = {"my-corp": INDEX}
    assert login.credentials(f"{INDEX}/x/", environ, aliases) == found
    assert login.login(f"{INDEX}/x/", environ, aliases) == found


def test_the_keyring_is_asked_for_a_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "keyring"
    program.write_text(
        f'#!/bin/sh\n[ "$*" = "get {INDEX} me" ] && echo from-the-keyring || exit 1\n',
        encoding="utf-8",
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path) + os.pathsep + os.environ["PATH"])
    environ = {"UV_INDEX_URL": INDEX.replace("//", "//me@")}
    assert login.login(f"{INDEX}/x/", environ) == ("me", "")
    environ["UV_KEYRING_PROVIDER"] = "subprocess"
    assert login.login(f"{INDEX}/x/", environ) == ("me", "from-the-keyring")
    assert login.credentials(f"{INDEX}/x/", environ) == ("me", "")
    environ["UV_INDEX_URL"] = INDEX.replace("//", "//you@")
    assert login.login(f"{INDEX}/x/", environ) == ("you", "")
