"""Digests of what a recipe starts from: of a real registry, kept, refused, or said to lack."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from containers import DOCKER_MANIFEST, OCI_MANIFEST, made_image, uv_tag
from drive import built, catalog, texts
from mlenv.errors import Exit
from mlenv.image.demand import parse_demand, shut
from mlenv.image.pins import read_config
from mlenv.imaging.pinning import Pinner, from_environment
from mlenv.plan.decide import Wish, plan
from mlenv.spec.parse import parse_spec
from mlenv.spec.stack import stacks

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from containers import Hub
    from mlenv.build.verdict import Outcome
    from mlenv.host.manifests import Descriptor, Manifest
    from mlenv.host.registry import Resolved
    from mlenv.plan.model import Plan
    from mlenv.reference import Reference

SMALL = 'name = "small"\npython = "3.12"\ncuda = "cpu"\npackages = ["filelock"]\n'
TORCH = """
name = "t"
python = "3.12"
framework = "torch"
cuda = "12.6"
[targets.one]
gpus = ["A100"]
driver = ">=535"
"""
ENV = {"PYTHON_VERSION": "3.12.12"}


def pushed(
    hub: Hub,
    folder: Path,
    env: Mapping[str, str] = ENV,
    *,
    kind: str = OCI_MANIFEST,
    index: bool = True,
    architecture: str = "amd64",
) -> str:
    config = {"Env": [f"{key}={value}" for key, value in env.items()]}
    image = made_image([{"etc/motd": b"hi"}], folder, config=config, architecture=architecture)
    tag = uv_tag()
    hub.push(image, "astral-sh/uv", tag, kind=kind, index=index)
    return hub.push(image, "library/python", "3.12-slim-bookworm", kind=kind, index=index)


def build(out: Path, cache: Path, spec: str = SMALL, **words: object) -> Outcome:
    with from_environment(offline=False) as pinner:
        (outcome,) = built(spec, out, cache, pinning=pinner, **words)  # type: ignore[arg-type]
    return outcome


@pytest.mark.parametrize("kind", [OCI_MANIFEST, DOCKER_MANIFEST], ids=["of OCI", "of Docker"])
@pytest.mark.parametrize("listed", [True, False], ids=["an index", "one manifest"])
def test_the_recipe_names_what_the_registry_serves(
    mirrored: Hub, tmp_path: Path, cache: Path, kind: str, *, listed: bool
) -> None:
    digest = pushed(mirrored, tmp_path / "image", kind=kind, index=listed)
    outcome = build(tmp_path / "out", cache)
    assert outcome.lock is not None
    assert outcome.lock.base is not None
    assert outcome.lock.uv is not None
    assert (outcome.lock.base.digest, outcome.lock.base.python) == (digest, "3.12.12")
    assert outcome.lock.uv.digest == digest
    assert "base-not-pinned" not in {each.code for each in outcome.warnings}
    text = texts(tmp_path / "out" / "small")["Dockerfile"]
    assert f"ARG BASE_DIGEST={digest}" in text
    assert f"uv:{uv_tag()}@{digest}" in text


def test_a_lock_keeps_its_digests_until_they_are_asked_anew(
    mirrored: Hub, tmp_path: Path, cache: Path
) -> None:
    before = pushed(mirrored, tmp_path / "one")
    build(tmp_path / "out", cache)
    after = pushed(mirrored, tmp_path / "two", {**ENV, "MOVED": "1"})
    assert after != before
    for repin, expected in ((False, before), (True, after), (False, after)):
        outcome = build(tmp_path / "out", cache, repin=repin)
        assert outcome.lock is not None
        assert outcome.lock.base is not None
        assert (outcome.lock.base.digest, outcome.lock.base.python) == (expected, "3.12.12")


def test_where_no_registry_is_reached_the_lock_says_so_and_stays_as_it_is(
    hub: Hub, tmp_path: Path, cache: Path
) -> None:
    outcome = build(tmp_path / "out", cache)  # docker.io leads to where nobody listens
    assert (outcome.verdict, outcome.exit_status) == ("ok", Exit.DONE)
    said = [each for each in outcome.warnings if each.code == "base-not-pinned"]
    assert [each.what.split()[0] for each in said] == [
        "python:3.12-slim-bookworm",
        f"ghcr.io/astral-sh/uv:{uv_tag()}",
    ]
    assert all("mlenv update --only base" in each.fix for each in said)
    before = texts(tmp_path / "out")
    assert before["small/mlenv.lock"].count("base-not-pinned") == 2
    build(tmp_path / "out", cache, check=True)
    build(tmp_path / "out", cache)
    assert texts(tmp_path / "out") == before
    assert hub.port  # one was there all the time, and was not asked


@pytest.mark.parametrize(
    ("env", "architecture", "listed", "cause"),
    [
        pytest.param(
            {"PYTHON_VERSION": "3.11.9"}, "amd64", True, "Python 3.11.9", id="another Python"
        ),
        pytest.param(ENV, "arm64", True, "linux/arm64 only", id="an index without the platform"),
        pytest.param(ENV, "arm64", False, "for linux/arm64", id="a manifest of another platform"),
    ],
)
def test_a_base_that_nothing_can_come_of(
    mirrored: Hub,
    tmp_path: Path,
    cache: Path,
    *,
    env: Mapping[str, str],
    architecture: str,
    cause: str,
    listed: bool,
) -> None:
    pushed(mirrored, tmp_path / "image", env, architecture=architecture, index=listed)
    outcome = build(tmp_path / "out", cache)
    (reason,) = outcome.reasons
    assert (reason.code, outcome.exit_status) == ("base-unusable", Exit.IMAGE)
    assert cause in reason.cause
    assert not (tmp_path / "out" / "small").exists()


def test_a_reference_with_a_digest_is_taken_as_it_is(
    mirrored: Hub, tmp_path: Path, cache: Path
) -> None:
    digest = pushed(mirrored, tmp_path / "image")
    spec = SMALL + f'[image]\nbase = "python:3.12-slim-bookworm@{digest}"\n'
    outcome = build(tmp_path / "out", cache, spec)
    assert outcome.lock is not None
    assert outcome.lock.base is not None
    assert (outcome.lock.base.reference, outcome.lock.base.digest) == (
        "python:3.12-slim-bookworm",
        digest,
    )


class Silent:
    """A registry that never answers."""

    def __init__(self) -> None:
        self.end = threading.Event()

    def resolve(self, reference: Reference, platform: str) -> Resolved:
        self.end.wait()
        raise ValueError(f"{reference} {platform}")

    def manifest(self, reference: Reference, platform: str) -> Manifest:
        raise NotImplementedError

    def blob(self, reference: Reference, descriptor: Descriptor) -> bytes:
        raise NotImplementedError


def test_a_registry_that_never_answers_is_not_waited_for() -> None:
    silent = Silent()
    begun = Pinner(lambda: silent, seconds=0.05)(base="a:1", uv="b:1", platform="linux/amd64")
    pins = begun()
    silent.end.set()
    assert [each.why_not for each in (pins.base, pins.uv)] == ["no answer within 0.05 s"] * 2


def planned() -> Plan:
    (stack,) = stacks(parse_spec(TORCH, origin="t.toml").spec)
    return plan(stack, catalog(), Wish(exclude_newer="2025-12-01T00:00:00Z"))


@pytest.mark.parametrize(
    ("demand", "opens"),
    [
        pytest.param("", True, id="nothing is demanded"),
        pytest.param("cuda>=12.2", True, id="the driver's own CUDA is as new"),
        pytest.param("cuda>=12.8", False, id="the driver's own CUDA is older"),
        pytest.param(
            "cuda>=12.8 brand=tesla,driver>=535,driver<536", True, id="or its branch is listed"
        ),
        pytest.param(
            "cuda>=12.8 brand=geforce,driver>=535,driver<536", False, id="for another brand"
        ),
        pytest.param(
            "cuda>=12.8 brand=tesla,driver>=470,driver<471", False, id="for another branch"
        ),
        pytest.param("cuda>=99.1", True, id="no row knows that CUDA, so nothing is said"),
        pytest.param("arch>=9.0", False, id="a newer GPU"),
        pytest.param("cuda>=12.8,brand=tesla", False, id="a comma is AND"),
    ],
)
def test_the_base_demands(demand: str, *, opens: bool) -> None:
    said = shut(planned(), catalog(), parse_demand(demand), image="x:1", source="its config")
    assert (said is None) == opens
    assert said is None or (said.code, said.what[:18]) == ("base-image-gate", "x:1 does not start")


@pytest.mark.parametrize("text", ["cuda", "cuda>=x", "gpu=1", "driver>=1,,", "a" * 20000])
def test_a_demand_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_demand(text)


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b'{"os":"linux"}', b'{"os":1,"architecture":"a","config":{"Env":3}}'],
)
def test_a_config_that_is_none(content: bytes) -> None:
    with pytest.raises(ValueError, match="its config is no config"):
        read_config(content)


def test_a_config_whose_demand_is_switched_off() -> None:
    env = '["NVIDIA_REQUIRE_CUDA=cuda>=99.0","NVIDIA_DISABLE_REQUIRE=1"]'
    text = f'{{"os":"linux","architecture":"amd64","config":{{"Env":{env}}}}}'
    assert read_config(text.encode()).demand == ""
