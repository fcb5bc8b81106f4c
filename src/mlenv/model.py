"""The one pydantic base, and the field types that more than one model uses.

What crosses a file is a ``Model``: frozen, and with no key that it does not know. A field type
turns the text of a file into a value, and says in the reader's words what is wrong with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Protocol, Self

from pydantic import BaseModel, ConfigDict, PlainSerializer, WithJsonSchema
from pydantic_core import core_schema

from mlenv.machine import Drivers, Glibc, Prefix, Python

if TYPE_CHECKING:
    from collections.abc import Callable


class Model(BaseModel):
    """What crosses a file: frozen, closed, and written with dashes between words."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        arbitrary_types_allowed=True,
        populate_by_name=True,
        defer_build=True,
        alias_generator=lambda name: name.strip("_").replace("_", "-"),
    )


@dataclass(frozen=True, slots=True)
class Read:
    """A field whose value is what ``by`` returns, and is of the field's type.

    Pydantic's own ``BeforeValidator`` also makes a schema of the type, which takes longer than to
    check a spec by it.
    """

    by: Callable[[Any], object]
    """Raises ``ValueError`` for what it cannot read."""

    def __get_pydantic_core_schema__(self, _: object, __: object) -> core_schema.CoreSchema:
        """Return the schema: to call ``by``, and nothing else."""
        return core_schema.no_info_plain_validator_function(self.by)


class WrongValueError(ValueError):
    """A value that is wrong, with the edit that mends it."""

    def __init__(self, cause: str, fix: str, *, key: str = "") -> None:
        """Keep what is wrong and how to mend it, and which ``key`` where the model cannot say."""
        super().__init__(cause)
        self.cause = cause
        self.fix = fix
        self.key = key


class ReservedValueError(WrongValueError):
    """A value that a later mlenv will read."""


CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"  # bidi marks too
)
"""Characters that no value of a spec needs and that could end or hide a line of a file."""

LONGEST = 4096
"""Characters that a value of a spec may have."""

_CREDENTIAL = re.compile(r"(?<=//)\S*@")


def shown(text: str) -> str:
    """Return ``text`` in quotes for a message: one short line, and no credential of a URL."""
    safe = _CREDENTIAL.sub("…@", text[:LONGEST])
    safe = "".join(each if each.isprintable() else "?" for each in safe)
    return f'"{safe}"' if len(safe) <= 60 else f'"{safe[:57]}…"'


def kind(value: object) -> str:
    """Return what TOML calls ``value``, with its article."""
    kinds = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "a list",
        tuple: "a list",
        dict: "a table",
        date: "a date",
    }
    return kinds.get(type(value), "a time")


def plain(value: object, example: str) -> str:
    """Return ``value`` if it is text on one line.

    Raises:
        WrongValueError: it is a number (TOML reads 12.10 as 12.1), holds control characters, or
            is longer than any name or command is.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise _number(value, example)
    if not isinstance(value, str):
        raise WrongValueError(
            f"a string is wanted here, not {kind(value)}", f'write it like "{example}"'
        )
    if CONTROL.search(value):
        raise WrongValueError(
            "it holds a line break or another control character", "write it on one line"
        )
    if len(value) > LONGEST:
        raise WrongValueError(
            f"it is longer than {LONGEST} characters", "keep what is long in a file of its own"
        )
    return value


def _number(value: float, example: str) -> WrongValueError:
    if not re.fullmatch(r"[\d.]+", example):
        return WrongValueError(
            "a string is wanted here, not a number", f'write it like "{example}"'
        )
    whole = isinstance(value, int) and 0 <= value < 1000
    return WrongValueError(
        f"TOML reads {value if abs(value) < 1e6 else 'this'} as a number, and 12.10 as 12.1: "
        "by then the version that was meant is lost",
        f'put it in quotes, like "{value if whole else example}"',
    )


class _Parsed(Protocol):
    @classmethod
    def parse(cls, text: str) -> Self: ...


def _parsed(cls: type[_Parsed], example: str) -> Read:
    def parse(value: object) -> object:
        if isinstance(value, cls):
            return value
        text = plain(value, example)
        try:
            return cls.parse(text)
        except ValueError as error:
            raise WrongValueError(
                str(error).replace(repr(text), shown(text)), f'write it like "{example}"'
            ) from error

    return Read(parse)


def _text(pattern: str, example: str, described: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": "string", "pattern": pattern, "examples": [example], "title": described}
    )


_NAME = r"^[a-z0-9]+((\.|_{1,2}|-+)[a-z0-9]+)*$"
# Source: OCI distribution-spec 1.1, "Pulling manifests": the components of an image's name.


def _name(value: object) -> str:
    text = plain(value, "train")
    if not re.fullmatch(_NAME, text) or len(text) > 63:
        raise WrongValueError(
            f"{shown(text)} cannot be the name of a folder and an image",
            "use a-z and 0-9, with a '-', '_' or '.' between them, and no more than 63",
        )
    return text


Name = Annotated[
    str,
    Read(_name),
    WithJsonSchema({"type": "string", "pattern": _NAME, "maxLength": 63, "title": "a name"}),
]
"""A word that becomes a folder, a label and a part of an image reference."""


AS_TEXT = PlainSerializer(str, return_type=str)
"""Writes a value as the text that it is parsed from."""

PythonField = Annotated[
    Python,
    _parsed(Python, "3.12"),
    AS_TEXT,
    _text(r"^3\.\d{1,2}t?$", "3.12", "a CPython minor"),
]
"""A Python minor."""

PrefixField = Annotated[
    Prefix,
    _parsed(Prefix, "9.10"),
    AS_TEXT,
    _text(r"^\d+(\.\d+){0,4}$", "9.10", "a version prefix"),
]
"""A version prefix."""

GlibcField = Annotated[
    Glibc, _parsed(Glibc, "2.31"), AS_TEXT, _text(r"^2\.\d{1,2}$", "2.31", "a glibc version")
]
"""A glibc version."""

DriversField = Annotated[
    Drivers,
    _parsed(Drivers, ">=535"),
    AS_TEXT,
    _text(r"^[<>=~].*$", ">=535", "a PEP 440 specifier over drivers"),
]
"""A range of drivers."""


def _toolkit(value: object) -> object:
    if value == "cpu" or isinstance(value, Prefix):
        return value
    text = plain(value, "12.8")
    try:
        parsed = Prefix.parse(text)
    except ValueError:
        raise WrongValueError(
            f"{shown(text)} is no CUDA version", 'write it like "12.8", or "cpu" for none'
        ) from None
    if len(parsed.parts) > 2:
        raise WrongValueError(
            f"{shown(text)} names a patch release, which no framework is built for",
            f'write "{parsed.parts[0]}.{parsed.parts[1]}"',
        )
    return parsed


Toolkit = Annotated[
    Prefix | str,
    Read(_toolkit),
    AS_TEXT,
    _text(r"^(cpu|\d{1,2}(\.\d{1,2})?)$", "12.8", "a CUDA version prefix, or `cpu`"),
]
"""A CUDA toolkit prefix, or ``cpu``."""
