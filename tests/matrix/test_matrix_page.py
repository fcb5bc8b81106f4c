"""The page in a real browser: grid, filter, panel, keys, a phone, and what axe says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from test_matrix_report import two_nights

from browsing import PHONE, Watched, browser
from mlenv.matrix.report.gathered import gathered
from mlenv.matrix.report.page import page
from nightly import Nights

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from mlenv.matrix.report.gathered import Report, Told

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return two_nights(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def path(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("page") / "matrix.html"
    found.write_text(page(report), encoding="utf-8")
    return found


@pytest.fixture
def watched(chromium: Browser, path: Path) -> Iterator[Watched]:
    found = Watched(chromium, path)
    yield found
    found.context.close()
    assert found.said == []
    assert found.elsewhere == []


def cell(report: Report, standing: str) -> Told:
    return next(each for each in report.cells if each.timeline.standing == standing)


def shown(at: Page) -> list[str]:
    """Return the letters that stand in the grid, less those that a filter took back."""
    return [
        each.inner_text()
        for each in at.locator("#grid a.mark:not(.off)").all()
        if each.is_visible()
    ]


def test_grid_has_a_row_and_a_column_for_each_value(watched: Watched) -> None:
    at = watched.open()
    table = at.get_by_role("grid", name="train")
    assert table.get_by_role("columnheader").all_inner_texts() == [
        *("train", "Python 3.11", "Python 3.12", "Python 3.13")
    ]
    assert table.get_by_role("rowheader").all_inner_texts() == ["CUDA 12.8", "CUDA 13.0"]
    assert table.get_by_role("gridcell").all_inner_texts() == ["F", "F", "F~", "I", "O", "U"]
    assert at.title() == "mlenv matrix: 2 failed, 1 flaky, 1 unknown, 2 ok, 1 impossible"


def test_filter_takes_words_and_verdicts(watched: Watched) -> None:
    at = watched.open()
    field = at.get_by_role("searchbox", name="Filter")
    field.fill("python=3.12 train")
    assert shown(at) == ["F", "O"]
    assert at.get_by_role("status").inner_text() == "2 of 7 cells"
    field.fill("no such thing")
    assert shown(at) == []
    at.get_by_role("button", name="Show all").click()
    assert len(shown(at)) == 7
    assert field.evaluate("each => each === document.activeElement")
    at.get_by_role("button", name="flaky").click()
    at.get_by_role("button", name="impossible").click()
    assert shown(at) == ["F~", "I"]
    at.get_by_role("button", name="flaky").press("Enter")
    assert shown(at) == ["I"]


def test_panel_says_why_and_what_moved(watched: Watched, report: Report) -> None:
    at, told = watched.open(), cell(report, "broke")
    at.locator(f'[id="at-{told.timeline.cell}"]').click()
    panel = at.get_by_role("dialog", name=told.title)
    assert panel.is_visible()
    words = panel.inner_text()
    for each in ("numpy cannot be imported", "hold numpy below 2.5", "the only package that moved"):
        assert each in words
    row = panel.get_by_role("row", name="numpy")
    assert row.locator("th, td").all_inner_texts() == ["numpy", "2.3.5 → 2.5.0", "rest", "5.0 MB"]
    at.keyboard.press("Escape")
    assert not panel.is_visible()


def test_the_keyboard_alone_reaches_every_cell_and_comes_back(
    watched: Watched, report: Report
) -> None:
    at = watched.open()
    at.get_by_role("searchbox").focus()
    for _ in range(5 + 1):  # the verdicts, then the first table
        at.keyboard.press("Tab")
    here = "document.activeElement.getAttribute('aria-label')"
    assert at.evaluate(here).startswith("solo: h100")
    at.keyboard.press("Tab")  # one stop a table
    assert at.evaluate(here).startswith("train: Python 3.11, CUDA 12.8")
    for key, name in (
        ("ArrowRight", "train: Python 3.12, CUDA 12.8"),
        ("ArrowDown", "train: Python 3.12, CUDA 13.0"),
        ("End", "train: Python 3.13, CUDA 13.0"),
        ("Home", "train: Python 3.11, CUDA 13.0"),
        ("ArrowUp", "train: Python 3.11, CUDA 12.8"),
        ("ArrowUp", "solo: h100"),
        ("n", "train: Python 3.11, CUDA 12.8"),
    ):
        at.keyboard.press(key)
        assert at.evaluate(here).startswith(name), key
    at.keyboard.press("Enter")
    title = cell(report, "broke").title
    assert at.get_by_role("dialog", name=title).is_visible()
    assert title in at.evaluate("document.activeElement.innerText")
    at.keyboard.press("Escape")
    assert at.evaluate(here).startswith("train: Python 3.11, CUDA 12.8")


@pytest.mark.parametrize("script", [True, False], ids=["with its script", "without a script"])
def test_a_link_opens_the_page_at_its_cell(
    chromium: Browser, path: Path, report: Report, *, script: bool
) -> None:
    found = Watched(chromium, path, script=script)
    told = cell(report, "broke")
    at = found.open(told.timeline.cell)
    assert at.get_by_role("dialog").count() == 1
    assert at.get_by_role("dialog", name=told.title).is_visible()
    found.context.close()
    assert (found.said, found.elsewhere) == ([], [])


@pytest.mark.parametrize("size", [(1280, 900), PHONE], ids=["a desk", "a phone"])
def test_axe_has_nothing_against_it_and_nothing_runs_over_the_edge(
    chromium: Browser, path: Path, report: Report, size: tuple[int, int]
) -> None:
    for anchor in ("", cell(report, "broke").timeline.cell):
        for scheme in ("light", "dark"):
            found = Watched(chromium, path, size=size)
            found.page.emulate_media(color_scheme=scheme)
            at = found.open(anchor)
            assert at.evaluate("document.documentElement.scrollWidth") <= size[0]
            assert found.violations() == [], (anchor, scheme)
            found.context.close()


def test_a_hostile_log_runs_nothing(chromium: Browser, tmp_path: Path) -> None:
    evil = "</pre></script><script>document.title='owned'</script><img src=x onerror=alert(1)>"
    nights = Nights(tmp_path)
    nights.night(("a", {"framework": evil}, {evil: "1"}, {"verdict": "failed", "log": evil}))
    report = gathered(nights.results)
    path = tmp_path / "matrix.html"
    path.write_text(page(report), encoding="utf-8")
    found = Watched(chromium, path)
    at = found.open(report.cells[0].timeline.cell)
    assert at.title() == "mlenv matrix: 1 failed"
    assert evil in at.get_by_role("dialog").inner_text()
    found.context.close()
    assert (found.said, found.elsewhere) == ([], [])
