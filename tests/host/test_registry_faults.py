"""The registry client in front of a real registry that misbehaves."""

from __future__ import annotations

import hashlib
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

import containers
from faultyregistry import Proxy, Turn, faulty
from mlenv.errors import HostError
from mlenv.host import blob_upload, mirrors, registry_wire
from mlenv.host.blob_upload import Upload
from mlenv.host.mirrors import Mirrors
from mlenv.host.registry import AbsentError, DeniedError, Descriptor, Registry
from mlenv.host.registry_login import Login
from mlenv.host.registry_wire import Wire
from mlenv.reference import Reference, parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from containers import Hub

pytestmark = pytest.mark.registry

ME = Login(user="me", password="hunter2")  # noqa: S106 (made up)
ACCOUNT = f"{ME.user}:{ME.password}"
SIZE = 300_000
PART = 100_000


@pytest.fixture
def proxy(hub: Hub) -> Iterator[Proxy]:
    with faulty(hub.port) as running:
        yield running


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry(offline=False, mirrors=Mirrors(), logins=lambda _: None) as opened:
        yield opened


@pytest.fixture
def known() -> Iterator[Registry]:
    with Registry(offline=False, mirrors=Mirrors(), logins=lambda _: ME) as opened:
        yield opened


@pytest.fixture
def wire() -> Iterator[Wire]:
    opened = Wire(offline=False, logins=lambda _: None)
    yield opened
    opened.close()


def at(proxy: Proxy, name: str) -> Reference:
    return parse_reference(f"{proxy.address}/{name}")


def blob(path: Path, size: int = SIZE) -> Descriptor:
    data = os.urandom(size)
    path.write_bytes(data)
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return Descriptor(media_type="application/octet-stream", digest=digest, size=size)


@pytest.fixture
def there(hub: Hub, tmp_path: Path) -> Descriptor:
    """Return a blob that is in the repository ``a``."""
    found = blob(tmp_path / "f")
    hub.blob("a", (tmp_path / "f").read_bytes())
    return found


@pytest.fixture
def image(hub: Hub, tmp_path: Path) -> str:
    """Return the digest of ``a:1``."""
    return hub.push(containers.made_image([{"a": b"b"}], tmp_path / "i"), "a", "1")


@pytest.mark.parametrize(
    ("turns", "asked", "told"),
    [
        pytest.param([Turn("GET", "cut")], ["", "bytes=150000-"], 0, id="broken off once"),
        pytest.param(
            [Turn("GET", "cut", 2)], ["", "bytes=150000-", "bytes=225000-"], 0, id="and once more"
        ),
        pytest.param([Turn("GET", "drop"), Turn("GET", 503)], ["", "", ""], 0, id="nothing came"),
        pytest.param(
            [Turn("GET", "cut"), Turn("GET", "deaf")],
            ["", "bytes=150000-"],
            1,
            id="no ranges there: it starts over",
        ),
        pytest.param(
            [Turn("GET", "cut"), Turn("GET", 416)],
            ["", "bytes=150000-", ""],
            1,
            id="the range is refused: it starts over",
        ),
        pytest.param(
            [Turn("GET", "cut"), Turn("GET", "elsewhere")],
            ["", "bytes=150000-", "bytes=150000-"],
            0,
            id="redirected meanwhile",
        ),
    ],
)
def test_a_download_goes_on(  # noqa: PLR0917 (a table)
    registry: Registry,
    proxy: Proxy,
    hub: Hub,
    there: Descriptor,
    tmp_path: Path,
    turns: list[Turn],
    asked: list[str],
    told: int,
) -> None:
    steps: list[int] = []
    with faulty(hub.port) as other:
        proxy.turns = [Turn(f"{each.pattern} .*/blobs/", each.does, each.times) for each in turns]
        proxy.moved = f"http://{other.address}"
        registry.download(at(proxy, "a:1"), there, tmp_path / "g", steps.append)
        seen = [*proxy.asked, *other.asked]
    assert (tmp_path / "g").read_bytes() == (tmp_path / "f").read_bytes()
    assert [row.get("Range", "") for line, row in seen if "/blobs/" in line] == asked
    assert sum(steps) == SIZE
    assert sum(each < 0 for each in steps) == told


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        pytest.param(Turn("GET", "lie"), "sent other bytes: their digest is", id="other bytes"),
        pytest.param(Turn("GET", "endless"), "more than 300000 bytes", id="no end"),
        pytest.param(Turn("GET", "drop", 99), "the connection broke off", id="it only hangs up"),
        pytest.param(Turn("GET", 404), "404 Not Found", id="it is gone"),
        pytest.param(Turn("GET", 500, 99), "500 Internal Server Error (DENIED)", id="it breaks"),
    ],
)
def test_a_download_that_fails_leaves_what_was(  # noqa: PLR0917 (a table)
    registry: Registry, proxy: Proxy, there: Descriptor, tmp_path: Path, turn: Turn, words: str
) -> None:
    proxy.turns = [Turn("GET .*/blobs/", turn.does, turn.times)]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "g").write_text("old")
    steps: list[int] = []
    with pytest.raises(HostError) as caught:
        registry.download(at(proxy, "a:1"), there, tmp_path / "out" / "g", steps.append)
    assert words in str(caught.value)
    assert caught.value.reasons[0].code == "registry-failed"
    assert "hunter2" not in str(caught.value)
    assert sum(steps) == 0
    assert [each.read_text() for each in (tmp_path / "out").iterdir()] == ["old"]


