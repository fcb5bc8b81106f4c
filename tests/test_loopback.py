from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import tomllib
from typing import TYPE_CHECKING

import pytest
import requests
import uv

import facts
from loopback import Behaviour, Index, Root, environment, wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
BEFORE_314 = pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="torch 2.8.0 has no wheel for this Python"
)
PYPROJECT = """
[project]
name = "stack"
version = "0"
requires-python = "=={python}.*"
dependencies = {dependencies}

[tool.uv]
package = false
environments = ["sys_platform == 'linux' and platform_machine == 'x86_64'"]
{more}
"""
CHANNEL = """
[[tool.uv.index]]
name = "channel"
url = "{url}"
explicit = true
[tool.uv.sources]
{name} = {{ index = "channel" }}
"""


def run_uv(index: Index, folder: Path, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    argv = (uv.find_uv_bin(), *argv, "--python", sys.executable)
    env = {**os.environ, "NO_COLOR": "1", **environment(index), **env}
    return subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False)


def lock(
    index: Index, folder: Path, *dependencies: str, more: str = "", **env: str
) -> tuple[int, str, str]:
    text = PYPROJECT.format(python=PYTHON, dependencies=json.dumps(dependencies), more=more)
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    done, written = run_uv(index, folder, "lock", **env), folder / "uv.lock"
    return done.returncode, done.stderr, written.read_text() if written.exists() else ""


def versions(text: str) -> dict[str, str]:
    return {each["name"]: each["version"] for each in tomllib.loads(text)["package"]}


def fetch(index: Index, url: str, **headers: str) -> requests.Response:
    proxies = {"http": index.url}
    with requests.Session() as session:
        return session.get(url, headers=headers, proxies=proxies, timeout=10)


@pytest.fixture
def small() -> Iterator[Index]:
    plain, pytorch, mirror = (
        Root("http://index.example/simple"),
        Root(f"{facts.PYTORCH}/cpu", "pytorch"),
        Root(facts.MIRROR, "html"),
    )
    for root in (plain, pytorch, mirror):
        root.add(wheel("example-tiny", "1.0"))
        root.add(wheel("example-tiny", "2.0"), uploaded="2025-09-01")
        root.add(wheel("example-tiny", "3.0"), yanked="wrong")
        root.add(wheel("example-user", "1.0", ["example-tiny"]))
    with Index(plain, pytorch, mirror) as running:
        yield running


@pytest.mark.parametrize(
    ("url", "size", "time"),
    [
        pytest.param(facts.DEFAULT, True, True, id="json tells size and time"),
        pytest.param(f"{facts.PYTORCH}/cpu", False, False, id="pytorch tells neither"),
        pytest.param(facts.MIRROR, False, True, id="a mirror tells the time only"),
    ],
)
def test_lock_holds_what_the_mode_tells(
    small: Index, tmp_path: Path, url: str, *, size: bool, time: bool
) -> None:
    status, stderr, text = lock(small, tmp_path, "example-user", UV_DEFAULT_INDEX=url)
    assert status == 0, stderr
    assert versions(text)["example-tiny"] == "2.0"
    assert (url in text, "127.0.0.1" in text) == (True, False)
    assert ("size = " in text, "upload-time = " in text) == (size, time)
    assert [hit.url for hit in small.hits if hit.url.endswith(".whl")] == []


def test_exclude_newer_needs_upload_times(small: Index, tmp_path: Path) -> None:
    more = 'exclude-newer = "2025-08-01T00:00:00Z"'
    status, stderr, text = lock(small, tmp_path, "example-tiny", more=more)
    assert (status, versions(text)["example-tiny"]) == (0, "1.0"), stderr
    (tmp_path / "uv.lock").unlink()
    url = f"{facts.PYTORCH}/cpu"
    status, stderr, _ = lock(small, tmp_path, "example-tiny", more=more, UV_DEFAULT_INDEX=url)
    assert status != 0
    assert "upload date" in stderr


