"""What the documentation shows is so: its commands run, its specs pass, its output is said.

A page has one folder and its blocks run in their order, as a reader would type them: with the real
``mlenv`` and ``uv``, on the real index. Only docker.io and ghcr.io are a registry on loopback.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
import yaml

import containers
import engines
from fenced import ROOT, RUN, blocks, commands, complaints, is_said, pages

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from _pytest.mark import ParameterSet

    from containers import Hub
    from fenced import Block

_SECONDS = 200
_FOREIGN = ("VIRTUAL_ENV", "PYTHONPATH", "UV_PYTHON", "MLENV_NO_SKIP")
_SHOWN = {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb", "MLENV_NO_PROGRESS": "1"}

ALL = [
    each
    for page in pages()
    for each in blocks(page.read_text(encoding="utf-8"), str(page.relative_to(ROOT)))
]


@dataclass(slots=True, kw_only=True)
class World:
    """What stands around the pages: programs, and a registry in the place of the world's."""

    folder: Path
    hub: Hub
    environment: dict[str, str]
    python: str
    """The minor that takes the place of 3.12, where this machine lacks it."""
    stack: ExitStack
    daemon: engines.Daemon | None = None
    at: dict[str, Reading] = field(default_factory=dict)

    def reading(self, page: str) -> Reading:
        if page not in self.at:
            place = self.folder / page.replace("/", "-").removesuffix(".md")
            self.at[page] = Reading(folder=place, left=[e for e in ALL if e.page == page])
            shutil.copytree(ROOT / "specs", place / "specs")
        return self.at[page]

    def engine(self) -> Mapping[str, str]:
        """Return what leads to a daemon of the tests' own."""
        if self.daemon is None:
            mirror = f"http://{self.hub.address}"
            self.daemon = self.stack.enter_context(engines.daemon(mirror=mirror))
        return self.daemon.environment


@dataclass(slots=True, kw_only=True)
class Reading:
    """How far a page was read."""

    folder: Path
    left: list[Block]
    broken: str = ""

    def until(self, block: Block, world: World) -> None:
        """Do what the page says, up to ``block``."""
        while block in self.left:
            at = self.left.pop(0)
            if at != block and at.notes.get("needs") and engines.lacking():
                continue
            try:
                _done(at, self.folder, world)
            except BaseException:
                self.broken = self.broken or at.title
                raise


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    place = tmp_path_factory.mktemp("docs")
    with ExitStack() as stack:
        try:
            hub = stack.enter_context(containers.registry())
            python, beside = _python()
            containers.published(hub, python)
            _also_for_arm64(hub, f"{python}-slim-{containers.DEBIAN}", place)
        except containers.Missing as error:
            pytest.skip(str(error))
        hub.push(containers.debian_image(), "library/debian", f"{containers.DEBIAN}-slim")
        own = containers.registries_conf(place / "registries.conf", hub.port)
        path = (str(Path(sys.executable).parent), os.environ["PATH"], str(beside / "bin"))
        env = {name: text for name, text in os.environ.items() if name not in _FOREIGN}
        env |= _SHOWN | {
            "PATH": os.pathsep.join(path),
            "CONTAINERS_REGISTRIES_CONF": str(own),
            "MLENV_CACHE_DIR": str(place / "cache"),
            "DOCKER_HOST": f"unix://{place}/none.sock",
        }
        yield World(folder=place, hub=hub, environment=env, python=python, stack=stack)
    shutil.rmtree(place)


def _also_for_arm64(hub: Hub, tag: str, place: Path) -> None:
    """Let a tag of library/python name an image for arm64 too, as the official one does."""
    image = containers.made_image([{"etc/debian_version": b"12"}], place, architecture="arm64")
    digest = hub.push(image, "library/python", f"{tag}-arm64", index=False)
    url = f"http://{hub.address}/v2/library/python/manifests/{tag}"
    held = requests.get(url, headers={"Accept": containers.INDEX}, timeout=60)
    held.raise_for_status()
    content = held.json()
    platform = {"architecture": "arm64", "os": "linux"}
    size = len(image.manifest_bytes())
    row = {"mediaType": containers.OCI_MANIFEST, "digest": digest, "size": size}
    content["manifests"].append({**row, "platform": platform})
    hub.manifest("library/python", tag, json.dumps(content).encode(), containers.INDEX)


def _python() -> tuple[str, Path]:
    """Return the minor that the pages are read with, and its prefix: 3.12 where it is here."""
    try:
        return "3.12", containers.host_python("3.12")[0]
    except containers.Missing:
        own = "{}.{}".format(*sys.version_info)
        return own, containers.host_python(own)[0]


