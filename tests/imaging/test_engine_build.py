"""Images built by real engines, from what ``mlenv build`` writes for a small spec."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import shutil
import ssl
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import containers
import engines
from mlenv.errors import HostError, ImageError, MlenvError
from mlenv.host.docker_engine import find_docker
from mlenv.host.http import Web
from mlenv.host.login import from_environment
from mlenv.host.podman_engine import find_buildah
from mlenv.imaging.engine_build import Built, EngineWish, build
from mlenv.imaging.job import make
from mlenv.imaging.locked import locked as found_in
from mlenv.imaging.order import Desk, Order
from mlenv.imaging.proof import locked, prove
from mlenv.lock import parse_lock
from mlenv.solve.index import default_index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from containers import Hub
    from mlenv.host.engine_port import Engine

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.timeout(900)]

SPEC = """
name = "tiny"
python = "3.12"
packages = ["einops", "rich", "numpy"]
"""
TAG = "mlenv-test/tiny:1"
SECRETS = {
    "ca": "canary-ca-5e1f",
    "netrc": "canary-netrc-77ab",
    "proxy": "canary-proxy-91cc",
    "index": "canary-index-03de",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A registry that stands for the world's, and a locked folder."""

    hub: Hub
    folder: Path
    wish: EngineWish


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    place = tmp_path_factory.mktemp("site")
    try:
        with containers.registry() as hub, pytest.MonkeyPatch.context() as patch:
            containers.published(hub, "3.12")
            own = containers.registries_conf(place / "registries.conf", hub.port)
            patch.setenv("CONTAINERS_REGISTRIES_CONF", str(own))
            patch.setenv("CONTAINERS_STORAGE_CONF", str(storage(place)))
            folder = written(SPEC, place)
            yield Site(hub=hub, folder=folder, wish=wish(folder, hub))
            remove_storage()
    except containers.Missing as error:
        pytest.skip(str(error))


def storage(place: Path) -> Path:
    path = place / "storage.conf"
    path.write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{place}/root"\nrunroot = "{place}/run"\n',
        encoding="utf-8",
    )
    return path


def remove_storage() -> None:
    for words in (["rm", "--all"], ["rmi", "--all", "--force"]):
        if shutil.which("buildah"):
            subprocess.run(["/usr/bin/env", "buildah", *words], check=False, capture_output=True)


def written(spec: str, place: Path) -> Path:
    """Return the folder that ``mlenv build`` writes for a spec."""
    path = place / "spec.toml"
    path.write_text(spec, encoding="utf-8")
    argv = [sys.executable, "-m", "mlenv", "build", str(path), "--out", str(place / "images")]
    subprocess.run(argv, check=True, capture_output=True, cwd=place)
    return place / "images" / "tiny"


def wish(folder: Path, hub: Hub) -> EngineWish:
    # dockerd reads no registries.conf, and its mirrors stand for docker.io alone.
    uv = f"{hub.address}/astral-sh/uv:{containers.uv_tag()}"
    return EngineWish(
        folder=folder,
        platform="linux/amd64",
        tags=(TAG,),
        arguments={"UV_IMAGE": uv},
        network="host",
    )


@pytest.fixture(scope="module")
def running(site: Site) -> Iterator[engines.Daemon]:
    if reason := engines.lacking():
        pytest.skip(reason)
    with engines.daemon(mirror=f"http://{site.hub.address}") as daemon:
        yield daemon


@pytest.fixture
def docker(running: engines.Daemon, monkeypatch: pytest.MonkeyPatch) -> Engine:
    return client(running, monkeypatch)


def client(daemon: engines.Daemon, patch: pytest.MonkeyPatch) -> Engine:
    for name, text in daemon.environment.items():
        patch.setenv(name, text)
    found, why = find_docker()
    assert found is not None, why
    return found


def built(engine: Engine, wanted: EngineWish, log: Callable[[str], None] = lambda _: None) -> Built:
    return build(engine, wanted, progress=lambda _: None, log=log)


