"""What published wheels need and hold, against what their makers say; and the research's cases."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlenv import simple
from mlenv.host import binaries, wheels
from mlenv.host.http import Web
from mlenv.host.login import from_environment
from mlenv.solve.index import default_index

if TYPE_CHECKING:
    from collections.abc import Iterator

CASES = Path(__file__).parents[3] / "shared" / "data" / "cases"
pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with Web(offline=False, credentials=from_environment({})) as opened:
        yield opened


@pytest.fixture(scope="module")
def place(web: Web, tmp_path_factory: pytest.TempPathFactory) -> binaries.Place:
    return binaries.Place(
        web=web, cache=tmp_path_factory.mktemp("cache"), offline=False, say=lambda _: None
    )


@cache
def page(web: Web, package: str) -> tuple[simple.Published, ...]:
    address = simple.address(default_index(), package)
    return simple.files(*web.page(address), page=address)


def published(place: binaries.Place, start: str, *tags: str) -> binaries.Wheel:
    """Return the wheel whose name begins with ``start``, its directory read."""
    package = start.partition("-")[0]
    found = next(
        each
        for each in page(place.web, package)
        if each.filename.startswith(f"{start}-") and all(tag in each.filename for tag in tags)
    )
    contents = wheels.read(place.web, place.cache, url=found.url, sha256=found.sha256 or "")
    return binaries.Wheel(name=start, url=found.url, sha256=found.sha256 or "", size=contents.size)


def never(_: object) -> bool:
    return False


def code(place: binaries.Place, wheel: binaries.Wheel, *files: str) -> frozenset[str]:
    flags = files[0].startswith("torch/")
    found = binaries.code(place, wheel, files, flags=flags, enough=never)
    assert found is not None
    assert found.whole
    return found.code


def test_torch_says_its_code_in_words(place: binaries.Place) -> None:
    torch = published(place, "torch-2.15.0", "cp312-cp312", "x86_64")
    found = code(place, torch, "torch/lib/libtorch_python.so")
    assert found == {f"sm_{arch}" for arch in (75, 80, 86, 90, 100, 120)}


def test_xformers_needs_the_cuda_it_was_built_with(place: binaries.Place) -> None:
    xformers = published(place, "xformers-0.0.35", "x86_64")
    files = ("xformers/_C.so",)
    needed = binaries.needs(place, xformers, files, tells=never)
    assert needed is not None
    assert "libcudart.so.12" in needed["xformers/_C.so"]
    # its cpp_lib.json says TORCH_CUDA_ARCH_LIST = "7.5 8.0+PTX 8.0 9.0a"
    assert code(place, xformers, *files) == {"sm_75", "sm_80", "sm_90a", "compute_80"}


def test_bitsandbytes_has_a_file_for_each_toolkit(place: binaries.Place) -> None:
    wheel = published(place, "bitsandbytes-0.48.1", "x86_64")
    files = tuple(f"bitsandbytes/libbitsandbytes_cuda{tag}.so" for tag in (128, 130))
    needed = binaries.needs(place, wheel, files, tells=never)
    assert needed is not None
    assert ["libcublas.so.12" in needed[files[0]], "libcublas.so.13" in needed[files[1]]] == [
        True
    ] * 2


@pytest.mark.parametrize(
    ("start", "tag", "codes"),
    [
        ("jax_cuda13_plugin-0.12.0.1", "cp314-cp314t", "75 80 90 100 110 120"),
        ("jax_cuda12_plugin-0.12.0.1", "cp314-cp314t", "50 60 70 80 90 100 101 120"),
    ],
)
def test_jax_plugins(place: binaries.Place, start: str, tag: str, codes: str) -> None:
    plugin = published(place, start, tag, "x86_64")
    files = [f for f in wheels.entries(place.cache, plugin.sha256) if f.endswith(".so")]
    found = code(place, plugin, *files)
    assert {each for each in found if each.startswith("sm_")} == {f"sm_{c}" for c in codes.split()}
    assert {each for each in found if each.startswith("compute_")} == {"compute_120"}


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases of the research are not beside the tree")
@pytest.mark.parametrize("name", ["o09", "o11", "u03", "u15", "u25"])
def test_verdict_of_a_case(name: str, tmp_path: Path) -> None:
    expected = json.loads((CASES / "expected.json").read_text(encoding="utf-8"))[name]
    argv = [sys.executable, "-m", "mlenv", "lock", "--json", "--out", str(tmp_path)]
    done = subprocess.run([*argv, str(CASES / f"{name}.toml")], capture_output=True, check=False)
    document = json.loads(done.stdout)
    assert document["verdict"] == expected["verdict"], expected["why"]
    codes = [each["code"] for each in document["reasons"]]
    assert codes == ([expected["code"]] if "code" in expected else [])
