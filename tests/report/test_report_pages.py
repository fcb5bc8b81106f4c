"""What a verdict looks like: to a person, to a CI, to a browser, to a program."""

from __future__ import annotations

import html.parser
import json
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from judging import asked, document, good, report
from mlenv.report.document import document as verdict_document
from mlenv.report.document import schema
from mlenv.report.html import page
from mlenv.report.judge import judge
from mlenv.report.junit import WHOLE, junit
from mlenv.report.text import verdict_text

if TYPE_CHECKING:
    from mlenv.report.verdict import Verdict

HOSTILE = "</pre><script>alert(1)</script> & \x00\x1b[31m ]]> \ud7ff é"


def verdict(kind: str) -> Verdict:
    plan = asked(scope="static" if kind == "static-ok" else "gpu")
    rows = good(plan)
    words: dict[str, Any] = {}
    if kind == "failed":
        rows["torch:compile"] |= {
            "status": "fail",
            "reason": "no-compiler",
            "message": "Failed to find C compiler. " + HOSTILE,
            "stderr": HOSTILE,
        }
    if kind == "not-verified":
        del rows["torch:math"]
        words["complete"] = False
    if kind == "verified":
        rows["speed:torch"]["facts"] = {"boundary": {"sentence": "a launch costs 9 us here"}}
    return judge(plan, report(plan, rows, **words))


KINDS = ("verified", "static-ok", "failed", "not-verified")


@pytest.mark.parametrize("kind", KINDS)
def test_the_document_is_what_the_schema_says(kind: str) -> None:
    found = verdict(kind)
    content = json.loads(json.dumps(verdict_document(found, runner="local")))
    jsonschema.Draft202012Validator(schema("verdict")).validate(content)
    assert (content["verdict"], content["exit"]) == (kind, int(found.exit_status))


def test_a_report_is_what_the_schema_says() -> None:
    plan = asked()
    validator = jsonschema.Draft202012Validator(schema("report"))
    validator.validate(document(plan, good(plan)))
    assert list(validator.iter_errors({"schema": "mlenv.report/1"}))


@pytest.mark.parametrize("name", ["report", "verdict"])
def test_a_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(name))


def test_a_good_word_with_a_bad_status_is_against_the_schema() -> None:
    content = verdict_document(verdict("verified"), runner="local") | {"exit": 6}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(json.dumps(content)), schema("verdict"))


@pytest.mark.parametrize("kind", KINDS)
def test_junit_is_read_and_green_only_where_all_was_shown(kind: str) -> None:
    found = verdict(kind)
    suite = ET.fromstring(junit(found))[0]  # noqa: S314 (our own)
    cases = {each.get("name"): each for each in suite.findall("testcase")}
    assert len(cases) == int(suite.get("tests", "0")) == len(found.report.probes) + 1
    for kind_ in ("failure", "error", "skipped"):
        count = sum(each.find(kind_) is not None for each in cases.values())
        assert count == int(
            suite.get({"failure": "failures", "error": "errors"}.get(kind_, kind_), "0")
        )
    assert (cases[WHOLE].find("failure") is None) is (kind in {"verified", "static-ok"})


def test_junit_tells_cause_and_fix() -> None:
    text = junit(verdict("failed"))
    assert "compile = true" in text
    assert "<script>" not in text


class Tags(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not [name for name, _ in attrs if name.startswith("on") or name in {"src", "href"}]
        self.seen.add(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_is_whole_and_runs_nothing(kind: str) -> None:
    text = page(verdict(kind))
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert "script" not in tags.seen
    assert f">{kind}</span>" in text


def test_the_text_says_cause_and_fix_before_the_probes() -> None:
    text = verdict_text(verdict("failed"))
    lines = text.splitlines()
    assert lines[0] == "train: failed: something ran, and was wrong"
    assert lines[2].startswith(
        "error[no-compiler]: torch:compile failed: Failed to find C compiler"
    )
    assert lines[3].startswith("  cause:   Triton, torch.compile or nvcc needs a C or C++ compiler")
    assert any(line.startswith("  fix:     set `compile = true`") for line in lines[4:8])
    assert "\x1b" not in text
    assert max(map(len, lines[10:])) <= 110


def test_the_text_names_what_said_nothing_and_what_a_launch_costs() -> None:
    assert "  no word  torch:math" in verdict_text(verdict("not-verified"))
    assert verdict_text(verdict("verified")).endswith("a launch costs 9 us here")


@pytest.mark.parametrize(
    ("name", "facts", "words"),
    [
        pytest.param("mapped:torch", {}, "2 CUDA libraries are loaded, as locked", id="libraries"),
        pytest.param("distributions", {}, "5 packages, as locked", id="packages"),
        pytest.param(
            "compile:triton",
            {"built": {"sm_80": {}, "sm_90": {}}},
            "compiled for sm_80, sm_90",
            id="archs",
        ),
        pytest.param("driver", {}, "H100", id="the GPU"),
        pytest.param("kernel:triton", {"made": "by Triton, now"}, "by Triton, now", id="a kernel"),
    ],
)
def test_what_passed_says_in_a_few_words_what_it_showed(
    name: str, facts: dict[str, Any], words: str
) -> None:
    plan = asked()
    rows = good(plan)
    rows[name].setdefault("facts", {}).update(facts)
    found = judge(plan, report(plan, rows))
    (line,) = (line for line in verdict_text(found).splitlines() if f" {name} " in line)
    assert line.endswith(f" s  {words}")
    assert f"<summary>{words}</summary>" in page(found)


def test_what_waited_for_the_driver_is_one_line_of_the_text() -> None:
    plan = asked()
    rows = good(plan)
    gpu = [each for each in plan.probes if each.startswith(("kernel:", "torch:", "speed:"))]
    waited = {"status": "skip", "reason": "no-driver", "seconds": 0, "message": "there is no GPU"}
    rows.update({name: {**rows[name], **waited} for name in gpu})
    text = verdict_text(judge(plan, report(plan, rows))).partition("\n\n  pass")[2]
    (_, _, waiting) = text.partition("  skip     ")
    assert " ".join(waiting.split()) == f"there is no GPU: {', '.join(gpu)}"
    assert max(map(len, text.splitlines())) <= 100


def test_a_crash_is_told_by_where_it_was() -> None:
    plan = asked()
    rows = good(plan)
    said = (
        "Fatal Python error: Segmentation fault\n\n"
        "Current thread 0x00007f7cedd6fb80 (most recent call first):\n"
        '  File "/venv/x.py", line 8 in f\n  File "<string>", line 1 in <module>\n\n'
        "Extension modules: numpy._core._multiarray_umath (total: 1)\n"
    )
    rows["mapped:torch"] |= {"status": "crash", "reason": "signal", "stderr": said}
    found = judge(plan, report(plan, rows))
    assert found.root is not None
    assert found.root.seen == 'File "/venv/x.py", line 8 in f'
