"""What ``build`` leaves: the files, their bytes, and what never stands in them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from drive import TODAY, built, texts
from facts import DEFAULT, MIRROR, roots
from loopback import Index, environment
from mlenv.errors import Exit
from mlenv.files import sha256
from mlenv.host.tools import uv_version
from mlenv.lock import parse_lock

REPOSITORY = Path(__file__).parents[2]
GOLDEN = REPOSITORY / "tests" / "golden" / "build-torch-cuda126"
CPU = 'name = "small"\npython = "3.12"\ncuda = "cpu"\npackages = ["numpy", "hydra-core"]\n'
TORCH = (GOLDEN / "spec.toml").read_text(encoding="utf-8")
DRIVER = """
import sys, pathlib, drive
spec, out, cache = (pathlib.Path(each) for each in sys.argv[1:])
(outcome,) = drive.built(spec.read_text(encoding="utf-8"), out, cache)
sys.exit(int(outcome.exit_status))
"""


def test_folder_is_as_committed(cache: Path, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    (outcome,) = built(TORCH, tmp_path / "out", cache)
    assert (outcome.verdict, outcome.exit_status, outcome.changed) == ("ok", Exit.DONE, True)
    found = texts(tmp_path / "out" / "torch-cuda126")
    assert found.pop("uv.lock")
    expected = GOLDEN / "expected"
    if pytestconfig.getoption("golden") == "write":
        for each in sorted(expected.rglob("*"), reverse=True):
            each.rmdir() if each.is_dir() else each.unlink()
        for path, text in found.items():
            (expected / path).parent.mkdir(parents=True, exist_ok=True)
            (expected / path).write_text(text, encoding="utf-8")
    assert found == texts(expected)


def test_the_golden_spec_is_the_one_of_specs() -> None:
    shipped = (REPOSITORY / "specs" / "torch-cuda126.toml").read_text(encoding="utf-8")
    assert tomllib.loads(shipped) == tomllib.loads(TORCH)


def test_the_lock_knows_every_file_but_the_one_that_names_an_index(
    cache: Path, tmp_path: Path
) -> None:
    built(CPU, tmp_path / "out", cache)
    found = texts(tmp_path / "out" / "small")
    lock = parse_lock(found["mlenv.lock"], origin="mlenv.lock")
    written = {each.path: each.sha256 for each in lock.written}
    assert written.keys() == found.keys() - {"mlenv.lock", "uv.lock"}
    assert all(sha256(found[path]) == digest for path, digest in written.items())
    assert {"Dockerfile", "pyproject.toml", "smoke.json", ".python-version"} <= written.keys()
    assert [path for path in written if path.startswith("layers/")]


def test_every_package_of_the_lock_is_pinned_in_one_layer(cache: Path, tmp_path: Path) -> None:
    built(CPU, tmp_path / "out", cache)
    found = texts(tmp_path / "out" / "small")
    lock = parse_lock(found["mlenv.lock"], origin="mlenv.lock")
    pins = [
        line
        for path, text in found.items()
        if re.fullmatch(r"layers/\d\d-[a-z-]+\.txt", path)
        for line in text.splitlines()
        if line and not line.startswith("#")
    ]
    joined = "\n".join(pins)
    assert all(joined.count(f"sha256:{each.sha256}") == 1 for each in lock.package)
    assert all(f"{each.name}=={each.version}" in joined for each in lock.package)
    assert json.loads(found["smoke.json"])


def test_nothing_of_the_machine_or_the_index_stands_in_the_files(
    cache: Path, tmp_path: Path, index: Index
) -> None:
    built(CPU, tmp_path / "out", cache)
    found = texts(tmp_path / "out" / "small")
    assert DEFAULT in found.pop("uv.lock")
    whole = "\n".join(found.values())
    port = index.url.rpartition(":")[2]
    for word in ("index.example", "127.0.0.1", f":{port}", str(tmp_path), str(Path.home())):
        assert word not in whole
    assert "size" not in texts(tmp_path / "out" / "small")["uv.lock"]


def test_two_folders_hold_the_same_bytes(cache: Path, tmp_path: Path) -> None:
    built(CPU, tmp_path / "one", cache)
    built(CPU, tmp_path / "two" / "deeper", tmp_path / "another-cache")
    assert texts(tmp_path / "one" / "small") == texts(tmp_path / "two" / "deeper" / "small")


@pytest.mark.parametrize(
    ("variable", "zone", "locale"),
    [
        pytest.param("", "Pacific/Kiritimati", "C", id="east, in C"),
        pytest.param("", "America/Anchorage", "C.UTF-8", id="west, in UTF-8"),
        pytest.param("MLENV_OTHER_PYTHON", "Asia/Tokyo", "C", id="another Python minor"),
    ],
)
def test_zone_locale_and_python_of_the_host_do_not_count(
    cache: Path, tmp_path: Path, variable: str, zone: str, locale: str
) -> None:
    python = os.environ.get(variable) if variable else sys.executable
    if not python:
        pytest.skip(f"{variable} names no other Python with mlenv")
    spec = tmp_path / "spec.toml"
    spec.write_text(CPU, encoding="utf-8")
    env = {**os.environ, "TZ": zone, "LC_ALL": locale, "PYTHONPATH": str(REPOSITORY / "tests")}
    env["UV_CACHE_DIR"] = str(tmp_path / "other-uv-cache")
    argv = [python, "-c", DRIVER, str(spec), str(tmp_path / "one"), str(tmp_path / "other-cache")]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    built(CPU, tmp_path / "two", cache)
    assert texts(tmp_path / "one") == texts(tmp_path / "two")


def test_json_and_html_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for mode in ("pypi", "html"):
        default, *others = roots()
        default.mode = mode
        with Index(default, *others) as index:
            for name, text in environment(index, cache=tmp_path / f"uv-{mode}").items():
                monkeypatch.setenv(name, text)
            (outcome,) = built(CPU, tmp_path / mode, tmp_path / f"cache-{mode}")
            assert outcome.verdict == "ok"
    assert texts(tmp_path / "pypi") == texts(tmp_path / "html")


def test_a_mirror_changes_nothing_but_the_lock_of_uv(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built(CPU, tmp_path / "one", cache)
    monkeypatch.setenv("UV_DEFAULT_INDEX", MIRROR)
    built(CPU, tmp_path / "two", tmp_path / "another-cache")
    one, two = (texts(tmp_path / each / "small") for each in ("one", "two"))
    assert one.pop("uv.lock").replace(DEFAULT, MIRROR) == two.pop("uv.lock")
    assert one == two


def test_without_a_recipe_there_is_no_dockerfile(cache: Path, tmp_path: Path) -> None:
    built(CPU, tmp_path / "out", cache, recipe=False)
    found = texts(tmp_path / "out" / "small")
    assert "mlenv.lock" in found
    assert "Dockerfile" not in found


def test_the_lock_says_what_it_was_made_from(cache: Path, tmp_path: Path) -> None:
    (outcome,) = built(CPU, tmp_path / "out", cache)
    lock = outcome.lock
    assert lock is not None
    assert (lock.exclude_newer, lock.tools.uv) == (TODAY, uv_version())
    assert (lock.target.python, lock.stack.toolkit) == ("3.12", "cpu")
    said = [each.code for each in lock.said]
    assert said == ["built-from-source", "base-not-pinned", "base-not-pinned"]
    assert all(each.why and each.source for each in lock.decision)
