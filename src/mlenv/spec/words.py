"""The words of a spec that end up in files: dates, addresses, names of packages and images.

Each is refused unless it is harmless where it lands: in TOML, in a Dockerfile, in a path.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from mlenv.model import Read, ReservedValueError, WrongValueError, plain, shown
from mlenv.spec.requires import Requires, requirement

# Compiled where a spec has such a word, and kept by `re`.
_PATH = r"(/[A-Za-z0-9._~%+,=:-]*)*"
_URL = rf"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{{1,5}})?{_PATH}"
_FOLDER = rf"file://{_PATH}"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_ALIAS = r"[a-z][a-z0-9-]{0,30}"
_PACKAGE_GLOB = r"[A-Za-z0-9*]([A-Za-z0-9._*-]*[A-Za-z0-9*])?"
_CREDENTIAL = re.compile(r"://[^/\s]*@")
_APT = r"[a-z0-9][a-z0-9+.-]{0,79}[a-z0-9+.](=([0-9]{1,4}:)?[0-9][A-Za-z0-9.+~-]{0,79})?"
_REFERENCE = (
    r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]([a-z0-9._-]*[a-z0-9])?)*"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?"
)
_CHANNEL = r"[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*"
_GPU = r"[A-Za-z0-9][A-Za-z0-9 _./()+-]{0,60}"
_LABEL = r"[a-z0-9]([a-z0-9._/-]*[a-z0-9])?"


def _matched(pattern: str, example: str, cause: str) -> Read:
    def check(value: object) -> str:
        text = plain(value, example)
        if not re.fullmatch(pattern, text) or ".." in text:
            raise WrongValueError(f"{shown(text)} {cause}", f'write it like "{example}"')
        return text

    return Read(check)


def _string(title: str, pattern: str, example: str) -> WithJsonSchema:
    shape = f"^({pattern})$"
    return WithJsonSchema(
        {"type": "string", "pattern": shape, "examples": [example], "title": title}
    )


def _instant(value: object) -> object:
    """Return a date or time as RFC 3339 in UTC; a date is the end of that day."""
    if value is False or value is None:
        return value
    found = value if isinstance(value, date) else _moment(plain(value, "2026-11-01"))
    try:
        if not isinstance(found, datetime):
            return f"{found + timedelta(days=1)}T00:00:00Z"
        if found.tzinfo is not None:
            return found.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except OverflowError:
        raise WrongValueError(
            f"{found} is beyond every calendar", 'write it like "2026-11-01"'
        ) from None
    raise WrongValueError("a time without a zone is another time elsewhere", "end it with Z")


def _moment(text: str) -> date:
    try:
        return (
            date.fromisoformat(text) if re.fullmatch(_DATE, text) else datetime.fromisoformat(text)
        )
    except ValueError:
        raise WrongValueError(
            f"{shown(text)} is no date", 'write it like "2026-11-01" or "2026-11-01T12:00:00Z"'
        ) from None


def _url(value: object) -> str:
    text = plain(value, "https://pkgs.corp.example/simple")
    if "@" in text or "?" in text:
        raise WrongValueError(
            "a credential in a spec ends up in locks, images and logs",
            "keep it in netrc, a keyring or UV_INDEX_NAME_PASSWORD",
        )
    if not re.fullmatch(_URL, text) or "/.." in text:
        raise WrongValueError(
            f"{shown(text)} is no http(s) address without blanks, quotes and shell characters",
            'write it like "https://pkgs.corp.example/simple", and other characters as %XX',
        )
    return text.rstrip("/")


def _channel(value: object) -> str:
    text = plain(value, "conda-forge")
    if text.startswith(("http:", "https:")):
        return _url(text)
    pattern = _FOLDER if text.startswith("file:") else _CHANNEL
    if not re.fullmatch(pattern, text) or ".." in text:
        raise WrongValueError(f"{shown(text)} is no conda channel", 'write it like "conda-forge"')
    return text


def _alias(value: object) -> str:
    text = plain(value, "corp")
    if not re.fullmatch(_ALIAS, text):
        raise WrongValueError(
            f"{shown(text)} is no alias of an index", "use a-z, 0-9 and '-', as in [indexes.corp]"
        )
    if text == "default" or text.startswith("pytorch-"):
        raise WrongValueError(
            f"{shown(text)} is an index that mlenv has already", "choose another name for it"
        )
    return text


def _reference(value: object) -> str:
    text = plain(value, "python:3.12-slim-bookworm")
    if text.startswith("ngc:"):
        raise ReservedValueError(
            "a later mlenv will read NGC images; this one cannot", 'write "auto", or a reference'
        )
    if not re.fullmatch(_REFERENCE, text) or ".." in text:
        raise WrongValueError(
            f"{shown(text)} is no image reference", 'write it like "python:3.12-slim-bookworm"'
        )
    return text


def _label_text(value: object) -> str:
    text = plain(value, "text")
    if _CREDENTIAL.search(text):
        raise WrongValueError(
            "a credential in a label is shown to everybody who has the image",
            "write the address without it",
        )
    return text


def _word(value: object) -> str:
    text = plain(value, "python")
    if not text:
        raise WrongValueError("it is empty", "write the words of a command, one string each")
    return text


def _compile(value: object) -> object:
    if value == "nvcc" or isinstance(value, bool):
        return value
    raise WrongValueError(
        'it is none of true, false and "nvcc"', 'write `compile = true` or `compile = "nvcc"`'
    )


def _sdist(value: object) -> object:
    if value in ("pure", "deny"):
        return value
    if isinstance(value, list | tuple):
        return tuple(requirement(each) for each in value)
    raise WrongValueError(
        'it is none of "pure", "deny" and a list of packages',
        'write "pure", "deny", or a list like ["flash-attn"]',
    )


def _schema(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int):
        raise WrongValueError("the version of the format is a whole number", "write `schema = 1`")
    if value != 1:
        raise WrongValueError(
            "this mlenv reads schema 1 only", "write `schema = 1`, or use a newer mlenv"
        )
    return value


Schema = BeforeValidator(_schema)
"""Refuses every version of the format but this one."""

Instant = Annotated[
    str,
    BeforeValidator(_instant),
    WithJsonSchema(
        {
            "type": "string",
            "examples": ["2026-11-01", "2026-11-01T12:00:00Z"],
            "title": "a day, or a time",
        }
    ),
]
"""A day, which means its end, or a time with its zone; kept as RFC 3339 in UTC."""

InstantOrNever = Annotated[
    str | bool,
    BeforeValidator(_instant),
    WithJsonSchema(
        {"anyOf": [{"const": False}, {"type": "string"}], "title": "a day, a time, or `false`"}
    ),
]
"""A day or a time, or ``false``."""

Sdist = Annotated[
    str | tuple[Requires, ...],
    BeforeValidator(_sdist),
    WithJsonSchema(
        {
            "anyOf": [{"enum": ["pure", "deny"]}, {"type": "array", "items": {"type": "string"}}],
            "title": '`"pure"`, `"deny"`, or a list of requirements',
        }
    ),
]
"""What is done with packages that come as source only."""

Compiler = Annotated[bool | str, Read(_compile), WithJsonSchema({"enum": [False, True, "nvcc"]})]
"""Whether the image holds a C compiler, and the CUDA one."""

Url = Annotated[
    str,
    Read(_url),
    WithJsonSchema({"type": "string", "pattern": "^https?://", "title": "an http(s) address"}),
]
"""The address of an index, without credentials."""

Alias = Annotated[str, Read(_alias), _string("an alias", _ALIAS, "corp")]
"""What a lock calls an index."""

PackageGlob = Annotated[
    str,
    _matched(_PACKAGE_GLOB, "corp-*", "names no packages"),
    _string("a package's name, or a pattern", _PACKAGE_GLOB, "corp-*"),
]
"""A package's name, or a pattern over names."""

