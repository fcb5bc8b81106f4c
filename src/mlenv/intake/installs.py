"""Commands that install: pip's, uv's, apt's, and conda's where it names a file."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from mlenv.intake import environment_yml, hints, requirements_txt
from mlenv.intake.draft import Draft, Said, one_line

if TYPE_CHECKING:
    from mlenv.intake.draft import Source

_SPLIT = re.compile(r"&&|\|\||[;\n]")
_MOUNT = re.compile(r"--(?:mount|network|security|device)=\S+\s*")
_WITH_FILE = {"-r", "--requirement", "-c", "--constraint", "-e", "--editable"}
_WITH_INDEX = {"-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--index"}
_INDEX = {"--default-index": "--index-url", "--index": "--extra-index-url"}
_WITH_VALUE = {
    *("-t", "--target", "--prefix", "--root", "--timeout", "--retries", "--trusted-host", "-p"),
    *("--platform", "--python", "--python-version", "--cache-dir", "--progress-bar", "--no-binary"),
    *("--only-binary", "--src", "--upgrade-strategy", "--index-strategy", "--link-mode"),
    *("--config-settings", "--root-user-action", "--torch-backend", "--exclude-newer"),
}


def take(draft: Draft, source: Source, line: int, command: str) -> None:
    """Add what the commands of a RUN install; leave the others."""
    for each in _SPLIT.split(_MOUNT.sub("", command)):
        text = each.strip()
        if not text:
            continue
        try:
            words = shlex.split(text, comments=True)
        except ValueError:
            draft.leave(line, text, "it is no plain command")
            continue
        _command(draft, source, line, words, text)


def _command(draft: Draft, source: Source, line: int, words: list[str], text: str) -> None:
    while words and (re.fullmatch(r"\w+=.*", words[0]) or words[0] in {"sudo", "exec"}):
        words = words[1:]
    match words:
        case [name, "-m", "pip" | "uv", *_] if re.search(r"python[\d.]*$", name):
            _command(draft, source, line, words[2:], text)
        case ["uv", "pip", "install", *rest]:
            _pip(draft, source, line, rest)
        case [name, "install", *rest] if re.fullmatch(r"(.*/)?pip[\d.]*", name):
            _pip(draft, source, line, rest)
        case ["apt-get" | "apt", *rest]:
            _apt(draft, line, rest)
        case ["conda" | "mamba" | "micromamba", *rest]:
            _conda(draft, source, line, rest, text)
        case ["rm" | "ln" | "mkdir" | "echo" | "cd" | "set" | "export" | "true" | "chmod", *_] | []:
            return
        case _:
            draft.leave(line, f"RUN {text}", "a spec runs no shell")


def _pip(draft: Draft, source: Source, line: int, words: list[str]) -> None:
    """Add the arguments of ``pip install``, each as a line of a requirements.txt."""
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if not word.startswith("-"):
            _line(draft, source, line, word)
            continue
        if name not in _WITH_FILE | _WITH_INDEX | _WITH_VALUE | _INDEX.keys():
            continue
        value = value if equals else next(rest, "")
        if name in _WITH_FILE:
            _line(draft, source, line, f"{name} {value}")
        elif name == "--torch-backend":
            cuda = hints.tag_cuda(value)
            if cuda is not None:
                draft.claim(cuda, line, f"--torch-backend={value}")
        elif name not in _WITH_VALUE:
            _line(draft, source, line, f"{_INDEX.get(name, name)} {value}")


def _line(draft: Draft, source: Source, line: int, text: str) -> None:
    if re.search(r"\$[\w{(]|`", text):
        draft.leave(line, text, "a variable without a value stands in it")
        return
    below = requirements_txt.read(replace(source, text=text))
    draft.take(environment_yml.moved(below, line - 1))


def _apt(draft: Draft, line: int, words: list[str]) -> None:
    if "install" not in words:
        return
    for each in words[words.index("install") + 1 :]:
        if each.startswith("-"):
            continue
        if found := re.fullmatch(r"python(3\.\d{1,2})", each):
            draft.pythons.append(Said(text=f"=={found[1]}.*", at=draft.at(line)))
        draft.apt.append(Said(text=one_line(each), at=draft.at(line)))


def _conda(draft: Draft, source: Source, line: int, words: list[str], text: str) -> None:
    named = [
        after
        for before, after in pairwise(words)
        if before in {"-f", "--file", "-n", "--name"} and after.endswith((".yml", ".yaml"))
    ]
    for each in named:
        found = source.near(each)
        if found is not None:
            draft.take(environment_yml.read(found))
            return
    if "install" in words or "create" in words:
        why = "write an environment.yml of it, and give that to --from"
        draft.leave(line, f"RUN {text}", why)
