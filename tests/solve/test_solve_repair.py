"""Where the newest release has no file for the target: the newest that has one, or why none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drive import solved
from mlenv.errors import StackError

if TYPE_CHECKING:
    from pathlib import Path

FREE = 'name = "s"\npython = "3.14t"\ncuda = "cpu"\n'
PLAIN = 'name = "s"\npython = "3.12"\ncuda = "cpu"\n'
OLD_GLIBC = '[targets.old]\nglibc = "2.31"\n'
ARM = '[targets.arm]\nplatform = "linux/arm64"\n'


@pytest.mark.parametrize(
    ("spec", "filename"),
    [
        pytest.param(
            f'{FREE}packages = ["example-abi"]\n',
            "example_abi-1.0-cp314-cp314t-manylinux_2_28_x86_64.whl",
            id="free-threaded",
        ),
        pytest.param(
            f'{PLAIN}packages = ["example-glibc"]\n{OLD_GLIBC}',
            "example_glibc-1.0-py3-none-manylinux_2_28_x86_64.whl",
            id="glibc",
        ),
        pytest.param(
            f'{PLAIN}packages = ["example-oldpython"]\n',
            "example_oldpython-1.0-py3-none-any.whl",
            id="upper bound of Requires-Python",
        ),
        pytest.param(
            f'{PLAIN}packages = ["example-yanked"]\n',
            "example_yanked-1.0-py3-none-any.whl",
            id="yanked",
        ),
    ],
)
def test_the_newest_older_release_with_a_file_is_taken(
    cache: Path, spec: str, filename: str
) -> None:
    (only,) = solved(spec, cache).picked
    assert only.artefact.filename == filename


@pytest.mark.parametrize(
    ("spec", "code", "where"),
    [
        pytest.param(
            f'{FREE}packages = ["example-abi>=2"]\n',
            "no-wheel-for-python-abi",
            ("packages[0]", "python"),
            id="free-threaded, and the older one is excluded",
        ),
        pytest.param(
            f'{FREE}packages = ["example-gil-user"]\n',
            "no-wheel-for-python-abi",
            ("python",),
            id="free-threaded, of what something needs",
        ),
        pytest.param(
            f'{PLAIN}packages = ["example-glibc>=2"]\n{OLD_GLIBC}',
            "glibc-too-old",
            ("packages[0]", "targets.old.glibc"),
            id="glibc",
        ),
        pytest.param(
            f'{PLAIN}packages = ["example-oldpython>=2"]\n',
            "python-unsupported",
            ("packages[0]", "python"),
            id="upper bound of Requires-Python",
        ),
        pytest.param(
            f'{PLAIN}packages = ["filelock", "example-glibc"]\n{ARM}',
            "no-wheel-for-platform",
            ("packages[1]", "targets.arm.platform"),
            id="architecture",
        ),
        pytest.param(
            f'{PLAIN}packages = ["filelock", "example-gil"]\n',
            "python-unsupported",
            ("packages[1]", "python"),
            id="no wheel for that Python",
        ),
        pytest.param(
            'name = "s"\npython = "3.10"\ncuda = "cpu"\npackages = ["filelock", "jax"]\n',
            "python-unsupported",
            ("packages[1]", "python"),
            id="lower bound of Requires-Python",
        ),
        pytest.param(
            'name = "s"\npython = "3.10"\ncuda = "cpu"\npackages = ["filelock", "numpy"]\n',
            "python-unsupported",
            ("packages[1]", "python"),
            id="lower bound of Requires-Python or no wheel",
        ),
        pytest.param(
            f'{PLAIN}packages = ["filelock", "example-yanked>=2"]\n',
            "yanked",
            ("packages[1]",),
            id="yanked",
        ),
    ],
)
def test_without_an_older_release_the_reason_is_told(
    cache: Path, spec: str, code: str, where: tuple[str, ...]
) -> None:
    with pytest.raises(StackError) as caught:
        solved(spec, cache)
    (reason,) = caught.value.reasons
    assert (reason.code, reason.where) == (code, where)


def test_an_extra_that_is_missing_is_an_error(cache: Path) -> None:
    with pytest.raises(StackError) as caught:
        solved(f'{PLAIN}packages = ["fsspec[nothing]"]\n', cache)
    (reason,) = caught.value.reasons
    assert (reason.code, reason.where) == ("extra-missing", ("packages[0]",))
    assert "fsspec 2025.7.0 has no extra `nothing`" in reason.what


def test_packages_that_own_one_library_collide(cache: Path) -> None:
    with pytest.raises(StackError) as caught:
        solved(f'{PLAIN}packages = ["example-lib-a", "example-lib-b"]\n', cache)
    (reason,) = caught.value.reasons
    assert reason.code == "files-collide"
    assert "example_lib/native.so" in reason.cause


def test_a_shared_data_file_is_a_warning(cache: Path) -> None:
    found = solved(f'{PLAIN}packages = ["example-clash-a", "example-clash-b"]\n', cache)
    assert [each.code for each in found.warnings] == ["small-collision"]


@pytest.mark.parametrize(
    "package",
    [
        pytest.param("example-preview-user", id="that something pins"),
        pytest.param("example-preview>=1.0rc1", id="that a line asks for"),
    ],
)
def test_a_prerelease_is_taken_and_said(cache: Path, package: str) -> None:
    found = solved(f'{PLAIN}packages = ["{package}"]\n', cache)
    assert [each.code for each in found.warnings] == ["prerelease-taken"]


def test_a_prerelease_that_nobody_asked_for_is_not_taken(cache: Path) -> None:
    with pytest.raises(StackError) as caught:
        solved(f'{PLAIN}packages = ["filelock", "example-preview"]\n', cache)
    (reason,) = caught.value.reasons
    assert (reason.code, reason.where) == ("no-solution", ("packages[1]",))
