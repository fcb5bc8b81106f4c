"""One toolkit: the ranges of its components, and what must stay out."""

from __future__ import annotations

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from mlenv.catalog.load import load
from mlenv.cuda import Cuda
from mlenv.plan.candidate import Build, builds, candidates
from mlenv.plan.fit import alone
from mlenv.plan.toolkits import (
    CLOBBERING,
    METAPACKAGE,
    admitted,
    banned,
    components,
    cuda_major,
    toolkits,
)
from planning import bounds, planned

CATALOG = load()
TODAY = CATALOG.scanned[:10]
WITH_METAPACKAGE = [each for each in toolkits(CATALOG) if components(CATALOG, each)]


def built() -> list[tuple[Build, Cuda, str]]:
    """Return every release of torch and tensorflow whose wheel says a toolkit."""
    found = []
    for name in ("torch", "tensorflow"):
        for architecture in ("x86_64", "aarch64"):
            for major in (11, 12, 13):
                for each in builds(
                    CATALOG.frameworks[name],
                    major,
                    catalog=CATALOG,
                    architecture=architecture,
                    until=TODAY,
                ):
                    if not each.built_for or each.built_for == "cpu":
                        continue
                    toolkit = Cuda.parse(".".join(each.built_for.split(".")[:2]))
                    if toolkit.major == major:
                        found.append((each, toolkit, architecture))
    return found


BUILT = built()


def test_the_catalog_has_builds_to_check() -> None:
    assert len(BUILT) > 50
    assert {toolkit.major for _, toolkit, _ in BUILT} == {11, 12, 13}


@pytest.mark.parametrize(
    ("build", "toolkit", "architecture"),
    [
        pytest.param(*each, id=f"{each[0].release.name} {each[0].release.text} {each[2]}")
        for each in BUILT
    ],
)
def test_what_a_wheel_pins_lies_in_its_toolkit(
    build: Build, toolkit: Cuda, architecture: str
) -> None:
    parts = components(CATALOG, toolkit)
    for package, specifier in build.pins.items():
        if package not in parts:
            continue
        wanted = admitted(CATALOG, package, specifier, TODAY)
        within = admitted(CATALOG, package, parts[package].specifier, TODAY)
        assert wanted is not None, package
        assert within is not None, package
        assert wanted & within, f"{package}{specifier} is not in {parts[package].specifier}"
    served = candidates(build, toolkit, catalog=CATALOG, architecture=architecture)
    assert all(alone(each, CATALOG, TODAY) for each in served)


@pytest.mark.parametrize("toolkit", WITH_METAPACKAGE, ids=str)
def test_a_component_is_of_one_toolkit(toolkit: Cuda) -> None:
    for part in components(CATALOG, toolkit).values():
        versions = [each.version for each in CATALOG.releases(part.package)]
        assert part.lowest in SpecifierSet(part.specifier)
        assert cuda_major(part.package, CATALOG) == toolkit.major
        assert any(each in SpecifierSet(part.specifier) for each in versions) or not versions


@pytest.mark.parametrize("toolkit", [each for each in WITH_METAPACKAGE if each.major > 11], ids=str)
def test_the_libraries_that_collide_are_banned_of_other_majors(toolkit: Cuda) -> None:
    held = bounds(planned('packages = ["rich"]', f'cuda = "{toolkit}"'))
    for stem in CLOBBERING:
        for major in (11, 12, 13):
            package = f"{stem}-cu{major}"
            if package in CATALOG.raw and major != toolkit.major:
                assert held[package] == "<0"
            elif major == toolkit.major:
                assert held.get(package) != "<0"
    assert held[METAPACKAGE] == f"=={toolkit}.*"
    assert held["cuda-bindings"] == f"<{toolkit.major + 1},>={toolkit.major}"
    for part in components(CATALOG, toolkit).values():
        assert SpecifierSet(held[part.package]) == SpecifierSet(part.specifier)


@pytest.mark.parametrize("major", [12, 13])
def test_no_component_of_the_major_itself_is_banned(major: int) -> None:
    own = {
        package
        for toolkit in WITH_METAPACKAGE
        if toolkit.major == major
        for package in components(CATALOG, toolkit)
    }
    assert own.isdisjoint(banned(CATALOG, major))
    assert f"nvidia-cudnn-cu{25 - major}" in banned(CATALOG, major)


@pytest.mark.parametrize(
    ("package", "major"),
    [
        pytest.param("nvidia-cublas-cu12", 12, id="a component with a suffix"),
        pytest.param("nvidia-cublas", 13, id="a component without one is of CUDA 13"),
        pytest.param("nvidia-nccl-cu13", 13, id="no component, but it collides"),
        pytest.param("nvidia-cuda-runtime-cu11", 11, id="an old one"),
        pytest.param("nvidia-ml-py", None, id="a tool"),
        pytest.param("cupy-cuda12x", None, id="a framework"),
        pytest.param("torch", None, id="another"),
    ],
)
def test_the_major_of_a_package(package: str, major: int | None) -> None:
    assert cuda_major(package, CATALOG) == major


def test_a_cpu_stack_has_no_cuda_bounds() -> None:
    held = bounds(planned('framework = "torch"', 'cuda = "cpu"'))
    assert set(held) == {"torch"}


def test_a_framework_may_not_fall_below_what_serves() -> None:
    held = bounds(planned('framework = ["torch", "tensorflow"]', 'cuda = "12.8"'))
    assert (held["torch"], held["tensorflow"]) == (">=2.8.0", ">=2.20.0")


@pytest.mark.parametrize(
    ("specifier", "newest"),
    [
        pytest.param("==13.0.3", "13.0.3.0", id="a published version has a zero more"),
        pytest.param("==12.8.*", "12.8.2.0", id="a prefix"),
        pytest.param("*", "13.5.0", id="any"),
        pytest.param("==99", None, id="none"),
    ],
)
def test_admitted_versions(specifier: str, newest: str | None) -> None:
    bits = admitted(CATALOG, METAPACKAGE, specifier, TODAY)
    versions = [each.version for each in CATALOG.releases(METAPACKAGE)]
    assert bits is not None
    found = versions[bits.bit_length() - 1] if bits else None
    assert found == (Version(newest) if newest else None)
    assert admitted(CATALOG, "no-such-package", specifier, TODAY) is None
