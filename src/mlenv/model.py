"""The one pydantic base, and the field types that more than one model uses.

What crosses a file is a ``Model``: frozen, and with no key that it does not know. A field type
turns the text of a file into a value, and says in the reader's words what is wrong with it.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, NoReturn

from packaging.requirements import InvalidRequirement, Requirement
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    WithJsonSchema,
)

from mlenv.machine import Drivers, Glibc, Prefix, Python


class Model(BaseModel):
    """What crosses a file: frozen, closed, and written with dashes between words."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        arbitrary_types_allowed=True,
        populate_by_name=True,
        use_attribute_docstrings=True,
        alias_generator=lambda name: name.strip("_").replace("_", "-"),
    )


class WrongValueError(ValueError):
    """A value that is wrong, with the edit that mends it."""

    def __init__(self, cause: str, fix: str) -> None:
        """Keep what is wrong and how to mend it."""
        super().__init__(cause)
        self.cause = cause
        self.fix = fix


def _wrong(cause: str, fix: str) -> NoReturn:
    raise WrongValueError(cause, fix)


CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""Characters that no value of a spec needs and that could end a line of what is generated."""


def plain(value: object, example: str) -> str:
    """Return ``value`` if it is text on one line.

    Raises:
        WrongValueError: it is a number (TOML reads 12.10 as 12.1) or holds control characters.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        _wrong(f"a string is wanted here, not {_kind(value)}", f'write it like "{example}"')
    if not isinstance(value, str):
        _wrong(
            f"TOML reads {value} as a number, and 12.10 as 12.1: "
            "by then the version that was meant is lost",
            f'put it in quotes, like "{example}"',
        )
    if CONTROL.search(value):
        _wrong("it holds a line break or another control character", "write it on one line")
    return value


def _kind(value: object) -> str:
    kinds = {bool: "a boolean", list: "a list", dict: "a table", tuple: "a list"}
    return kinds.get(type(value), "a date" if hasattr(value, "year") else type(value).__name__)


def _parsed(cls: type[Any], example: str) -> BeforeValidator:
    def parse(value: object) -> object:
        if isinstance(value, cls):
            return value
        try:
            return cls.parse(plain(value, example))  # type: ignore[attr-defined]
        except WrongValueError:
            raise
        except ValueError as error:
            _wrong(str(error), f'write it like "{example}"')

    return BeforeValidator(parse)


def _text(pattern: str, example: str, described: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": "string", "pattern": pattern, "examples": [example], "description": described}
    )


def _name(value: object) -> str:
    text = plain(value, "train")
    if not re.fullmatch(r"[a-z0-9]([a-z0-9_.-]{0,61}[a-z0-9])?", text) or ".." in text:
        _wrong(
            f"{text!r} cannot be the name of a folder and an image",
            "use a-z, 0-9, '-', '_' and '.', beginning and ending with a letter or digit",
        )
    return text


_NAME = r"^[a-z0-9]([a-z0-9_.-]{0,61}[a-z0-9])?$"
Name = Annotated[str, BeforeValidator(_name), WithJsonSchema({"type": "string", "pattern": _NAME})]
"""A word that becomes a folder, a label and a part of an image reference."""


def requirement(value: object) -> Requirement:
    """Return ``value`` as a PEP 508 requirement that names an index's package.

    Raises:
        WrongValueError: it is no requirement, or one that points at a URL.
    """
    if isinstance(value, Requirement):
        return value
    text = plain(value, "transformers>=4.55")
    try:
        parsed = Requirement(text)
    except InvalidRequirement as error:
        _wrong(
            f"{text!r} is no PEP 508 requirement: {str(error).splitlines()[0]}",
            'write it like "transformers>=4.55"',
        )
    if parsed.url is not None:
        _wrong(
            f"{text!r} points at a URL, which no hash and no mirror covers",
            "name the package, and its index under [indexes]",
        )
    return parsed


def _framework(value: object) -> Requirement:
    parsed = requirement(value)
    if parsed.extras:
        extras = ",".join(sorted(parsed.extras))
        _wrong(
            f"{parsed.name!r} is a framework, and choosing its extras is mlenv's work",
            f"leave out [{extras}], and say `cuda`",
        )
    if parsed.marker is not None:
        _wrong("a framework takes no marker", "say `platform` and `python` of a target instead")
    if "+" in str(parsed.specifier):
        _wrong(
            f"{str(parsed.specifier)!r} names a local version, and choosing it is mlenv's work",
            "leave out the part from '+', and say `cuda`",
        )
    return parsed


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str | int | float) else value


_REQUIREMENT = WithJsonSchema({"type": "string", "examples": ["transformers>=4.55"]})
_AS_TEXT = PlainSerializer(str, return_type=str)

Requires = Annotated[Requirement, BeforeValidator(requirement), _AS_TEXT, _REQUIREMENT]
"""A PEP 508 requirement without a URL."""

Framework = Annotated[Requirement, BeforeValidator(_framework), _AS_TEXT, _REQUIREMENT]
"""A requirement of a framework: no extras, no local version, no marker."""

Frameworks = Annotated[
    tuple[Framework, ...],
    BeforeValidator(_one_or_more),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
            "examples": ["torch==2.8.*", ["torch>=2.9", "jax"]],
        }
    ),
]
"""A requirement, or a list of them."""

PythonField = Annotated[
    Python,
    _parsed(Python, "3.12"),
    _AS_TEXT,
    _text(r"^3\.\d{1,2}t?$", "3.12", "a CPython minor; `t` is free-threaded"),
]
"""A Python minor."""

PrefixField = Annotated[
    Prefix, _parsed(Prefix, "9.10"), _AS_TEXT, _text(r"^\d+(\.\d+){0,4}$", "9.10", "a prefix")
]
"""A version prefix."""

GlibcField = Annotated[
    Glibc, _parsed(Glibc, "2.31"), _AS_TEXT, _text(r"^2\.\d{1,2}$", "2.31", "a glibc version")
]
"""A glibc version."""

DriversField = Annotated[
    Drivers, _parsed(Drivers, ">=535"), _AS_TEXT, _text(r"^[<>=~].*$", ">=535", "PEP 440 over drivers")
]
"""A range of drivers."""


def _toolkit(value: object) -> object:
    if value == "cpu" or isinstance(value, Prefix):
        return value
    text = plain(value, "12.8")
    try:
        parsed = Prefix.parse(text)
    except ValueError:
        _wrong(f"{text!r} is no CUDA version", 'write it like "12.8", or "cpu" for none')
    if len(parsed.parts) > 2:
        _wrong(
            f"{text!r} names a patch release, which no framework is built for",
            f'write "{parsed.parts[0]}.{parsed.parts[1]}"',
        )
    return parsed


Toolkit = Annotated[
    Prefix | str,
    BeforeValidator(_toolkit),
    _AS_TEXT,
    _text(r"^(cpu|\d{1,2}(\.\d{1,2})?)$", "12.8", "a CUDA version prefix, or cpu"),
]
"""A CUDA toolkit prefix, or ``cpu``."""
