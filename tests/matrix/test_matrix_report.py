"""The report in its forms: what is in them, that hostile words stay words, and where links lead."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from mlenv.cli import main
from mlenv.matrix.report.badge import badge, shields
from mlenv.matrix.report.document import document
from mlenv.matrix.report.gathered import gathered
from mlenv.matrix.report.junit import junit
from mlenv.matrix.report.markdown import markdown, plain
from mlenv.matrix.report.page import headline, page
from mlenv.matrix.result import Why
from nightly import Nights

if TYPE_CHECKING:
    from pathlib import Path

    from mlenv.matrix.report.gathered import Report

BASE = {"torch": "2.9.1", "numpy": "2.3.5", "filelock": "3.20"}
IMPOSSIBLE = Why(code="cuda-not-offered", what="no such build", cause="never made", fix="CUDA 12.8")
EVIL = """</script></style><!--<img src=x onerror=alert(1)>"'&]]>\x1b[31m\x00|[a](javascript:x)"""


def two_nights(folder: Path) -> Report:
    """Write the nights of eight cells of a spec, and of one that stands alone."""
    nights = Nights(folder)
    never = {"verdict": "impossible", "phase": "plan", "why": IMPOSSIBLE}
    pairs = [{"python": p, "cuda": c} for c in ("12.8", "13.0") for p in ("3.11", "3.12", "3.13")]
    for number in range(2):
        late = BASE | ({"numpy": "2.5.0"} if number else {})
        bad = {"verdict": "failed"} if number else {}
        nights.night(
            ("train", pairs[0], late, bad),
            ("train", pairs[1], late, bad | ({"allow_failure": True} if number else {})),
            ("train", pairs[2], BASE, bad),
            ("train", pairs[3], None, never),
            ("train", pairs[4], BASE, {}),
            ("train", pairs[5], None, {"verdict": "unknown", "phase": "lock", "why": IMPOSSIBLE}),
            ("solo", {}, late, {"versions": {"torch": "2.9.1"}, "target": "h100"}),
        )
    return gathered(nights.results)


class Read(HTMLParser):
    """What a page holds: tags, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_page_needs_nothing_from_elsewhere_and_says_who_broke_it(tmp_path: Path) -> None:
    report = two_nights(tmp_path)
    text = page(report)
    found = Read(text)
    assert not {"link", "img", "iframe", "object", "form"} & {tag for tag, _ in found.tags}
    assert not re.findall(r"""(?:src|href)=["'](?!#)""", text)
    assert "default-src 'none'" in text
    assert "numpy 2.3.5 → 2.5.0" in found.words
    assert "the only package that moved" in found.words
    assert headline(report) == "2 failed, 1 flaky, 1 unknown, 2 ok, 1 impossible"
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {each["href"][1:] for each in found.all("a")}
    assert targets <= set(ids)
    assert {each.timeline.cell for each in report.cells} <= targets


def test_marks_have_letters_and_words_and_impossible_is_no_failure(tmp_path: Path) -> None:
    found = Read(page(two_nights(tmp_path)))
    marks = [each for each in found.all("a") if "data-group" in each]
    groups = [each["data-group"] for each in marks]
    assert sorted(groups) == sorted(
        ["failed", "failed", "flaky", "impossible", "ok", "ok", "unknown"]
    )
    assert all(each["aria-label"].startswith(("train: ", "solo: ")) for each in marks)
    assert [each["class"] for each in marks].count("mark s-failed mild") == 1


