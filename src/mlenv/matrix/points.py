"""The points of the matrix of a spec, each as a spec of its own: axes multiply; exclude, include.

A cell's own words win over those of the spec and over those of its target. A spec without
``[matrix]`` has one point for each target.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mlenv.files import digest
from mlenv.spec.model import Axes, Matrix

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mlenv.spec.model import Cell as Words
    from mlenv.spec.model import Spec
    from mlenv.spec.parse import SpecFile

WORDS = tuple(each for each in Axes.model_fields if each != "target")
"""What a cell may say of its stack, in the order of the spec's keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A point of a matrix."""

    target: str | None
    values: Mapping[str, Any]
    """Axis -> value."""
    keys: Mapping[str, str]
    """Axis -> the key path that its value was written at."""
    allow_failure: bool = False

    @property
    def texts(self) -> Mapping[str, str]:
        """Axis -> value, as a person writes it."""
        return {axis: text_of(value) for axis, value in self.values.items()}


def text_of(value: object) -> str:
    """Return a value of an axis as text: ``torch==2.8.*``, or ``torch + jax`` for a list."""
    if isinstance(value, tuple):
        return " + ".join(map(str, value)) or "none"
    return str(value)


def points(spec: Spec) -> tuple[Point, ...]:
    """Return the points of a spec, each once, in the order in which they are written."""
    matrix = spec.matrix or Matrix()
    found = {_identity(each): each for each in _multiplied(spec, matrix)}
    for words in matrix.exclude:
        found = {key: each for key, each in found.items() if not _matches(spec, each, words)}
    for index, words in enumerate(matrix.include):
        for each in _included(spec, matrix, words, index):
            same = [key for key, one in found.items() if _equal(spec, one, each)]
            for key in same:
                found[key] = replace(found[key], allow_failure=words.allow_failure)
            if not same:
                found[_identity(each)] = each
    return tuple(found.values())


def _identity(point: Point) -> tuple[object, ...]:
    return (point.target, *point.texts.items())


def _multiplied(spec: Spec, matrix: Matrix) -> Iterator[Point]:
    axes = {axis: getattr(matrix.axes, axis) for axis in WORDS if getattr(matrix.axes, axis)}
    if not axes and not matrix.axes.target and matrix.include:
        return  # what is included is all
    targets = matrix.axes.target or tuple(spec.targets) or (None,)
    numbered = [
        [(axis, value, f"matrix.axes.{axis}[{n}]") for n, value in enumerate(several)]
        for axis, several in axes.items()
    ]
    for target in targets:
        for combined in itertools.product(*numbered):
            yield Point(
                target=target,
                values={axis: value for axis, value, _ in combined},
                keys={axis: key for axis, _, key in combined},
            )


def _included(spec: Spec, matrix: Matrix, words: Words, index: int) -> Iterator[Point]:
    own = {axis: getattr(words, axis) for axis in WORDS if getattr(words, axis) is not None}
    targets: Sequence[str | None] = [words.target] if words.target else [*spec.targets] or [None]
    for target in targets:
        held = {
            axis: own.get(axis, effective(spec, target, axis))
            for axis in WORDS
            if axis in own or getattr(matrix.axes, axis)
        }
        yield Point(
            target=target,
            values={axis: value for axis, value in held.items() if value is not None},
            keys={axis: f"matrix.include[{index}].{axis}" for axis in own},
            allow_failure=words.allow_failure,
        )


def effective(spec: Spec, target: str | None, word: str) -> Any:  # noqa: ANN401 (any word)
    """Return what a spec says of a word for a target; None where it leaves it open."""
    own = getattr(spec.targets[target], word) if target else None
    return own if own is not None else getattr(spec, word)


def _value(spec: Spec, point: Point, word: str) -> object:
    return point.values[word] if word in point.values else effective(spec, point.target, word)


def _matches(spec: Spec, point: Point, pattern: Words) -> bool:
    """Tell whether a point has all that a pattern of ``exclude`` says."""
    return pattern.target in {None, point.target} and all(
        _value(spec, point, word) == getattr(pattern, word)
        for word in WORDS
        if getattr(pattern, word) is not None
    )


def _equal(spec: Spec, one: Point, other: Point) -> bool:
    return one.target == other.target and all(
        _value(spec, one, word) == _value(spec, other, word) for word in WORDS
    )


def of_point(file: SpecFile, point: Point) -> SpecFile:
    """Return a point as a spec of its own, whose lines are those of the axes."""
    spec = file.spec
    targets = {}
    if point.target is not None:
        own = spec.targets[point.target]
        targets[point.target] = own.model_copy(update=dict.fromkeys(point.values))
    made = spec.model_copy(update={"matrix": None, "targets": targets, **point.values})
    lines = {key: line for key, line in file.lines.items() if not _said_anew(key, point)}
    for axis in point.values:
        line = file.line(point.keys.get(axis, axis))
        if line is not None:
            lines[axis] = line
    return replace(file, spec=made, sha256=digest(content(made)), lines=lines)


def content(spec: Spec, *, without: Iterable[str] = ()) -> dict[str, Any]:
    """Return a spec as its file holds it, without what is as if left out."""
    found: dict[str, Any] = spec.model_dump(
        by_alias=True, exclude_defaults=True, exclude_none=True, mode="json", exclude=set(without)
    )
    return found


def _said_anew(key: str, point: Point) -> bool:
    plain = key.removeprefix(f"targets.{point.target}.")
    return plain.partition("[")[0] in point.values


def spec_text(spec: Spec) -> str:
    """Return a spec as the text of its file."""
    import tomli_w  # noqa: PLC0415 (only where one is written)

    return tomli_w.dumps(content(spec))
