"""Where the network, the disk or the user stops a build: the former folder is untouched."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from drive import built, stamps, texts
from facts import CORP, CORP_PASSWORD, CORP_USER, DEFAULT, Root, roots
from loopback import Behaviour, Index, environment
from mlenv.errors import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlenv.build.verdict import Outcome

SMALL = 'name = "small"\npython = "3.12"\ncuda = "cpu"\npackages = ["filelock"]\n'
MORE = 'name = "small"\npython = "3.12"\ncuda = "cpu"\npackages = ["filelock", "rich"]\n'
PRIVATE = f"""
name = "small"
python = "3.12"
cuda = "cpu"
packages = ["corp-tools"]
[indexes.corp]
url = "{CORP}"
packages = ["corp-*"]
"""
INTERRUPTED = """
import pathlib, sys
from drive import TODAY, catalog, desk
from mlenv.build.job import build
from mlenv.build.verdict import Order
from mlenv.spec.parse import parse_spec
spec, out, cache = sys.argv[1:]
order = Order(out=pathlib.Path(out), today=TODAY)
try:
    with desk(pathlib.Path(cache), say=lambda line: print(line, flush=True)) as at:
        build(parse_spec(spec, origin="spec.toml"), catalog(), at, order)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def broken(outcomes: tuple[Outcome, ...], code: str) -> str:
    """Return the words of the one outcome, which is a breakdown with ``code``."""
    (outcome,) = outcomes
    # Where only the index is out of reach, the facts still say what they say.
    known = "ok" if code.startswith("network-") else None
    assert (outcome.verdict, outcome.exit_status) == (known, Exit.BROKEN)
    assert [each.code for each in outcome.reasons] == [code]
    assert (outcome.solved, outcome.folder) == (False, None)
    return outcome.reasons[0].text()


@pytest.mark.parametrize(
    "status", [pytest.param(each, id=str(each)) for each in (401, 403, 500, 502, 503)]
)
def test_an_index_that_answers_with_an_error(
    cache: Path, out: Path, index: Index, status: int
) -> None:
    built(SMALL, out, cache)
    before = stamps(out)
    with index.behaving(Behaviour(broken={"index.example/simple/rich": status})):
        words = broken(built(MORE, out, cache), "network-failed")
    assert str(status) in words
    assert stamps(out) == before


@pytest.mark.parametrize(
    "proxied", [pytest.param(True, id="by a proxy"), pytest.param(False, id="directly")]
)
def test_an_index_that_nobody_knows(
    cache: Path, out: Path, monkeypatch: pytest.MonkeyPatch, *, proxied: bool
) -> None:
    built(SMALL, out, cache)
    before = stamps(out)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://nowhere.invalid/simple")
    if not proxied:
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.delenv(name)
    broken(built(MORE, out, cache), "network-failed")
    assert stamps(out) == before


