"""Specs to cells: which there are, what is said of each, and which are chosen."""

from __future__ import annotations

import itertools
import tomllib
from typing import TYPE_CHECKING

import pytest

from mlenv.catalog.load import load
from mlenv.errors import UsageError
from mlenv.matrix.choice import filtered, pairwise, shard
from mlenv.matrix.document import document, summary, table
from mlenv.matrix.planning import cells
from mlenv.matrix.points import points, spec_text, text_of
from mlenv.spec.parse import parse_spec

if TYPE_CHECKING:
    from mlenv.matrix.cell import Cell
    from mlenv.spec.parse import SpecFile

TODAY = "2026-11-22T00:00:00Z"
HEAD = 'name = "train"\npython = "3.12"\nframework = "torch"\n'
TARGETS = '[targets.h100]\ngpus = ["H100"]\n[targets.v100]\ngpus = ["V100"]\ncuda = "12.8"\n'
WIDE = (
    HEAD
    + """[targets.h100]
gpus = ["H100"]
driver = ">=580"
[matrix]
axes.python = ["3.11", "3.12", "3.13", "3.14"]
axes.framework = ["torch==2.7.*", "torch==2.8.*", "jax==0.7.*", "tensorflow==2.19.*"]
axes.cuda = ["12.6", "12.8", "13.0", "cpu"]
"""
)


def file(text: str, origin: str = "spec.toml") -> SpecFile:
    return parse_spec(text, origin=origin)


def planned(*texts: str) -> tuple[Cell, ...]:
    return cells([file(each, f"{n}.toml") for n, each in enumerate(texts)], load(), TODAY)


def shown(text: str) -> list[str]:
    return [
        " ".join([each.target or "-", *each.texts.values()])
        + (" (may fail)" if each.allow_failure else "")
        for each in points(file(text).spec)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(HEAD, ["-"], id="a spec without targets is one cell"),
        pytest.param(HEAD + TARGETS, ["h100", "v100"], id="without a matrix, one a target"),
        pytest.param(
            HEAD + '[matrix]\naxes.python = ["3.11", "3.12"]\naxes.cuda = ["12.8", "cpu"]\n',
            ["- 3.11 12.8", "- 3.11 cpu", "- 3.12 12.8", "- 3.12 cpu"],
            id="axes multiply",
        ),
        pytest.param(
            HEAD + TARGETS + '[matrix]\naxes.python = ["3.11", "3.12"]\n',
            ["h100 3.11", "h100 3.12", "v100 3.11", "v100 3.12"],
            id="axes meet every target",
        ),
        pytest.param(
            HEAD + TARGETS + '[matrix]\naxes.target = ["v100"]\naxes.python = ["3.11"]\n',
            ["v100 3.11"],
            id="an axis of targets chooses among them",
        ),
        pytest.param(
            HEAD
            + '[matrix]\naxes.python = ["3.11", "3.12"]\naxes.cuda = ["12.8", "cpu"]\n'
            + 'exclude = [{ cuda = "cpu", python = "3.11" }]\n',
            ["- 3.11 12.8", "- 3.12 12.8", "- 3.12 cpu"],
            id="exclude is a pattern",
        ),
        pytest.param(
            HEAD + '[matrix]\naxes.python = ["3.11"]\nexclude = [{ framework = "torch" }]\n',
            [],
            id="exclude sees what the spec itself says",
        ),
        pytest.param(
            HEAD
            + '[matrix]\naxes.python = ["3.11"]\n'
            + 'include = [{ python = "3.14t", allow-failure = true }]\n',
            ["- 3.11", "- 3.14t (may fail)"],
            id="include adds a cell",
        ),
        pytest.param(
            HEAD
            + '[matrix]\naxes.python = ["3.11", "3.12"]\n'
            + 'include = [{ python = "3.12", allow-failure = true }]\n',
            ["- 3.11", "- 3.12 (may fail)"],
            id="include of a cell that is there lets it fail",
        ),
        pytest.param(
            HEAD + '[matrix]\ninclude = [{ cuda = "12.8" }, { cuda = "cpu" }]\n',
            ["- 12.8", "- cpu"],
            id="without axes, include is all",
        ),
        pytest.param(
            HEAD + '[matrix]\naxes.framework = ["torch", ["torch", "jax"]]\naxes.packages = [[]]\n',
            ["- torch none", "- torch + jax none"],
            id="lists are values",
        ),
    ],
)
def test_the_points_of_a_matrix(text: str, expected: list[str]) -> None:
    assert shown(text) == expected


def test_a_cell_is_a_spec_of_its_own() -> None:
    for each in planned(HEAD + TARGETS + '[matrix]\naxes.cuda = ["12.6"]\n'):
        again = file(spec_text(each.file.spec))
        assert again.spec == each.file.spec
        assert again.sha256 == each.file.sha256
        assert again.spec.matrix is None
        assert list(again.spec.targets) == [each.target]
        assert str(again.spec.cuda) == "12.6"
        assert again.spec.targets[str(each.target)].cuda is None


