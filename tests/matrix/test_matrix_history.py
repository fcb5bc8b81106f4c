"""How a cell stands after its nights, and what is suspected: tables of nights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mlenv.matrix.history import Timeline, history
from mlenv.matrix.movement import story
from nightly import WHY, digest, result, rows, run_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlenv.matrix.result import Rows

LETTERS = {"o": "ok", "f": "failed", "u": "unknown", "i": "impossible"}


def timeline(nights: str, locks: str = "") -> Timeline:
    """Return nights by letter; ``locks`` has one for each (a dot for none), else they are all new.

    A night of which nothing is known, or that cannot be, has no lock.
    """
    results = []
    for number, letter in enumerate(nights):
        lock = locks[number] if locks else str(number)
        more: dict[str, Any] = {"verdict": LETTERS[letter]}
        if letter in "of" and lock != ".":
            more["lock"] = digest(lock)
        results.append(result(run_of(number, ()), "torch", {}, **more))
    return Timeline(cell="torch", results=tuple(results))


@pytest.mark.parametrize(
    ("nights", "locks", "standing", "streak"),
    [
        pytest.param("o", "", "new", 1, id="good at its first run"),
        pytest.param("ooo", "", "ok", 3, id="always good"),
        pytest.param("oof", "", "broke", 1, id="broke last night"),
        pytest.param("ooff", "", "broke", 2, id="broke before"),
        pytest.param("ff", "", "failing", 2, id="never good"),
        pytest.param("ofo", "", "fixed", 1, id="good again, with another lock"),
        pytest.param("oof", "aaa", "flaky", 1, id="failed, and nothing had moved"),
        pytest.param("ofo", "aaa", "flaky", 1, id="good again, and nothing had moved"),
        pytest.param("ofo", "aab", "fixed", 1, id="flaky in its time, and the lock has moved on"),
        pytest.param("off", "abb", "broke", 2, id="a new lock that fails each night is no flake"),
        pytest.param("ofu", "aaa", "unknown", 1, id="nothing is known of last night"),
        pytest.param("ouo", "aaa", "fixed", 1, id="known again"),
        pytest.param("ou", "aa", "unknown", 1, id="what is not known is no flake"),
        pytest.param("ooi", "", "impossible", 1, id="cannot be any more"),
        pytest.param("of", "a.", "broke", 1, id="broke without a lock"),
        pytest.param("fof", "aba", "broke", 1, id="an older lock came back, and fails as ever"),
    ],
)
def test_standing(nights: str, locks: str, standing: str, streak: int) -> None:
    found = timeline(nights, locks)
    assert (found.standing, found.streak) == (standing, streak)


def test_an_impossible_cell_is_never_flaky_or_red() -> None:
    found = timeline("oifi", "aaaa")
    assert found.standing == "impossible"
    assert found.last is not None
    assert not found.last.red


@pytest.mark.parametrize(
    ("nights", "good", "bad"),
    [
        pytest.param("oof", 1, 2, id="the night before"),
        pytest.param("ooufuf", 1, 3, id="nights of which nothing is known lie between"),
        pytest.param("ofoff", 2, 3, id="the last good one counts"),
        pytest.param("fff", None, 0, id="never good"),
        pytest.param("ofo", 0, None, id="good now"),
    ],
)
def test_last_good_and_first_bad(nights: str, good: int | None, bad: int | None) -> None:
    found = timeline(nights)
    assert found.good == (None if good is None else found.results[good])
    assert found.bad == (None if bad is None else found.results[bad])


def test_cells_are_those_of_the_last_night_in_all_its_runs() -> None:
    first = run_of(0, ["a", "b", "gone"])
    one, two = (run_of(1, cells, run=f"2{n}") for n, cells in ((0, ["a", "late"]), (1, ["b"])))
    results = [result(run, "torch", {}, cell=name) for run, name in ((first, "a"), (first, "gone"))]
    results += [result(one, "torch", {}, cell="a"), result(two, "torch", {}, cell="b")]
    found = history([first, one, two], results)
    assert [each.cell for each in found.cells] == ["a", "late", "b"]
    assert [each.standing for each in found.cells] == ["ok", "pending", "new"]
    assert [each.cell for each in found.left] == ["gone"]


def nights(
    *locks: Mapping[str, str], last: Mapping[str, Any] | None = None
) -> tuple[Timeline, dict[str, Rows]]:
    """Return a cell that was good with each lock but the last, and what the locks hold."""
    layers = {"torch": "framework", "triton": "framework", "nvidia-cublas": "cuda"}
    held = [rows(each, layers=layers) for each in locks]
    results = [
        result(
            run_of(number, ()),
            "torch",
            {},
            lock=each.artefacts_sha256,
            **({"verdict": "failed", **(last or {})} if number == len(held) - 1 else {}),
        )
        for number, each in enumerate(held)
    ]
    every = {each.artefacts_sha256: each for each in held}
    return Timeline(cell="torch", results=tuple(results)), every


BASE = {"torch": "2.9.1", "triton": "3.5.1", "numpy": "2.3.5", "filelock": "3.20"}
QUIET = WHY.model_copy(update={"what": "it crashed", "cause": "SIGSEGV"})


@pytest.mark.parametrize(
    ("moved", "why", "suspect", "grounds"),
    [
        pytest.param({"numpy": "2.5.0"}, QUIET, "numpy", "only", id="one moved"),
        pytest.param(
            {"numpy": "2.5.0", "torch": "2.10.0"}, WHY, "numpy", "named", id="the failure names it"
        ),
        pytest.param(
            {"filelock": "3.21", "triton": "3.6"}, QUIET, "triton", "heaviest", id="the heaviest"
        ),
        pytest.param(
            {"filelock": "3.21", "numpy": "2.5"},
            QUIET.model_copy(update={"what": "numpy-financial and my.filelock.x broke"}),
            "filelock",
            "heaviest",
            id="a longer name is another package",
        ),
    ],
)
def test_first_suspect(moved: Mapping[str, str], why: object, suspect: str, grounds: str) -> None:
    cell, held = nights(BASE, BASE | dict(moved), last={"why": why})
    found = story(cell, held.get).suspect
    assert found is not None
    assert (found.move.name, found.grounds, found.of) == (suspect, grounds, len(moved))


def test_what_moved_is_told_since_the_last_run_and_since_it_was_good() -> None:
    steps = (BASE, BASE | {"numpy": "2.5.0"}, BASE | {"numpy": "2.5.0", "filelock": "3.21"})
    cell, held = nights(*steps)
    results = (cell.results[0], cell.results[1].model_copy(update={"verdict": "failed"}))
    found = story(Timeline(cell="torch", results=(*results, cell.results[2])), held.get)
    assert found.since_last is not None
    assert found.since_good is not None
    assert found.broke is not None
    assert names(found.since_last.moves) == ["filelock"]
    assert names(found.since_good.moves) == ["filelock", "numpy"]
    assert names(found.broke.moves) == ["numpy"]
    assert found.suspect is not None
    assert (found.suspect.move.name, found.suspect.move.bytes) == ("numpy", 5_000_000)


def names(moves: Sequence[Any]) -> list[str]:
    return [each.name for each in moves]


def test_a_lock_that_is_not_kept_leaves_it_open_what_moved() -> None:
    cell, _ = nights(BASE, BASE | {"numpy": "2.5.0"})
    found = story(cell, lambda _: None)
    assert found.since_good is not None
    assert not found.since_good.known
    assert found.suspect is None


def test_nothing_that_moved_makes_a_flake() -> None:
    cell, held = nights(BASE, BASE, last={"where": "node7"})
    found = story(cell, held.get)
    assert found.suspect is None
    assert found.since_last is not None
    assert found.since_last.moves == ()
