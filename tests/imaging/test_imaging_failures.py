"""Route 1 where something breaks: what is said, what is left, and that the next run mends it."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

import imagery
from containers import Image, registries_conf
from faultyregistry import Proxy, Turn, faulty
from imagery import PYTHON
from loopback import Behaviour, Index, environment, wheel
from mlenv.errors import Exit, HostError
from mlenv.host import registry_wire
from mlenv.host.room import check_room, free_bytes
from mlenv.imaging.locked import locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from containers import Hub

pytestmark = pytest.mark.registry

FOREVER = 10**9


@dataclasses.dataclass(slots=True, kw_only=True)
class Site:
    """A registry behind a proxy, an index, and a folder that is locked."""

    hub: Hub
    proxy: Proxy
    index: Index
    folder: Path
    cache: Path

    def push(self) -> str:
        return f"{self.proxy.address}/me/small:1"


@pytest.fixture
def site(mirrored: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(registry_wire, "_BACKOFF_SECONDS", 0.01)
    imagery.publish(mirrored, imagery.base(tmp_path / "base"))
    with Index(imagery.shelf()) as index, faulty(mirrored.port) as proxy:
        for name, text in environment(index, cache=tmp_path / "uv-cache").items():
            monkeypatch.setenv(name, text)
        cache = tmp_path / "cache"
        folder = imagery.lock(tmp_path / "out", cache)
        yield Site(hub=mirrored, proxy=proxy, index=index, folder=folder, cache=cache)


@pytest.mark.parametrize(
    ("turn", "code", "resent"),
    [
        pytest.param(Turn("POST /v2/me/", 500, FOREVER), "registry-failed", True, id="500 to all"),
        pytest.param(Turn(r"PUT .*/manifests/", 503, FOREVER), "registry-failed", False, id="tag"),
        pytest.param(Turn("POST /v2/me/", 401, FOREVER), "registry-denied", True, id="401"),
        pytest.param(
            Turn("PATCH|PUT .*uploads", "half", FOREVER), "registry-failed", True, id="half"
        ),
        pytest.param(
            Turn(r"PUT .*uploads", "drop", FOREVER), "registry-failed", True, id="dropped"
        ),
        pytest.param(Turn(r"HEAD .*/blobs/", 403, FOREVER), "registry-denied", True, id="no look"),
    ],
)
def test_what_a_registry_does_not_take_has_no_tag_and_goes_through_later(
    site: Site, turn: Turn, code: str, *, resent: bool
) -> None:
    site.proxy.turns.append(turn)
    with pytest.raises(HostError) as caught:
        imagery.make(site.folder, site.cache, push=site.push())
    assert (caught.value.reasons[0].code, caught.value.exit_status) == (code, Exit.BROKEN)
    assert "hunter2" not in str(caught.value)
    assert imagery.tags(site.hub, "me/small") == []
    site.proxy.turns.clear()
    made = imagery.make(site.folder, site.cache, push=site.push())
    assert not any(each.new for each in made.layers)
    assert imagery.pull(site.hub, "me/small", "1").digest == made.digest
    assert made.sent is not None
    assert (made.sent > 0) == resent


def test_what_breaks_off_once_is_no_failure(site: Site, tmp_path: Path) -> None:
    site.proxy.turns += [Turn("PUT .*uploads", "half"), Turn("PUT .*uploads", "lost")]
    site.proxy.turns += [Turn("POST", 502), Turn("PUT .*manifests", "lost")]
    made = imagery.make(site.folder, site.cache, push=site.push())
    assert imagery.pull(site.hub, "me/small", "1").digest == made.digest
    again = imagery.make(site.folder, tmp_path / "other", output=tmp_path / "x.tar")
    assert again.digest == made.digest


def test_a_base_that_is_gone_is_told_in_words(site: Site) -> None:
    base = locked(site.folder).lock.base
    assert base is not None
    url = f"http://{site.hub.address}/v2/library/python/manifests/{base.digest}"
    with imagery.session() as session:
        assert session.delete(url, timeout=30).status_code == 202
    with pytest.raises(HostError) as caught:
        imagery.make(site.folder, site.cache, push=site.push())
    (reason,) = caught.value.reasons
    assert (reason.code, caught.value.exit_status) == ("registry-failed", Exit.BROKEN)
    assert f"python:{imagery.BASE_TAG}" in reason.what
    assert "MANIFEST_UNKNOWN" in reason.cause
    assert imagery.tags(site.hub, "me/small") == []


def test_a_tag_that_is_not_there_is_told_in_words(
    hub: Hub, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = imagery.lock(tmp_path / "out", cache, _SMALL)  # no registry is reached: by tag only
    conf = registries_conf(tmp_path / "own.conf", hub.port)
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(conf))
    with pytest.raises(HostError) as caught:
        imagery.make(folder, cache, output=tmp_path / "x.tar")
    (reason,) = caught.value.reasons
    assert (reason.code, caught.value.exit_status) == ("registry-failed", Exit.BROKEN)
    assert imagery.BASE_TAG in reason.what
    assert "check the name and the tag" in reason.fix
    assert not (tmp_path / "x.tar").exists()


_SMALL = f'name = "small"\npython = "{PYTHON}"\ncuda = "cpu"\npackages = ["example-tiny"]\n'


@pytest.mark.parametrize(
    ("base", "cause"),
    [
        pytest.param(
            lambda at: imagery.base(at, python="3.9"), "its Pythons are: 3.9", id="another Python"
        ),
        pytest.param(
            lambda at: imagery.base(at, glibc=None, musl=True), "it has no glibc", id="musl"
        ),
        pytest.param(
            lambda at: imagery.base(at, glibc="2.17-1"), "its glibc is 2.17", id="an old glibc"
        ),
        pytest.param(
            lambda at: imagery.base(at, config={"OnBuild": ["RUN true"]}), "ONBUILD", id="triggers"
        ),
    ],
)
def test_a_base_that_does_not_fit_is_refused(
    site: Site, tmp_path: Path, base: Callable[[Path], Image], cause: str
) -> None:
    imagery.publish(site.hub, base(tmp_path / "another"))
    folder = imagery.lock(tmp_path / "out", site.cache, repin=True)
    site.index.hits.clear()
    with pytest.raises(HostError) as caught:
        imagery.make(folder, site.cache, push=site.push())
    (reason,) = caught.value.reasons
    assert (reason.code, caught.value.exit_status) == ("base-unusable", Exit.IMAGE)
    assert cause in reason.cause
    assert reason.what.startswith(f"python:{imagery.BASE_TAG}")
    assert not site.index.hits  # before a wheel was asked for


def test_a_wheel_that_was_tampered_with_is_in_no_layer(site: Site) -> None:
    shelf = next(iter(site.index.roots.values()))
    files = shelf.projects["example-light"]
    name = "example_light-1.0-py3-none-any.whl"
    good = files[name]
    bad = wheel("example-light", "1.0", files={"example_light.py": "import os  # evil\n"})
    files[name] = dataclasses.replace(good, artefact=bad)
    with pytest.raises(HostError) as caught:
        imagery.make(site.folder, site.cache, push=site.push())
    (reason,) = caught.value.reasons
    assert (reason.code, caught.value.exit_status) == ("hash-differs", Exit.BROKEN)
    assert name in reason.what
    assert imagery.tags(site.hub, "me/small") == []
    kept = "".join(p.read_text("utf-8") for p in (site.cache / "images" / "layers").iterdir())
    blobs = list((site.cache / "images" / "blobs" / "sha256").iterdir())
    assert len([each for each in blobs if each.name in kept]) == kept.count('"digest"')
    assert not [each for each in blobs if each.name.startswith(".")]
    files[name] = good
    made = imagery.make(site.folder, site.cache, push=site.push())
    layer = next(each for each in made.layers if "example-light" in each.text)
    assert layer.new
    assert all(b"evil" not in data for _, data in imagery.pull(site.hub, "me/small", "1").texts())


def test_a_disk_without_room_is_told_before_anything_is_asked(site: Site, tmp_path: Path) -> None:
    place = site.folder / "mlenv.lock"
    text = place.read_text("utf-8")
    head, mark, tail = text.rpartition("size = ")
    place.write_text(f"{head}{mark}{free_bytes(tmp_path)}{tail}", "utf-8")
    site.index.hits.clear()
    with pytest.raises(HostError) as caught:
        imagery.make(site.folder, site.cache, push=site.push())
    (reason,) = caught.value.reasons
    assert (reason.code, caught.value.exit_status) == ("disk-full", Exit.BROKEN)
    assert "GB are free" in reason.cause
    assert "mlenv clean" in reason.fix
    assert (site.proxy.asked, site.index.hits) == ([], [])
    place.write_text(text, "utf-8")
    check_room(tmp_path / "not" / "there", 1, "one byte")


def command(site: Site, tmp_path: Path, *words: str) -> subprocess.Popen[str]:
    temporary = tmp_path / "temporary"
    temporary.mkdir(exist_ok=True)
    env = {**os.environ, "MLENV_CACHE_DIR": str(site.cache), "TMPDIR": str(temporary)}
    argv = [sys.executable, "-c", "import sys; from mlenv.cli import main; sys.exit(main())"]
    return subprocess.Popen(
        [*argv, "image", str(site.folder), "--engine", "none", *words],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(what: Callable[[], bool], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_one_that_was_killed_is_made_anew_and_is_the_same(site: Site, tmp_path: Path) -> None:
    output = tmp_path / "x.tar"
    records = site.cache / "images" / "layers"
    with site.index.behaving(Behaviour(delay_seconds=0.5)):
        run = command(site, tmp_path, "--output", str(output))
        wait_for(lambda: records.is_dir() and len(list(records.iterdir())) > 0)
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
    assert run.returncode == -signal.SIGKILL
    assert not output.exists()
    run = command(site, tmp_path, "--output", str(output))
    said = run.communicate()
    assert run.returncode == 0, said
    whole = imagery.make(site.folder, tmp_path / "fresh", output=tmp_path / "y.tar")
    assert output.read_bytes() == (tmp_path / "y.tar").read_bytes()
    assert whole.digest is not None


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_one_that_was_interrupted_leaves_nothing_half_written(
    site: Site, tmp_path: Path, ending: signal.Signals
) -> None:
    place = tmp_path / "there"
    with site.index.behaving(Behaviour(delay_seconds=1.5)):
        run = command(site, tmp_path, "--output", str(place / "x.tar"))
        wait_for(lambda: any((tmp_path / "temporary").glob("mlenv-*")))
        time.sleep(0.3)
        run.send_signal(ending)
        begun = time.monotonic()
        said = run.communicate(timeout=60)
        took = time.monotonic() - begun
    assert run.returncode == Exit.INTERRUPTED, said
    assert "error[interrupted]" in said[1]
    assert "Traceback" not in said[1]
    assert took < 10
    assert not place.exists() or not any(place.iterdir())
    assert list((tmp_path / "temporary").iterdir()) == []
    assert not list((site.cache / "images").rglob(".part-*"))
