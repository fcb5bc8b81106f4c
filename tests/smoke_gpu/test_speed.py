"""What follows from times, and what a run of calls is timed by."""

from __future__ import annotations

import pytest

from mlenv.smoke import speed


@pytest.mark.parametrize(
    ("each", "elements", "said"),
    [
        pytest.param(
            9e-6,
            1_000_000,
            "an op costs 9.0 us here; below 1,000,000 elements your loop measures Python",
            id="with the device's rate",
        ),
        pytest.param(None, None, "an op costs 9.0 us here", id="the rate is not known"),
        pytest.param(-1.0, None, "an op costs 9.0 us here", id="the rate drowned in noise"),
    ],
)
def test_boundary(each: float | None, elements: int | None, said: str) -> None:
    assert speed.boundary("an op", 9.0, each) == {"elements": elements, "sentence": said}


def test_a_wait_ends_what_is_timed_or_stands_outside() -> None:
    order: list[str] = []
    speed.timed(lambda: order.append("call"), lambda: order.append("wait"), calls=2)
    assert order[:4] == ["wait", "call", "call", "wait"]
    assert order.count("call") == 2 * (speed.RUNS + 1)


def test_quarters_enclose_the_median() -> None:
    found = speed.issued(lambda: sum(range(100)), lambda: None, calls=10)
    assert 0 < found.low <= found.median <= found.high