def test_what_drips_is_given_up(
    registry: Registry, proxy: Proxy, there: Descriptor, image: str, tmp_path: Path
) -> None:
    assert image
    proxy.turns = [Turn("GET .*/(blobs|manifests)/", "drip", 9)]
    calls = [
        lambda: registry.download(at(proxy, "a:1"), there, tmp_path / "g"),
        lambda: registry.resolve(at(proxy, "a:1"), "linux/amd64"),
    ]
    began = time.monotonic()
    with ThreadPoolExecutor() as pool:
        for each in [pool.submit(call) for call in calls]:
            with pytest.raises(HostError, match="less than 4096 bytes a second"):
                each.result()
    assert time.monotonic() - began < 15


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        pytest.param(Turn("", "endless"), "more than 4194304 bytes", id="no end"),
        pytest.param(Turn("", 418), "418", id="an odd status"),
        pytest.param(Turn("", 307, 9, {"Location": "/v2/"}), "", id="redirected to what it is not"),
        pytest.param(Turn("", 307, 9, {"Location": "ftp://x/y"}), "not https", id="to no http"),
        pytest.param(
            Turn("", 401, 9, {"WWW-Authenticate": "Digest realm=x"}), "wants a login", id="digest"
        ),
        pytest.param(
            Turn("", 401, 9, {"WWW-Authenticate": 'Bearer realm="nowhere"'}),
            "names no token server",
            id="no realm",
        ),
    ],
)
def test_an_answer_that_is_no_image_is_refused(
    registry: Registry, proxy: Proxy, image: str, turn: Turn, words: str
) -> None:
    assert image
    proxy.turns = [Turn("GET .*/manifests/", turn.does, turn.times, turn.headers)]
    with pytest.raises(HostError) as caught:
        registry.resolve(at(proxy, "a:1"), "linux/amd64")
    assert words in str(caught.value)
    assert caught.value.reasons[0].code.startswith("registry-")


def test_other_bytes_than_a_digest_names_are_refused(
    registry: Registry, proxy: Proxy, image: str
) -> None:
    reference = at(proxy, "a:1")
    for name in (reference.pinned(image), reference):
        # By tag the index may say anything, so only what it leads to can be a lie.
        which = "" if name.digest else "sha256:"
        proxy.turns = [Turn(f"GET .*/manifests/{which}", "lie")]
        with pytest.raises(HostError, match="other bytes: their digest is sha256:"):
            registry.manifest(name, "linux/amd64")


def test_a_mirror_that_lies_is_passed_over(proxy: Proxy, hub: Hub, image: str) -> None:
    text = (
        f'[[registry]]\nprefix = "ghcr.io"\nlocation = "{hub.address}"\n'
        f'[[registry.mirror]]\nlocation = "{proxy.address}"\n'
    )
    proxy.turns = [Turn("GET .*/manifests/", "lie", 9)]
    known = Mirrors(rules=mirrors.parse(text, "registries.conf"))
    with Registry(offline=False, mirrors=known, logins=lambda _: None) as registry:
        name = parse_reference(f"ghcr.io/a:1@{image}")
        assert registry.resolve(name, "linux/amd64").digest == image
    assert proxy.count("GET .*/manifests/") == 1


