"""Environments from the files of a lock: what is installed runs, and what differs is refused."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib._bootstrap_external as external
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import condachannel
from mlenv.errors import HostError
from mlenv.host import conda_prefix
from mlenv.host.conda_laying import Artefact, lay, settle
from mlenv.host.http import Web

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from condachannel import Channel

STACK = ("python", "tzdata", "libgcc", "typing_extensions", "mlenv-demo")
FIRST = {"python": f"python-{condachannel.MINOR}", "typing_extensions": "typing_extensions-4.14.0"}


def artefacts(channel: Channel, *names: str, subdir: str = "linux-64") -> list[Artefact]:
    """Return what a lock would say of packages: of this Python, and of the first release."""
    found = []
    for name in names:
        keys = [each for each in channel.keys(name, subdir) if FIRST.get(name, "") in each]
        record = channel.records[keys[0]]
        url = f"{channel.url}/{keys[0]}"
        found.append(Artefact(url, record["sha256"], record["md5"]))
    return found


@pytest.fixture
def web() -> Iterator[Web]:
    with Web(offline=False, credentials=lambda _: None) as found:
        yield found


def make(wanted: list[Artefact], tmp_path: Path, web: Web, *, subdir: str = "linux-64") -> Path:
    prefix = tmp_path / "somewhere" / "env"
    conda_prefix.install(wanted, prefix, subdir=subdir, web=web, cache=tmp_path / "cache")
    return prefix


def said(*argv: object) -> str:
    done = subprocess.run([*map(str, argv)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.network
def test_what_is_installed_runs_and_says_where_it_came_from(
    conda_channel: Channel, tmp_path: Path, web: Web
) -> None:
    shown: list[str] = []
    prefix = tmp_path / "env"
    with condachannel.served(conda_channel) as channel:
        wanted = artefacts(channel, *STACK, "numpy")
        numpy = next(each for each in wanted if "/numpy-" in each.url)
        wanted[wanted.index(numpy)] = artefacts(channel, "numpy")[0]
        conda_prefix.install(
            wanted, prefix, subdir="linux-64", web=web, cache=tmp_path / "c", say=shown.append
        )
    assert said(prefix / "bin/mlenv-demo") == f"mlenv-demo {prefix}"
    assert said(prefix / "bin/whereami") == f"{prefix} {prefix}"
    assert shown[-1] == f"installing {len(wanted)} packages"
    record = json.loads((prefix / "conda-meta/mlenv-demo-1.0-pyhd8ed1ab_0.json").read_bytes())
    assert (record["channel"], record["url"]) == (
        f"{channel.url}/",
        artefacts(channel, "mlenv-demo")[0].url,
    )
    assert record["depends"] == ["python >=3.10", "typing_extensions"]
    for each in (prefix / "conda-meta").glob("*.json"):
        assert str(tmp_path).encode() not in each.read_bytes()
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith("mlenv-")] == []


def test_what_is_cached_needs_no_network(conda_stubs: Channel, tmp_path: Path, web: Web) -> None:
    with condachannel.served(conda_stubs) as channel:
        wanted = artefacts(channel, *STACK)
        prefix = make(wanted, tmp_path, web)
    before = sorted(each.name for each in (prefix / "conda-meta").iterdir())
    conda_prefix.remove(prefix)
    with Web(offline=True, credentials=lambda _: None) as offline:
        make(wanted, tmp_path, offline)
        assert sorted(each.name for each in (prefix / "conda-meta").iterdir()) == before
        more = [dataclasses.replace(wanted[0], sha256="0" * 64)]
        with pytest.raises(HostError, match="--offline"):
            make(more, tmp_path, offline)


def test_a_damaged_file_of_the_cache_is_fetched_again(
    conda_stubs: Channel, tmp_path: Path, web: Web
) -> None:
    with condachannel.served(conda_stubs) as channel:
        wanted = artefacts(channel, *STACK)
        make(wanted, tmp_path, web)
        damaged = conda_prefix.kept(wanted[0], tmp_path / "cache")
        damaged.write_bytes(b"cut")
        prefix = make(wanted, tmp_path, web)
    assert hashlib.sha256(damaged.read_bytes()).hexdigest() == wanted[0].sha256
    assert len(list((prefix / "conda-meta").glob("*.json"))) == len(wanted)


@pytest.mark.parametrize("http", [True, False], ids=["http", "file"])
def test_a_tampered_package_is_refused_and_nothing_has_changed(
    tmp_path: Path, web: Web, *, http: bool
) -> None:
    channel = condachannel.stubs(tmp_path / "channel")
    wanted = artefacts(channel, *STACK)
    prefix = make(wanted[:3], tmp_path, web)
    before = sorted(each.name for each in prefix.rglob("*"))
    # Another valid package under the name of the locked one: rattler takes it, by file://.
    victim, other = channel.path("mlenv-demo"), channel.path("tzdata")
    victim.write_bytes(other.read_bytes())
    with condachannel.served(channel) as served:
        place = served if http else channel
        changed = [
            dataclasses.replace(e, url=e.url.replace(channel.url, place.url)) for e in wanted
        ]
        with pytest.raises(HostError) as caught:
            make(changed, tmp_path, web)
    assert [each.code for each in caught.value.reasons] == ["hash-differs"]
    assert "mlenv-demo-1.0" in str(caught.value)
    assert sorted(each.name for each in prefix.rglob("*")) == before
    assert [each.name for each in prefix.parent.iterdir()] == ["env"]


def test_a_file_that_is_no_package_is_told(tmp_path: Path, web: Web) -> None:
    channel = condachannel.stubs(tmp_path / "channel")
    path = channel.path("mlenv-demo")
    path.write_bytes(path.read_bytes()[:200])
    found = artefacts(channel, "python", "mlenv-demo")
    found[1] = dataclasses.replace(found[1], sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(HostError) as caught:
        make(found, tmp_path, web)
    assert [each.code for each in caught.value.reasons] == ["conda-unreadable"]
    assert list((tmp_path / "somewhere").iterdir()) == []


def test_a_folder_of_the_users_is_left_alone(
    conda_stubs: Channel, tmp_path: Path, web: Web
) -> None:
    place = tmp_path / "somewhere" / "env"
    place.mkdir(parents=True)
    (place / "thesis.tex").write_text("mine")
    with pytest.raises(HostError, match="other files"):
        make(artefacts(conda_stubs, *STACK), tmp_path, web)
    assert (place / "thesis.tex").read_text() == "mine"


def test_another_architecture_is_laid_out_for_another_place(
    conda_stubs: Channel, tmp_path: Path
) -> None:
    wanted = artefacts(conda_stubs, *STACK, subdir="linux-aarch64")
    files = {
        conda_stubs.root / each.url.removeprefix(conda_stubs.url + "/"): each for each in wanted
    }
    found = lay(files, tmp_path / "p", target="/opt/env", subdir="linux-aarch64", scratch=tmp_path)
    assert [each.name for each in found] == sorted(STACK)
    demo = next(each for each in found if each.name == "mlenv-demo")
    assert (
        f"#!/opt/env/bin/python{condachannel.MINOR}" in (tmp_path / "p/bin/mlenv-demo").read_text()
    )
    assert (tmp_path / "p" / demo.record_path).read_bytes() == demo.record


@pytest.mark.network
def test_bytecode_goes_by_no_time_and_names_the_place_it_will_have(
    conda_channel: Channel, tmp_path: Path
) -> None:
    package = condachannel.Package(
        name="timed",
        version="1.0",
        build="py_0",
        subdir="linux-64",
        files={
            **shipped("fresh", b"VALUE = 1\n"),
            **shipped("stale", b"VALUE = 22\n", b"VALUE = 1\n"),
        },
    )
    own = condachannel.write([package], tmp_path / "own")
    wanted = [*artefacts(conda_channel, *STACK), *artefacts(own, "timed")]
    roots = {conda_channel.url: conda_channel.root, own.url: own.root}
    files = {
        root / each.url.removeprefix(f"{url}/"): each
        for each in wanted
        for url, root in roots.items()
        if each.url.startswith(f"{url}/")
    }
    prefix = tmp_path / "p"
    found = lay(files, prefix, target="/opt/env", subdir="linux-64", scratch=tmp_path)
    python = (str(prefix / "bin/python"),)
    added = {each.name: settle(prefix, "/opt/env", each, python) for each in found}
    site = f"lib/python{condachannel.MINOR}/site-packages"
    tag = f"cpython-{condachannel.MINOR.replace('.', '')}"
    assert added["mlenv-demo"] == (f"{site}/mlenv_demo/__pycache__/__init__.{tag}.pyc",)
    assert added["timed"] == (f"{site}/__pycache__/stale.{tag}.pyc",)
    for name in ("fresh", "stale"):
        head = (prefix / f"{site}/__pycache__/{name}.{tag}.pyc").read_bytes()[4:8]
        assert head == b"\1\0\0\0"
        (prefix / f"{site}/{name}.py").touch()
    assert (
        said(*python, "-B", "-c", "import fresh, stale; print(fresh.VALUE, stale.VALUE)") == "1 22"
    )
    compiled = (prefix / added["mlenv-demo"][0]).read_bytes()
    assert f"/opt/env/{site}/mlenv_demo/__init__.py".encode() in compiled
    assert str(tmp_path).encode() not in compiled


def shipped(
    name: str, source: bytes, compiled: bytes | None = None
) -> dict[str, bytes | tuple[str]]:
    """Return a module and the bytecode that its package brings: of itself, or of an older one."""
    site, tag = f"lib/python{condachannel.MINOR}/site-packages", sys.implementation.cache_tag
    text = source if compiled is None else compiled
    code = external._code_to_timestamp_pyc(  # type: ignore[attr-defined]
        compile(text, name, "exec"), 1_700_000_000, len(text)
    )
    return {f"{site}/{name}.py": source, f"{site}/__pycache__/{name}.{tag}.pyc": bytes(code)}
