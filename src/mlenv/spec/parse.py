"""TOML text to a ``Spec``, or every mistake of it at once in the writer's own words."""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from mlenv.errors import Reason, UsageError
from mlenv.files import digest
from mlenv.model import WrongValueError
from mlenv.spec.lines import lines
from mlenv.spec.model import RESERVED, Spec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic_core import ErrorDetails

Location = tuple[int | str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecFile:
    """A spec, and where each of its keys was written."""

    spec: Spec
    sha256: str
    """Over the content; comments and layout do not count."""
    origin: str
    lines: Mapping[str, int]

    def places(self, reason: Reason) -> Reason:
        """Return ``reason`` with its key paths turned into ``FILE:LINE: KEY``."""
        known = {key: self._place(key) for key in reason.where}
        return reason.located(known)

    def _place(self, key: str) -> str:
        shown = key
        while key not in self.lines and key:
            key = re.sub(r"(\[\d+\]|\.?[^.\[\]]+)$", "", key)
        shown = shown if shown in self.lines else key or shown
        return f"{self.origin}:{self.lines[key]}: {shown}" if key else f"{self.origin}: {shown}"


def content_sha256(text: str) -> str:
    """Return the digest of a spec's content, as ``mlenv.lock`` keeps it.

    Raises:
        tomllib.TOMLDecodeError: ``text`` is no TOML.
    """
    return digest(tomllib.loads(text))


def parse_spec(text: str, *, origin: str) -> SpecFile:
    """Return the spec in ``text``; ``origin`` is what errors call the file.

    Raises:
        UsageError: ``spec-not-toml``, or one reason for every mistake: ``spec-invalid`` and
            ``spec-reserved``.
    """
    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(_not_toml(error, text, origin)) from None
    where = lines(text)
    try:
        spec = Spec.model_validate(content)
    except ValidationError as error:
        found = [_reason(each, where, origin) for each in error.errors()]
        unique = {(each.what, each.cause): each for each in found}
        raise UsageError(*sorted(unique.values(), key=lambda each: _line(each.where))) from None
    return SpecFile(spec=spec, sha256=digest(content), origin=origin, lines=where)


def _line(where: tuple[str, ...]) -> int:
    found = re.search(r":(\d+): ", where[0]) if where else None
    return int(found[1]) if found else 0


def _not_toml(error: Exception, text: str, origin: str) -> Reason:
    message = str(error) or "it is nested too deeply"
    found = re.search(r"line (\d+)", message)
    row = int(found[1]) if found else len(text.splitlines())
    return Reason(
        code="spec-not-toml",
        what=f"{origin} is no TOML",
        cause=message,
        fix=f"mend line {row}; https://toml.io shows the format",
        where=(f"{origin}:{row}",),
    )


def _reason(error: ErrorDetails, where: Mapping[str, int], origin: str) -> Reason:
    key = _key(error["loc"])
    if error["type"] == "extra_forbidden":
        return _no_key(error["loc"], key, _place(key, where, origin))
    what, cause, fix = _words(error, key)
    return Reason(
        code="spec-invalid", what=what, cause=cause, fix=fix, where=(_place(key, where, origin),)
    )


def _words(error: ErrorDetails, key: str) -> tuple[str, str, str]:
    wrong = error.get("ctx", {}).get("error")
    if isinstance(wrong, WrongValueError):
        named = wrong.cause.startswith("`")
        return (wrong.cause if named else f"`{key}` is wrong", wrong.cause, wrong.fix)
    if error["type"] == "missing":
        parent = f"[{key.rpartition('.')[0]}]" if "." in key else "the spec"
        return (f"`{key}` is missing", f"{parent} cannot do without it", f"add `{key} = …`")
    if error["type"] == "literal_error":
        allowed = str(error["ctx"]["expected"]).replace("'", '"')
        shown = _shown(error["input"])
        return (f"`{key}` cannot be {shown}", f"it is {allowed}", f"write one of {allowed}")
    message = error["msg"][0].lower() + error["msg"][1:]
    return (f"`{key}` cannot be {_shown(error['input'])}", message, _wanted(error["type"]))


def _wanted(kind: str) -> str:
    words = {
        "tuple_type": 'write a list, like ["wandb"]',
        "string_type": "put it in quotes",
        "dict_type": "write a table",
        "model_type": "write a table",
        "bool_type": "write true or false",
        "int_type": "write a whole number",
    }
    return words.get(kind, "see `mlenv schema` for what may stand here")


def _shown(value: object) -> str:
    text = repr(value) if not isinstance(value, str) else f'"{value}"'
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _no_key(location: Location, key: str, place: str) -> Reason:
    word = str(location[-1])
    if len(location) == 1 and word in RESERVED:
        return Reason(
            code="spec-reserved",
            what=f"`{key}` is reserved",
            cause="a later mlenv will read it; this one cannot, and will not ignore it",
            fix=f"leave `{key}` out",
            where=(place,),
        )
    near = difflib.get_close_matches(word, _keys_at(location), n=1, cutoff=0.6)
    guess = f" (did you mean `{near[0]}`?)" if near else ""
    return Reason(
        code="spec-invalid",
        what=f"`{key}` is no key{guess}",
        cause=f"known here: {', '.join(_keys_at(location)) or 'nothing'}",
        fix=f"write `{near[0]}`" if near else f"leave `{_shown(word)[1:-1]}` out",
        where=(place,),
    )


def _keys_at(location: Location) -> tuple[str, ...]:
    model: type[BaseModel] = Spec
    for part in location[:-1]:
        if isinstance(part, int):
            continue
        field = next((f for f in model.model_fields.values() if f.alias == part), None)
        below = next(_models(field.annotation), None) if field else None
        model = below or model
    return tuple(str(field.alias) for field in model.model_fields.values())


def _models(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 (any annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from _models(each)


def _key(location: Location) -> str:
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part not in {"[key]"}:
            word = "".join(c if c.isprintable() else "?" for c in part)
            path += f".{word}" if path else word
    return path


def _place(key: str, where: Mapping[str, int], origin: str) -> str:
    at = key
    while at and at not in where:
        at = re.sub(r"(\[\d+\]|\.?[^.\[\]]+)$", "", at)
    return f"{origin}:{where[at]}: {key}" if at else f"{origin}: {key}"
