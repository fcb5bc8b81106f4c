"""Which wheel a target installs, and what it lacks where none fits."""

from __future__ import annotations

import platform
import sys
import sysconfig

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.tags import Tag, compatible_tags, cpython_tags, sys_tags
from packaging.utils import parse_wheel_filename

from mlenv.machine import Glibc, Python
from mlenv.selection import Target, _ranks, select, why_none

PLAIN = Target(Python(12), "x86_64", Glibc(2, 28))
THREADED = Target(Python(14, free_threaded=True), "x86_64", Glibc(2, 36))
ARM = Target(Python(12), "aarch64", Glibc(2, 36))


def wheel(tag: str, build: str = "") -> str:
    return f"numpy-2.3.1-{f'{build}-' if build else ''}{tag}.whl"


@pytest.mark.parametrize(
    ("target", "expected", "others"),
    [
        pytest.param(
            PLAIN,
            wheel("cp312-cp312-manylinux_2_28_x86_64"),
            [wheel("cp312-abi3-manylinux_2_28_x86_64"), wheel("py3-none-any")],
            id="the interpreter's own ABI before the stable one",
        ),
        pytest.param(
            PLAIN,
            wheel("cp39-abi3-manylinux_2_17_x86_64"),
            [wheel("cp38-abi3-manylinux_2_17_x86_64"), wheel("py3-none-manylinux_2_17_x86_64")],
            id="the newest stable ABI before an older one",
        ),
        pytest.param(
            PLAIN,
            wheel("py3-none-manylinux_2_5_x86_64"),
            [wheel("py3-none-linux_x86_64"), wheel("py3-none-any")],
            id="a platform before any",
        ),
        pytest.param(
            PLAIN,
            wheel("cp312-cp312-manylinux_2_27_x86_64.manylinux_2_28_x86_64"),
            [wheel("cp312-cp312-manylinux_2_27_x86_64")],
            id="the best of several tags counts",
        ),
        pytest.param(
            PLAIN,
            wheel("cp312-cp312-manylinux_2_28_x86_64"),
            [wheel("cp312-cp312-manylinux_2_17_x86_64"), wheel("cp312-cp312-linux_x86_64")],
            id="the newest glibc that the target has",
        ),
        pytest.param(
            PLAIN,
            wheel("cp312-cp312-manylinux2014_x86_64"),
            [wheel("cp312-cp312-manylinux_2_34_x86_64"), wheel("cp312-cp312-manylinux1_x86_64")],
            id="a legacy name where the newer glibc is too new",
        ),
        pytest.param(
            PLAIN,
            wheel("cp312-cp312-manylinux_2_28_x86_64", "10"),
            [
                wheel("cp312-cp312-manylinux_2_28_x86_64"),
                wheel("cp312-cp312-manylinux_2_28_x86_64", "9"),
                wheel("cp312-cp312-manylinux_2_28_x86_64", "9z"),
            ],
            id="of equal tags the highest build number",
        ),
        pytest.param(
            PLAIN,
            wheel("cp312-cp312-manylinux_2_28_x86_64"),
            [wheel("py3-none-any", "99")],
            id="a build number never before a tag",
        ),
        pytest.param(
            THREADED,
            wheel("cp314-cp314t-manylinux_2_28_x86_64"),
            [
                wheel("cp314-cp314-manylinux_2_28_x86_64"),
                wheel("cp314-abi3-manylinux_2_28_x86_64"),
                wheel("cp38-abi3-manylinux_2_28_x86_64"),
            ],
            id="a free-threaded Python takes its own ABI",
        ),
        pytest.param(
            THREADED,
            wheel("py3-none-any"),
            [wheel("cp314-abi3-manylinux_2_28_x86_64"), wheel("cp314-cp314-linux_x86_64")],
            id="a free-threaded Python never takes the stable ABI",
        ),
        pytest.param(
            ARM,
            wheel("cp312-cp312-manylinux2014_aarch64"),
            [wheel("cp312-cp312-manylinux_2_28_x86_64"), wheel("cp312-cp312-manylinux1_aarch64")],
            id="another architecture",
        ),
        pytest.param(
            PLAIN,
            wheel("py2.py3-none-any"),
            [wheel("py3-none-any"), wheel("cp311-cp311-linux_x86_64")],
            id="of two that fit equally the name decides",
        ),
    ],
)
def test_the_best_is_taken_in_any_order(target: Target, expected: str, others: list[str]) -> None:
    assert select([expected, *others], target) == expected
    assert select([*reversed(others), expected], target) == expected


