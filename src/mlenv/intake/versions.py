"""Versions of other tools as PEP 440: Poetry's caret and tilde, conda's match specifications.

Sources: https://python-poetry.org/docs/dependency-specification/ and
https://docs.conda.io/projects/conda/en/stable/user-guide/concepts/pkg-specs.html (2026-11-28).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet

_NUMBERS = re.compile(r"\d+(?:\.\d+)*")
_CONDA = re.compile(
    r"(?:(?P<channel>[\w./:-]+)::)?(?P<name>[A-Za-z0-9][\w.-]*)(?P<extras>\[[\w,\s.-]*\])?"
    r"\s*(?P<version>(?:[<>=!~]=?|\s|\d|\*)[^\[]*)?(?:\[(?P<words>.*)\])?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchSpec:
    """A conda requirement in parts."""

    name: str
    specifier: str
    """PEP 440."""
    build: str = ""
    channel: str = ""


def poetry(text: str) -> str:
    """Return a Poetry constraint as a PEP 440 specifier.

    Raises:
        ValueError: it has no such form, as ``^1 || ^2`` has none.
    """
    if "|" in text:
        raise ValueError("it names ranges with `||` between them, which PEP 440 cannot say")
    parts = [each.strip() for each in re.split(r",|(?<=[\w*])\s+(?=[<>=!~^])", text.strip())]
    return checked(",".join(_poetry(each) for each in parts if each not in {"", "*"}))


def _poetry(text: str) -> str:
    if text.startswith("^"):
        return _between(text[1:], caret=True)
    if text.startswith("~") and not text.startswith("~="):
        return _between(text[1:], caret=False)
    if re.match(r"[<>!~=]", text):
        operator, version = re.fullmatch(r"([<>!~=]+)\s*(.*)", text).groups()  # type: ignore[union-attr]
        return f"{'==' if operator == '=' else operator}{version}"
    return f"=={text}"


def _between(text: str, *, caret: bool) -> str:
    version = text.strip().removesuffix(".*")
    found = _NUMBERS.match(version)
    if not found:
        raise ValueError(f"`{text.strip()}` is no version")
    parts = [int(each) for each in found[0].split(".")]
    # caret: "the left-most non-zero digit" stays; tilde: the last but one stays
    at = next((i for i, each in enumerate(parts) if each), len(parts) - 1)
    if not caret:
        at = min(1, len(parts) - 1)
    upper = [*parts[:at], parts[at] + 1]
    return f">={version},<{'.'.join(map(str, upper))}"


def conda(text: str) -> MatchSpec:
    """Return a conda match specification in parts.

    Raises:
        ValueError: it has no such form in PEP 440, or is no match specification.
    """
    found = _CONDA.fullmatch(text.strip())
    if not found:
        raise ValueError("it is no requirement of conda's")
    words = dict(re.findall(r"(\w+)\s*=\s*['\"]?([^'\",\]]*)", found["words"] or ""))
    version, build = _version_and_build((found["version"] or "").strip())
    return MatchSpec(
        name=found["name"],
        specifier=conda_version(words.get("version", version)),
        build=words.get("build", build),
        channel=words.get("channel") or found["channel"] or "",
    )


def _version_and_build(text: str) -> tuple[str, str]:
    """Split ``=2.5.1=py3.12_cuda12.1_0``, ``==2.5.1 py312_0`` and ``>=1.2,<2``."""
    # "=1.0=build", "1.0 build" and "1.0=build": the build comes last
    found = re.fullmatch(r"(?P<version>=?=?[\w.*+!]+)(?:=|\s+)(?P<build>[\w.*^$]+)", text)
    if found and not re.match(r"[<>!~]", text):
        version = found["version"]
        # a version before a build is exact, but where a `*` says otherwise
        alone = version.lstrip("=")
        return (alone if "*" in alone else f"=={alone}"), found["build"]
    return text, ""


def conda_version(text: str) -> str:
    """Return the version part of a match specification as a PEP 440 specifier.

    Raises:
        ValueError: it has no such form.
    """
    text = text.strip()
    if "|" in text:
        raise ValueError("it names ranges with `|` between them, which PEP 440 cannot say")
    parts = [re.sub(r"\s+", "", each) for each in text.split(",")]
    return checked(",".join(_conda(each) for each in parts if each not in {"", "*", "=*", "==*"}))


def _conda(text: str) -> str:
    if text.startswith("==") or re.match(r"(<=?|>=?|!=|~=)", text):
        operator = re.match(r"[<>=!~]+", text)[0]  # type: ignore[index]
        version = text[len(operator) :]
        if operator in {">=", "<=", "<", ">", "~="}:
            version = version.removesuffix(".*")
        return operator + version
    fuzzy = text.startswith("=")
    version = text.lstrip("=")
    if fuzzy and not version.endswith("*"):
        return f"=={version}.*"
    if version.endswith("*") and not version.endswith(".*"):
        version = version[:-1].rstrip(".") + ".*"
    return f"=={version}"


def checked(text: str) -> str:
    """Return a PEP 440 specifier as it is.

    Raises:
        ValueError: it is none.
    """
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        raise ValueError(f"`{text}` is no version that PEP 440 knows") from None
    return text
