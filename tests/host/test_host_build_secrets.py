"""What a build gets of this machine's network."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from requests.adapters import DEFAULT_CA_BUNDLE_PATH

from mlenv.errors import HostError
from mlenv.host.build_secrets import loops_back, proxies, write_secrets

DEFAULT = "https://index.example/simple"


def written(
    folder: Path,
    environ: dict[str, str],
    *,
    ca_cert: Path | None = None,
    indexes: dict[str, str] | None = None,
) -> dict[str, str]:
    (folder / "out").mkdir()
    environ = {"NETRC": str(folder / "none"), "XDG_CONFIG_HOME": str(folder), **environ}
    found = write_secrets(
        folder / "out",
        ca_cert=ca_cert,
        default_index=DEFAULT,
        indexes=indexes or {},
        environ={"XDG_CONFIG_DIRS": str(folder), **environ},
    )
    for each in found.values():
        assert stat.S_IMODE(each.stat().st_mode) == 0o600
    return {name: each.read_text(encoding="utf-8") for name, each in found.items()}


def test_a_machine_with_nothing_set_up_gives_the_index_alone(tmp_path: Path) -> None:
    assert written(tmp_path, {}) == {"uv-index": DEFAULT}


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_bundle_that_this_machine_names_is_passed_on(name: str, tmp_path: Path) -> None:
    found = written(tmp_path, {name: DEFAULT_CA_BUNDLE_PATH})
    assert found["ca"] == Path(DEFAULT_CA_BUNDLE_PATH).read_text(encoding="utf-8")


def test_own_certificates_stand_beside_those_that_all_trust(tmp_path: Path) -> None:
    own = tmp_path / "own.pem"
    bundle = Path(DEFAULT_CA_BUNDLE_PATH).read_text(encoding="utf-8")
    one = bundle[bundle.index("-----BEGIN") : bundle.index("-----END CERTIFICATE-----") + 26]
    own.write_text(f"# ours\n{one}", encoding="utf-8")
    found = written(tmp_path, {"SSL_CERT_FILE": "/none"}, ca_cert=own)
    assert found["ca"].startswith("# ours\n")
    assert found["ca"].count("BEGIN CERTIFICATE") > 50
    assert len(found["ca"].encode()) < 500_000


def test_a_file_that_holds_no_certificate_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("nothing", encoding="utf-8")
    for each in (wrong, tmp_path / "absent.pem"):
        with pytest.raises(HostError) as caught:
            write_secrets(tmp_path, ca_cert=each, default_index=DEFAULT, indexes={}, environ={})
        assert caught.value.reasons[0].code == "disk-failed"


def test_logins_go_into_the_urls_of_their_own_indexes(tmp_path: Path) -> None:
    environ = {
        "UV_DEFAULT_INDEX": "https://me:se%40cret@index.example/simple",
        "UV_INDEX_CORP_USERNAME": "you",
        "UV_INDEX_CORP_PASSWORD": "pa/ss",
    }
    indexes = {"corp": "https://corp.example/simple", "open": "https://open.example/simple"}
    found = written(tmp_path, environ, indexes=indexes)
    assert found["uv-index"] == "https://me:se%40cret@index.example/simple"
    assert found["uv-index-corp"] == "https://you:pa%2Fss@corp.example/simple"
    assert "uv-index-open" not in found


def test_netrc_is_passed_on(tmp_path: Path) -> None:
    path = tmp_path / "netrc"
    path.write_text("machine x login y password z\n", encoding="utf-8")
    assert written(tmp_path, {"NETRC": str(path)})["netrc"] == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        pytest.param({"UV_PYTHON_INSTALL_MIRROR": "https://v/"}, "https://v/", id="the variable"),
        pytest.param({}, "https://c/", id="else uv's own configuration"),
        pytest.param({"UV_NO_CONFIG": "1"}, None, id="unless uv is to read none"),
    ],
)
def test_the_mirror_of_pythons(
    environ: dict[str, str], expected: str | None, tmp_path: Path
) -> None:
    (tmp_path / "uv").mkdir()
    (tmp_path / "uv" / "uv.toml").write_text('python-install-mirror = "https://c/"\n')
    assert written(tmp_path, environ).get("python-mirror") == expected


def test_proxies_are_named_and_not_shown() -> None:
    environ = {"https_proxy": "http://me:pw@proxy.example:3128", "NO_PROXY": "x", "HTTP_PROXY": ""}
    assert proxies(environ) == ("https_proxy", "NO_PROXY")


@pytest.mark.parametrize(
    ("urls", "environ", "expected"),
    [
        pytest.param(["https://index.example/"], {}, False, id="an index elsewhere"),
        pytest.param(["http://127.0.0.1:8000/simple"], {}, True, id="an index on loopback"),
        pytest.param([], {"HTTP_PROXY": "http://localhost:3128"}, True, id="a proxy on loopback"),
        pytest.param([], {"HTTP_PROXY": "127.0.0.1:3128"}, True, id="a proxy without a scheme"),
        pytest.param([], {"NO_PROXY": "127.0.0.1"}, False, id="an exception from the proxy"),
    ],
)
def test_what_is_on_loopback_needs_the_hosts_network(
    urls: list[str],
    environ: dict[str, str],
    expected: bool,  # noqa: FBT001 (a column)
) -> None:
    assert loops_back(urls, environ) is expected