def test_a_mirror_that_is_down_is_waited_for_once(proxy: Proxy, hub: Hub, image: str) -> None:
    text = (
        f'[[registry]]\nprefix = "ghcr.io"\nlocation = "{hub.address}"\n'
        f'[[registry.mirror]]\nlocation = "{proxy.address}"\n'
    )
    proxy.turns = [Turn("GET .*/manifests/", "drop", 99)]
    known = Mirrors(rules=mirrors.parse(text, "registries.conf"))
    with Registry(offline=False, mirrors=known, logins=lambda _: None) as registry:
        for _ in range(2):
            name = parse_reference("ghcr.io/a:1")
            assert registry.resolve(name, "linux/amd64").digest == image
    assert proxy.count("GET .*/manifests/") == registry_wire.TRIES


def test_a_blob_that_lies_elsewhere_is_there(
    registry: Registry, proxy: Proxy, hub: Hub, there: Descriptor, tmp_path: Path
) -> None:
    with faulty(hub.port) as other:
        other.turns = [Turn("HEAD", 403, 9)]
        proxy.moved = f"http://{other.address}"
        proxy.turns = [Turn("HEAD .*/blobs/", "elsewhere", 2)]
        assert registry.has(at(proxy, "a:1"), there.digest)
        assert registry.upload(at(proxy, "a:1"), there, tmp_path / "f") == 0
        assert other.asked == []


def test_retry_after_is_obeyed(registry: Registry, proxy: Proxy, image: str) -> None:
    proxy.turns = [Turn("GET .*/manifests/", 429, 1, {"Retry-After": "2"})]
    began = time.monotonic()
    assert registry.resolve(at(proxy, "a:1"), "linux/amd64").digest == image
    assert time.monotonic() - began >= 2


def up(wire: Wire, proxy: Proxy, path: Path, descriptor: Descriptor) -> tuple[int, list[int]]:
    """Upload in small parts; return the bytes that went out, and the progress."""
    told: list[int] = []
    place = Mirrors().written_to(at(proxy, "a:1"))
    upload = Upload(
        wire=wire,
        place=place,
        what="cannot write",
        descriptor=descriptor,
        path=path,
        progress=told.append,
        part_bytes=PART,
    )
    return upload.done(None), told


@pytest.mark.parametrize(
    ("turns", "sent"),
    [
        pytest.param([], 300, id="nothing happens"),
        pytest.param([Turn("POST", 503), Turn("POST", "drop")], 300, id="it begins late"),
        pytest.param([Turn("PATCH", 500)], 400, id="the first part fails"),
        pytest.param(
            [Turn("PATCH.*_state.*", 429, 2, {"Retry-After": "0"})], 500, id="it is too busy"
        ),
        pytest.param([Turn("PATCH", "drop", 3)], 600, id="the first part is dropped"),
        # docker-registry 2.8 gives an upload up whose state the client does not know.
        pytest.param([Turn("PATCH", "lost")], 400, id="a part arrives, its answer does not"),
        pytest.param([Turn("PUT", "drop")], 300, id="the end is dropped"),
        pytest.param([Turn("PUT", "lost")], 300, id="the end arrives, its answer does not"),
        pytest.param([Turn("PUT", 502)], 300, id="the end fails"),
        pytest.param([Turn("PATCH", 404)], 400, id="the upload is forgotten"),
        pytest.param([Turn("PATCH", 416)], 400, id="the part does not fit"),
        pytest.param([Turn("PATCH", 405)], 400, id="no parts: it goes in one piece"),
        pytest.param(
            [Turn("PATCH", 415), Turn("PUT", "half"), Turn("PUT", "drop")],
            None,
            id="no parts, and the piece breaks off",
        ),
        pytest.param([Turn("PATCH", "half")], None, id="half a part arrives"),
        pytest.param([Turn("PATCH", "half", 2)], None, id="half a part, twice"),
        pytest.param(
            [Turn("PATCH", "drop"), Turn("GET .*/uploads/", 500)], 400, id="where was I fails too"
        ),
        pytest.param(
            [Turn("PATCH", "drop"), Turn("GET .*/uploads/", 404)], 400, id="it knows no more"
        ),
    ],
)
def test_an_upload_goes_on(  # noqa: PLR0917 (a table)
    wire: Wire, proxy: Proxy, hub: Hub, tmp_path: Path, turns: list[Turn], sent: int | None
) -> None:
    descriptor = blob(tmp_path / "f")
    proxy.turns = turns
    count, told = up(wire, proxy, tmp_path / "f", descriptor)
    assert not [each for each in turns if each.times]
    assert sum(told) == SIZE
    assert hub.blob("a", (tmp_path / "f").read_bytes()) == descriptor.digest
    if sent is not None:
        assert count == sent * 1000
    with Registry(offline=False, mirrors=Mirrors(), logins=lambda _: None) as registry:
        registry.download(at(proxy, "a:1"), descriptor, tmp_path / "g")