@pytest.mark.parametrize(
    "place", ["why", "log", "version", "axis", "package", "where", "origin", "title"]
)
def test_hostile_words_stay_words(tmp_path: Path, place: str) -> None:
    nights = Nights(tmp_path)
    why = Why(code="smoke-failed", what=EVIL, cause=EVIL, fix=EVIL, where=(EVIL,), nearest=(EVIL,))
    words: dict[str, dict[str, Any]] = {
        "why": {"why": why},
        "log": {"log": EVIL},
        "version": {"versions": {EVIL: EVIL}},
        "where": {"where": EVIL},
        "origin": {"origin": EVIL},
    }
    evil = words.get(place, {})
    axes = {"framework": EVIL if place == "axis" else "torch", "python": "3.12"}
    for number in range(2):
        packages = {EVIL if place == "package" else "torch": str(number)}
        nights.night(
            ("a", axes, packages, {"verdict": "failed", **evil} if number else {}),
            ("a", axes | {"python": "3.13"}, packages, {}),
        )
    report = gathered(nights.results)
    title = EVIL if place == "title" else "mlenv matrix"
    clean = {tag for tag, _ in Read(page(two_nights(tmp_path / "clean"))).tags}
    found = Read(page(report, title=title))
    assert {tag for tag, _ in found.tags} - clean <= {"pre", "details", "summary"}
    assert len(found.all("script")) == len(found.all("style")) == 1
    assert not any(name.startswith("on") for _, each in found.tags for name in each)
    ET.fromstring(junit(report))  # noqa: S314 (our own bytes)
    ET.fromstring(badge(report))  # noqa: S314 (our own bytes)
    for line in markdown(report).splitlines():
        assert "<img" not in line.replace("\\<", "")
        assert "](javascript" not in line.replace("\\]", "")
        assert not line.startswith("|") or len(re.findall(r"(?<!\\)\|", line)) == 6


def test_markdown_leads_to_the_page_at_the_cell(tmp_path: Path) -> None:
    report = two_nights(tmp_path)
    text = markdown(report, link="https://ci.example/matrix.html")
    broken = next(each for each in report.cells if each.timeline.standing == "broke")
    assert f"(https://ci.example/matrix.html#{broken.timeline.cell})" in text
    assert "### Flaky" in text
    assert "Cannot be, and not run: 1." in text
    assert plain("a|b `c` <d> https://e @f") == "a\\|b \\`c\\` \\<d\\> https:\u200b//e @\u200bf"


def test_junit_counts_what_is_red_and_nothing_else(tmp_path: Path) -> None:
    tree = ET.fromstring(junit(two_nights(tmp_path)))  # noqa: S314 (our own bytes)
    train = next(each for each in tree if each.get("name") == "mlenv matrix train")
    counts = {key: train.get(key) for key in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "6", "failures": "2", "errors": "1", "skipped": "2"}
    assert "first suspect: numpy" in (train[0][0].text or "")


def test_badge_is_red_for_what_broke_and_leaves_out_what_cannot_be(tmp_path: Path) -> None:
    report = two_nights(tmp_path)
    assert shields(report)["message"] == "2 of 6 ok, 1 failed"
    assert "2 of 6 ok, 1 failed" in badge(report)


def test_document_tells_history_and_movement(tmp_path: Path) -> None:
    told = json.loads(json.dumps(document(two_nights(tmp_path))))
    cell = told["cells"][0]
    assert cell["standing"] == "broke"
    assert [each["verdict"] for each in cell["history"]] == ["ok", "failed"]
    assert cell["since-good"]["moves"][0]["name"] == "numpy"
    assert cell["suspect"]["grounds"] == "only"
    assert told["counts"]["impossible"] == 1


def test_command_writes_a_page_or_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    two_nights(tmp_path / "results")
    assert main(["matrix", "report"]) == 0
    assert capsys.readouterr().out == "matrix.html\n"
    assert (tmp_path / "matrix.html").read_text("utf-8").startswith("<!doctype html>")
    assert main(["matrix", "report", "results", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "mlenv.matrix-report/1"
    assert main(["matrix", "report", "results", "--to", "markdown", "--out", "summary.md"]) == 0
    assert "## mlenv matrix: 2 failed" in (tmp_path / "summary.md").read_text("utf-8")
    assert main(["matrix", "report", "nowhere"]) == 2
    assert "holds no results" in capsys.readouterr().err