def test_an_index_that_refuses_the_connection(
    cache: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built(SMALL, out, cache)
    before = stamps(out)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{closed.getsockname()[1]}/simple")
        broken(built(MORE, out, cache), "network-failed")
    assert stamps(out) == before


def test_wheels_that_cannot_be_read(cache: Path, out: Path, index: Index) -> None:
    name = "example_tiny-1.0-py3-none-any.whl"
    path = f"index.example/simple/example-tiny/{name}"
    spec = SMALL.replace("filelock", "example-tiny")
    with index.behaving(Behaviour(broken={f"{path}.metadata": 404, path: 500})):
        broken(built(spec, out, cache), "network-failed")
    assert not out.exists()


def test_one_target_that_breaks_does_not_stop_the_others(
    cache: Path, out: Path, index: Index
) -> None:
    targets = '[targets.a]\npackages = ["rich"]\n[targets.b]\npackages = ["filelock"]\n'
    with index.behaving(Behaviour(broken={"index.example/simple/rich": 500})):
        one, two = built(f"{SMALL}{targets}", out, cache)
    # what the facts say, and that no solver has spoken
    assert (one.verdict, one.solved, one.exit_status) == ("ok", False, Exit.BROKEN)
    assert (two.verdict, two.solved) == ("ok", True)
    assert [each.name for each in (out / "small").iterdir()] == ["b"]


def test_offline_with_a_warm_cache_gives_the_same(cache: Path, out: Path, index: Index) -> None:
    spec = f'{SMALL[:-2]}, "hydra-core"]\n'
    built(spec, out, cache)
    before = texts(out)
    shutil.rmtree(out)
    index.hits.clear()
    (again,) = built(spec, out, cache, offline=True)
    assert again.verdict == "ok"
    assert texts(out) == before
    assert index.hits == []


def test_offline_with_a_cold_cache_says_so(cache: Path, out: Path, index: Index) -> None:
    index.hits.clear()
    words = broken(built(SMALL, out, cache, offline=True), "network-off")
    assert "--offline" in words
    assert (index.hits, out.exists()) == ([], False)


def test_offline_with_half_a_cache_says_so(cache: Path, out: Path, index: Index) -> None:
    built(SMALL, out, cache)
    before = stamps(out)
    index.hits.clear()
    broken(built(MORE, out, cache, offline=True), "network-off")
    shutil.rmtree(cache)
    broken(built(SMALL, out, cache, offline=True), "network-off")
    assert (index.hits, stamps(out)) == ([], before)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None:
        pytest.skip("there is no mount program, so no small file system can be filled")
    where = tmp_path / "disk"
    where.mkdir()
    command = [mount, "-t", "tmpfs", "-o", "size=256k", "mlenv-test", str(where)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("this user may not mount a file system, so no small one can be filled")
    yield where
    subprocess.run([umount, str(where)], check=True)


def test_a_full_disk(cache: Path, small_disk: Path) -> None:
    built(SMALL, small_disk / "out", cache)
    with contextlib.suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(b"\0" * 4096)
    before = stamps(small_disk / "out" / "small")
    words = broken(built(MORE, small_disk / "out", cache), "disk-failed")
    assert "No space left on device" in words
    assert stamps(small_disk / "out" / "small") == before
    assert [each.name for each in (small_disk / "out").iterdir()] == ["small"]


def test_a_full_disk_under_the_cache_of_uv(
    cache: Path, out: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(b"\0" * 4096)
    monkeypatch.setenv("UV_CACHE_DIR", str(small_disk / "uv"))
    broken(built(SMALL, out, cache), "disk-failed")
    assert not out.exists()


def children(of: int) -> list[int]:
    found = []
    for each in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if each.read_text().rpartition(")")[2].split()[1] == str(of):
                found.append(int(each.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="children are found by /proc")
def test_ctrl_c_while_uv_solves(cache: Path, out: Path, tmp_path: Path, index: Index) -> None:
    built(SMALL, out, cache)
    before = stamps(out)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "TMPDIR": str(scratch)}
    argv = [sys.executable, "-c", INTERRUPTED, MORE, str(out), str(cache)]
    with index.behaving(Behaviour(delay_seconds=2.0)):
        running = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True)
        assert running.stdout is not None
        assert running.stdout.readline() == "solving small\n"
        until = time.monotonic() + 10
        while not (solvers := children(running.pid)) and time.monotonic() < until:
            time.sleep(0.02)
        assert solvers
        time.sleep(0.2)
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=10) == Exit.INTERRUPTED
        running.stdout.close()
    assert not [pid for pid in solvers if Path(f"/proc/{pid}").exists()]
    assert list(scratch.iterdir()) == []
    assert stamps(out) == before
    assert [each.name for each in out.iterdir()] == ["small"]


@pytest.mark.parametrize(
    "place", [pytest.param("variable", id="variables"), pytest.param("netrc", id="netrc")]
)
def test_credentials_open_an_index_and_land_nowhere(
    cache: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    if place == "variable":
        monkeypatch.setenv("UV_INDEX_CORP_USERNAME", CORP_USER)
        monkeypatch.setenv("UV_INDEX_CORP_PASSWORD", CORP_PASSWORD)
    else:
        line = f"machine corp.example login {CORP_USER} password {CORP_PASSWORD}\n"
        (tmp_path / "netrc").write_text(line, encoding="utf-8")
        (tmp_path / "netrc").chmod(0o600)
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (outcome,) = built(PRIVATE, out, cache)
    assert outcome.verdict == "ok", outcome.reasons
    assert outcome.lock is not None
    assert {e.name: e.index for e in outcome.lock.package}["corp-tools"] == "corp"
    whole = "\n".join(texts(out).values())
    assert CORP_PASSWORD not in whole
    assert CORP_USER not in whole
    kept = [each.read_bytes() for each in cache.rglob("*") if each.is_file()]
    assert not [each for each in kept if CORP_PASSWORD.encode() in each]


@pytest.mark.parametrize(
    "password", [pytest.param("", id="none"), pytest.param("hunter-two", id="a wrong one")]
)
def test_credentials_that_do_not_open_are_not_told(
    cache: Path, out: Path, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    if password:
        monkeypatch.setenv("UV_INDEX_CORP_USERNAME", "somebody")
        monkeypatch.setenv("UV_INDEX_CORP_PASSWORD", password)
    words = broken(built(PRIVATE, out, cache), "network-failed")
    assert "hunter-two" not in words
    assert "somebody" not in words


@pytest.mark.parametrize(
    "password",
    [pytest.param(CORP_PASSWORD, id="right"), pytest.param("hunter-two", id="wrong")],
)
def test_credentials_in_the_url_of_the_default_index_land_nowhere(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    default, *_ = roots()
    private = Root(DEFAULT, user=CORP_USER, password=CORP_PASSWORD, projects=default.projects)
    with Index(private) as index:
        for name, text in environment(index, cache=tmp_path / "uv").items():
            monkeypatch.setenv(name, text)
        address = DEFAULT.replace("://", f"://{CORP_USER}:{password}@")
        monkeypatch.setenv("UV_DEFAULT_INDEX", address)
        (outcome,) = built(SMALL, out, tmp_path / "cache")
    right = password == CORP_PASSWORD
    assert (outcome.verdict, outcome.solved) == ("ok", right)
    found = "\n".join([*texts(out).values(), *(each.text() for each in outcome.reasons)])
    assert password not in found
    assert f"{CORP_USER}:" not in found
