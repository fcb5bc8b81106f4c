"""A refresh over the loopback index: what it reads, what comes of it, and what may go wrong."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import threading
import zipfile
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

import pytest
from packaging.version import Version

from archives import wheel
from facts import DEFAULT, PYTORCH, Root
from loopback import Behaviour, Index
from mlenv.catalog import kept, scope
from mlenv.catalog.load import load, shipped
from mlenv.cuda import Cuda
from mlenv.errors import HostError
from mlenv.solve.index import default_index
from renewing import (
    ARM,
    NOW,
    X86,
    after,
    lead,
    nothing,
    renewed,
    root,
    torch,
    wheels_read,
    with_http,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from facts import Mode

REPRESENTATIVES = {
    *(f"torch-{v}-cp312-cp312-{p}.whl" for v in ("2.8.0", "2.9.0") for p in (X86, ARM)),
    *(f"nvidia_cudnn_cu12-9.10.2.21-py3-none-{p}.whl" for p in (X86, ARM)),
    f"nvidia_cublas_cu12-12.8.4.1-py3-none-{X86}.whl",
}


MODES: tuple[tuple[Mode, bool], ...] = (
    *(("pypi", True), ("pypi", False)),
    *(("html", True), ("html", False)),
)
"""How the index answers, and whether it serves metadata beside wheels."""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    with Index(root(), Root(f"{PYTORCH}/cpu")) as running:
        lead(running, monkeypatch, tmp_path)
        yield running


def test_from_nothing_the_rows_are_those_of_the_index(own: Index, tmp_path: Path) -> None:
    found = renewed(tmp_path, nothing())
    packages = found.document.packages
    assert set(packages) == {"torch", "nvidia-cudnn-cu12", "nvidia-cublas-cu12", "flash-attn"}
    assert list(packages["torch"]) == ["2.8.0", "2.9.0"]
    assert packages["torch"]["2.9.0"] == {
        "date": "2025-10-15",
        "requires-python": ">=3.10",
        "wheels": {
            "aarch64": {"python": ["cp312"], "glibc": ["2.28"], "mb": 0.0},
            "x86_64": {"python": ["cp311", "cp312", "cp313"], "glibc": ["2.28"], "mb": 0.0},
        },
        "metadata": {
            "aarch64": {
                "file": f"torch-2.9.0-cp312-cp312-{ARM}.whl",
                "built-for": "cpu",
                "bundled": ["libcudart-e409450e.so.11.0"],
            },
            "x86_64": {
                "file": f"torch-2.9.0-cp312-cp312-{X86}.whl",
                "requires": {"nvidia-cudnn-cu12": "==9.10.2.21"},
                "built-for": "12.8",
                "bundled": ["libcudart-e409450e.so.11.0"],
            },
        },
    }
    assert packages["flash-attn"]["2.8.3"] == {
        "date": "2025-08-14",
        "requires-python": ">=3.9",
        "sdist": True,
    }
    assert packages["nvidia-cudnn-cu12"]["9.10.2.21"]["metadata"]["x86_64"]["bundled"] == [
        "libcudnn.so.9"
    ]
    assert found.document.scanned == "2025-10-15T12:00:00Z"
    assert wheels_read(own) == REPRESENTATIVES
    assert all(each.code == "network-failed" for each in found.warnings)
    left_out = {"triton is left out" in each.cause for each in found.warnings}
    assert left_out == {True, False}


def test_at_once_again_one_request_a_page_and_the_same_bytes(own: Index, tmp_path: Path) -> None:
    first = renewed(tmp_path, nothing())
    own.hits.clear()
    second = renewed(tmp_path, after(first), now="2026-02-02T00:00:00Z")
    assert wheels_read(own) == set()
    pages = [hit.url for hit in own.hits if "index.example" in hit.url]
    assert len(pages) == len(set(pages)) == len(scope.SEEDS) + 2
    assert not second.changed
    assert kept.packed(second.document) == kept.packed(first.document)


def test_one_new_release_costs_exactly_its_wheels(own: Index, tmp_path: Path) -> None:
    first = renewed(tmp_path, nothing())
    own.roots[DEFAULT].add(torch("2.9.1", "cp312"), uploaded="2025-11-12")
    own.roots[DEFAULT].add(torch("2.9.1", "cp313"), uploaded="2025-11-12")
    own.hits.clear()
    second = renewed(tmp_path, after(first))
    assert wheels_read(own) == {f"torch-2.9.1-cp312-cp312-{X86}.whl"}
    assert second.document.scanned == "2025-11-12T12:00:00Z"
    before, now = first.document.packages["torch"], second.document.packages["torch"]
    assert {key: now[key] for key in before} == before
    assert list(now) == [*before, "2.9.1"]


def test_a_yank_and_a_new_wheel_of_a_known_release_cost_no_read(own: Index, tmp_path: Path) -> None:
    first = renewed(tmp_path, nothing())
    default = own.roots[DEFAULT]
    shown = default.projects["flash-attn"]
    for name, each in shown.items():
        shown[name] = replace(each, yanked="it was a mistake")
    default.add(torch("2.9.0", "cp314"), uploaded="2025-10-20")
    own.hits.clear()
    second = renewed(tmp_path, after(first))
    assert wheels_read(own) == set()
    assert second.document.packages["flash-attn"]["2.8.3"]["yanked"] == "it was a mistake"
    wheels = second.document.packages["torch"]["2.9.0"]["wheels"]["x86_64"]
    assert wheels["python"] == ["cp311", "cp312", "cp313", "cp314"]
    assert second.document.scanned == "2025-10-20T12:00:00Z"


def test_what_no_upload_dates_is_of_now(own: Index, tmp_path: Path) -> None:
    first = renewed(tmp_path, nothing())
    shown = own.roots[DEFAULT].projects["flash-attn"]
    for name, each in shown.items():
        shown[name] = replace(each, yanked="it was a mistake")
    assert renewed(tmp_path, after(first)).document.scanned == NOW


@pytest.mark.parametrize("status", [500, 404])
def test_a_page_that_fails_leaves_the_former_facts(own: Index, tmp_path: Path, status: int) -> None:
    first = renewed(tmp_path, nothing())
    own.roots[DEFAULT].add(torch("2.9.1", "cp312"), uploaded="2025-11-12")
    with own.behaving(Behaviour(broken={"index.example/simple/torch": status})):
        second = renewed(tmp_path, after(first))
    assert second.document.packages["torch"] == first.document.packages["torch"]
    (said,) = [e for e in second.warnings if e.what.endswith("/torch/") and "simple" in e.what]
    assert said.cause.endswith("the former facts of torch stay")


def test_an_empty_page_leaves_the_former_facts(own: Index, tmp_path: Path) -> None:
    first = renewed(tmp_path, nothing())
    pre = own.roots[DEFAULT].projects["torch"]
    own.roots[DEFAULT].projects["torch"] = {"README": next(iter(pre.values()))}
    second = renewed(tmp_path, after(first))
    assert second.document.packages["torch"] == first.document.packages["torch"]
    assert any("it lists no file" in each.cause for each in second.warnings)


def test_where_nothing_can_be_read_the_refresh_fails(own: Index, tmp_path: Path) -> None:
    with own.behaving(Behaviour(broken={"index.example": 404})), pytest.raises(HostError) as error:
        renewed(tmp_path, nothing())
    assert error.value.reasons[0].code == "network-failed"
    assert error.value.exit_status == 4


def test_pages_in_json_and_in_html_give_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for mode, metadata in MODES:
        with Index(root(mode), Root(f"{PYTORCH}/cpu")) as running:
            cache = tmp_path / f"{mode}-{metadata}"
            lead(running, monkeypatch, cache)
            with running.behaving(Behaviour(metadata=metadata)):
                found.append(kept.packed(renewed(cache, nothing()).document))
    assert len(set(found)) == 1


def test_a_page_without_times_dates_a_release_when_it_is_first_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Index(root("pytorch"), Root(f"{PYTORCH}/cpu")) as running:
        lead(running, monkeypatch, tmp_path)
        first = renewed(tmp_path, nothing())
        assert first.document.packages["torch"]["2.9.0"]["date"] == NOW[:10]
        second = renewed(tmp_path, after(first), now="2026-03-03T00:00:00Z")
    assert not second.changed


def test_with_packages_named_only_those_are_asked_for(own: Index, tmp_path: Path) -> None:
    first = renewed(tmp_path, nothing())
    own.hits.clear()
    second = renewed(tmp_path, after(first), "torch")
    assert [hit.url for hit in own.hits] == [f"{DEFAULT}/torch/"]
    assert second.document == first.document


def test_a_refresh_that_was_killed_goes_on_where_it_was(own: Index, tmp_path: Path) -> None:
    run = [sys.executable, "-m", "mlenv", "catalog", "refresh", "--anew"]
    cache = tmp_path / "mlenv" / "catalog"
    with own.behaving(Behaviour(delay_seconds=0.15)):
        job = subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while job.poll() is None and len(wheels_read(own)) < 2:
            threading.Event().wait(0.02)
        job.send_signal(signal.SIGINT)
        said = job.communicate()[1]
    assert job.returncode == 130, said
    assert "error[interrupted]" in said
    assert not (cache / kept.ROWS).exists()
    seen = {path.stem.partition(".")[0] for path in cache.glob("wheels/*/*.json")}
    assert seen
    own.hits.clear()
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (cache / kept.ROWS).exists()
    assert f"{DEFAULT}/torch/" not in {hit.url for hit in own.hits}
    assert len(wheels_read(own)) == len(REPRESENTATIVES) - len(seen)
    assert list((cache / "pages").iterdir()) == []


# --- hostile sources --------------------------------------------------------------------------


def bombed() -> bytes:
    """Return a wheel whose METADATA unpacks to 64 MiB."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("torch-2.9.1.dist-info/METADATA", bytes(64 << 20))
    return packed.getvalue()