@pytest.mark.parametrize(
    ("url", "status"),
    [
        pytest.param(facts.DEFAULT, 404, id="404 as PyPI"),
        pytest.param(f"{facts.PYTORCH}/cpu", 403, id="403 as PyTorch"),
        pytest.param(facts.MIRROR, 404, id="404 as a mirror"),
        pytest.param("http://elsewhere.example/simple", 502, id="502 for a host it does not play"),
    ],
)
def test_unknown_project(small: Index, url: str, status: int) -> None:
    assert fetch(small, f"{url}/nothing/").status_code == status


def test_html_is_for_those_who_accept_nothing_else(small: Index) -> None:
    url = f"{facts.DEFAULT}/example-tiny/"
    asked = fetch(small, url, Accept="application/vnd.pypi.simple.v1+json")
    assert {"size", "upload-time", "hashes", "core-metadata"} <= set(asked.json()["files"][0])
    assert fetch(small, url, Accept="text/html").headers["Content-Type"] == "text/html"
    yanked = re.findall(r"data-yanked=.wrong", fetch(small, url, Accept="text/html").text)
    assert len(yanked) == 1


def test_without_metadata_uv_reads_ranges(small: Index, tmp_path: Path) -> None:
    with small.behaving(Behaviour(metadata=False)):
        status, stderr, _ = lock(small, tmp_path, "example-user")
    assert status == 0, stderr
    hits = [hit for hit in small.hits if hit.url.endswith(".whl")]
    assert {hit.status for hit in hits if hit.range is not None} == {206}
    assert not [hit for hit in small.hits if hit.url.endswith(".metadata")]


def test_without_ranges_uv_reads_the_wheel(small: Index, tmp_path: Path) -> None:
    with small.behaving(Behaviour(metadata=False, ranges=False)):
        status, stderr, _ = lock(small, tmp_path, "example-user")
    assert status == 0, stderr
    assert {hit.status for hit in small.hits} == {200}


@pytest.mark.parametrize(
    ("asked", "status", "start", "stop"),
    [
        pytest.param("bytes=0-3", 206, 0, 4, id="closed"),
        pytest.param("bytes=5-", 206, 5, None, id="open"),
        pytest.param("bytes=-7", 206, -7, None, id="suffix"),
        pytest.param("bytes=-999999", 206, 0, None, id="suffix longer than the file"),
        pytest.param("bytes=3-999999", 206, 3, None, id="cut at the end"),
        pytest.param("bytes=0-1,4-5", 200, 0, None, id="several ranges give the whole"),
        pytest.param("bytes=-", 200, 0, None, id="malformed gives the whole"),
        pytest.param("bytes=999999-", 416, 0, 0, id="beyond the end"),
    ],
)
def test_ranges(small: Index, asked: str, status: int, start: int, stop: int | None) -> None:
    whole = wheel("example-tiny", "1.0")
    url = f"{facts.DEFAULT}/example-tiny/{whole.filename}"
    reply = fetch(small, url, Range=asked)
    assert (reply.status_code, reply.content) == (status, whole.content[start:stop])
    size = len(whole.content)
    said = reply.headers.get("Content-Range")
    first, last, _ = slice(start, stop).indices(size)
    expected = {206: f"bytes {first}-{last - 1}/{size}", 416: f"bytes */{size}"}
    assert said == expected.get(status)


def test_a_broken_index_is_a_breakdown_not_a_conflict(small: Index, tmp_path: Path) -> None:
    with small.behaving(Behaviour(broken={"index.example/simple": 500})):
        assert lock(small, tmp_path, "example-tiny")[0] == 2
    assert lock(small, tmp_path, "example-tiny==9")[0] == 1


def test_a_broken_prefix_leaves_the_rest(small: Index) -> None:
    with small.behaving(Behaviour(broken={"/whl/cpu": 503}, delay_seconds=0.05)):
        assert fetch(small, f"{facts.PYTORCH}/cpu/example-tiny/").status_code == 503
        reply = fetch(small, f"{facts.DEFAULT}/example-tiny/")
    assert (reply.status_code, reply.elapsed.total_seconds() >= 0.05) == (200, True)
    assert [hit.status for hit in small.hits] == [503, 200]


