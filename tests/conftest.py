"""Fixtures and rules of the whole suite: the loopback index, and which tests may be skipped."""

from __future__ import annotations

import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
import requests
import uv

import condachannel
import containers
import drive
import exporting
import imagery
from facts import roots
from loopback import Index, environment

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from condachannel import Channel
    from containers import Hub, Image

NEVER_SKIPPED = {"network", "engine", "registry", "slurm", "browser"}
"""Marks whose tests must run where ``MLENV_NO_SKIP=1`` is set; ``gpu`` excuses from it."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden",
        choices=("check", "write"),
        default="check",
        help="write: rewrite the golden folders, to be read as a diff",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "nightly" not in config.getoption("markexpr"):
        late = [item for item in items if item.get_closest_marker("nightly")]
        config.hook.pytest_deselected(items=late)
        items[:] = [item for item in items if item not in late]


def pytest_configure() -> None:
    # Whoever runs the tests may have refreshed the catalog: they are about the shipped one.
    cache = tempfile.mkdtemp(prefix="mlenv-tests-")
    os.environ["MLENV_CACHE_DIR"] = cache
    # What docker.io serves changes from day to day, and no test is to hang on that.
    own = Path(cache) / "registries.conf"
    os.environ["CONTAINERS_REGISTRIES_CONF"] = str(containers.nowhere(own))


def pytest_unconfigure() -> None:
    shutil.rmtree(os.environ["MLENV_CACHE_DIR"], ignore_errors=True)


@pytest.fixture(scope="session")
def index() -> Iterator[Index]:
    """Yield a running loopback index with all facts; ``environment(index)`` leads uv to it."""
    with Index(*roots()) as running:
        yield running


@pytest.fixture
def cache(index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lead uv and requests to the loopback index, with caches of this test's own."""
    for name, text in environment(index, cache=tmp_path / "uv-cache").items():
        monkeypatch.setenv(name, text)
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def shop() -> Iterator[Index]:
    """Yield an index with all facts, and the first process of an image."""
    default, *others = roots()
    for each in imagery.ARCHES:
        default.add(imagery.process(each))
    with Index(default, *others) as running:
        yield running


@pytest.fixture(scope="session")
def torch_folder(shop: Index, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that ``build`` left: torch for CUDA 12.6, from two indexes of ``shop``."""
    place = tmp_path_factory.mktemp("torch")
    with pytest.MonkeyPatch.context() as patch:
        for name, text in environment(shop, cache=place / "uv-cache").items():
            patch.setenv(name, text)
        (outcome,) = drive.built(
            exporting.TORCH, place / "out", place / "cache", facts=imagery.facts()
        )
    assert outcome.folder is not None, outcome.reasons
    return outcome.folder


@pytest.fixture
def hub() -> Iterator[Hub]:
    """Yield a running registry of this test's own, with nothing in it."""
    try:
        with containers.registry() as running:
            yield running
    except containers.Missing as error:
        _without(str(error))


@pytest.fixture
def mirrored(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """Lead docker.io and ghcr.io to ``hub``."""
    own = containers.registries_conf(tmp_path / "registries.conf", hub.port)
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(own))
    return hub


@pytest.fixture(scope="session")
def base_image() -> Image:
    """Return a base image like the official one: of Python 3.12, or of another that is here."""
    reasons = []
    for version in ("3.12", "3.11", "{}.{}".format(*sys.version_info)):
        try:
            return containers.base_image(version)
        except containers.Missing as error:
            reasons.append(str(error))
    return _without("; ".join(reasons))


@pytest.fixture(scope="session")
def conda_stubs(tmp_path_factory: pytest.TempPathFactory) -> Channel:
    """Return a conda channel that can be solved over and laid out; nothing in it runs."""
    return condachannel.stubs(tmp_path_factory.mktemp("conda-stubs"))


@pytest.fixture(scope="session")
def conda_channel(tmp_path_factory: pytest.TempPathFactory) -> Channel:
    """Return a conda channel whose Python and numpy run; its tests are marked ``network``."""
    try:
        return condachannel.runnable(tmp_path_factory.mktemp("conda-channel"))
    except containers.Missing as error:
        _without(str(error))


def _without(reason: str) -> NoReturn:
    """Skip what lacks a program; fail where all programs are to be there."""
    if os.environ.get("MLENV_NO_SKIP") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("network") is not None and (reason := _unreachable()):
        pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    marks = {mark.name for mark in item.iter_markers()}
    needed = sorted(marks & NEVER_SKIPPED)
    expected = "gpu" in marks or hasattr(report, "wasxfail")
    if report.skipped and needed and not expected and os.environ.get("MLENV_NO_SKIP") == "1":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{', '.join(needed)}: skipped under MLENV_NO_SKIP=1: {reason}"
    return report


@functools.cache
def _unreachable() -> str:
    """Return why uv's default index cannot be reached, or nothing; ask once a session."""
    argv = [uv.find_uv_bin(), "pip", "compile", "-", "--emit-index-url", "--no-header"]
    # Of nothing, and offline: uv only says which index its own configuration leads to.
    done = subprocess.run(
        [*argv, "--offline", "--quiet", "--python", sys.executable],
        input="",
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"^--index-url (\S+)$", done.stdout, re.MULTILINE)
    if found is None:
        return f"uv names no default index: {done.stderr.strip()}"
    try:
        status = requests.head(found[1], timeout=10, allow_redirects=True).status_code
    except requests.RequestException as error:
        return f"the default index cannot be reached: {type(error).__name__}"
    return "" if status < 500 else f"the default index answers {status}"


@pytest.fixture(autouse=True)
def no_leftovers(request: pytest.FixtureRequest) -> Iterator[None]:
    """End what a runner's test leaves running when its daemon or container is killed."""
    yield
    place = request.node.funcargs.get("tmp_path")
    if "runners" not in request.path.parts or place is None:
        return
    own = str(place).encode()
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # ended meanwhile
            if own in each.read_bytes() and int(each.parent.name) != os.getpid():
                os.kill(int(each.parent.name), signal.SIGKILL)