def test_an_impossible_cell_says_why_and_where() -> None:
    text = HEAD + '[matrix]\naxes.framework = ["torch==2.8.*"]\naxes.cuda = ["12.8", "13.2"]\n'
    good, bad = planned(text)
    assert (good.planned, good.toolkit, good.runs) == ("ok", "12.8", True)
    assert (bad.planned, bad.runs) == ("impossible", False)
    assert bad.reasons[0].code == "cuda-not-offered"
    assert "0.toml:6: cuda" in bad.reasons[0].where
    assert "impossible" in "\n".join(table([good, bad]))
    assert summary([good, bad]) == ("2 cells: 1 ok, 0 unknown, 1 impossible; 1 stacks to solve")


def test_equal_stacks_are_solved_once() -> None:
    one = HEAD + 'cuda = "12.8"\n'
    other = one.replace('"train"', '"other"')
    comment = "# the same in other words\n" + other.replace("other", "third")
    found = planned(one, other, comment, one.replace("train", "fourth").replace("3.12", "3.13"))
    assert len({each.stack for each in found}) == 2
    assert len({each.id for each in found}) == 4
    assert document(found)["stacks"] == 2


@pytest.mark.parametrize(
    "change",
    [
        pytest.param('[targets.a]\ngpus = ["H100"]\n', id="a GPU"),
        pytest.param('[image]\napt = ["git"]\n', id="a Debian package"),
        pytest.param('[lock]\nexclude-newer = "2026-10-01"\n', id="a date"),
        pytest.param('[stack]\nnumeric = ["numpy<2"]\n', id="a requirement"),
        pytest.param('[lock]\nsdist = "deny"\n', id="source packages"),
        pytest.param('[[smoke]]\nname = "a"\nrun = ["true"]\n', id="a check"),
    ],
)
def test_what_changes_a_result_is_another_stack(change: str) -> None:
    one, other = planned(HEAD, HEAD.replace("train", "other") + change)
    assert one.stack != other.stack


def test_needs_name_the_machine() -> None:
    text = HEAD + '[targets.a]\ngpus = ["H100", "A100"]\ndriver = ">=580.65.06"\n'
    text += '[[smoke]]\nname = "a"\nrun = ["true"]\ngpus = 2\n'
    (needs,) = (each.needs for each in planned(text))
    assert needs.gpus == ("sm_80", "sm_90")
    assert (needs.count, needs.driver, needs.platform) == (2, "580", "linux/amd64")


def test_every_mistake_is_told_at_once() -> None:
    wrong = HEAD + '[targets.a]\ngpus = ["H1000"]\n'
    with pytest.raises(UsageError) as caught:
        planned(wrong, HEAD.replace("torch", "torhc").replace("train", "b"), HEAD, HEAD)
    codes = [each.code for each in caught.value.reasons]
    assert codes == ["gpu-unknown", "framework-unknown", "matrix-order"]


def test_pairwise_meets_every_pair_that_can_meet() -> None:
    every = planned(WIDE)
    few = pairwise(every)
    assert len(few) < len([each for each in every if each.runs]) * 0.6
    assert pairs(few) == pairs([each for each in every if each.runs])
    assert few == pairwise(every)


def pairs(found: tuple[Cell, ...] | list[Cell]) -> set[object]:
    return {pair for each in found for pair in itertools.combinations(sorted(each.axes.items()), 2)}


def test_shards_are_all_of_it_and_keep_stacks_together() -> None:
    every = planned(WIDE)
    parts = [shard(every, f"{n}/3") for n in (1, 2, 3)]
    assert sorted(each.id for part in parts for each in part) == sorted(each.id for each in every)
    stacks = [{each.stack for each in part} for part in parts]
    assert not stacks[0] & stacks[1] | stacks[1] & stacks[2]
    assert max(map(len, stacks)) - min(map(len, stacks)) <= 1


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "a/b", "1/2/3", "-1/2"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="1/4"):
        shard((), text)


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        pytest.param(["python=3.12"], 16, id="an axis"),
        pytest.param(["python=3.12", "python=3.13"], 32, id="alternatives"),
        pytest.param(["python=3.12", "cuda=12.8"], 4, id="both count"),
        pytest.param(["framework=torch*"], 32, id="a pattern"),
        pytest.param(["train-h100-py3.11-*"], 16, id="ids"),
        pytest.param(["verdict=nothing"], 0, id="none"),
    ],
)
def test_filters(filters: list[str], count: int) -> None:
    assert len(filtered(planned(WIDE), filters)) == count


def test_a_filter_over_no_axis_is_refused() -> None:
    with pytest.raises(UsageError, match="cuda, framework, python"):
        filtered(planned(WIDE), ["pyhton=3.12"])


def test_the_document_is_canonical() -> None:
    assert document(planned(WIDE)) == document(planned(WIDE + "# a comment\n"))


def test_the_reference_spec_of_the_contract_has_its_cells() -> None:
    text = """name = "t"
python = "3.12"
[matrix]
axes.python    = ["3.11", "3.12", "3.13"]
axes.framework = ["torch==2.8.*", "torch==2.9.*"]
axes.cuda      = ["12.8", "13.0"]
exclude        = [{ cuda = "13.0", framework = "torch==2.8.*" }]
include = [{ python = "3.14t", framework = "torch", cuda = "13.0", allow-failure = true }]
"""
    found = planned(text)
    assert len(found) == 10
    assert [each.axes for each in found if each.allow_failure] == [
        {"python": "3.14t", "framework": "torch", "cuda": "13.0"}
    ]
    assert all(tomllib.loads(spec_text(each.file.spec)) for each in found)
    assert text_of(()) == "none"
