"""uv.lock as values: what is installed where, from which index, and in which file."""

from __future__ import annotations

import pytest

from mlenv.backends import uv_lock

REGISTRY = '{ registry = "http://index.example/simple" }'
CHANNEL = '{ registry = "http://pytorch.example/whl/cu126/" }'
HASH = "sha256:" + "ab" * 32
ROOT = """
[[package]]
name = "mlenv-s"
version = "0"
source = { virtual = "." }
dependencies = [{ name = "torch", extra = ["cuda"] }, { name = "rich" }]
[package.dev-dependencies]
dev = [{ name = "pytest" }, { name = "rich" }]
build-of-sources = [{ name = "setuptools" }, { name = "shared" }]
"""


def package(name: str, *lines: str, source: str = REGISTRY, version: str = "1.0") -> str:
    head = ["[[package]]", f'name = "{name}"', f'version = "{version}"', f"source = {source}"]
    return "\n".join((*head, *lines, ""))


def wheels(*rows: str) -> str:
    return f"wheels = [{', '.join(rows)}]"


TEXT = "\n".join(
    (
        'version = 1\nrequires-python = ">=3.11"\n',
        ROOT,
        package(
            "torch",
            'dependencies = [{ name = "shared" }]',
            wheels(
                '{ url = "http://pytorch.example/whl/cu126/torch-2.8.0%2Bcu126-cp312-cp312-'
                f'manylinux_2_28_x86_64.whl", hash = "{HASH}" }}'
            ),
            "[package.optional-dependencies]",
            'cuda = [{ name = "nvidia-cudnn-cu12" }]',
            'other = [{ name = "unasked" }]',
            source=CHANNEL,
            version="2.8.0+cu126",
        ),
        package("nvidia-cudnn-cu12"),
        package("shared"),
        package("unasked"),
        package("Rich"),
        package("rich", 'dependencies = [{ name = "shared", marker = "x" }, { name = "gone" }]'),
        package(
            "pytest",
            'dependencies = [{ name = "pluggy" }, { name = "shared" }]',
            f'sdist = {{ url = "http://index.example/p/pytest-1.0.tar.gz", hash = "{HASH}", '
            "size = 12 }",
        ),
        package("pluggy", 'dependencies = [{ name = "pytest" }]'),
        package(
            "setuptools",
            wheels(f'{{ path = "sub/setuptools-1.0-py3-none-any.whl", hash = "{HASH}" }}'),
        ),
    )
)
ALIASES = {"http://pytorch.example/whl/cu126": "pytorch-cu126"}


def found() -> dict[str, uv_lock.Solved]:
    return {each.name: each for each in uv_lock.read(TEXT, ALIASES)}


def test_packages_come_sorted_and_without_the_project() -> None:
    names = [each.name for each in uv_lock.read(TEXT, ALIASES)]
    assert names == sorted(names)
    assert "mlenv-s" not in names


@pytest.mark.parametrize(
    ("name", "dev", "build_only"),
    [
        pytest.param("torch", False, False, id="asked for"),
        pytest.param("nvidia-cudnn-cu12", False, False, id="by an extra"),
        pytest.param("shared", False, False, id="by runtime, dev and build alike"),
        pytest.param("pytest", True, False, id="dev"),
        pytest.param("pluggy", True, False, id="needed by dev, in a circle"),
        pytest.param("setuptools", False, True, id="build"),
        pytest.param("unasked", False, True, id="by an extra that nobody asked for"),
    ],
)
def test_who_needs_whom(name: str, *, dev: bool, build_only: bool) -> None:
    each = found()[name]
    assert (each.dev, each.build_only) == (dev, build_only)


def test_an_index_is_known_by_its_alias() -> None:
    held = found()
    assert (held["torch"].index, held["rich"].index) == ("pytorch-cu126", "default")
    assert held["torch"].page == "http://pytorch.example/whl/cu126/"


def test_a_local_version_is_spelt_out_in_the_file_name() -> None:
    (artefact,) = found()["torch"].wheels
    assert artefact.filename == "torch-2.8.0+cu126-cp312-cp312-manylinux_2_28_x86_64.whl"
    assert "%2B" in artefact.url
    assert (artefact.sha256, artefact.size) == ("ab" * 32, None)


def test_a_source_package_has_its_size_where_the_index_says() -> None:
    sdist = found()["pytest"].sdist
    assert sdist is not None
    assert (sdist.filename, sdist.size) == ("pytest-1.0.tar.gz", 12)


def test_a_relative_path_lies_below_the_index() -> None:
    (artefact,) = found()["setuptools"].wheels
    assert artefact.url == "http://index.example/simple/sub/setuptools-1.0-py3-none-any.whl"
    assert artefact.filename == "setuptools-1.0-py3-none-any.whl"


def test_a_lock_without_packages_holds_none() -> None:
    text = '[[package]]\nname = "mlenv-s"\nversion = "0"\nsource = { virtual = "." }\n'
    assert uv_lock.read(text, {}) == ()