def test_a_bomb_in_place_of_a_wheel_leaves_that_release_out(own: Index, tmp_path: Path) -> None:
    one = replace(torch("2.9.1", "cp312"), content=bombed())
    own.roots[DEFAULT].add(one, uploaded="2025-11-12")
    found = renewed(tmp_path, nothing(), "torch")
    assert list(found.document.packages["torch"]) == ["2.8.0", "2.9.0"]
    (said,) = found.warnings
    assert "more than is read of one file; torch 2.9.1 is left out" in said.cause


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files: ClassVar[Mapping[str, bytes]]

    def do_GET(self) -> None:
        data = self.files.get(self.path)
        self.send_response(404 if self.files and data is None else 200)
        if self.files:
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write(data or b"")
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        block = b"%x\r\n" % (1 << 20) + bytes(1 << 20) + b"\r\n"
        try:
            while True:
                self.wfile.write(block)
        except ConnectionError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(files: Mapping[str, bytes]) -> Iterator[str]:
    """Serve ``files`` without range reads; where there are none, answer for ever."""
    handler = type("Handler", (_Handler,), {"files": files})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def page(files: list[dict[str, object]]) -> bytes:
    return json.dumps({"meta": {"api-version": "1.1"}, "files": files}).encode()


def test_an_index_that_lies_about_sizes_is_not_believed(tmp_path: Path) -> None:
    one = torch("2.9.0", "cp312")
    row = {"filename": one.filename, "url": "../w.whl", "size": 7, "yanked": False}
    with serving({"/s/torch/": page([row]), "/s/w.whl": one.content}) as url:
        found = renewed(tmp_path, nothing(), "torch", index=f"{url}/s")
    assert found.document.packages["torch"] == {}
    assert "but the index says that it has 7" in found.warnings[0].cause


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b'{"files": 3}', id="json of another shape"),
        pytest.param(b'{"files": [{"filename": 3}]}', id="a name that is a number"),
        pytest.param(b"{" * 100_000, id="deep nesting"),
        pytest.param(b"<p>please log in</p>", id="a captive portal"),
    ],
)
def test_a_page_that_is_none_leaves_the_former_facts(tmp_path: Path, text: bytes) -> None:
    former = replace(nothing(), raw={"torch": {"2.9.0": {"date": "2025-10-15"}}})
    good = page([])
    with serving({"/s/torch/": text, "/s/triton/": good}) as url:
        found = renewed(tmp_path, former, "torch", "triton", index=f"{url}/s")
    assert found.document.packages["torch"] == former.raw["torch"]
    assert found.warnings[0].cause.endswith("the former facts of torch stay")