def refused(engine: Engine, wanted: EngineWish, log: Callable[[str], None] = lambda _: None) -> str:
    with pytest.raises(MlenvError) as caught:
        built(engine, wanted, log)
    assert len(caught.value.reasons) == 1
    return str(caught.value)


def packages(folder: Path) -> dict[str, str | list[str]]:
    text = (folder / "mlenv.lock").read_text(encoding="utf-8")
    return locked(parse_lock(text, origin="mlenv.lock"), "runtime")


def test_the_image_is_built_and_every_package_imports(docker: Engine, site: Site) -> None:
    shown: list[str] = []
    made = build(docker, site.wish, progress=lambda each: shown.append(str(each)), log=print)
    facts = docker.inspect(TAG)
    assert facts is not None
    assert facts.image == made.image
    assert facts.platform == "linux/amd64"
    assert facts.user == "1000:0"
    assert made.size == sum(each.size or 0 for each in made.layers) > 100e6
    assert not made.reproducible
    assert any(re.match(r"layer-domain \d+/\d+: Installed", each) for each in shown)
    proofs = prove(docker, made.image, packages(site.folder))
    assert [each.user for each in proofs] == ["1000", "12345"]
    assert {each.name for each in proofs[0].imports} == packages(site.folder).keys()
    assert {each.status for proof in proofs for each in proof.imports} == {"imported"}


def test_what_the_lock_says_and_the_image_has_not_is_told(docker: Engine, site: Site) -> None:
    image = built(docker, site.wish).image
    wanted = {"einops": "0.0.1", "no-such": "1.0", "rich": packages(site.folder)["rich"]}
    with pytest.raises(ImageError) as caught:
        prove(docker, image, wanted, users=("12345",))
    assert [each.code for each in caught.value.reasons] == ["import-failed"] * 2
    assert "einops 0.0.1" in str(caught.value)
    assert "it is not installed" in str(caught.value)
    assert caught.value.exit_status == 5


