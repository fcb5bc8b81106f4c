"""Requirements, as a spec writes them: names and versions of an index, never a URL."""

from __future__ import annotations

import re
from typing import Annotated

from packaging.requirements import Requirement
from pydantic import BeforeValidator, WithJsonSchema

from mlenv.model import AS_TEXT, Read, WrongValueError, plain, shown


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
    except ValueError as error:
        why = str(error).splitlines()[0]
        raise WrongValueError(
            f"{shown(text)} is no PEP 508 requirement: {shown(why)[1:-1]}",
            'write it like "transformers>=4.55"',
        ) from error
    if parsed.url is not None:
        raise WrongValueError(
            f"`{parsed.name}` points at a URL, which no hash and no mirror covers",
            "name the package, and its index under [indexes]",
        )
    if re.search(r"[`$\\{}|&#%^]", text):
        raise WrongValueError(
            f"{shown(text)} holds a character that no requirement needs",
            'write it like "transformers>=4.55"',
        )
    if any(each.operator == "===" for each in parsed.specifier):
        raise WrongValueError(
            f"{shown(str(parsed.specifier))} compares text, so nothing can be said about it",
            "compare versions, with `==`",
        )
    return parsed


def _framework(value: object) -> Requirement:
    parsed = requirement(value)
    if parsed.extras:
        extras = ",".join(sorted(parsed.extras))
        raise WrongValueError(
            f"`{parsed.name}` is a framework, and choosing its extras is mlenv's work",
            f"leave out [{extras}], and say `cuda`",
        )
    if parsed.marker is not None:
        raise WrongValueError(
            "a framework takes no marker", "say `platform` and `python` of a target instead"
        )
    text = str(parsed.specifier)
    if "+" in text:
        raise WrongValueError(
            f"{shown(text)} names a local version, and choosing it is mlenv's work",
            "leave out the part from '+', and say `cuda`",
        )
    return parsed


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str | int | float) else value


_REQUIREMENT = WithJsonSchema(
    {"type": "string", "examples": ["transformers>=4.55"], "title": "a requirement"}
)

Requires = Annotated[Requirement, Read(requirement), AS_TEXT, _REQUIREMENT]
"""A PEP 508 requirement without a URL."""

Framework = Annotated[Requirement, Read(_framework), AS_TEXT, _REQUIREMENT]
"""A requirement of a framework: no extras, no local version, no marker."""

Frameworks = Annotated[
    tuple[Framework, ...],
    BeforeValidator(_one_or_more),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
            "examples": ["torch==2.8.*", ["torch>=2.9", "jax"]],
            "title": "a requirement, or a list of them",
        }
    ),
]
"""A requirement, or a list of them."""