def _done(block: Block, folder: Path, world: World) -> None:
    """Do what one block says, and what its notes add."""
    text = block.text.replace("3.12", world.python)
    env = world.environment
    if "needs" in block.notes:
        env = {**env, **world.engine()}
    if (hidden := block.notes.get("before")) is not None:
        _typed(hidden.replace("3.12", world.python), folder, env)
    name = block.notes.get("file")
    if name is None and (name := block.notes.get("added to")) is not None:
        text = (folder / name).read_text(encoding="utf-8") + "\n" + text
    if name is not None:
        (folder / name).write_text(text, encoding="utf-8")
    if block.language == "toml" and "not a spec" not in block.notes:
        path = folder / (name or f"spec-{block.line}.toml")
        path.write_text(text, encoding="utf-8")
        _typed(f"mlenv check {path.name}", folder, env, status=int(block.notes.get("exits", 0)))
    elif block.is_run:
        _run(block, text, folder, env)


def _run(block: Block, text: str, folder: Path, env: Mapping[str, str]) -> None:
    status = int(block.notes.get("exits", 0))
    if block.language == "sh":
        _typed(text, folder, env, status=status)
        return
    rows = list(commands(block))
    for number, (command, expected) in enumerate(rows, 1):
        said = _typed(command, folder, env, status=status if number == len(rows) else 0)
        assert is_said(expected, said), f"the page shows\n{expected}\nand what is said is\n{said}"


def _typed(script: str, folder: Path, env: Mapping[str, str], *, status: int = 0) -> str:
    """Give lines to a shell; return what they say."""
    done = subprocess.run(
        ["/bin/bash", "-eu", "-c", script],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    assert done.returncode == status, f"{script}\nleft with {done.returncode}:\n{done.stdout}"
    return done.stdout


def _marked(block: Block) -> ParameterSet:
    marks = [pytest.mark.engine] if "needs" in block.notes else []
    return pytest.param(block, id=block.title, marks=marks)


@pytest.mark.parametrize("block", ALL, ids=lambda each: each.title)
def test_a_block_is_run_or_says_why_not(block: Block) -> None:
    assert list(complaints(block)) == []
    match block.language:
        case "json":
            json.loads(block.text)
        case "yaml":
            yaml.safe_load(block.text)
        case "python":
            ast.parse(block.text)


@pytest.mark.network
@pytest.mark.registry
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "block", [_marked(each) for each in ALL if each.is_run or each.language == "toml"]
)
def test_a_block_does_what_the_page_says(block: Block, world: World) -> None:
    if "needs" in block.notes and (reason := engines.lacking()):
        pytest.skip(reason)
    reading = world.reading(block.page)
    if reading.broken:
        pytest.fail(f"{reading.broken} failed, and what comes after it was not tried")
    reading.until(block, world)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("```\nmlenv\n```\n", "not named", id="no language"),
        pytest.param("```bash\nmlenv\n```\n", "its language is bash", id="another language"),
        pytest.param("<!-- not run: it lies -->\n```text\nx\n```\n", "nothing", id="idle note"),
        pytest.param("<!-- nott run: a slip -->\n```sh\nx\n```\n", "no note", id="a slip"),
        pytest.param("<!-- needs: a GPU -->\n```sh\nx\n```\n", "no test has", id="a GPU"),
        pytest.param("```console\nmlenv\n```\n", "without a command", id="no prompt"),
    ],
)
def test_a_block_that_nobody_would_run_is_seen(text: str, complaint: str) -> None:
    (block,) = blocks(text, "page.md")
    (found,) = complaints(block)
    assert complaint in found


def test_a_block_is_found_with_its_notes() -> None:
    text = (
        "a\n<!-- file: b -->\n\n<!-- exits: 3 -->\n\n   ```sh\n   x\n     y\n   ```\n~~~sh\n~~~\n"
    )
    one, two = blocks(text, "page.md")
    assert (one.text, one.notes, one.line) == ("x\n  y\n", {"file": "b", "exits": "3"}, 6)
    assert (two.text, two.notes) == ("", {})
    assert {each.language for each in (one, two)} <= set(RUN)


@pytest.mark.parametrize(
    ("shown", "said", "same"),
    [
        pytest.param("a\n", "a  \n\n", True, id="blanks at the end"),
        pytest.param("a … c\n", "a b\nb c\n", True, id="anything"),
        pytest.param("a.c\n", "abc\n", False, id="a dot is a dot"),
        pytest.param("a\n", "a\nb\n", False, id="a line more"),
        pytest.param("a\n…\n", "a\nb\nc\n", True, id="lines at the end"),
    ],
)
def test_what_a_page_shows_is_compared(shown: str, said: str, *, same: bool) -> None:
    assert is_said(shown, said) is same
