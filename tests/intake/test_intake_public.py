"""The configurations of public guides, facts re-typed: each comes in, is checked, and locks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tomli_w

from drive import desk
from mlenv.build.verdict import Order, check
from mlenv.catalog.load import Catalog, shipped
from mlenv.cli import coming
from mlenv.plan.decide import Wish
from mlenv.solve.loop import solve
from mlenv.spec.parse import parse_spec
from mlenv.spec.stack import stacks

if TYPE_CHECKING:
    from mlenv.intake.settling import Settled

PUBLIC = sorted((Path(__file__).parent / "public").iterdir())
TODAY = "2026-11-20T00:00:00Z"
LOCKED = ("cog-resnet", "repo2docker-venv", "uv-linux", "uv-compiled", "docker-torch")
"""Those whose packages the default index has; PyTorch's own and conda's channels are elsewhere."""


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return shipped()


def came_in(case: Path, catalog: Catalog) -> Settled:
    return coming.settled(str(case), catalog, name=None, extras=frozenset(), python=None)


def said(found: Settled) -> str:
    rows = [f"+ {each.at}: {each.what}" for each in found.understood]
    rows += [f"- {each.at}: {each.what} ({each.why})" for each in found.left]
    return "".join(f"{each}\n" for each in rows)


@pytest.mark.parametrize("case", PUBLIC, ids=lambda case: case.name)
def test_comes_in_as_committed(
    case: Path, catalog: Catalog, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(case)
    found = coming.settled(".", catalog, name=None, extras=frozenset(), python=None)
    files = {"spec.toml": tomli_w.dumps(found.document), "said.txt": said(found)}
    expected = case.parent.parent / "expected" / case.name
    if pytestconfig.getoption("golden") == "write":
        expected.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (expected / name).write_text(text, encoding="utf-8")
    assert files == {name: (expected / name).read_text(encoding="utf-8") for name in files}


@pytest.mark.parametrize("case", PUBLIC, ids=lambda case: case.name)
def test_what_came_in_can_run(case: Path, catalog: Catalog) -> None:
    found = came_in(case, catalog)
    assert "secret" not in said(found) + tomli_w.dumps(found.document)
    spec = parse_spec(tomli_w.dumps(found.document), origin="spec.toml")
    for each in check(spec, catalog, Order(out=Path("images"), today=TODAY)):
        assert each.verdict in {"ok", "unknown"}, each.reasons


@pytest.mark.network
@pytest.mark.parametrize("name", LOCKED)
def test_what_came_in_locks(name: str, catalog: Catalog, tmp_path: Path) -> None:
    (case,) = (each for each in PUBLIC if each.name == name)
    found = came_in(case, catalog)
    spec = parse_spec(tomli_w.dumps(found.document), origin="spec.toml").spec
    (stack, *_) = stacks(spec)
    wish = Wish(exclude_newer=spec.lock.exclude_newer or TODAY)
    with desk(tmp_path / "cache") as at:
        solution = solve(stack, catalog, wish, at)
    versions = {each.solved.name: each.solved.version for each in solution.picked}
    for each in (*stack.frameworks, *stack.packages):
        wanted = each.requirement
        assert wanted.specifier.contains(versions[wanted.name.lower()]), (str(wanted), versions)