@pytest.mark.parametrize(
    ("password", "opens"),
    [
        pytest.param(facts.CORP_PASSWORD, True, id="right"),
        pytest.param("wrong", False, id="wrong"),
        pytest.param("", False, id="empty"),
    ],
)
def test_auth(index: Index, tmp_path: Path, password: str, *, opens: bool) -> None:
    env = {"UV_INDEX_CHANNEL_USERNAME": facts.CORP_USER, "UV_INDEX_CHANNEL_PASSWORD": password}
    more = CHANNEL.format(url=facts.CORP, name="corp-tools")
    status, stderr, text = lock(index, tmp_path, "corp-tools", more=more, **env)
    assert (status == 0) is opens, stderr
    assert facts.CORP_PASSWORD not in text
    assert fetch(index, f"{facts.CORP}/corp-tools/").status_code == 401


def test_environment_leads_requests_too(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in environment(index).items():
        monkeypatch.setenv(name, text)
    assert requests.get(f"{facts.DEFAULT}/torch/", timeout=10).status_code == 200
    # NO_PROXY: loopback itself is asked without the proxy, and the index answers by path alone.
    assert requests.head(f"{index.url}/whl/cu126/torch/", timeout=10).status_code == 200


def test_closes_although_a_client_holds_its_connection() -> None:
    before = set(threading.enumerate())
    with requests.Session() as session:
        with Index(Root(facts.DEFAULT)) as index:
            session.get(f"{index.url}/simple/nothing/", timeout=10)
            during = set(threading.enumerate()) - before
        assert (len(during), during & set(threading.enumerate())) == (2, set())


@BEFORE_314
@pytest.mark.parametrize(
    ("channel", "runtime", "nvrtc"),
    [
        pytest.param("cu126", "12.6.77", "12.6.77", id="cu126"),
        pytest.param("cu128", "12.8.90", "12.8.93", id="cu128"),
        pytest.param("cu129", "12.9.79", "12.9.86", id="cu129"),
        pytest.param("cpu", None, None, id="cpu"),
    ],
)
def test_torch_of_a_channel(
    index: Index, tmp_path: Path, channel: str, runtime: str | None, nvrtc: str | None
) -> None:
    more = CHANNEL.format(url=f"{facts.PYTORCH}/{channel}", name="torch")
    status, stderr, text = lock(index, tmp_path, "torch==2.8.0", "lightning", more=more)
    assert status == 0, stderr
    held = versions(text)
    assert held["torch"] == f"2.8.0+{channel}"
    assert held.get("nvidia-cuda-runtime-cu12") == runtime
    assert held.get("nvidia-cuda-nvrtc-cu12") == nvrtc
    assert "127.0.0.1" not in text


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param(("torch==2.9.1", "torchvision", "torchaudio"), id="torch"),
        pytest.param(("jax[cuda12]",), id="jax on CUDA 12"),
        pytest.param(("jax[cuda13]",), id="jax on CUDA 13"),
        pytest.param(("tensorflow[and-cuda]",), id="tensorflow"),
        pytest.param(("torch==2.9.1", "jax[cuda12]", "tensorflow[and-cuda]"), id="all three"),
        pytest.param(("cuda-toolkit[all]==12.9.1",), id="a toolkit"),
        pytest.param(("hydra-core==1.3.2",), id="hydra, with its sdist"),
    ],
)
def test_every_pin_resolves(index: Index, tmp_path: Path, wanted: tuple[str, ...]) -> None:
    status, stderr, _ = lock(index, tmp_path, *wanted)
    assert status == 0, stderr


def test_constraints_have_something_to_choose_from(index: Index, tmp_path: Path) -> None:
    more = 'constraint-dependencies = ["nvidia-cuda-nvcc-cu12==12.6.*", "nvidia-cudnn-cu12<9.13"]'
    status, stderr, text = lock(index, tmp_path, "jax[cuda12]", more=more)
    assert status == 0, stderr
    held = versions(text)
    assert (held["nvidia-cuda-nvcc-cu12"], held["nvidia-cudnn-cu12"]) == ("12.6.85", "9.10.2.21")


def test_no_build_refuses_an_sdist(index: Index, tmp_path: Path) -> None:
    status, stderr, _ = lock(index, tmp_path, "hydra-core", more="no-build = true")
    assert status == 1
    assert "antlr4-python3-runtime" in stderr
