"""What engines print, read into steps and causes."""

from __future__ import annotations

import pytest

from mlenv.imaging.build_causes import cause, without_login
from mlenv.imaging.build_log import BuildLog, instructions

DOCKERFILE = """
# FROM nothing AS ignored
ARG BASE=python
FROM uv AS uv
FROM ${BASE} AS start
FROM start AS layer-rest
RUN --mount=type=bind,from=uv,source=/uv,target=/uv \\
    true
FROM start AS layer-dev
RUN true
FROM start AS runtime
WORKDIR /home/ml
COPY --from=layer-rest /layer/ /
ENV A=b
FROM runtime AS dev
COPY --from=layer-dev /layer/ /
"""

BUILDKIT = """\
#1 [internal] load build definition from Dockerfile
#1 sha256:d4ede0d139a20e325afec81970ac570f6852a9d55d5f5515a7b39e470e22794b
#1 DONE 0.0s

#5 [layer-rest 1/1] RUN --mount=type=bind true
#5 0.251 Resolved 5 packages in 206ms
#5 ...

#6 [linux/amd64 runtime 1/2] WORKDIR /home/ml
#6 CACHED

#5 [layer-rest 1/1] RUN --mount=type=bind true
#5 0.300 error: Failed to download `einops==0.8.2`
#5 0.300   cause: Hash mismatch for `einops==0.8.2`
#5 0.300
#5 ERROR: executor failed running [/bin/sh -c true]: exit code: 2
------
 > [layer-rest 1/1] RUN --mount=type=bind true:
------
executor failed running [/bin/sh -c true]: exit code: 2
"""

BUILDAH = """\
[1/3] STEP 1/1: FROM uv AS uv
[2/3] STEP 1/2: FROM 13fa4f796842 AS layer-rest
[2/3] STEP 2/2: RUN --mount=type=bind true
Resolved 5 packages in 206ms
E: Unable to locate package nothing
subprocess exited with status 100
subprocess exited with status 100
[3/3] STEP 1/2: FROM 13fa4f796842 AS runtime
Error: building at STEP "RUN --mount=type=bind true": exit status 100
"""


def read(log: str) -> tuple[BuildLog, list[str]]:
    found = BuildLog(DOCKERFILE, "runtime")
    shown = [found.feed(line) for line in log.splitlines()]
    return found, [str(each) for each in shown if each is not None]


@pytest.mark.parametrize(
    ("target", "count"),
    [
        pytest.param("runtime", 3, id="what a target is made from counts, and nothing else"),
        pytest.param("dev", 5, id="a target of a target"),
        pytest.param("uv", 1, id="never nothing"),
        pytest.param("none", 5, id="an unknown target is the last one"),
    ],
)
def test_counts_instructions(target: str, count: int) -> None:
    assert instructions(DOCKERFILE, target) == count


def test_reads_the_log_of_buildkit() -> None:
    found, shown = read(BUILDKIT)
    assert "layer-rest 0/3: RUN" in shown
    assert "layer-rest 0/3: Resolved 5 packages in 206ms" in shown
    assert "runtime 1/3: CACHED" in shown
    assert found.failed.name == "layer-rest"
    assert found.last_lines() == (
        "Resolved 5 packages in 206ms",
        "error: Failed to download `einops==0.8.2`",
        "  cause: Hash mismatch for `einops==0.8.2`",
        "exit code: 2",
    )


def test_reads_the_log_of_buildah() -> None:
    found, shown = read(BUILDAH)
    assert "layer-rest 0/3: Resolved 5 packages in 206ms" in shown
    assert found.failed.name == "layer-rest"
    assert "E: Unable to locate package nothing" in found.last_lines()


def test_keeps_twenty_lines_of_a_step() -> None:
    found, _ = read("#1 [a 1/1] RUN x\n" + "".join(f"#1 0.1 {n}\n" for n in range(99)))
    assert found.last_lines() == tuple(str(n) for n in range(79, 99))


def test_keeps_no_more_than_some_steps() -> None:
    found, _ = read("".join(f"#{n} [a 1/1] RUN x\n#{n} 0.1 {n}\n" for n in range(2000)))
    assert len(found._steps) <= 501


def test_an_engine_that_says_nothing_has_no_last_line() -> None:
    found, shown = read("")
    assert (found.last_lines(), shown) == ((), [])
    assert cause(found.last_lines()).cause == "it did not say why"


@pytest.mark.parametrize(
    ("line", "words", "broke"),
    [
        pytest.param("write /x: no space left on device", "disk", True, id="a full disk"),
        pytest.param(
            "rpc error: code = Unavailable desc = error reading from server: EOF",
            "broke off",
            True,
            id="a dead daemon",
        ),
        pytest.param(
            "  cause: invalid peer certificate: UnknownIssuer", "certificate", False, id="no CA"
        ),
        pytest.param(
            "E: Version '1.0' for 'tini' was not found", "pinned version", False, id="apt, pinned"
        ),
        pytest.param(
            "E: Package 'tini' has no installation candidate", "`tini`", False, id="apt, gone"
        ),
        pytest.param(
            "failed to lookup address information: Temporary failure in name resolution",
            "network",
            False,
            id="no DNS",
        ),
        pytest.param(
            "HTTP status client error (401 Unauthorized) for url (https://x/)",
            "refuses this user",
            False,
            id="no login",
        ),
        pytest.param("docker.io/library/x:1: not found", "not there", False, id="no such base"),
        pytest.param("exec /bin/sh: exec format error", "processor", False, id="no emulation"),
        pytest.param("exit code: 137", "memory", False, id="killed"),
        pytest.param("  x Failed to build `foo==1`", "foo==1", False, id="a source package"),
        pytest.param("something else", "something else", False, id="anything else is quoted"),
    ],
)
def test_names_the_cause(line: str, words: str, broke: bool) -> None:  # noqa: FBT001 (a column)
    found = cause(["before", line])
    assert words in found.cause
    assert found.broke is broke
    assert found.fix


def test_what_tells_more_comes_first() -> None:
    lines = ["error: Failed to fetch: https://x/", "  cause: client error (Connect)"]
    assert "network" in cause(lines).cause
    assert "certificate" in cause([*lines, "  cause: UnknownIssuer"]).cause


def test_a_password_is_not_repeated() -> None:
    assert without_login("fetch https://me:pass@x.example/a") == "fetch https://x.example/a"