@pytest.mark.parametrize(
    ("turn", "words", "kind"),
    [
        pytest.param(Turn("PATCH", 500, 99), "500 Internal", HostError, id="no part is taken"),
        pytest.param(Turn("PATCH", "drop", 99), "broke off", HostError, id="it hangs up"),
        pytest.param(Turn("PUT", 400), "400 Bad Request (DENIED)", HostError, id="the end"),
        pytest.param(Turn("POST", 403), "403 Forbidden (DENIED)", DeniedError, id="not allowed"),
        pytest.param(Turn("POST", 404), "404 Not Found", AbsentError, id="no such repository"),
        pytest.param(Turn("POST", 202), "names no place", HostError, id="it begins nowhere"),
        pytest.param(
            Turn("PATCH", 202, 9, {"Range": "0-999999999"}), "more than was", HostError, id="lie"
        ),
        pytest.param(
            Turn("PATCH", 202, 99, {"Range": "0-0"}), "kept nothing", HostError, id="none kept"
        ),
    ],
)
def test_an_upload_that_fails_is_told(  # noqa: PLR0917 (a table)
    wire: Wire, proxy: Proxy, tmp_path: Path, turn: Turn, words: str, kind: type[HostError]
) -> None:
    descriptor = blob(tmp_path / "f")
    proxy.turns = [turn]
    with pytest.raises(kind) as caught:
        up(wire, proxy, tmp_path / "f", descriptor)
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)
    # What was lost is not given up at once, and not tried for ever.
    assert proxy.count("PATCH") <= blob_upload.TRIES


def test_a_part_that_was_halved_is_sent_again_and_no_more(
    registry: Registry, proxy: Proxy, tmp_path: Path
) -> None:
    descriptor = blob(tmp_path / "f", 40 << 20)
    proxy.turns = [Turn("PATCH", "drop")]
    sent = registry.upload(at(proxy, "a:1"), descriptor, tmp_path / "f")
    assert (40 << 20) < sent <= (56 << 20)
    registry.download(at(proxy, "a:1"), descriptor, tmp_path / "g")


def test_a_token_is_fetched_once_and_renewed(
    known: Registry, proxy: Proxy, image: str, there: Descriptor, tmp_path: Path
) -> None:
    proxy.token_login = ACCOUNT
    assert known.resolve(at(proxy, "a:1"), "linux/amd64").digest == image
    assert list(proxy.tokens.values()) == [["repository:a:pull", "other:x:pull", "loop, back"]]
    known.download(at(proxy, "a:1"), there, tmp_path / "g")
    assert len(proxy.tokens) == 1
    proxy.tokens.clear()  # they have run out
    known.download(at(proxy, "a:1"), there, tmp_path / "g")
    assert len(proxy.tokens) == 1
    one = blob(tmp_path / "h")
    known.upload(at(proxy, "b:1"), one, tmp_path / "h", mount_from=at(proxy, "a:1"))
    scopes = [each for row in proxy.tokens.values() for each in row]
    assert "repository:b:pull,push" in scopes
    assert scopes[-3] == "repository:a:pull"


def test_many_threads_fetch_one_token(known: Registry, proxy: Proxy, image: str) -> None:
    proxy.token_login = ACCOUNT
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(known.resolve, at(proxy, "a:1"), "linux/amd64") for _ in range(8)]
    assert {each.result().digest for each in calls} == {image}
    assert proxy.count("GET /token") == 1