def test_an_endless_page_ends(tmp_path: Path) -> None:
    with serving({}) as url, pytest.raises(HostError) as error:
        renewed(tmp_path, nothing(), "torch", index=url)
    assert "it answered with more than" in error.value.reasons[0].cause


# --- the frameworks' own indexes --------------------------------------------------------------


def own_index(tag: str, *platforms: str) -> Root:
    found = Root(f"{PYTORCH}/{tag}", "pytorch")
    for platform in platforms:
        found.add(wheel("torch", f"2.9.0+{tag}", tag=f"cp312-cp312-{platform}"))
    return found


def test_the_own_index_overrides_the_curated_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = root()
    default.add(wheel("cuda-toolkit", "13.9.0"), uploaded="2025-11-01")
    default.add(wheel("nvidia-cuda-crt", "13.9.1"), uploaded="2025-11-01")
    newest = own_index("cu139", X86)
    with Index(default, own_index("cu128", X86, ARM), newest) as running:
        lead(running, monkeypatch, tmp_path)
        raw = {"cuda-toolkit": {"13.9.0": {"date": "2025-11-01"}}}
        found = renewed(tmp_path, with_http(replace(nothing(), raw=raw)))
    catalog = after(found)
    at = Version("2.9.0")
    toolkits, cited = catalog.variants("torch", at)
    assert toolkits == (Cuda(12, 8), Cuda(13, 9))
    assert cited.startswith("its own index, published metadata")
    assert catalog.variants("torch", at, "aarch64")[0] == (Cuda(12, 8),)
    assert catalog.variants("torch", Version("2.8.0"))[0] == ()
    assert shipped().variants("torch", at, "aarch64") == ((), "")


def test_an_own_index_out_of_reach_is_said_once(own: Index, tmp_path: Path) -> None:
    with own.behaving(Behaviour(broken={"download.pytorch.org": 502})):
        found = renewed(tmp_path, nothing())
        asked = [hit for hit in own.hits if "download.pytorch.org" in hit.url]
    assert len({hit.url for hit in asked}) == 1
    said = [each for each in found.warnings if "download.pytorch.org" in each.what]
    assert len(said) == 1
    assert said[0].cause.endswith("the former facts about the index of torch stay")
    assert after(found).variants("torch", Version("2.9.1"))[0] != ()


# --- the real index ---------------------------------------------------------------------------


@pytest.mark.network
def test_the_real_index_gives_the_shipped_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLENV_CACHE_DIR", str(tmp_path / "mlenv"))
    names = ("nvidia-cublas-cu11", "nvidia-nccl-cu13", "jax-cuda13-plugin")
    found = renewed(tmp_path, shipped(), *names, index=default_index(), anew=True)
    assert found.warnings == ()
    assert found.wheels >= 60
    for name in names:
        for version, row in load().raw[name].items():
            new = found.document.packages[name][version]
            for key in ("date", "requires-python", "metadata"):
                assert new.get(key) == row.get(key), (name, version, key)
