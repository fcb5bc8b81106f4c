"""``--to cyclonedx``: valid, the same bytes each time, and about the files of the lock."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

import condalocks
from exporting import exported, lock_of, pairs, versions
from loopback import environment
from mlenv.export.about import about, edges
from mlenv.machine import Python

if TYPE_CHECKING:
    from pathlib import Path

    from condachannel import Channel
    from loopback import Index


@pytest.fixture
def led(shop: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lead what is asked of the network to the loopback index."""
    for name, text in environment(shop, cache=tmp_path / "uv-cache").items():
        monkeypatch.setenv(name, text)


def bill(folder: Path, place: Path, *words: str) -> dict[str, Any]:
    exported(folder, place, "--to", "cyclonedx", *words)
    (path,) = place.glob("*.cdx.json")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.mark.usefixtures("led")
def test_it_is_valid_and_holds_the_lock(torch_folder: Path, tmp_path: Path) -> None:
    found = bill(torch_folder, tmp_path / "a", "--variant", "dev")
    text = next((tmp_path / "a").iterdir()).read_text(encoding="utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    rows = [each for each in found["components"] if each["type"] == "library"]
    held = pairs((each["name"], each["version"]) for each in rows)
    init = lock_of(torch_folder).init
    assert init is not None
    assert held == versions(torch_folder, dev=True) | {init.name: init.version}
    hashes = {each["name"]: each["hashes"][0]["content"] for each in rows}
    assert hashes == {p.name: p.sha256 for p in (*lock_of(torch_folder).package, init)}
    for each in rows:
        purl = PackageURL.from_string(each["purl"])
        assert (purl.type, purl.name, purl.version) == ("pypi", each["name"], each["version"])
    assert uuid.UUID(found["serialNumber"]).version == 5


@pytest.mark.usefixtures("led")
def test_the_same_lock_gives_the_same_bytes_and_another_variant_another_serial(
    torch_folder: Path, tmp_path: Path
) -> None:
    first = bill(torch_folder, tmp_path / "a")
    assert bill(torch_folder, tmp_path / "b") == first
    one, two = (next((tmp_path / each).iterdir()).read_bytes() for each in "ab")
    assert one == two
    other = bill(torch_folder, tmp_path / "c", "--variant", "dev")
    assert other["serialNumber"] != first["serialNumber"]


@pytest.mark.usefixtures("led")
def test_it_tells_who_needs_whom(torch_folder: Path, tmp_path: Path) -> None:
    found = bill(torch_folder, tmp_path)
    needs = {each["ref"]: each.get("dependsOn", []) for each in found["dependencies"]}
    names = {each["bom-ref"]: each["name"] for each in found["components"]}
    assert sorted(names[each] for each in needs["stack"]) == ["torch", "torchvision"]
    by_name = {names[ref]: {names[n] for n in of} for ref, of in needs.items() if ref in names}
    assert "torch" in by_name["torchvision"]
    assert "nvidia-cudnn-cu12" in by_name["torch"]
    assert needs.keys() == {"stack", *names}


def test_a_bill_of_conda_packages_is_valid_and_holds_both_hashes(
    conda_stubs: Channel, tmp_path: Path
) -> None:
    folder = condalocks.folder(tmp_path / "out", conda_stubs)
    found = bill(folder, tmp_path / "bill")
    text = next((tmp_path / "bill").iterdir()).read_text(encoding="utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    cudnn = next(each for each in found["components"] if each["name"] == "cudnn")
    locked = next(each for each in lock_of(folder).package if each.name == "cudnn")
    assert [each["content"] for each in cudnn["hashes"]] == [locked.md5, locked.sha256]
    purl = PackageURL.from_string(cudnn["purl"])
    assert (purl.type, purl.name, purl.version) == ("conda", "cudnn", locked.version)
    assert isinstance(purl.qualifiers, dict)
    assert purl.qualifiers["subdir"] == "linux-64"
    assert locked.filename.endswith(f"-{purl.qualifiers['build']}.conda")


@pytest.mark.parametrize(
    ("metadata", "expression", "licence"),
    [
        pytest.param("License-Expression: MIT OR Apache-2.0\n", "MIT OR Apache-2.0", "", id="spdx"),
        pytest.param(
            f"License-Expression: {'MIT AND ' * 40}ISC\n",
            f"{'MIT AND ' * 40}ISC",
            "",
            id="a long one",
        ),
        pytest.param("License: BSD 3-Clause\n", "", "BSD 3-Clause", id="in its own words"),
        pytest.param(
            "License: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License\n",
            "",
            "MIT License",
            id="a classifier where the words say nothing",
        ),
        pytest.param(f"License: {'x' * 2000}\n", "", "", id="a whole licence is no name"),
        pytest.param("Name: x\n", "", "", id="nothing"),
    ],
)
def test_a_licence_is_what_the_package_says(metadata: str, expression: str, licence: str) -> None:
    found = about(f"Metadata-Version: 2.4\n{metadata}")
    assert (found.expression, found.licence) == (expression, licence)


def test_an_extra_that_somebody_asks_for_has_its_needs() -> None:
    known = {
        "a": about("Requires-Dist: b[fast]>=1\nRequires-Dist: w ; sys_platform == 'win32'\n"),
        "b": about("Requires-Dist: c ; extra == 'fast'\nRequires-Dist: d ; extra == 'slow'\n"),
        **{each: about("") for each in "cdw"},
    }
    first, needs = edges(known, ["A", "gone"], Python.parse("3.12"), "x86_64")
    assert first == {"a"}
    assert needs == {"a": {"b"}, "b": {"c"}}
