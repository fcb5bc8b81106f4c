"""``mlenv`` alone: where you stand, spec by spec, and the next step. Nothing is solved or asked."""

from __future__ import annotations

import re
import sys
import tomllib
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlenv import __version__, memory, uptodate
from mlenv.cli import finding, words
from mlenv.errors import HostError
from mlenv.files import LOCK_NAME, digest
from mlenv.host import disk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OUT = Path("images")
COLUMNS = 80
_WORD = r"[a-z0-9][a-z0-9_.-]*"
"""What may be the name of a folder."""
_FEW = 4
"""Stacks that are told in full; of more each is a line."""
_MARKS = {"done": ("✓", "+", "blue"), "old": ("!", "!", "yellow"), "todo": ("·", "-", None)}
"""State -> mark, the same for a terminal without Unicode, and a colour that says no more."""
_COMES_IN = (
    *("cog.yaml", "pixi.toml", "environment.yml", "pyproject.toml", "requirements.txt"),
    *("Dockerfile", "conda-lock.yml"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that is done with a stack, or not."""

    name: str
    state: str
    """``done``, ``old`` or ``todo``."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where one stack stands."""

    name: str
    spec: str
    steps: tuple[Step, ...]
    next: str | None
    """The command to run; None where all is done."""


def show(*, as_json: bool) -> int:
    """Say where the specs of this folder stand, and what comes next."""
    found = [each for path, spec in finding.specs_here().items() for each in _stands(path, spec)]
    following = _next(found)
    if as_json:
        words.emit({"stacks": [asdict(each) for each in found], "next": following})
        return 0
    click.echo(f"mlenv {__version__}: {_count(found)}\n")
    if len(found) > _FEW:
        _table(found)
    else:
        for each in found:
            _show(each)
    click.echo(f"next:  {click.style(following, bold=True)}")
    click.echo("all commands:  mlenv --help")
    return 0


def _count(found: list[Standing]) -> str:
    specs = len({each.spec for each in found})
    if not specs:
        return "no spec lies here, nor in specs/"
    return f"{specs} spec{'' if specs == 1 else 's'} here"


def _next(found: list[Standing]) -> str:
    """Return the one command that leads on: that of the stack that is furthest, and not done."""
    if not found:
        here = [each for each in _COMES_IN if Path(each).is_file()]
        if here:
            return f"mlenv init --from {here[0] if len(here) == 1 else '.'}"
        return "mlenv init train --framework torch --gpu H100 --driver '>=570'"
    open_ = [each for each in found if each.next]
    if not open_:
        return "all is done; `mlenv update` moves a lock, `mlenv export` takes it elsewhere"
    furthest = max(open_, key=lambda each: sum(step.state == "done" for step in each.steps))
    return str(furthest.next)


def _show(each: Standing) -> None:
    name = words.fitted(each.name, COLUMNS * 3 // 4)
    place = words.fitted(each.spec, COLUMNS - len(name) - 3)
    click.echo(f"{click.style(name, bold=True)}  {place}")
    for step in each.steps:
        click.echo(f"  {_mark(step.state)} {step.name:<9} {words.fitted(step.text, COLUMNS - 14)}")
    click.echo()


def _table(found: list[Standing]) -> None:
    """Show a line a stack, and what the marks mean."""
    width = min(max(len(each.name) for each in found), 28)
    click.echo(f"{'stack':<{width}}  lock  image  verified")
    for each in found:
        lock, image, verified = (_mark(step.state) for step in each.steps)
        name = words.fitted(each.name, width)
        place = words.fitted(each.spec, COLUMNS - width - 26)
        click.echo(f"{name:<{width}}  {lock}     {image}      {verified}         {place}")
    said = (("done", "done"), ("old", "to be done again"), ("todo", "not done"))
    click.echo("   ".join(f"{_mark(state)} {text}" for state, text in said) + "\n")


def _mark(state: str) -> str:
    unicode, plain, color = _MARKS[state]
    return click.style(unicode if _has_unicode() else plain, fg=color, bold=True)


def _has_unicode() -> bool:
    try:
        "✓·".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _stands(path: Path, spec: Mapping[str, Any]) -> Iterator[Standing]:
    text = path.read_text(encoding="utf-8")
    targets = spec.get("targets")
    names = list(targets) if isinstance(targets, dict) and len(targets) > 1 else [None]
    for name in names:
        folder = OUT / str(spec["name"]) / (name or "")
        fresh = None
        with suppress(HostError):  # a folder that cannot be read is not up to date
            fresh = uptodate.current(text, OUT, target=name, recipe=False)
        yield _standing(path, str(spec["name"]), name, folder, fresh=bool(fresh))


def _standing(path: Path, name: str, target: str | None, folder: Path, *, fresh: bool) -> Standing:
    plain = all(re.fullmatch(_WORD, each) for each in (name, target or "x"))
    lock = _lock(folder) if plain else None
    title = f"{name}:{target}" if target else name
    if lock is None:
        steps = (
            Step(name="lock", state="todo", text="not locked"),
            Step(name="image", state="todo", text="none"),
            Step(name="verified", state="todo", text="no"),
        )
        return Standing(name=title, spec=str(path), steps=steps, next=f"mlenv build {path}")
    same = lock.get("spec-sha256") == digest(finding.spec_content(path))
    locked = _locked(lock, folder, fresh=fresh, same=same)
    known = memory.recalled(disk.cache_folder(), str(lock.get("artefacts-sha256", "")))
    image, verified = _image(lock, known), _verified(known)
    following = None
    if locked.state != "done" or not _has_recipe(lock):
        following = f"mlenv build {path}"
    elif image.state != "done":
        following = f"mlenv image {folder}"
    elif verified.state != "done":
        following = f"mlenv verify {folder}"
    return Standing(name=title, spec=str(path), steps=(locked, image, verified), next=following)


def _lock(folder: Path) -> dict[str, Any] | None:
    try:
        return tomllib.loads((folder / LOCK_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _locked(lock: Mapping[str, Any], folder: Path, *, fresh: bool, same: bool) -> Step:
    stack, packages = lock.get("stack") or {}, lock.get("package") or []
    heavy = [
        f"{each.get('name')} {each.get('version')}"
        for each in packages
        if each.get("layer") == "framework" and each.get("name") != "triton"
    ]
    toolkit = stack.get("toolkit")
    cuda = {"cpu": "CPU", "none": "no CUDA"}.get(str(toolkit), f"CUDA {toolkit}")
    words_ = [*heavy[:2], cuda, f"{len(packages)} packages"]
    if lock.get("verdict") == "unknown":
        words_.append("verdict unknown")
    text = f"{folder}: {', '.join(words_)}, of {str(lock.get('exclude-newer'))[:10]}"
    if fresh:
        return Step(name="lock", state="done", text=text)
    why = "facts, tools or files of it have changed" if same else "the spec has changed since"
    return Step(name="lock", state="old", text=f"{folder}: {why}")


def _has_recipe(lock: Mapping[str, Any]) -> bool:
    return any(each.get("path") == "Dockerfile" for each in lock.get("written") or ())


def _image(lock: Mapping[str, Any], known: Mapping[str, Any]) -> Step:
    made = known.get("image") or {}
    if made:
        return Step(name="image", state="done", text=f"{made.get('where')}, {made.get('at')}")
    text = "none was made here" if _has_recipe(lock) else "no recipe: `mlenv build` writes one"
    return Step(name="image", state="todo", text=text)


def _verified(known: Mapping[str, Any]) -> Step:
    told = known.get("verified") or {}
    if not told:
        return Step(name="verified", state="todo", text="no")
    word = str(told.get("word"))
    state = {"verified": "done", "failed": "old"}.get(word, "todo")
    more = " (no GPU has run it)" if word == "static-ok" else ""
    return Step(name="verified", state=state, text=f"{word}{more}, {told.get('at')}")
