"""The configurations of public guides, facts re-typed: each comes in, is checked, and locks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tomli_w

import condaforge
from drive import built
from mlenv.build.verdict import Order, check
from mlenv.catalog.load import Catalog, shipped
from mlenv.cli import coming
from mlenv.spec.parse import parse_spec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from condachannel import Channel
    from mlenv.intake.settling import Settled

PUBLIC = sorted((Path(__file__).parent / "public").iterdir())
TODAY = "2026-11-20T00:00:00Z"
LOCKED = ("cog-resnet", "repo2docker-venv", "uv-linux", "uv-compiled", "docker-torch")
"""Those whose packages the default index has; PyTorch's own and conda's channels are elsewhere."""


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return shipped()


_OF_CONDA = (
    *("conda-lock-torch", "conda-lock-v1", "pixi-torch"),
    *("repo2docker-conda", "repo2docker-binder"),
)
CONDA = _OF_CONDA if condaforge.RECORDS.is_dir() else ()
"""Those of conda's packages: solved over records of conda-forge, where those are at hand."""


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


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Channel]:
    with condaforge.served(tmp_path_factory.mktemp("conda-forge")) as channel:
        yield channel


@pytest.mark.network
@pytest.mark.parametrize("name", [*LOCKED, *CONDA])
def test_what_came_in_locks(
    name: str, catalog: Catalog, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    (case,) = (each for each in PUBLIC if each.name == name)
    text = tomli_w.dumps(came_in(case, catalog).document)
    if name in CONDA:
        request.getfixturevalue("forge")
    (outcome,) = built(text, tmp_path / "images", tmp_path / "cache", today=TODAY, recipe=False)
    assert outcome.lock is not None, outcome.reasons
    versions = {each.name: each.version for each in outcome.lock.package}
    for each in (*outcome.stack.frameworks, *outcome.stack.packages):
        wanted = each.requirement
        found = wanted.name.lower()
        found = "pytorch" if name in CONDA and found == "torch" else found
        assert wanted.specifier.contains(versions[found]), (str(wanted), versions)
