"""requirements.txt: pip's lines, what pip-compile and uv write, hashes, includes and indexes.

Of a compiled file only what somebody asked for is a requirement of the spec: its ``# via`` lines
say so, and the lock pins the rest anew.
Source: https://pip.pypa.io/en/stable/reference/requirements-file-format/ (2026-11-28).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from mlenv.intake import hints
from mlenv.intake.draft import Draft, Required, Said

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlenv.intake.draft import Source

_COMMENT = re.compile(r"(^|\s+)#.*$")
_OPTION = re.compile(r"(?:^|\s)(--?[A-Za-z][\w-]*)(?:[=\s]\s*([^\s]+))?")
_VALUELESS = {"--pre", "--no-index", "--prefer-binary", "--require-hashes", "--editable-mode"}
_DEPTH = 8


@dataclass(slots=True, kw_only=True)
class _Line:
    number: int
    text: str
    via: list[str] = field(default_factory=list)


def read(source: Source) -> Draft:
    """Return what a requirements.txt says."""
    return _read(source, 0)


def _read(source: Source, depth: int) -> Draft:
    draft = Draft(file=source.name)
    found = list(_logical(source.text))
    compiled = any(each.via for each in found)
    names = {_name(each.text) for each in found} - {""}
    for each in found:
        _take(draft, source, each, depth, direct=not compiled or _is_direct(each, names))
    if compiled:
        draft.note(None, "it is compiled: only what its `# via` lines call asked for is kept")
    return draft


def _logical(text: str) -> Iterator[_Line]:
    """Yield lines without comments, joined where a backslash says so; ``# via`` goes with them."""
    held, start, last, listing = "", 0, None, False
    for number, raw in enumerate(text.splitlines(), start=1):
        if (said := re.match(r"\s*#\s*(.*)$", raw)) and not held:
            if last is not None:
                listing = _via(last, said[1], listing=listing)
            continue
        inline = re.search(r"\s#\s*via\s+(\S.*)$", raw)
        line = _COMMENT.sub("", raw)
        start = start if held else number
        if line.endswith("\\"):
            held += line[:-1] + " "
            continue
        line, held = (held + line).strip(), ""
        if line:
            last, listing = _Line(number=start, text=line), False
            if inline:
                last.via += [each.strip() for each in inline[1].split(",")]
            yield last
    if held.strip():
        yield _Line(number=start, text=held.strip())


def _via(line: _Line, said: str, *, listing: bool) -> bool:
    """Keep what a comment below a requirement says of it; tell whether a list goes on."""
    if said == "via":
        return True
    if said.startswith("via "):
        line.via += [each.strip() for each in said[4:].split(",")]
        return False
    if listing:
        line.via.append(said.strip())
    return listing


def _name(text: str) -> str:
    found = re.match(r"[A-Za-z0-9][\w.-]*", text, re.ASCII)
    return str(canonicalize_name(found[0])) if found else ""


def _is_direct(line: _Line, names: set[str]) -> bool:
    """Tell whether a person asked for it: somebody does who is no package of the file."""
    asking = [each for each in line.via if not each.startswith("-c")]
    return not line.via or any(_name(each) not in names for each in asking)


def _take(draft: Draft, source: Source, line: _Line, depth: int, *, direct: bool) -> None:
    head = re.split(r"\s+(?=--?[A-Za-z])", line.text, maxsplit=1)
    if not line.text.startswith("-"):
        _requirement(draft, line.number, head[0], direct=direct)
    rest = line.text if line.text.startswith("-") else "".join(head[1:])
    for name, value in _options(rest):
        _option(draft, source, line.number, name, value, depth)


def _options(text: str) -> Iterator[tuple[str, str]]:
    for found in _OPTION.finditer(text):
        name, value = found[1], found[2] or ""
        if re.fullmatch(r"-[a-z]\S+", name) and not name.startswith("--"):
            name, value = name[:2], name[2:] + value  # `-rbase.txt`
        yield name, value.strip("'\"")


def _requirement(draft: Draft, line: int, text: str, *, direct: bool) -> None:
    text = hints.plain(text)
    if re.match(r"(\.|/|~|file:|git\+|hg\+|svn\+|bzr\+|https?:)", text) or text.endswith(".whl"):
        draft.leave(line, text, "it is a path or an address, which no hash and no mirror covers")
        return
    draft.require(text, line, direct=direct)


def _option(  # noqa: PLR0913, PLR0917 (the parts of a line)
    draft: Draft, source: Source, line: int, name: str, value: str, depth: int
) -> None:
    match name:
        case "-r" | "--requirement":
            _include(draft, source, line, value, depth)
        case "-c" | "--constraint":
            _constrain(draft, source, line, value, depth)
        case "-i" | "--index-url" | "--extra-index-url" | "-f" | "--find-links":
            _index(draft, line, name, value)
        case "--hash":
            return
        case "-e" | "--editable":
            draft.leave(line, f"{name} {value}", "the project's own code is no part of a stack")
        case "--pre":
            draft.leave(line, name, "a prerelease is taken where its version is written")
        case _:
            shown = name if name in _VALUELESS else f"{name} {value}".strip()
            draft.leave(line, shown, "an option of pip's, of no meaning here")


def _index(draft: Draft, line: int, name: str, value: str) -> None:
    cuda = hints.index_cuda(value)
    if cuda is not None:
        draft.claim(cuda, line, f"{name} {value}")
    elif hints.is_pytorch(value):
        draft.note(line, f"{name} {value}: mlenv asks PyTorch's index by itself")
    elif name in {"-i", "--index-url"}:
        draft.leave(line, f"{name} {value}", "uv's own index is asked: set UV_DEFAULT_INDEX")
    elif name in {"-f", "--find-links"}:
        draft.leave(line, f"{name} {value}", "a page of links is no index")
    else:
        draft.leave(
            line,
            f"{name} {value}",
            'it says not what it serves: write [indexes.NAME] with `url` and `packages = ["…"]`',
        )


def _included(source: Source, value: str, depth: int) -> Draft | str:
    """Return the file that a line names, read; or why it is not."""
    if depth >= _DEPTH:
        return "it includes itself, or is nested too deeply"
    found = source.near(value)
    return _read(found, depth + 1) if found else "no such file lies in the folder of this one"


def _include(draft: Draft, source: Source, line: int, value: str, depth: int) -> None:
    found = _included(source, value, depth)
    if isinstance(found, str):
        draft.leave(line, f"-r {value}", found)
    else:
        draft.take(found)


def _constrain(draft: Draft, source: Source, line: int, value: str, depth: int) -> None:
    found = _included(source, value, depth)
    if isinstance(found, str):
        draft.leave(line, f"-c {value}", found)
        return
    draft.bounds += found.requirements
    draft.bounds += found.bounds
    draft.cuda += found.cuda
    draft.left += found.left
    draft.files |= found.files
    draft.note(line, f"-c {value}: its versions bound what is required here")


def bound(draft: Draft, requirements: list[str], line: int | None) -> None:
    """Add constraints that are no file of their own."""
    draft.bounds += [Required(text=each, at=draft.at(line)) for each in requirements]


def python_file(source: Source) -> list[Said]:
    """Return what a ``.python-version`` or a ``runtime.txt`` says of Python."""
    for number, line in enumerate(source.text.splitlines(), start=1):
        found = re.fullmatch(r"\s*(?:python-?|cpython-?)?(3\.\d{1,2}t?)(?:\.\d+)?\s*", line)
        if found:
            return [Said(text=f"=={found[1]}.*", at=f"{source.name}:{number}")]
    return []
