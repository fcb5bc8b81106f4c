"""Pages of the documentation that are written from the program: commands, codes, failures.

A message of a code is read off the one place that raises it, and what its code cannot say in words
stands in ``handbook.toml``; ``…`` is what differs from case to case.
"""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from typing import TYPE_CHECKING

import click

from fenced import ROOT
from mlenv.cli import COMMANDS, cli
from mlenv.errors import CODES, Exit
from mlenv.report import causes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

WORDS = ROOT / "tests" / "handbook.toml"
PARTS = ("what", "cause", "fix")
BLANK = "… \n"
"""What says nothing."""

_COMMANDS = """\
# Commands

Written from the program's own help; a test keeps it in step. Results go to stdout, talk and errors
to stderr; `--json` prints one document to stdout. The exit statuses are on
[another page](codes.md#exit-statuses). `mlenv completion bash` (or `zsh`, `fish`) prints what
completes all of this in your shell.
"""
_CODES = """\
# Reason codes

Written from the program; a test keeps it in step. Every refusal and warning has a code, a cause
and a fix, on a terminal as in `--json`. Codes are stable: a script may look for one. `…` stands for
what differs from case to case: a package, a version, a line of yours.

## Exit statuses

| exit | means |
|---|---|
"""
_FAILURES = """\
# Failures that are known

Written from mlenv's catalogue of failures; a test keeps it in step. What `verify` meets is looked
up here, and told with its cause and its fix. The first row that matches names the cause; what no
row matches is said to be unknown, never guessed.

The last column says how the words were come by: *run* with the vendors' own libraries, *stand-in*
with a driver library of the tests', *cited* from an issue, without having met it here.
**Unproven**: the machine lacks something, and the environment is not at fault.

| failure | cause | fix | seen |
|---|---|---|---|
"""
_HEADS = {
    Exit.USAGE: "The command line and the spec",
    Exit.IMPOSSIBLE: "No such stack",
    Exit.BROKEN: "Something failed; nothing is known about the stack",
    Exit.IMAGE: "The image could not be built",
    Exit.FAILED: "Differences",
    Exit.UNPROVEN: "Unknown",
    Exit.DONE: "Warnings",
    Exit.INTERRUPTED: "Interrupted",
}


def commands() -> str:
    """Return the page of every command, in the order of the help."""
    context = click.Context(cli, info_name="mlenv", **cli.context_settings)
    parts = [_COMMANDS, _help(cli, context, 0)]
    for name in COMMANDS:
        parts += _below(name, context, 2)
    return "\n".join(parts)


def _below(name: str, above: click.Context, depth: int) -> Iterator[str]:
    assert isinstance(above.command, click.Group)
    command = above.command.get_command(above, name)
    assert command is not None, name
    if command.hidden:
        return
    context = click.Context(command, info_name=name, parent=above)
    yield _help(command, context, depth)
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            yield from _below(each, context, depth + 1)


def _help(command: click.Command, context: click.Context, depth: int) -> str:
    context.terminal_width = 78  # as on 80 columns
    head = f"{'#' * depth} {context.command_path}\n\n" if depth else ""
    return f"{head}```text\n{command.get_help(context)}\n```\n"


def codes() -> str:
    """Return the page of every code, and of the exit statuses."""
    rows = [f"| {int(each)} | {_meaning(each)} |" for each in Exit]
    parts = [_CODES + "\n".join(rows) + "\n"]
    for status, head in _HEADS.items():
        exits = "" if status is Exit.DONE else f" (exit {int(status)})"
        parts.append(f"## {head}{exits}\n")
        parts += [_code(code) for code in CODES if CODES[code][0] is status]
    return "\n".join(parts)


def _meaning(status: Exit) -> str:
    """Return the line below a member of ``Exit``, which the interpreter drops."""
    path = ROOT / "src" / "mlenv" / "errors.py"
    text = path.read_text(encoding="utf-8")
    found = re.search(rf'^    {status.name} = \d+\n    """(.*?)"""$', text, re.MULTILINE)
    assert found is not None, status
    return found[1].replace("``", "`")


def _code(code: str) -> str:
    said = {part: words.get(code, {}).get(part) or raised()[code][part] for part in PARTS}
    lines = [f"### {code}\n", f"{_sentence(CODES[code][1])}.\n"]
    if said["what"].strip(BLANK):
        lines.append(f"> {_escaped(said['what'])}\n")
    lines += [f"- **cause:** {_escaped(said['cause'])}", f"- **fix:** {_escaped(said['fix'])}\n"]
    return "\n".join(lines)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _escaped(text: str) -> str:
    """Keep Markdown's marks out of what stands outside of code."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([\[\]<>*])", r"\\\1", each) for each in parts[::2]]
    return "`".join(parts)


@cache
def raised() -> Mapping[str, Mapping[str, str]]:
    """Return code -> what, cause and fix, as its place in the source has them, or nothing."""
    found: dict[str, Mapping[str, str]] = {}
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            given = {each.arg: each.value for each in node.keywords}
            code = given.get("code")
            if isinstance(code, ast.Constant) and str(code.value) in CODES:
                words = {each: spoken(given[each]) for each in PARTS if each in given}
                found[str(code.value)] = {e: t if t.strip(BLANK) else "" for e, t in words.items()}
    return found


def spoken(node: ast.expr) -> str:
    """Return the words that an expression gives; ``…`` for what is not known before it runs."""
    match node:
        case ast.Constant(value=str(text)):
            found = text
        case ast.JoinedStr(values=values):
            found = "".join(spoken(each) for each in values)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            found = spoken(left) + spoken(right)
        case ast.BoolOp(values=values):
            found = spoken(values[-1])
        case ast.IfExp(body=body, orelse=orelse):
            found = spoken(body) if spoken(body).strip(BLANK) else spoken(orelse)
        case _:
            found = "…"
    return re.sub(r"…+", "…", found)


def failures() -> str:
    """Return the page of the failures that ``verify`` knows."""
    seen = {"run": "run", "fake": "stand-in", "cited": "cited"}
    rows = []
    for each in causes.failures().values():
        mark = "" if each.weight == "error" else f" **{_sentence(each.weight)}.**"
        cells = (f"`{each.id}`", _cell(each.cause) + mark, _cell(each.fix), seen[each.seen])
        rows.append(f"| {' | '.join(cells)} |")
    return _FAILURES + "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    return _escaped(text).replace("|", "\\|")


words: Mapping[str, Mapping[str, str]] = tomllib.loads(WORDS.read_text(encoding="utf-8"))
"""Code -> what its place in the source does not say in words."""

PAGES: Mapping[str, Callable[[], str]] = {
    "commands.md": commands,
    "codes.md": codes,
    "failures.md": failures,
}
