from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlenv.reference import parse_reference

DIGEST = f"sha256:{'0a' * 32}"


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag", "digest", "shown"),
    [
        pytest.param(
            "python", "docker.io", "library/python", "latest", None, "python:latest", id="a word"
        ),
        pytest.param(
            "python:3.12-slim", "docker.io", "library/python", "3.12-slim", None, None, id="a tag"
        ),
        pytest.param("nvidia/cuda:12.6", "docker.io", "nvidia/cuda", "12.6", None, None, id="two"),
        pytest.param(
            "docker.io/python:3", "docker.io", "library/python", "3", None, "python:3", id="whole"
        ),
        pytest.param(
            "index.docker.io/a/b:3", "docker.io", "a/b", "3", None, "a/b:3", id="its old name"
        ),
        pytest.param(
            f"python@{DIGEST}", "docker.io", "library/python", None, DIGEST, None, id="a digest"
        ),
        pytest.param(
            f"python:3@{DIGEST}", "docker.io", "library/python", "3", DIGEST, None, id="both"
        ),
        pytest.param("localhost/a:b", "localhost", "a", "b", None, None, id="localhost"),
        pytest.param(
            "127.0.0.1:5001/library/python:3",
            *("127.0.0.1:5001", "library/python", "3", None, None),
            id="a port",
        ),
        pytest.param("h:5000/a", "h:5000", "a", "latest", None, "h:5000/a:latest", id="no tag"),
        pytest.param("[::1]:5000/a:b", "[::1]:5000", "a", "b", None, None, id="IPv6"),
        pytest.param("ghcr.io/a/b__c-d.e:V", "ghcr.io", "a/b__c-d.e", "V", None, None, id="marks"),
        pytest.param(
            "docker.io/library/a/b:1",
            *("docker.io", "library/a/b", "1", None, "library/a/b:1"),
            id="more below library",
        ),
    ],
)
def test_a_reference_is_read_as_docker_does(  # noqa: PLR0917
    text: str, registry: str, repository: str, tag: str, digest: str | None, shown: str | None
) -> None:
    found = parse_reference(text)
    assert (found.registry, found.repository) == (registry, repository)
    assert (found.tag, found.digest) == (tag, digest)
    assert str(found) == (shown or text)
    assert parse_reference(str(found)) == parse_reference(found.full) == found


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        pytest.param("", "no image", id="nothing"),
        pytest.param("Python", "no capitals", id="capitals"),
        pytest.param("python:", "no tag", id="an empty tag"),
        pytest.param("python:a b", "no tag", id="a blank"),
        pytest.param("python:3\nUSER root", "no tag", id="another line"),
        pytest.param("python\n", "no image", id="a line end"),
        pytest.param("python@sha256:00", "no digest", id="a short digest"),
        pytest.param("python@", "no digest", id="an empty digest"),
        pytest.param(f"python@{DIGEST}\n", "no digest", id="a line end after the digest"),
        pytest.param("https://ghcr.io/a/b", "host of a registry", id="a scheme"),
        pytest.param("user:pass@ghcr.io/a", "no digest", id="a login"),
        pytest.param("a//b", "no image", id="an empty part"),
        pytest.param("../a", "host of a registry", id="dots"),
        pytest.param("$(id)/a", "no image", id="a shell's"),
        pytest.param("-a.b/c", "host of a registry", id="an option"),
        pytest.param("0a" * 32, "identifier", id="an image id"),
        pytest.param("a/" * 130 + "a", "identifier", id="endless"),
    ],
)
def test_what_is_no_reference_is_refused_with_words(text: str, cause: str) -> None:
    with pytest.raises(ValueError, match=cause) as caught:
        parse_reference(text)
    assert "\n" not in str(caught.value)


def test_a_pinned_reference_keeps_its_tag() -> None:
    assert str(parse_reference("python:3").pinned(DIGEST)) == f"python:3@{DIGEST}"
    with pytest.raises(ValueError, match="no digest"):
        parse_reference("python:3").pinned("sha512:00")


@given(st.text(alphabet="aA0.:/@-_[] \n\u0660", max_size=40))
def test_what_is_taken_comes_back_the_same(text: str) -> None:
    try:
        found = parse_reference(text)
    except ValueError:
        return
    assert parse_reference(str(found)) == found
    assert parse_reference(found.full) == found
    assert " " not in str(found)