def test_no_secret_stays_in_a_layer_the_history_a_label_or_the_lock(
    docker: Engine,
    site: Site,
    running: engines.Daemon,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    certificates = tmp_path / "ca.pem"
    trusted = Path(os.environ.get("SSL_CERT_FILE") or containers_bundle())
    certificates.write_bytes(f"# {SECRETS['ca']}\n".encode() + trusted.read_bytes())
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine example.invalid login me password {SECRETS['netrc']}\n")
    index = default_index().replace("://", f"://me:{SECRETS['index']}@")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("UV_DEFAULT_INDEX", index)
    monkeypatch.setenv("FTP_PROXY", f"http://me:{SECRETS['proxy']}@127.0.0.1:9")
    log: list[str] = []
    wanted = dataclasses.replace(site.wish, ca_cert=certificates, tags=(), fresh=True)
    image = built(docker, wanted, log.append).image

    running.docker("save", "--output", str(tmp_path / "image.tar"), image)
    history = running.docker("history", "--no-trunc", image).stdout
    facts = running.docker("inspect", image).stdout
    lock = (site.folder / "mlenv.lock").read_text(encoding="utf-8")
    for name, secret in SECRETS.items():
        for each in (history, facts, lock, *log):
            assert secret not in each, name
        assert not holds(tmp_path / "image.tar", secret.encode()), name
    assert not holds(tmp_path / "image.tar", b"/run/secrets/ca\0")


def containers_bundle() -> str:
    return ssl.get_default_verify_paths().cafile or ""


def holds(path: Path, word: bytes) -> bool:
    with path.open("rb") as file:
        rest = b""
        while data := file.read(1 << 20):
            if word in rest + data:
                return True
            rest = data[-len(word) :]
    return False


def test_a_debian_package_that_is_not_there(docker: Engine, site: Site, tmp_path: Path) -> None:
    folder = written(f'{SPEC}\n[image]\napt = ["mlenv-no-such"]\n', tmp_path)
    said = refused(docker, dataclasses.replace(site.wish, folder=folder, tags=("no:1",)))
    assert said.startswith("error[image-failed]")
    assert "no package `mlenv-no-such`" in said
    assert "| E: Unable to locate package mlenv-no-such" in said
    assert docker.inspect("no:1") is None


def test_a_file_that_is_not_the_locked_one(docker: Engine, site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "wrong"
    shutil.copytree(site.folder, folder)
    layer = next(folder.glob("layers/*-rest.txt"))
    text = layer.read_text(encoding="utf-8")
    layer.write_text(re.sub(r"sha256:\w{4}", "sha256:0000", text, count=1), encoding="utf-8")
    said = refused(docker, dataclasses.replace(site.wish, folder=folder))
    assert "layer-rest failed" in said
    assert "than the lock names" in said
    assert "Hash mismatch" in said


def test_a_base_that_has_vanished(docker: Engine, site: Site) -> None:
    words = {"BASE_IMAGE": f"{site.hub.address}/gone:1", **site.wish.arguments}
    if "BASE_DIGEST" in (site.folder / "Dockerfile").read_text(encoding="utf-8"):
        words["BASE_DIGEST"] = f"sha256:{'0' * 64}"
    said = refused(docker, dataclasses.replace(site.wish, arguments=words))
    assert said.startswith("error[image-failed]")
    assert "an image that this one is made from" in said


def test_an_engine_that_is_killed_is_no_fault_of_the_image(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason := engines.lacking():
        pytest.skip(reason)
    with engines.daemon(mirror=f"http://{site.hub.address}") as daemon:
        engine = client(daemon, monkeypatch)

        def kill(line: str) -> None:
            if "Using Python" in line:
                daemon.kill()

        with pytest.raises(HostError) as caught:
            built(engine, site.wish, kill)
        assert caught.value.reasons[0].code == "engine-failed"
        assert caught.value.exit_status == 4
        daemon.start()
        assert engine.inspect(TAG) is None
        made = built(engine, site.wish)
        assert prove(engine, made.image, packages(site.folder), users=("1000",))


def test_a_full_disk_is_no_fault_of_the_image(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    if reason := engines.lacking():
        pytest.skip(reason)
    with engines.daemon(mirror=f"http://{site.hub.address}", mib=330) as daemon:
        engine = client(daemon, monkeypatch)
        said = refused(engine, site.wish)
        assert said.startswith("error[engine-failed]")
        assert "disk that the engine writes to is full" in said
        assert engine.inspect(TAG) is None


def test_who_is_interrupted_leaves_no_tag(docker: Engine, site: Site) -> None:
    def interrupt(line: str) -> None:
        if "Using Python" in line:
            raise KeyboardInterrupt

    wanted = dataclasses.replace(site.wish, tags=("half:1",), fresh=True)
    with pytest.raises(KeyboardInterrupt):
        built(docker, wanted, interrupt)
    assert docker.inspect("half:1") is None


def test_the_image_is_pushed_and_has_the_digest_of_the_registry(docker: Engine, site: Site) -> None:
    name = f"{site.hub.address}/team/tiny:1"
    made = built(docker, dataclasses.replace(site.wish, tags=(name,)))
    said: list[str] = []
    digest = docker.push(name, said.append)
    assert said
    assert docker.digest(name) == digest
    facts = docker.inspect(made.image)
    assert facts is not None
    assert f"{name.removesuffix(':1')}@{digest}" in facts.digests
    with pytest.raises(HostError) as caught:
        docker.push(f"{site.hub.address}/team/none:1", said.append)
    assert caught.value.reasons[0].code == "engine-failed"


def test_what_is_saved_is_loaded(docker: Engine, running: engines.Daemon, site: Site) -> None:
    made = built(docker, site.wish)
    path = site.folder.parent / "saved.tar"
    running.docker("save", "--output", str(path), TAG)
    assert docker.load(path) == made.image


def test_buildah_builds_the_same_files(
    docker: Engine, running: engines.Daemon, site: Site, tmp_path: Path
) -> None:
    buildah, why = find_buildah()
    if buildah is None:
        pytest.skip(why)
    one = built(docker, site.wish)
    other = built(buildah, dataclasses.replace(site.wish, tags=()))
    assert other.reproducible
    prove(buildah, other.image, packages(site.folder))
    again = built(buildah, dataclasses.replace(site.wish, tags=(), fresh=True))

    exported(running, one.image, tmp_path / "docker.tar")
    unpacked(buildah.program, other.image, tmp_path / "buildah.tar")
    theirs, ours = tree(tmp_path / "docker.tar"), tree(tmp_path / "buildah.tar")
    assert theirs.keys() ^ ours.keys() == set()
    assert {name: (theirs[name], ours[name]) for name in ours if theirs[name] != ours[name]} == {}
    assert len(ours) > 5000
    unpacked(buildah.program, again.image, tmp_path / "again.tar")
    second = tree(tmp_path / "again.tar")
    assert ours.keys() ^ second.keys() == set()
    # An id was seen to differ once; bytecode is the one thing in it that is compiled each time.
    differ = {name for name in ours if ours[name] != second[name]}
    assert {name for name in differ if not name.endswith(".pyc")} == set()


def unpacked(program: str, image: str, path: Path) -> None:
    mounted = [program, "from", "--pull-never", "--name", "tree", image]
    subprocess.run(mounted, check=True, capture_output=True)
    place = subprocess.run(
        [program, "mount", "tree"], check=True, capture_output=True, text=True
    ).stdout.strip()
    with tarfile.open(path, "w") as archive:
        archive.add(place, ".")
    subprocess.run([program, "rm", "tree"], check=True, capture_output=True)


def test_an_assembly_holds_the_same_files_and_starts_alike(
    docker: Engine, running: engines.Daemon, site: Site, tmp_path: Path
) -> None:
    with Web(offline=False, credentials=from_environment({})) as web:
        desk = Desk(
            web=web, cache=tmp_path / "cache", offline=False, say=lambda _: None, tell=print
        )
        made = make(found_in(site.folder), Order(engine="none", tag="assembled:1"), desk)
    assert made.tag == "assembled:1"
    assert {each.user: each.bad for each in made.proofs} == {"1000": (), "12345": ()}
    one = built(docker, site.wish)
    exported(running, one.image, tmp_path / "docker.tar")
    exported(running, "assembled:1", tmp_path / "ours.tar")
    theirs, ours = tree(tmp_path / "docker.tar"), tree(tmp_path / "ours.tar")
    assert theirs.keys() ^ ours.keys() == set()
    differ = {name for name in ours if theirs[name] != ours[name]}
    # Each installer signs its work, and lists in RECORD what it wrote.
    assert {name.rpartition("/")[2] for name in differ} <= {"RECORD", "INSTALLER"}
    assert len(ours) > 5000
    docker_facts, own_facts = docker.inspect(one.image), docker.inspect("assembled:1")
    assert docker_facts is not None
    assert own_facts is not None
    assert own_facts.environment == docker_facts.environment
    assert (own_facts.user, own_facts.platform) == (docker_facts.user, docker_facts.platform)
    assert own_facts.labels == docker_facts.labels
    started = [
        running.docker("inspect", "--format", STARTED, each).stdout for each in (TAG, made.tag)
    ]
    assert started[0] == started[1]


STARTED = "{{json .Config.Entrypoint}} {{json .Config.Cmd}} {{.Config.WorkingDir}}"


def exported(running: engines.Daemon, image: str, path: Path) -> None:
    running.docker("create", "--name", "tree", image)
    running.docker("export", "--output", str(path), "tree")
    running.docker("rm", "tree")


MOUNTED = re.compile(
    r"(dev|proc|sys|run)(/|$)|\.dockerenv$|etc/(hosts|resolv\.conf|hostname|mtab)$"
)


def tree(path: Path) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    with tarfile.open(path) as archive:
        for each in archive:
            name = each.name.removeprefix("./")
            if name in {"", "."} or MOUNTED.match(name):
                continue
            data = archive.extractfile(each) if each.isfile() else None
            # A second name of a file holds what the first does.
            first = each
            if each.islnk():
                first = archive.getmember(each.linkname)
                data = archive.extractfile(first)
            content = hashlib.sha256(data.read()).hexdigest() if data else each.linkname
            kind = "file" if first.isfile() else first.type
            found[name] = (kind, first.mode & 0o7777, first.uid, first.gid, content)
    return found
