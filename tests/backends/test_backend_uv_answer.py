"""What uv 0.13.9 says, recorded on 2026-11-22, and what is understood of it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlenv.backends import uv, uv_answer
from mlenv.model import CONTROL

HEAD = """\
Using CPython 3.11.7 interpreter at: /venv/bin/python
error: No solution found when resolving dependencies for split (markers: \
python_full_version == '3.12.*' and implementation_name == 'cpython' and \
platform_machine == 'x86_64' and sys_platform == 'linux')
  cause: """
HINT = """

hint: While the active Python version is 3.11, the resolution failed for other Python versions \
supported by your project. Consider limiting your project's supported Python versions using \
`requires-python`.
"""
END = "we can conclude that your project's requirements are unsatisfiable."
FETCH = "error: Failed to fetch: http://index.example/simple/filelock/\n  cause: "
SENT = f"{FETCH}error sending request for url (http://index.example/simple/filelock/)\n"

CONFLICT = (
    f"{HEAD}Because all versions of lightning depend on torchmetrics==1.8.2 and only "
    "torchmetrics==1.8.2 is available, we can conclude that all versions of lightning depend on "
    "torchmetrics==1.8.2.\n         And because your project depends on lightning and "
    f"torchmetrics<1, {END}{HINT}"
)
UNKNOWN = (
    f"{HEAD}Because no-such-thing was not found in the package registry and your project depends "
    f"on no-such-thing, {END}{HINT}"
)
NO_VERSION = (
    f"{HEAD}Because there are no versions of example-preview and your project depends on "
    f"example-preview, {END}{HINT}\nhint: Pre-releases are available for `example-preview` in the "
    "requested range (e.g., 1.0rc1), but pre-releases weren't enabled (try: "
    "`--prerelease=allow`)\n"
)
ONLY_OLDER = (
    f"{HEAD}Because only filelock==3.19.1 is available and your project depends on filelock>=99, "
    f"{END}{HINT}"
)
YANKED = (
    f"{HEAD}Because example-yanked==2.0 was yanked (reason: it was a mistake) and only "
    "example-yanked<=2.0 is available, we can conclude that example-yanked>=2.0 cannot be used.\n"
    f"         And because your project depends on example-yanked>=2, {END}{HINT}"
)
NO_WHEEL = (
    f"{HEAD}Because all versions of example-glibc have no `python_full_version == '3.12.*' and "
    "implementation_name == 'cpython' and platform_machine == 'aarch64' and sys_platform == "
    f"'linux'`-compatible wheels and your project depends on example-glibc, {END}{HINT}"
)
NO_TAG = (
    f"{HEAD}Because example-gil==1.0 has no wheels with a matching Python version tag (e.g., "
    f"`cp312`) and your project depends on example-gil, {END}{HINT}"
)
SOURCE_ONLY = (
    f"{HEAD}Because example-pure==1.0 has no usable wheels and only example-pure==1.0 is "
    "available, we can conclude that all versions of example-pure cannot be used.\n"
    f"         And because your project depends on example-pure, {END}{HINT}\nhint: Wheels are "
    "required for `example-pure` because building from source is disabled for all packages "
    "(i.e., with `--no-build`)\n"
)
OFFLINE = (
    f"{HEAD}Because filelock was not found in the cache and your project depends on filelock, "
    f"{END}{HINT}\nhint: Packages were unavailable because the network was disabled. When the "
    "network is disabled, registry packages may only be read from the cache.\n"
)
UNAUTHORISED = (
    f"{HEAD}Because rich was not found in the package registry and your project depends on rich, "
    f"{END}{HINT}\nhint: An index URL (http://index.example/simple) could not be queried due to a "
    "lack of valid authentication credentials (401 Unauthorized)\n"
)
FORBIDDEN = (
    f"{HEAD}Because rich was not found in the package registry and your project depends on rich, "
    f"{END}{HINT}\nhint: An index (http://index.example/simple) returned a 403 Forbidden error. "
    "Check that the index URL is correct and the credentials are valid.\n"
)
SERVER_ERROR = (
    f"{FETCH}HTTP status server error (500 Internal Server Error) for url "
    "(http://index.example/simple/filelock/)\n"
)
DNS = (
    f"{SENT}  cause: client error (Connect)\n  cause: dns error\n  cause: error resolving DNS\n"
    "  cause: failed to lookup address information: Name or service not known\n"
)
REFUSED = (
    f"{SENT}  cause: client error (Connect)\n  cause: tcp connect error\n"
    "  cause: Connection refused (os error 111)\n"
)
FULL = """\
error: Failed to inspect Python interpreter from provided path at `/venv/bin/python`
  cause: Failed to query Python interpreter
  cause: failed to write to file `/cache/.tmp5kitHy/python/get_interpreter_info.py`: \
No space left on device (os error 28)
"""
FAILED_BUILD = """\
Using CPython 3.11.7 interpreter at: /venv/bin/python
   Building example-broken==1.0
error: Failed to build `example-broken==1.0`
  cause: The build backend returned an error
  cause: Call to `backend.build_wheel` failed (exit status: 1)

         [stderr]
         no nvcc here

hint: `example-broken` (v1.0) was included because `mlenv-s` (v0) depends on `example-broken`

