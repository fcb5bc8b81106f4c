"""The reference of the spec, written from the model: a page for people, a schema for editors."""

from __future__ import annotations

import ast
import inspect
import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from mlenv.spec import model
from mlenv.spec.model import RESERVED, Spec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Schema = dict[str, Any]

_HEAD = """\
# The spec

Written from the model by `mlenv.spec.reference`; a test keeps it in step. A key that stands in no
table here is an error. A version is a string: TOML reads `12.10` as the number 12.1. The same as a
JSON Schema, for editors: `mlenv schema`, or `spec.schema.json` beside this page.
"""
_TABLES = {
    "Spec": "Top level",
    "Layers": "`[stack]`",
    "Dev": "`[dev]`",
    "TargetSpec": "`[targets.NAME]`",
    "LockSpec": "`[lock]`",
    "IndexSpec": "`[indexes.NAME]`",
    "ImageSpec": "`[image]`",
    "Smoke": "`[[smoke]]`",
    "Matrix": "`[matrix]`",
    "Axes": "`[matrix.axes]`",
    "Cell": "a cell of `[matrix]`",
}
"""Model -> how the page calls its table, in the order of the page."""


def json_schema() -> str:
    """Return the JSON Schema of the spec, as text that ends with a line break."""
    return json.dumps(_schema(), indent=2, ensure_ascii=False) + "\n"


def reference() -> str:
    """Return the reference as Markdown: one table for each table of the spec."""
    schema = _schema()
    models: Mapping[str, Schema] = {**schema["$defs"], "Spec": schema}
    parts = [_HEAD]
    for name, heading in _TABLES.items():
        said = models[name].get("description", "").rpartition("]: ")[2]
        parts.append(f"## {heading[:1].upper()}{heading[1:]}\n\n{said[:1].upper()}{said[1:]}\n")
        parts.append("| key | holds | default | meaning |\n|---|---|---|---|")
        parts.append("\n".join(_rows(models[name])) + "\n")
    words = ", ".join(f"`{each}`" for each in RESERVED)
    parts.append(
        "## Reserved\n\n"
        f"The top-level keys {words} and the base `ngc:…` belong to a later mlenv;\n"
        "a spec that uses them is told so.\n"
    )
    return "\n".join(parts)


def _rows(table: Schema) -> Iterator[str]:
    for key, held in table["properties"].items():
        default = f"`{json.dumps(held['default'])}`" if "default" in held else ""
        if key in table.get("required", ()):
            default = "required"
        cells = (f"`{key}`", _words(held), default, held.get("description", ""))
        yield f"| {' | '.join(each.replace('|', chr(92) + '|') for each in cells)} |"


def _words(held: Schema) -> str:
    """Return what a key holds, in words."""
    if "title" in held:
        return str(held["title"])
    if "$ref" in held:
        return f"a table: {_TABLES[held['$ref'].rpartition('/')[2]]}"
    if "enum" in held or "const" in held:
        values = held.get("enum", [held.get("const")])
        return " or ".join(f"`{json.dumps(each)}`" for each in values)
    if held["type"] == "array":
        return f"a list; each {_words(held['items'])}"
    if held["type"] == "object":
        (below,) = held["patternProperties"].values()
        return f"a table; each {_words(below)}"
    plain = {"boolean": "`true` or `false`", "integer": "a whole number", "string": "a string"}
    return plain[held["type"]]


def _schema() -> Schema:
    raw = Spec.model_json_schema(by_alias=True)
    for name, said in _docstrings().items():
        table = raw if name == Spec.__name__ else raw["$defs"][name]
        for key, text in said.items():
            table["properties"][key]["description"] = text
    found = _pruned(raw)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The spec of mlenv",
        **found,
    }


def _docstrings() -> Mapping[str, Mapping[str, str]]:
    """Return model -> key -> the docstring below its field.

    pydantic can read them too, but then it parses the source each time that mlenv starts.
    """
    found: dict[str, dict[str, str]] = {}
    for cls in ast.parse(inspect.getsource(model)).body:
        if not isinstance(cls, ast.ClassDef) or cls.name not in _TABLES:
            continue
        fields = getattr(model, cls.name).model_fields
        for field, below in pairwise(cls.body):
            said = below.value if isinstance(below, ast.Expr) else None
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(said, ast.Constant)
            ):
                key = str(fields[field.target.id].alias)
                found.setdefault(cls.name, {})[key] = inspect.cleandoc(str(said.value))
    return found


def _pruned(held: Any) -> Any:  # noqa: ANN401 (any JSON)
    """Return ``held`` without what only pydantic says: names of its own, and null.

    TOML has no null, so a key that may be null is a key that may be left out. The default of a
    table is the defaults of its keys.
    """
    if isinstance(held, list):
        return [_pruned(each) for each in held]
    if not isinstance(held, dict):
        return held.replace("``", "`") if isinstance(held, str) else held
    if {"type": "null"} in held.get("anyOf", ()) and len(held["anyOf"]) == 2:
        outer = {key: value for key, value in held.items() if key not in {"anyOf", "default"}}
        return {**_pruned(held["anyOf"][0]), **_pruned(outer)}
    closed = {"additionalProperties": False} if "patternProperties" in held else {}
    return closed | {
        key: _pruned(value)
        for key, value in held.items()
        # Titles of ours are words such as "a name"; those of pydantic are capitalized.
        if not (key == "title" and isinstance(value, str) and value[:1].isupper())
        and not (key == "default" and isinstance(value, dict))
    }