Apt = Annotated[
    str,
    _matched(_APT, "libibverbs1", "is no Debian package"),
    _string("a Debian package", _APT, "git"),
]
"""A Debian package, perhaps with ``=VERSION``."""

Reference = Annotated[
    str,
    Read(_reference),
    _string("an image reference", _REFERENCE, "python:3.12-slim-bookworm"),
]
"""An image reference, or ``auto``."""

Channel = Annotated[
    str,
    Read(_channel),
    WithJsonSchema(
        {"type": "string", "examples": ["conda-forge"], "title": "a channel's name or address"}
    ),
]
"""A conda channel: its name or its address."""

GpuName = Annotated[str, _matched(_GPU, "H100", "is no GPU"), _string("a GPU", _GPU, "H100")]
"""A product name or an architecture."""

Word = Annotated[
    str,
    Read(_word),
    WithJsonSchema({"type": "string", "minLength": 1, "title": "a word"}),
]
"""One word of a command; no shell reads it."""

LabelKey = Annotated[
    str,
    _matched(_LABEL, "org.example.team", "is no label"),
    _string("a label's name", _LABEL, "org.example.team"),
]
"""The name of an image's label."""

LabelText = Annotated[
    str,
    Read(_label_text),
    WithJsonSchema({"type": "string", "title": "text on one line"}),
]
"""The text of an image's label."""
