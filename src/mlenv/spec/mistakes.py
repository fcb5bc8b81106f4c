"""What pydantic refuses, as reasons in the words of the one who wrote the spec.

No name of a Python class, field or type is said here: keys are spelt as in the file.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from mlenv.errors import Reason
from mlenv.model import ReservedValueError, WrongValueError, kind, shown
from mlenv.spec.lines import line_of
from mlenv.spec.model import RESERVED, Spec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

Location = tuple[int | str, ...]

_WANTED = {
    "tuple_type": ("a list is wanted here", 'write a list, like ["wandb"]'),
    "dict_type": ("a table is wanted here", "write a table"),
    "model_type": ("a table is wanted here", "write a table"),
    "string_type": ("a string is wanted here", "put it in quotes"),
    "bool_type": ("true or false is wanted here", "write true or false"),
    "int_type": ("a whole number is wanted here", "write a whole number"),
    "int_from_float": ("a whole number is wanted here", "write a whole number"),
}
_LIMITS = {
    "greater_than_equal": ("it is at least {ge}", "write {ge} or more"),
    "less_than_equal": ("it is at most {le}", "write {le} or less"),
    "too_short": ("it is empty", "write at least {min_length}, or leave the key out"),
}


def mistakes(error: ValidationError, where: Mapping[str, int], origin: str) -> tuple[Reason, ...]:
    """Return one reason for every mistake in ``error``, in the order of the file."""
    found: dict[tuple[str, str], tuple[int, Reason]] = {}
    for each in error.errors(include_url=False):
        if each["type"] == "too_short" and each["input"]:
            continue  # a list is too short only because its items were refused
        key = _key_of(each, where)
        reason = _reason(each, key, place(key, where, origin))
        found.setdefault((reason.what, reason.cause), (line_of(key, where) or 0, reason))
    return tuple(reason for _, reason in sorted(found.values(), key=lambda pair: pair[0]))


def place(key: str, where: Mapping[str, int], origin: str) -> str:
    """Return ``FILE:LINE: KEY``; without the line where no table around ``key`` was written."""
    line = line_of(key, where)
    return f"{origin}:{line}: {key}" if line else f"{origin}: {key}"


def _key_of(error: ErrorDetails, where: Mapping[str, int]) -> str:
    wrong = error.get("ctx", {}).get("error")
    key = (isinstance(wrong, WrongValueError) and wrong.key) or _key(error["loc"])
    # `framework = "torch"` is read as a list of one, but was not written as one.
    alone = key.removesuffix("[0]")
    return alone if key not in where and alone in where else key


def _key(location: Location) -> str:
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != "[key]":  # pydantic's word for: the key itself is wrong
            word = shown(part)[1:-1]
            path += f".{word}" if path else word
    return path


def _reason(error: ErrorDetails, key: str, at: str) -> Reason:
    location = error["loc"]
    if error["type"] == "extra_forbidden":
        if len(location) == 1 and location[0] in RESERVED:
            return _reserved(key, "a later mlenv will read it; this one cannot", "leave it out", at)
        return _invalid(*_no_key(location, key), at)
    wrong = error.get("ctx", {}).get("error")
    if isinstance(wrong, ReservedValueError):
        return _reserved(key, wrong.cause, wrong.fix, at)
    return _invalid(*_words(error, key), at)


def _reserved(key: str, cause: str, fix: str, at: str) -> Reason:
    return Reason(
        code="spec-reserved", what=f"`{key}` is reserved", cause=cause, fix=fix, where=(at,)
    )


def _invalid(what: str, cause: str, fix: str, at: str) -> Reason:
    return Reason(code="spec-invalid", what=what, cause=cause, fix=fix, where=(at,))


def _words(error: ErrorDetails, key: str) -> tuple[str, str, str]:
    context = error.get("ctx", {})
    wrong = context.get("error")
    if isinstance(wrong, WrongValueError):
        return f"`{key}` is wrong", wrong.cause, wrong.fix
    if error["type"] == "missing":
        parent = f"[{key.rpartition('.')[0]}]" if "." in key else "a spec"
        return f"`{key}` is missing", f"{parent} cannot do without it", f"add `{key} = …`"
    what = f"`{key}` cannot be {_value(error['input'])}"
    if error["type"] == "literal_error":
        return what, *_choice(str(context["expected"]), error["input"])
    if error["type"] in _LIMITS:
        cause, fix = _LIMITS[error["type"]]
        return what, cause.format(**context), fix.format(**context)
    cause, fix = _WANTED.get(error["type"], ("it is none", "see `mlenv schema` for what it may be"))
    return what, f"{cause}, not {kind(error['input'])}", fix


def _choice(expected: str, given: object) -> tuple[str, str]:
    allowed = re.findall(r"'([^']*)'", expected)
    listed = expected.replace("'", '"')
    near = difflib.get_close_matches(given, allowed, n=1) if isinstance(given, str) else []
    return f"it is {listed}", f'write "{near[0]}"' if near else f"write {listed}"


def _value(value: object) -> str:
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float) and abs(value) < 10**15:
        return str(value)
    return "empty" if isinstance(value, list | dict) and not value else kind(value)


def _no_key(location: Location, key: str) -> tuple[str, str, str]:
    word = str(location[-1])
    known = _keys_at(location)
    near = next(iter(difflib.get_close_matches(word.replace("_", "-"), known, n=1)), None)
    return (
        f"`{key}` is no key" + (f" (did you mean `{near}`?)" if near else ""),
        f"known here: {', '.join(known)}",
        f"write `{near}`" if near else f"leave `{shown(word)[1:-1]}` out",
    )


def _keys_at(location: Location) -> tuple[str, ...]:
    model: type[BaseModel] = Spec
    for part in location[:-1]:
        field = next((f for f in model.model_fields.values() if f.alias == part), None)
        model = next(_models(field.annotation), model) if field else model
    return tuple(str(field.alias) for field in model.model_fields.values())


def _models(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 (any annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from _models(each)