def test_an_identity_token_is_changed_for_others(proxy: Proxy, image: str) -> None:
    proxy.token_login = ACCOUNT
    login = Login(token="identity")  # noqa: S106
    with Registry(offline=False, mirrors=Mirrors(), logins=lambda _: login) as registry:
        assert registry.resolve(at(proxy, "a:1"), "linux/amd64").digest == image
    assert proxy.count("POST /token") == 1


@pytest.mark.parametrize(
    ("login", "words"),
    [
        pytest.param(None, "401 Unauthorized", id="nobody"),
        pytest.param(Login(user="me", password="x"), "401 Unauthorized", id="wrong"),  # noqa: S106
        pytest.param(Login(trouble="/x is no JSON"), "; /x is no JSON", id="unreadable"),
    ],
)
def test_a_token_that_is_not_given_is_told(
    proxy: Proxy, image: str, login: Login | None, words: str
) -> None:
    assert image
    proxy.token_login = ACCOUNT
    with (
        Registry(offline=False, mirrors=Mirrors(), logins=lambda _: login) as registry,
        pytest.raises(DeniedError) as caught,
    ):
        registry.resolve(at(proxy, "a:1"), "linux/amd64")
    assert words in caught.value.reasons[0].cause


def test_a_login_goes_to_no_token_server_over_plain_http(known: Registry, proxy: Proxy) -> None:
    proxy.token_login, proxy.realm = ACCOUNT, "http://tokens.example/token"
    with pytest.raises(DeniedError, match="over plain http, so it was not sent"):
        known.resolve(at(proxy, "a:1"), "linux/amd64")


def test_no_authorization_follows_a_redirect_to_another_host(
    known: Registry, proxy: Proxy, hub: Hub, there: Descriptor, tmp_path: Path
) -> None:
    proxy.token_login = ACCOUNT
    with faulty(hub.port) as other:
        proxy.moved = f"http://{other.address}"
        proxy.turns = [Turn("GET .*/blobs/", "elsewhere")]
        known.download(at(proxy, "a:1"), there, tmp_path / "g")
        assert proxy.count("GET .*/token") == 0
        # And where that host asks for a login, it gets none.
        other.turns = [
            Turn("GET", 401, 9, {"WWW-Authenticate": f'Bearer realm="{proxy.moved}/token"'})
        ]
        proxy.turns = [Turn("GET .*/blobs/", "elsewhere")]
        with pytest.raises(DeniedError):
            known.download(at(proxy, "a:1"), there, tmp_path / "g")
        assert other.asked
        assert not [line for line, row in other.asked if "Authorization" in row]
        assert not [line for line, _ in other.asked if "/token" in line]


def test_netrc_is_not_for_registries(
    registry: Registry, proxy: Proxy, image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hunter2\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert registry.resolve(at(proxy, "a:1"), "linux/amd64").digest == image
    assert not [line for line, row in proxy.asked if "Authorization" in row]


def test_loopback_is_reached_past_a_proxy(
    registry: Registry, proxy: Proxy, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://user:hunter2@127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "")
    assert registry.resolve(at(proxy, "a:1"), "linux/amd64").digest == image
    with pytest.raises(HostError) as caught:
        registry.resolve(parse_reference("registry.example/a:1"), "linux/amd64")
    assert "hunter2" not in str(caught.value)


def test_a_registry_that_nobody_answers_for_is_told(registry: Registry) -> None:
    with pytest.raises(HostError, match="Connection refused") as caught:
        registry.resolve(parse_reference("127.0.0.1:1/a:1"), "linux/amd64")
    assert caught.value.reasons[0].code == "registry-failed"


def test_the_tries_are_few(registry: Registry, proxy: Proxy, image: str) -> None:
    assert image
    proxy.turns = [Turn("GET .*/manifests/", 503, 99)]
    with pytest.raises(HostError, match="503 Service Unavailable"):
        registry.resolve(at(proxy, "a:1"), "linux/amd64")
    assert proxy.count("GET .*/manifests/") == registry_wire.TRIES
    assert re.match("GET /v2/$", proxy.asked[0][0])
