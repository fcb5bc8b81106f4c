"""Level 0: installed distributions and their libraries, over site folders of a test's own."""

from __future__ import annotations

import base64
import hashlib
import sysconfig
from typing import TYPE_CHECKING, Any

import pytest

from binaries import shared_object
from mlenv.smoke import shared_object as objects
from mlenv.smoke.distributions import same
from probing import Probe, copied

if TYPE_CHECKING:
    from pathlib import Path

EXTENSION = str(sysconfig.get_config_var("EXT_SUFFIX"))


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    return Probe(root=copied(tmp_path_factory.mktemp("probe")))


def install(site: Path, name: str, version: str, files: dict[str, bytes]) -> None:
    """Write a distribution as an installer does."""
    info = site / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    rows = []
    for path, data in files.items():
        target = site / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        rows.append(f"{path},sha256={digest},{len(data)}\n")
    (info / "RECORD").write_text("".join(rows))


def said(probe: Probe, site: Path, name: str, **plan: Any) -> dict[str, Any]:  # noqa: ANN401 (JSON)
    report = probe.report(name, env={"MLENV_SITE": str(site)}, **plan)
    return dict(report["probes"][0])


@pytest.fixture
def site(tmp_path: Path, probe: Probe) -> Path:
    """Return a folder that the probe's Python looks into, and nothing else of this machine's."""
    (probe.root / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if os.environ.get('MLENV_SITE'):\n"
        "    sys.path[:] = [each for each in sys.path if not each.endswith('-packages')]\n"
        "    sys.path.append(os.environ['MLENV_SITE'])\n"
    )
    return tmp_path / "site"


def test_a_whole_environment_passes(probe: Probe, site: Path) -> None:
    install(site, "One_Thing", "1.0", {"one/libone.so.1": b"one"})
    row = said(probe, site, "distributions", expect={"distributions": {"one-thing": "1.0"}})
    assert (row["status"], row["facts"]["distributions"]) == ("pass", {"one-thing": "1.0"})


@pytest.mark.parametrize("quick", [False, True])
def test_a_changed_library_is_named(probe: Probe, site: Path, quick: bool) -> None:  # noqa: FBT001
    install(site, "one", "1.0", {"one/libone.so.1": b"one"})
    (site / "one/libone.so.1").write_bytes(b"two" if not quick else b"longer")
    row = said(probe, site, "distributions", quick=quick)
    assert (row["status"], row["reason"]) == ("fail", "record-differs")
    assert row["message"].endswith("libone.so.1 is not what one 1.0 brought")


def test_a_library_that_is_gone_is_named(probe: Probe, site: Path) -> None:
    install(site, "one", "1.0", {"one/libone.so.1": b"one"})
    (site / "one/libone.so.1").unlink()
    row = said(probe, site, "distributions")
    assert row["message"].endswith("libone.so.1 of one 1.0: No such file or directory")


def test_two_owners_of_one_library_are_named(probe: Probe, site: Path) -> None:
    install(site, "nccl_cu12", "2.1", {"nvidia/nccl/lib/libnccl.so.2": b"old"})
    install(site, "nccl_cu13", "2.2", {"nvidia/nccl/lib/libnccl.so.2": b"new"})
    row = said(probe, site, "distributions")
    assert row["reason"] == "two-owners"
    assert row["message"].endswith("libnccl.so.2 is of nccl-cu12 2.1 and nccl-cu13 2.2")


def test_two_owners_of_the_same_bytes_are_no_matter(probe: Probe, site: Path) -> None:
    install(site, "one", "1.0", {"x/libx.so": b"same"})
    install(site, "two", "1.0", {"x/libx.so": b"same"})
    assert said(probe, site, "distributions")["status"] == "pass"


def test_a_distribution_that_is_there_twice_is_named(probe: Probe, site: Path) -> None:
    install(site, "one", "1.0", {})
    install(site, "one", "2.0", {})
    row = said(probe, site, "distributions")
    assert row["reason"] == "metadata-twice"
    assert "one 1.0 in " in row["message"]
    assert "2.0 in " in row["message"]


def test_what_differs_from_the_plan_is_named(probe: Probe, site: Path) -> None:
    install(site, "one", "1.0", {})
    expected = {"one": "2.0", "two": "3.0"}
    row = said(probe, site, "distributions", expect={"distributions": expected})
    assert row["reason"] == "distribution-differs"
    assert row["message"] == "one 1.0 (expected 2.0); two is missing (expected 3.0)"


@pytest.mark.parametrize(
    ("found", "expected", "is_same"),
    [
        ("1.0", "1.0", True),
        ("2.9.0+cu130", "2.9.0", True),
        ("2.9.0+cu130", "2.9.0+cu126", False),
        ("2.9.0", "2.9.0+cu130", False),
        ("2024.01.1", "2024.1.1", True),
        ("1.0-1", "1.0.1", True),
        ("", "1.0", False),
    ],
)
def test_versions_are_compared_as_versions(found: str, expected: str, is_same: bool) -> None:  # noqa: FBT001
    assert same(found, expected) is is_same


def test_what_an_extension_needs_must_be_somewhere(probe: Probe, site: Path) -> None:
    install(
        site,
        "one",
        "1.0",
        {
            f"one{EXTENSION}": shared_object(["libinner.so.1", "libc.so.6", "libcuda.so.1"]),
            "one.libs/libinner-1a2b.so.1": shared_object(["libnot.so.9"], soname="libinner.so.1"),
            "one/plugin.so": shared_object(["libmpi.so.40"]),
        },
    )
    row = said(probe, site, "needed")
    assert row["reason"] == "missing-needed"
    assert row["message"].endswith("libinner-1a2b.so.1 needs libnot.so.9")
    optional = row["facts"]["optional"]
    assert [path.rpartition("/")[2] for path in optional] == ["plugin.so"]


def test_what_another_distribution_brings_is_found(probe: Probe, site: Path) -> None:
    install(site, "one", "1.0", {f"one{EXTENSION}": shared_object(["libother.so.1"])})
    install(site, "two", "1.0", {"two/libother.so.1": shared_object([], soname="libother.so.1")})
    assert said(probe, site, "needed")["status"] == "pass"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="an empty file"),
        pytest.param(b"/* GNU ld script */ GROUP ( libx.so.1 )", id="a linker script"),
        pytest.param(shared_object(["liba.so"])[:70], id="half a file"),
        pytest.param(shared_object(["liba.so"], order=">"), id="another byte order"),
        pytest.param(b"\x7fELF\x02\x01" + b"\xff" * 200, id="nonsense"),
    ],
)
def test_what_is_no_shared_object_wants_nothing(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "libx.so").write_bytes(data)
    assert objects.read(str(tmp_path / "libx.so")) is None


def test_a_shared_object_says_what_it_needs(tmp_path: Path) -> None:
    path = tmp_path / "libx.so"
    path.write_bytes(shared_object(["liba.so.1", "libb.so"], soname="libx.so.3"))
    found = objects.read(str(path))
    assert found is not None
    assert (found.soname, found.needed) == ("libx.so.3", ("liba.so.1", "libb.so"))
