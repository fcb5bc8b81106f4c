from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlenv.errors import HostError
from mlenv.host import mirrors
from mlenv.host.mirrors import Mirrors, is_loopback
from mlenv.reference import parse_reference

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = """
unqualified-search-registries = ["docker.io"]
[[registry]]
prefix = "docker.io"
location = "127.0.0.1:5000/hub"
[[registry.mirror]]
location = "mirror.example/docker.io"
[[registry.mirror]]
location = "second.example:80"
insecure = true
pull-from-mirror = "digest-only"
[[registry]]
location = "docker.io/library/python"
[[registry]]
location = "bad.example"
blocked = true
[[registry]]
prefix = "*.corp.example"
[[registry.mirror]]
location = "cache.corp.example/all"
"""
DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("name", "places"),
    [
        pytest.param("ghcr.io/a/b:1", ["ghcr.io a/b"], id="no rule: the registry itself"),
        pytest.param(
            "a/b:1",
            ["mirror.example docker.io/a/b", "127.0.0.1:5000 hub/a/b http"],
            id="a mirror, then the location",
        ),
        pytest.param(
            f"a/b@{DIGEST}",
            [
                "mirror.example docker.io/a/b",
                "second.example:80 a/b http",
                "127.0.0.1:5000 hub/a/b http",
            ],
            id="a mirror for digests only",
        ),
        pytest.param("python:3", ["registry-1.docker.io library/python"], id="the longest prefix"),
        pytest.param(
            "pythonic:3",
            [
                "mirror.example docker.io/library/pythonic",
                "127.0.0.1:5000 hub/library/pythonic http",
            ],
            id="a prefix ends where a name does",
        ),
        pytest.param(
            "x.corp.example/a:1",
            ["cache.corp.example all/a", "x.corp.example a"],
            id="a whole domain",
        ),
        pytest.param("corp.example/a:1", ["corp.example a"], id="the domain itself is not in it"),
        pytest.param("localhost:1/a:1", ["localhost:1 a http"], id="loopback may be plain http"),
    ],
)
def test_where_an_image_is_read_from(name: str, places: list[str]) -> None:
    found = Mirrors(rules=mirrors.parse(WHOLE, "f")).read_from(parse_reference(name))
    shown = [f"{each.host} {each.repository}{' http' * each.insecure}" for each in found]
    assert shown == places


def test_an_image_is_written_to_no_mirror() -> None:
    there = Mirrors(rules=mirrors.parse(WHOLE, "f")).written_to(parse_reference("a/b:1"))
    assert (there.host, there.repository) == ("127.0.0.1:5000", "hub/a/b")


def test_what_is_blocked_is_not_asked_for() -> None:
    known = Mirrors(rules=mirrors.parse(WHOLE, "/x/registries.conf"))
    for ask in (known.read_from, known.written_to):
        with pytest.raises(HostError, match=r"x/registries\.conf blocks bad\.example") as caught:
            ask(parse_reference("bad.example/a:1"))
        assert caught.value.reasons[0].code == "registry-denied"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        pytest.param("[[registry", "Expected", id="no TOML"),
        pytest.param('registry = "x"', "no \\[\\[table\\]\\]", id="a string"),
        pytest.param("[[registry]]\ninsecure = true", "neither prefix nor location", id="no name"),
        pytest.param('[[registry]]\nlocation = "https://x"', "without a scheme", id="a URL"),
        pytest.param("[[registry]]\nlocation = 3", "no host and path", id="a number"),
        pytest.param('[[registry]]\nlocation = "x"\nblocked = 1', "neither true", id="no flag"),
        pytest.param(
            '[[registry]]\nprefix = "*.x"\nlocation = "y"', "takes no location", id="a wildcard's"
        ),
        pytest.param(
            '[[registry]]\nlocation = "x"\n[[registry.mirror]]\ninsecure = true',
            "needs a location",
            id="a mirror without a place",
        ),
        pytest.param(
            '[[registry]]\nlocation = "x"\n[[registry.mirror]]\nlocation = "y"\n'
            'pull-from-mirror = "never"',
            "digest-only",
            id="an unknown word",
        ),
    ],
)
def test_a_file_that_means_nothing_is_told(text: str, cause: str) -> None:
    with pytest.raises(HostError, match=cause) as caught:
        mirrors.parse(text, "/x/registries.conf")
    assert caught.value.reasons[0].what == "cannot understand /x/registries.conf"


def row(prefix: str, location: str) -> str:
    return f'[[registry]]\nprefix = "{prefix}"\nlocation = "{location}"\n'


def location(environ: dict[str, str]) -> str:
    found = mirrors.from_environment(environ).written_to(parse_reference("h.example/a:1"))
    return found.registry


def test_the_file_that_is_named_counts_with_its_folder(tmp_path: Path) -> None:
    own = tmp_path / "own.conf"
    own.write_text(row("h.example", "one.example"))
    environ = {"CONTAINERS_REGISTRIES_CONF": str(own), "HOME": str(tmp_path)}
    assert location(environ) == "one.example"
    folder = tmp_path / "own.conf.d"
    folder.mkdir()
    (folder / "10.conf").write_text(row("h.example", "two.example"))
    (folder / "20.conf").write_text(row("h.example", "three.example"))
    (folder / "30.txt").write_text("no TOML")
    assert location(environ) == "three.example"


def test_a_file_that_is_named_and_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="No such file"):
        mirrors.from_environment({"CONTAINERS_REGISTRIES_CONF": str(tmp_path / "none")})


@pytest.mark.parametrize("variable", ["HOME", "XDG_CONFIG_HOME"])
def test_the_file_of_the_user_counts(tmp_path: Path, variable: str) -> None:
    config = tmp_path / (".config" if variable == "HOME" else "")
    (config / "containers").mkdir(parents=True)
    (config / "containers" / "registries.conf").write_text(row("h.example", "one.example"))
    assert location({variable: str(tmp_path)}) == "one.example"


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9:5000", True),
        ("localhost:5000", True),
        ("[::1]:5000", True),
        ("127.0.0.1.example", False),
        ("localhost.example", False),
        ("10.0.0.1", False),
    ],
)
def test_loopback_is_known(host: str, here: bool) -> None:  # noqa: FBT001 (a column)
    assert is_loopback(host) is here
