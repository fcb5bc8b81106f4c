"""What must always hold of the facts that mlenv is shipped with."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version
from pydantic import ValidationError

from mlenv.catalog.load import Catalog, load
from mlenv.catalog.rows import Fact, Facts, GpuNames, Release
from mlenv.cuda import Arch, Cuda
from mlenv.machine import Glibc, driver

CATALOG = load()
FACTS = CATALOG.facts
SCANNED = date.fromisoformat(CATALOG.scanned[:10])
GROUPS = {
    name: getattr(FACTS, name) for name in Facts.model_fields if name not in {"schema_", "review"}
}


def rows() -> list[Fact]:
    return [row for group in GROUPS.values() for row in group]


@pytest.mark.parametrize("package", sorted(CATALOG.raw))
def test_every_scanned_row_is_valid(package: str) -> None:
    found = CATALOG.releases(package)
    assert canonicalize_name(package) == package
    assert len(found) == len(CATALOG.raw[package])
    assert [each.version for each in found] == sorted({each.version for each in found})
    for each in found:
        assert date.fromisoformat(each.release.date) <= SCANNED
        assert not each.version.is_prerelease
        for wheels in each.release.wheels.values():
            floors = [Glibc.parse(text) for text in wheels.glibc]
            assert floors == sorted(floors)
            assert wheels.python
            assert wheels.mb >= 0


def test_a_scanned_row_with_a_word_too_many_is_refused() -> None:
    with pytest.raises(ValidationError):
        Release.model_validate({"date": "2026-01-01", "wheel": {}})


def test_the_facts_are_all_groups() -> None:
    assert all(GROUPS.values())
    assert len(rows()) > 100


def test_every_fact_has_a_source_and_a_date_that_was() -> None:
    for row in rows():
        assert row.source.strip() == row.source != ""
        assert row.checked <= datetime.now(UTC).date()
        assert row.cited == f"{row.source} ({row.checked})"
    for framework in CATALOG.frameworks.values():
        assert framework.source
        assert framework.checked <= SCANNED


@pytest.mark.parametrize(
    ("group", "key"),
    [
        pytest.param("driver_floor", lambda row: row.first, id="driver floors"),
        pytest.param("toolkit_driver", lambda row: row.toolkit, id="drivers of toolkits"),
        pytest.param("cudnn", lambda row: Version(row.first), id="cuDNN ranges"),
        pytest.param("host_gcc", lambda row: Version(row.first), id="compilers"),
        pytest.param("forward_compatibility", lambda row: row.toolkit, id="forward compatibility"),
        pytest.param(
            "variant", lambda row: (row.framework, Version(row.version)), id="index variants"
        ),
    ],
)
def test_rows_are_unique_and_ascending(group: str, key: object) -> None:
    assert callable(key)
    found = [key(row) for row in GROUPS[group]]
    assert found == sorted(set(found))


@pytest.mark.parametrize(
    ("group", "key"),
    [
        pytest.param("architecture", lambda row: row.capability, id="GPU architectures"),
        pytest.param("gpu", lambda row: (row.capability, row.brand), id="GPU products"),
        pytest.param("base_gate", lambda row: (row.toolkit, row.brands), id="gates of base images"),
        pytest.param(
            "conda_variant",
            lambda row: (row.channel, row.framework, row.versions),
            id="builds of conda channels",
        ),
        pytest.param("base", lambda row: row.reference, id="base images"),
        pytest.param(
            "code",
            lambda row: (row.package, row.architecture, row.versions, row.toolkits),
            id="GPU code",
        ),
    ],
)
def test_rows_are_unique(group: str, key: object) -> None:
    assert callable(key)
    found = [key(row) for row in GROUPS[group]]
    assert len(found) == len(set(found))


def test_every_group_has_a_date_by_which_somebody_looks_again() -> None:
    groups = {name.replace("_", "-") for name in GROUPS} | {"framework"}
    assert set(FACTS.review) == groups
    for group, by in FACTS.review.items():
        looked = [row.checked for row in GROUPS.get(group.replace("-", "_"), ())]
        assert all(each < by for each in looked)


def test_a_fact_that_nobody_looked_at_again_is_stale_from_the_day_after() -> None:
    first = min(FACTS.review.values())
    assert FACTS.stale(first) == ()
    late = FACTS.stale(first + timedelta(days=1))
    assert late == tuple(sorted(each for each in FACTS.review.items() if each[1] == first))


@pytest.mark.nightly
def test_no_fact_is_stale_today() -> None:
    assert FACTS.stale(datetime.now(UTC).date()) == ()


def test_gates_and_forward_compatibility_speak_of_the_same_images() -> None:
    gates = {row.toolkit for row in FACTS.base_gate}
    assert gates == {row.toolkit for row in FACTS.forward_compatibility}
    clauses = [(row.branches, row.brands) for row in FACTS.base_gate]
    clauses += [(row.branches, row.brands) for row in FACTS.forward_compatibility]
    for branches, brands in clauses:
        assert list(branches) == sorted(set(branches))
        assert list(brands) == sorted(set(brands))
    for row in FACTS.forward_compatibility:
        admitted = {
            branch
            for gate in FACTS.base_gate
            if gate.toolkit == row.toolkit and "data-centre" in gate.brands
            for branch in gate.branches
        }
        assert admitted == set(row.branches)
        assert not {"geforce", "titan"} & set(row.brands)


def test_no_two_conda_rows_speak_of_one_release() -> None:
    for each in CATALOG.releases("torch"):
        own = [r for r in FACTS.conda_variant if each.version in SpecifierSet(r.versions)]
        assert len(own) <= 1


@pytest.mark.parametrize(
    ("name", "brand"),
    [
        pytest.param("A100", "data-centre", id="a data-centre GPU"),
        pytest.param("NVIDIA GeForce RTX 4090", "geforce", id="a GeForce"),
        pytest.param("TITAN RTX", "titan", id="a TITAN"),
        pytest.param("RTX A6000", "professional", id="a workstation GPU"),
        pytest.param("Jetson AGX Orin", "jetson", id="a Jetson"),
        pytest.param("GB10", None, id="one of which nobody says"),
    ],
)
def test_brand_of_a_gpu(name: str, brand: str | None) -> None:
    row = CATALOG.gpu(name)
    assert row is not None
    assert row.brand == brand


@pytest.mark.parametrize(
    ("capability", "brand"),
    [("9.0", "data-centre"), ("7.0", None), ("12.1", None), ("8.9", None)],
)
def test_brand_of_an_architecture_where_all_products_share_it(
    capability: str, brand: str | None
) -> None:
    assert CATALOG.brand(Arch.parse(capability)) == brand


def test_driver_floors_leave_no_toolkit_out_and_overlap_nowhere() -> None:
    for one, two in pairwise(FACTS.driver_floor):
        assert one.first <= one.last < two.first
        assert driver(one.driver) < driver(two.driver)
    with_floor = {
        row.toolkit
        for row in FACTS.toolkit_driver
        if any(floor.first <= row.toolkit <= floor.last for floor in FACTS.driver_floor)
    }
    assert with_floor == {row.toolkit for row in FACTS.toolkit_driver}


def test_the_driver_of_a_toolkit_is_not_below_its_floor() -> None:
    for row in FACTS.toolkit_driver:
        (floor,) = [f for f in FACTS.driver_floor if f.first <= row.toolkit <= f.last]
        assert driver(row.driver) >= driver(floor.driver)


def test_cudnn_ranges_meet() -> None:
    *_, last = FACTS.cudnn
    assert last.below is None
    assert [one.below for one in FACTS.cudnn[:-1]] == [two.first for two in FACTS.cudnn[1:]]


def test_variants_are_ascending_toolkits() -> None:
    for row in FACTS.variant:
        assert list(row.toolkits) == sorted(set(row.toolkits))
        assert len({each.tag for each in row.toolkits}) == len(row.toolkits) > 0


def test_every_release_with_a_variant_is_catalogued() -> None:
    known = {each.text for each in CATALOG.releases("torch")}
    assert {r.version for r in FACTS.variant if r.framework == "torch"} - known <= {"1.12.1"}


def test_no_two_rows_of_gpu_code_speak_of_one_wheel() -> None:
    for row in FACTS.code:
        others = [
            other
            for other in FACTS.code
            if other is not row
            and (other.package, other.architecture) == (row.package, row.architecture)
            and (not row.toolkits or not other.toolkits or {*row.toolkits} & {*other.toolkits})
        ]
        for each in CATALOG.releases(row.package):
            if each.version in SpecifierSet(row.versions):
                assert not any(each.version in SpecifierSet(o.versions) for o in others)


@pytest.mark.parametrize(
    ("name", "row"),
    [pytest.param(name, row, id=name) for row in FACTS.gpu for name in row.names],
)
def test_a_gpu_is_known_by_its_name(name: str, row: GpuNames) -> None:
    product = name.replace("xx", "80")
    for spelling in (product, product.lower(), f"NVIDIA {product}", product.replace(" ", "-")):
        assert CATALOG.gpu(spelling) is row
    assert name in CATALOG.gpu_names()
    assert any(row.capability == each.capability for each in FACTS.architecture)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("NVIDIA GeForce RTX 4090", "8.9", id="as nvidia-smi says it"),
        pytest.param("rtx_3080", "8.6", id="lower case and underscores"),
        pytest.param("GTX 1080 Ti", "6.1", id="a Ti"),
        pytest.param("RTX 40", None, id="half a name"),
        pytest.param("RTX 4x90", None, id="a letter for a digit"),
        pytest.param("RTX 40xx", None, id="a pattern is no product"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_names_of_gpus(name: str, expected: str | None) -> None:
    found = CATALOG.gpu(name)
    assert (found.capability if found else None) == (Arch.parse(expected) if expected else None)


@pytest.mark.parametrize("name", sorted(CATALOG.frameworks))
def test_a_framework_row_names_what_there_is(name: str) -> None:
    row = CATALOG.frameworks[name]
    named = [*row.distribution.values(), *row.carrier, *([row.proof.package] if row.proof else [])]
    assert [each for each in named if not CATALOG.releases(each)] == []
    assert {*row.distribution.values(), *row.carrier} <= set(row.packages)
    assert set(row.family) <= set(row.packages)
    assert set(row.distribution) == {"any"} or all(map(str.isdigit, row.distribution))
    assert all(map(str.isdigit, row.extra))
    assert row.index is None or "{tag}" in row.index
    assert row.proof is None or re.compile(row.proof.pattern).groups == 1
    for each in (name, *row.distribution.values(), name.upper()):
        assert CATALOG.framework(each) is row


def test_no_package_belongs_to_two_frameworks() -> None:
    owned = [each for row in CATALOG.frameworks.values() for each in row.packages]
    assert len(owned) == len(set(owned))
    assert CATALOG.framework("jaxlib") is None


@pytest.mark.parametrize(
    ("reference", "glibc"),
    [
        pytest.param("python:3.12-slim-bookworm", "2.36", id="an official image"),
        pytest.param("docker.io/library/ubuntu:22.04", "2.35", id="in full"),
        pytest.param(f"debian:12@sha256:{'0' * 64}", "2.36", id="with its digest"),
        pytest.param("nvidia/cuda:12.8.1-base-ubuntu24.04", "2.39", id="of NVIDIA"),
        pytest.param("corp.example/base:1", None, id="that nobody knows"),
    ],
)
def test_glibc_of_a_base_image(reference: str, glibc: str | None) -> None:
    assert CATALOG.base_glibc(reference) == (Glibc.parse(glibc) if glibc else None)


def test_variants_of_a_local_version_are_those_of_its_release() -> None:
    toolkits, cited = CATALOG.variants("torch", Version("2.8.0+cu126"))
    assert toolkits == (Cuda(12, 6), Cuda(12, 8), Cuda(12, 9))
    assert "pytorch/test-infra" in cited
    assert CATALOG.variants("torch", Version("9.9")) == ((), "")


def test_opening_the_catalog_makes_no_row() -> None:
    code = (
        "from mlenv.catalog.load import load; found = load(); "
        "print('facts' in vars(found), 'frameworks' in vars(found), len(found._made))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "0"]


def test_an_unknown_package_has_no_release() -> None:
    bare = Catalog(scanned=CATALOG.scanned, source="nowhere", raw={})
    assert bare.releases("torch") == ()
    assert bare.cited == f"published metadata, read {SCANNED}"
