"""Which of many changed packages makes it fail: found, in how few tries, and what stays open."""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlenv.matrix.isolate import isolated

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlenv.matrix.isolate import Answer


def names(count: int) -> list[str]:
    return [f"p{number:02}" for number in range(count)]


def failing(*culprits: str) -> Callable[[frozenset[str]], Answer]:
    """Return a judge of a world in which all of ``culprits`` together fail."""
    return lambda new: "bad" if new >= set(culprits) else "good"


@pytest.mark.parametrize("count", [1, 2, 3, 7, 32, 40, 41, 100])
def test_one_culprit_is_found_in_few_tries_wherever_it_stands(count: int) -> None:
    for name in names(count):
        found = isolated(names(count), failing(name))
        assert (found.kind, found.items, found.refused) == ("found", (name,), 0)
        assert found.tries <= math.log2(count) + 2


def test_any_two_that_fail_only_together_are_both_named() -> None:
    for pair in combinations(names(12), 2):
        found = isolated(names(12), failing(*pair))
        assert found.items == pair
        assert found.tries <= 2 * (math.ceil(math.log2(12)) + 1) + 2


@given(st.sets(st.sampled_from(names(40)), min_size=1, max_size=5))
def test_a_set_is_the_smallest_that_fails(culprits: set[str]) -> None:
    found = isolated(names(40), failing(*culprits))
    assert set(found.items) == culprits
    assert found.tries <= len(culprits) * (math.ceil(math.log2(40)) + 1) + len(culprits)


def test_two_that_each_fail_alone_give_one_of_them() -> None:
    found = isolated(names(16), lambda new: "bad" if new & {"p03", "p11"} else "good")
    assert found.items == ("p03",)


def test_what_no_solver_parts_is_named_together_and_nothing_else_with_it() -> None:
    chained = {"p04", "p06", "p09"}

    def judge(new: frozenset[str]) -> Answer:
        if new & chained not in (set(), chained):
            return "none"
        return "bad" if "p06" in new else "good"

    found = isolated(names(16), judge)
    assert set(found.items) == set(found.together) == chained
    assert found.refused > 0


def test_a_culprit_beside_an_inseparable_block_is_found_alone() -> None:
    def judge(new: frozenset[str]) -> Answer:
        if len(new & {"p02", "p03", "p04"}) in {1, 2}:
            return "none"
        return "bad" if "p05" in new else "good"

    found = isolated(names(8), judge)
    assert (found.items, found.together) == (("p05",), ())


def test_ends_that_are_not_as_they_were_are_told() -> None:
    assert isolated(names(9), lambda _: "bad").kind == "good-fails"
    assert isolated(names(9), lambda _: "good").kind == "bad-passes"
    assert isolated(names(9), lambda _: "bad").items == ()