@pytest.mark.parametrize(
    ("target", "wheels", "why", "has"),
    [
        pytest.param(
            PLAIN,
            [
                wheel("cp312-cp312-manylinux_2_34_x86_64"),
                wheel("cp312-cp312-manylinux_2_39_x86_64"),
            ],
            *("glibc", "2.34"),
            id="the glibc is too old",
        ),
        pytest.param(
            THREADED,
            [wheel("cp314-cp314-manylinux_2_28_x86_64"), wheel("cp313-cp313-linux_x86_64")],
            *("abi", "cp313, cp314"),
            id="only the plain ABI",
        ),
        pytest.param(
            THREADED,
            [wheel("cp38-abi3-manylinux_2_28_x86_64")],
            *("abi", "cp38 abi3"),
            id="only the stable ABI, though the Python is free-threaded",
        ),
        pytest.param(
            PLAIN,
            [wheel("cp39-cp39-manylinux_2_28_x86_64"), wheel("cp310-cp310-manylinux_2_28_x86_64")],
            *("python", "cp39, cp310"),
            id="other Pythons",
        ),
        pytest.param(PLAIN, [wheel("py2-none-any")], "python", "py2 none", id="Python 2"),
        pytest.param(
            ARM,
            [wheel("cp312-cp312-win_amd64"), wheel("cp312-cp312-manylinux_2_28_x86_64")],
            *("platform", "manylinux_2_28_x86_64, win_amd64"),
            id="other architectures",
        ),
        pytest.param(
            PLAIN,
            [wheel("cp312-cp312-musllinux_1_2_x86_64")],
            *("platform", "musllinux_1_2_x86_64"),
            id="another libc",
        ),
        pytest.param(PLAIN, [], "platform", "no platform", id="no wheel at all"),
        pytest.param(PLAIN, ["numpy.whl"], "platform", "no platform", id="what is no wheel's name"),
    ],
)
def test_why_none(target: Target, wheels: list[str], why: str, has: str) -> None:
    assert select(wheels, target) is None
    assert why_none(wheels, target) == (why, has)


def test_names_that_are_none_are_passed_over() -> None:
    fits = wheel("py3-none-any")
    assert select(["numpy-2.3.1.tar.gz", "numpy.whl", fits], PLAIN) == fits


def ordered(target: Target) -> list[Tag]:
    """Return the tags of a target, best first, put together from packaging's own parts."""
    oldest = 5 if target.architecture == "x86_64" else 17
    legacy = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
    platforms = []
    for minor in range(target.glibc.minor, oldest - 1, -1):
        platforms.append(f"manylinux_2_{minor}_{target.architecture}")
        if minor in legacy:
            platforms.append(f"{legacy[minor]}_{target.architecture}")
    platforms.append(f"linux_{target.architecture}")
    version = (3, target.python.minor)
    return [
        *cpython_tags(version, abis=[target.python.abi], platforms=platforms),
        *compatible_tags(version, f"cp3{target.python.minor}", platforms),
    ]


TARGETS = st.builds(
    Target,
    st.builds(Python, st.integers(9, 15), st.booleans()),
    st.sampled_from(["x86_64", "aarch64"]),
    st.builds(Glibc, st.just(2), st.integers(17, 40)),
)
TAGS = st.builds(
    "-".join,
    st.one_of(
        st.tuples(st.sampled_from(["cp39", "cp312", "cp314"]), st.just("abi3")),
        st.sampled_from([("cp312", "cp312"), ("cp314", "cp314"), ("cp314", "cp314t")]),
        st.tuples(st.sampled_from(["py3", "py312", "py2"]), st.just("none")),
    ).flatmap(
        lambda pair: st.tuples(
            *map(st.just, pair),
            st.sampled_from(
                [
                    *("any", "linux_x86_64", "win_amd64", "manylinux1_x86_64"),
                    *(f"manylinux_2_{m}_{a}" for m in (17, 28, 34) for a in ("x86_64", "aarch64")),
                    *("manylinux2014_aarch64", "manylinux_2_17_x86_64.manylinux2014_x86_64"),
                ]
            ),
        )
    ),
)
NAMES = st.lists(st.builds(wheel, TAGS, st.sampled_from(["", "1", "2", "10"])), max_size=12)


@given(TARGETS, NAMES)
def test_the_choice_is_that_of_packaging(target: Target, names: list[str]) -> None:
    ranks = {tag: rank for rank, tag in reversed(list(enumerate(ordered(target))))}
    fitting = []
    for name in names:
        _, _, build, tags = parse_wheel_filename(name)
        if usable := tags & ranks.keys():
            fitting.append((min(ranks[tag] for tag in usable), -(build or (-1,))[0], name))
    assert select(names, target) == (min(fitting)[2] if fitting else None)


@given(TARGETS, NAMES)
def test_a_reason_is_given_for_whatever_does_not_fit(target: Target, names: list[str]) -> None:
    if select(names, target) is not None:
        return
    why, _ = why_none(names, target)
    wider = Target(target.python, target.architecture, Glibc(2, 60))
    plain = Target(Python(target.python.minor), target.architecture, wider.glibc)
    assert (why == "glibc") == (select(names, wider) is not None)
    if why == "abi":
        assert target.python.free_threaded
        assert select(names, plain) is not None


@pytest.mark.skipif(
    sys.platform != "linux" or platform.libc_ver()[0] != "glibc",
    reason="packaging asks the running interpreter, and this is no Linux with glibc",
)
def test_the_order_is_that_of_the_running_interpreter() -> None:
    threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    here = Target(
        Python(sys.version_info.minor, threaded),
        platform.machine(),
        Glibc.parse(platform.libc_ver()[1]),
    )
    ours = sorted(_ranks(here), key=_ranks(here).__getitem__)
    theirs = list(dict.fromkeys(sys_tags()))
    assert set(ours) == set(theirs)
    # `linux_x86_64` says nothing of its glibc: first with packaging 26.3, last with uv and here
    assert [each for each in ours if not each.platform.startswith("linux_")] == [
        each for each in theirs if not each.platform.startswith("linux_")
    ]