hint: Build failures usually indicate a problem with the package or the build environment
"""
EXTRA = (
    "Using CPython 3.11.7 interpreter at: /venv/bin/python\nResolved 2 packages in 8ms\n"
    "warning: The package `fsspec==2025.7.0` does not have an extra named `nothing`\n"
)


@pytest.mark.parametrize(
    ("text", "code", "cause"),
    [
        pytest.param(CONFLICT, "", "", id="conflict"),
        pytest.param(
            UNKNOWN, "", "no package is called no-such-thing on the index", id="unknown package"
        ),
        pytest.param(NO_VERSION, "", "there is no version of example-preview", id="no version"),
        pytest.param(ONLY_OLDER, "", "", id="only older ones"),
        pytest.param(YANKED, "yanked", "it was a mistake", id="yanked"),
        pytest.param(NO_WHEEL, "no-wheel", "", id="no wheel"),
        pytest.param(NO_TAG, "python-unsupported", "", id="no tag"),
        pytest.param(SOURCE_ONLY, "", "", id="source only"),
        pytest.param(FAILED_BUILD, "needs-build", "example-broken==1.0", id="failed build"),
    ],
)
def test_a_refusal(text: str, code: str, cause: str) -> None:
    found = uv_answer.answer(1, text)
    assert (found.kind, found.code) == ("refused", code)
    assert found.cause.startswith(cause)
    assert found.cause == found.cause.strip()


@pytest.mark.parametrize(
    ("status", "text", "code", "cause"),
    [
        pytest.param(1, OFFLINE, "network-off", "", id="offline, though it exits with 1"),
        pytest.param(2, DNS, "network-failed", "failed to lookup address", id="DNS"),
        pytest.param(2, REFUSED, "network-failed", "Connection refused", id="refused connection"),
        pytest.param(2, SERVER_ERROR, "network-failed", "HTTP status server error (500", id="500"),
        pytest.param(2, FULL, "disk-failed", "No space left on device", id="full disk"),
        pytest.param(1, FULL, "disk-failed", "No space left on device", id="full disk, exit 1"),
        pytest.param(2, CONFLICT, "solver-broke", "Because all", id="a conflict with exit 2"),
        pytest.param(2, "", "solver-broke", "", id="not a word"),
        pytest.param(-9, "", "solver-broke", "", id="killed"),
        pytest.param(101, "thread 'main' panicked\n", "solver-broke", "thread", id="a panic"),
    ],
)
def test_a_breakdown(status: int, text: str, code: str, cause: str) -> None:
    found = uv_answer.answer(status, text)
    assert (found.kind, found.code) == ("broke", code)
    assert cause in found.cause


@pytest.mark.parametrize(
    ("text", "status"),
    [pytest.param(UNAUTHORISED, 401, id="401"), pytest.param(FORBIDDEN, 403, id="403")],
)
def test_an_index_that_lets_nobody_in_is_a_breakdown(text: str, status: int) -> None:
    found = uv_answer.answer(1, text)
    assert (found.kind, found.code) == ("broke", "network-failed")
    assert found.denied == ("http://index.example/simple", status)
    shown = uv_answer.answer(1, text.replace("http://", "http://me:hunter-two@"))
    assert shown.denied == found.denied


def test_of_a_bucket_403_means_that_there_is_no_such_package() -> None:
    found = uv_answer.answer(1, FORBIDDEN, bare={"http://index.example/simple"})
    assert (found.kind, found.cause) == ("refused", "no package is called rich on the index")


def test_an_extra_that_is_missing_is_only_warned_of() -> None:
    found = uv_answer.answer(0, EXTRA)
    assert (found.kind, found.extras) == ("found", (("fsspec==2025.7.0", "nothing"),))


def test_packages_without_wheels_are_named() -> None:
    assert uv_answer.answer(1, SOURCE_ONLY).sources == ("example-pure",)


def test_the_yanked_release_is_named() -> None:
    assert uv_answer.answer(1, YANKED).package == "example-yanked 2.0"


def test_the_cuda_packages_of_another_major_are_found() -> None:
    text = f"{HEAD}Because torch==2.15.0 depends on nvidia-cudnn-cu13<0 and nvidia-nccl-cu13{{x}}<0"
    held = {"nvidia-cudnn-cu13": 13, "nvidia-nccl-cu13": 13, "nvidia-cudnn-cu12": 12}
    found = uv_answer.majors_blamed(text, held)
    assert found == (("nvidia-cudnn-cu13", 13), ("nvidia-nccl-cu13", 13))
    assert uv_answer.majors_blamed(CONFLICT, held) == ()


def test_the_packages_that_a_refusal_speaks_of_are_found() -> None:
    text = "Because Torch==2.15.0 depends on zope_interface[x]>=1 and nvidia-nccl-cu13{x}<0, it"
    assert {"torch", "zope-interface", "nvidia-nccl-cu13"} <= uv_answer.named(text)
    assert "rich" not in uv_answer.named(text)


def test_control_characters_do_not_reach_a_terminal() -> None:
    hostile = "error: \x1b[31mred\x1b[0m\x07 \x9b2J \u202eevil\r\n  cause: \x1b]0;title\x07 end\x00"
    found = uv_answer.answer(2, hostile)
    for text in (found.text, found.cause):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
        assert "\u202e" not in text


@given(st.text(), st.integers(-15, 130))
def test_no_text_raises_or_passes_control_characters(text: str, status: int) -> None:
    found = uv_answer.answer(status, text)
    assert not any(CONTROL.search(line) for line in found.text.split("\n"))
    assert (found.kind == "found") is (status == 0)
    assert not CONTROL.search(found.cause)


def test_sizes_leave_the_lock_of_uv() -> None:
    one = '{ url = "x", hash = "sha256:ab", size = 12, upload-time = "y" },\n'
    two = '{ url = "x", hash = "sha256:ab", size = 12345 },\n'
    assert uv.canonical(one) == '{ url = "x", hash = "sha256:ab", upload-time = "y" },\n'
    assert uv.canonical(two) == '{ url = "x", hash = "sha256:ab" },\n'
    assert uv.canonical(uv.canonical(one)) == uv.canonical(one)
    assert uv.canonical('name = "size"\nversion = "1"\n') == 'name = "size"\nversion = "1"\n'
