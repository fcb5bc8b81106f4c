"""The oracle passes what is right, and nothing else."""

from __future__ import annotations

import array
import math
from typing import TYPE_CHECKING

import pytest

from mlenv.smoke.oracle import POISON, Line, agreed, near
from mlenv.smoke.register import Fail

if TYPE_CHECKING:
    from collections.abc import Callable

COUNT, GUARD = 1009, 61


def right(line: Line) -> array.array[float]:
    """Return what a kernel writes that rounds once: the nearest float32."""
    return array.array("f", (line.a * x + y for x, y in zip(line.x, line.y, strict=True)))


def output(line: Line, values: array.array[float]) -> bytes:
    return values.tobytes() + line.poisoned()[values.itemsize * len(values) :]


def put(index: int, value: float) -> Callable[[array.array[float]], object]:
    return lambda values: values.__setitem__(index, value)


@pytest.mark.parametrize("seed", range(5))
def test_right_is_right(seed: int) -> None:
    line = Line(COUNT, GUARD, seed)
    facts = line.judged(output(line, right(line)))
    assert (facts["wrong"], facts["unwritten"], facts["overrun"]) == (0, 0, 0)
    assert facts["seed"] == seed


def test_two_roundings_are_right_too() -> None:
    line = Line(COUNT, GUARD)
    products = array.array("f", (line.a * x for x in line.x))
    values = array.array("f", (p + y for p, y in zip(products, line.y, strict=True)))
    assert line.judged(output(line, values))["wrong"] == 0


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        pytest.param(put(7, math.nan), (1, 0, 0), id="a NaN"),
        pytest.param(put(7, math.inf), (1, 0, 0), id="an infinity"),
        pytest.param(put(COUNT - 1, 99.0), (1, 0, 0), id="the last element"),
        pytest.param(lambda values: values.pop(), (1, 1, 0), id="the last one is not written"),
        pytest.param(lambda values: values.append(1.0), (0, 0, 1), id="one past the end"),
        pytest.param(lambda values: values.reverse(), None, id="another order"),
        pytest.param(lambda values: values.__delitem__(slice(None)), None, id="nothing written"),
    ],
)
def test_wrong_is_seen(
    change: Callable[[array.array[float]], object], counts: tuple[int, int, int] | None
) -> None:
    line = Line(COUNT, GUARD, 1)
    values = right(line)
    change(values)
    with pytest.raises(Fail) as seen:
        line.judged(output(line, values))
    facts = seen.value.facts
    assert seen.value.code == "wrong-result"
    assert facts["wrong"] + facts["overrun"] > 0
    if counts:
        assert (facts["wrong"], facts["unwritten"], facts["overrun"]) == counts


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(bytes(4 * (COUNT + GUARD)), id="zeros"),
        pytest.param(b"", id="nothing"),
        pytest.param(bytes(4 * COUNT), id="no guard zone"),
    ],
)
def test_an_output_of_another_kind_is_wrong(content: bytes) -> None:
    with pytest.raises(Fail):
        Line(COUNT, GUARD).judged(content)


def test_a_float_beside_the_right_one_is_wrong() -> None:
    line = Line(COUNT, GUARD, 3)
    values = right(line)
    values[5] += 4 * max(abs(values[5]), abs(line.a * line.x[5])) * 2.0**-24
    with pytest.raises(Fail):
        line.judged(output(line, values))


def test_a_framework_has_no_guard_zone() -> None:
    line = Line(COUNT, GUARD)
    assert line.judged(right(line).tobytes(), guarded=False)["wrong"] == 0


def test_no_problem_is_drawn_twice() -> None:
    assert Line(3, 1).seed != Line(3, 1).seed


def test_poison_is_a_nan() -> None:
    assert math.isnan(array.array("f", array.array("I", [POISON]).tobytes())[0])


@pytest.mark.parametrize(
    ("error", "said"),
    [
        pytest.param(1e-7, "", id="near"),
        pytest.param(1e-5, "m: relative error 1e-05 is above 1e-06", id="far"),
        pytest.param(math.nan, "m: relative error nan is above 1e-06", id="a NaN"),
    ],
)
def test_near(error: float, said: str) -> None:
    assert near("m", error, 1e-6, {}) == said


def test_every_wrong_one_is_told() -> None:
    with pytest.raises(Fail, match=r"^one; two$") as seen:
        agreed(["one", "", "two"], {"errors": {}})
    assert seen.value.facts == {"errors": {}}
