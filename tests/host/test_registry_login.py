from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from mlenv.host import registry_login
from mlenv.host.registry_login import Login

if TYPE_CHECKING:
    from pathlib import Path

ME = {"auth": b64encode(b"me:se:cret").decode()}
MINE = Login(user="me", password="se:cret")  # noqa: S106 (made up)

HELPER = """#!/bin/sh
read server
echo "$server" >> "$0.log"
case "$server" in
  no.example) echo "credentials not found in native keychain"; exit 1;;
  broken.example) echo "hunter2 oops" ; exit 3;;
  odd.example) echo "no json";;
  token.example) printf '{"Username": "<token>", "Secret": "identity"}';;
  *) printf '{"Username": "me", "Secret": "se:cret"}';;
esac
"""


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    helper = tmp_path / "docker-credential-test"
    helper.write_text(HELPER)
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return {"HOME": str(tmp_path)}


def write(path: Path, **config: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("config", "registry", "login"),
    [
        pytest.param({"auths": {"h.example": ME}}, "h.example", MINE, id="a host"),
        pytest.param({"auths": {"https://h.example/v2/": ME}}, "h.example", MINE, id="a URL"),
        pytest.param({"auths": {"h.example": ME}}, "h.example:5000", None, id="another port"),
        pytest.param(
            {"auths": {"https://index.docker.io/v1/": ME}}, "docker.io", MINE, id="Docker Hub"
        ),
        pytest.param({"auths": {"h.example/team": ME}}, "h.example", None, id="a repository's"),
        pytest.param({"auths": {}}, "h.example", None, id="none"),
        pytest.param({"credsStore": "test"}, "any.example", MINE, id="the store"),
        pytest.param({"credsStore": "test"}, "docker.io", MINE, id="the store, of Docker Hub"),
        pytest.param({"credHelpers": {"h.example": "test"}}, "h.example", MINE, id="a helper"),
        pytest.param({"credHelpers": {"h.example": "test"}}, "other", None, id="another's helper"),
        pytest.param({"credsStore": "test"}, "no.example", None, id="the store knows it not"),
        pytest.param(
            {"credsStore": "test", "auths": {"no.example": ME}}, "no.example", MINE, id="both"
        ),
        pytest.param(
            {"credsStore": "test"},
            "token.example",
            Login(token="identity"),  # noqa: S106
            id="an identity token of the store",
        ),
        pytest.param(
            {"auths": {"h.example": {**ME, "identitytoken": "identity"}}},
            "h.example",
            Login(token="identity"),  # noqa: S106
            id="an identity token",
        ),
        pytest.param(
            {"auths": {"h.example": {**ME, "identitytoken": ""}}}, "h.example", MINE, id="an empty"
        ),
        pytest.param({"proxies": {}}, "h.example", None, id="nothing about logins"),
    ],
)
def test_a_login_is_read_as_docker_does(
    config: dict[str, object],
    registry: str,
    login: Login | None,
    environ: dict[str, str],
    tmp_path: Path,
) -> None:
    write(tmp_path / ".docker" / "config.json", **config)
    assert registry_login.from_environment(environ)(registry) == login


@pytest.mark.parametrize(
    ("text", "registry", "trouble"),
    [
        pytest.param("{", "h.example", "is no JSON", id="no JSON"),
        pytest.param("[]", "h.example", "no JSON object", id="a list"),
        pytest.param('{"auths": {"h.example": {"auth": "bWU="}}}', "h.example", "no login", id=":"),
        pytest.param('{"auths": {"h.example": {"auth": 3}}}', "h.example", "no login", id="3"),
        pytest.param('{"credsStore": "test"}', "broken.example", "helper", id="a helper fails"),
        pytest.param('{"credsStore": "test"}', "odd.example", "no login", id="it says nonsense"),
        pytest.param('{"credsStore": "gone"}', "h.example", "helper", id="it is not there"),
        pytest.param('{"credHelpers": 3}', "h.example", "no login", id="helpers are a number"),
    ],
)
def test_what_cannot_be_read_is_a_trouble_without_secrets(
    text: str, registry: str, trouble: str, environ: dict[str, str], tmp_path: Path
) -> None:
    write(tmp_path / ".docker" / "config.json")
    (tmp_path / ".docker" / "config.json").write_text(text)
    found = registry_login.from_environment(environ)(registry)
    assert found is not None
    assert not found.usable
    assert trouble in found.trouble
    assert "hunter2" not in found.trouble


def test_podmans_login_counts_where_docker_has_none(
    environ: dict[str, str], tmp_path: Path
) -> None:
    write(tmp_path / "run" / "containers" / "auth.json", auths={"h.example": ME})
    environ["XDG_RUNTIME_DIR"] = str(tmp_path / "run")
    assert registry_login.from_environment(environ)("h.example") == MINE
    write(tmp_path / "cfg" / "config.json", auths={"h.example": {"auth": "eDp5"}})
    environ["DOCKER_CONFIG"] = str(tmp_path / "cfg")
    found = registry_login.from_environment(environ)("h.example")
    assert found == Login(user="x", password="y")  # noqa: S106
    write(tmp_path / "named.json", auths={})
    environ["REGISTRY_AUTH_FILE"] = str(tmp_path / "named.json")
    assert registry_login.from_environment(environ)("h.example") is None


def test_a_helper_is_asked_once(environ: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path / ".docker" / "config.json", credsStore="test")
    login = registry_login.from_environment(environ)
    assert [login("h.example"), login("h.example")] == [MINE, MINE]
    log = tmp_path / "docker-credential-test.log"
    assert log.read_text().splitlines() == ["h.example"]


def test_a_login_shows_no_secret() -> None:
    assert "cret" not in repr(MINE)
    assert "identity" not in repr(Login(token="identity"))  # noqa: S106
