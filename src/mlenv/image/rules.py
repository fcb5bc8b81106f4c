"""What a linter of mlenv's own Dockerfiles looks for, and how it finds it.

What hadolint knows of Dockerfiles in general is not said again here. These are the mistakes that
make an image large, different each time, or a leak, and that a reader of the text does not see.
Text is read, and nothing else; what an image holds in the end is for ``mlenv verify``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mlenv.image import instruction
from mlenv.image.instruction import Instruction, Stage, parse, stages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mlenv.files import File

Level = Literal["error", "warning", "info"]
"""``error``: no such recipe is written. ``warning``: a price. ``info``: a fact."""

KNOWN = {"ARG", "FROM", "USER", "ENV", "RUN", "COPY", "WORKDIR", "LABEL", "ENTRYPOINT", "CMD"}
"""What our own files are written with; ADD, SHELL, ONBUILD and the like are not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A recipe, as the rules look at it."""

    text: str
    steps: tuple[Instruction, ...]
    stages: tuple[Stage, ...]
    files: tuple[File, ...]

    def chain(self, stage: Stage) -> list[Stage]:
        """Return the stages that make up an image, from the base on."""
        below = {each.name: each for each in self.stages}
        found = [stage]
        while found[0].source in below and below[found[0].source] not in found:
            found.insert(0, below[found[0].source])
        return found


def read(text: str, files: Iterable[File]) -> Read:
    """Return a Dockerfile, and what it mounts, as the rules look at it."""
    steps = parse(text)
    return Read(text=text, steps=steps, stages=stages(steps), files=tuple(files))


def _of(recipe: Read, *words: str) -> Iterator[Instruction]:
    return (each for each in recipe.steps if each.word in words)


def _matching(
    words: tuple[str, ...], pattern: str, what: str
) -> Callable[[Read], Iterator[tuple[int, str]]]:
    compiled = re.compile(pattern)

    def check(recipe: Read) -> Iterator[tuple[int, str]]:
        for each in _of(recipe, *words):
            if compiled.search(" ".join((*each.flags, each.text))):
                yield each.line, what

    return check


def _directives(recipe: Read) -> Iterator[tuple[int, str]]:
    for name, _ in instruction.directives(recipe.text):
        yield 1, f"a `{name}` directive: an engine without a network cannot fetch its frontend"


def _heredocs(recipe: Read) -> Iterator[tuple[int, str]]:
    yield from (
        (each.line, "a heredoc, which Docker before 23 and older buildah read as instructions")
        for each in recipe.steps
        if instruction.heredoc(each)
    )


def _unknown(recipe: Read) -> Iterator[tuple[int, str]]:
    for each in recipe.steps:
        if each.word not in KNOWN:
            yield each.line, f"`{each.word[:20]}` is no instruction that mlenv writes"


def _from(recipe: Read) -> Iterator[tuple[Instruction, str]]:
    names = {each.name for each in recipe.stages}
    for step, stage in zip(_of(recipe, "FROM"), recipe.stages, strict=True):
        if stage.source not in names:
            yield step, stage.source


def _latest(recipe: Read) -> Iterator[tuple[int, str]]:
    for step, source in _from(recipe):
        tag = source.partition("@")[0].rpartition("/")[2].partition(":")[2]
        if "@" not in source and tag in {"", "latest"}:
            yield step.line, f"`{source}` is another image each day"


def _unpinned(recipe: Read) -> Iterator[tuple[int, str]]:
    for step, source in _from(recipe):
        if "@" not in source:
            yield step.line, f"`{source}` is named by tag, and not by digest"


def _second_cuda(recipe: Read) -> Iterator[tuple[int, str]]:
    brings = any(
        re.search(r"^nvidia-(cu|nccl)\S*==", each.text, re.MULTILINE) for each in recipe.files
    )
    for step, source in _from(recipe):
        if brings and re.search(r"(^|/)nvidia/cuda:\S*-(runtime|devel)", source):
            yield (
                step.line,
                f"`{source}` has the libraries of CUDA, and the wheels bring them again",
            )


def _root(recipe: Read) -> Iterator[tuple[int, str]]:
    last = {each.source for each in recipe.stages}
    for stage in recipe.stages:
        if stage.name in last or not any(each.word == "LABEL" for each in stage.steps):
            continue
        users = [each for part in recipe.chain(stage) for each in part.steps if each.word == "USER"]
        if not users or re.match(r"(0|root)(:|$)", users[-1].text):
            yield (users[-1].line if users else 1), f"the image of `{stage.name}` runs as root"


def _installs(recipe: Read) -> Iterator[tuple[int, str]]:
    for each in _of(recipe, "RUN"):
        for command in re.split(r"[;&|]+", each.text):
            if not re.search(r"\bpip install\b", command):
                continue
            if "--require-hashes" not in command:
                yield each.line, "an install without --require-hashes takes any file"
            if "--no-deps" not in command:
                yield each.line, "an install without --no-deps takes what is in no lock"


def _caches(recipe: Read) -> Iterator[tuple[int, str]]:
    kept = " ".join(each.text for each in _of(recipe, "ENV"))
    folder = re.search(r"UV_CACHE_DIR=(\S+)", kept)
    for each in _of(recipe, "RUN"):
        mounts = " ".join(each.flags)
        cached = folder and f"type=cache,target={folder[1]}" in mounts
        if "pip install" in each.text and not cached and "--no-cache" not in each.text:
            yield each.line, "the cache of the installer stays in the layer"
        if "apt-get" in each.text and not re.search(
            r"(find|rm -rf?) /var/lib/apt/lists\b.*", each.text
        ):
            yield each.line, "apt's lists stay in the layer"


def _chown(recipe: Read) -> Iterator[tuple[int, str]]:
    for stage in recipe.stages:
        copied = False
        for each in stage.steps:
            copied = copied or each.word == "COPY"
            if (
                copied
                and each.word == "RUN"
                and re.search(r"ch(own|mod)\s+(-\w*R|--rec)", each.text)
            ):
                target = re.search(r"ch(own|mod)\s+-\w*R\s+\S+\s+(\S+)", each.text)
                if target and target[2].rstrip(";").startswith("/layer"):
                    continue  # what a stage makes, before anything copies it
                yield each.line, "changing the owner of copied files writes all of them again"


_NOT_INSTALLED = {"layers/build.txt", "layers/conda/tools.txt"}
"""Files of what a step works with: nothing of them is in the image."""


def _shadowed(recipe: Read) -> Iterator[tuple[int, str]]:
    owners: dict[str, str] = {}
    for each in sorted(recipe.files):
        if each.path in _NOT_INSTALLED:
            continue
        for name in re.findall(r"^([a-z0-9-]+)==", each.text, re.MULTILINE):
            if name in owners:
                yield 1, f"{name} is in {owners[name]} and {each.path}: the later hides the first"
            owners[name] = each.path


_SECRET = re.compile(
    r"(?i)(^|[_.-])(token|passw(or)?d|secrets?|credentials?|api_?key|netrc)($|[_.-])"
)


def _secrets(recipe: Read) -> Iterator[tuple[int, str]]:
    for each in _of(recipe, "ENV", "ARG", "LABEL"):
        for key, value in each.pairs:
            if each.word != "LABEL" and _SECRET.search(key):
                yield each.line, f"{each.word} {key}: it stays in the history of the image"
            if re.search(r"://[^/\s]*@", value):
                yield each.line, f"{each.word} {key} holds a credential"
    for each in _of(recipe, "RUN"):
        if re.search(r"\b(echo|printf|tee|cp)\b[^;]*/run/secrets|set -\w*x", each.text):
            yield each.line, "a secret is shown, or kept"


def _labels(recipe: Read) -> Iterator[tuple[int, str]]:
    for stage in recipe.stages:
        seen = False
        for each in stage.steps:
            if each.word == "LABEL":
                seen = True
                if each.lines > 1 or len(each.pairs) != 1 or "=" not in each.text:
                    yield each.line, "a label goes over its one line and key"
            elif seen:
                yield each.line, f"{each.word} after a label: the label moves, and this is redone"


def _unseen(recipe: Read) -> Iterator[tuple[int, str]]:
    hashes = {each.path: each.sha256 for each in recipe.files}
    for each in _of(recipe, "RUN"):
        for path in re.findall(r"type=bind,source=(layers/[^,\s]+)", " ".join(each.flags)):
            if path not in hashes:
                yield each.line, f"{path} is mounted, and not there"
            elif f"sha256={hashes[path]}" not in each.text:
                yield each.line, f"buildah does not see when {path} changes: its hash is missing"


RULES: dict[
    str,
    tuple[Literal["error", "warning", "info"], Callable[[Read], Iterator[tuple[int, str]]]],
] = {
    "directive": ("error", _directives),
    "heredoc": ("error", _heredocs),
    "unknown-instruction": ("error", _unknown),
    "add-url": (
        "error",
        _matching(("ADD",), r"\b[a-z]+://|git@", "ADD of an address checks no hash"),
    ),
    "copy-link": (
        "error",
        _matching(("COPY", "ADD"), r"--link\b", "--link, which Docker before 23 does not read"),
    ),
    "secret-as-variable": (
        "error",
        _matching(
            ("RUN",), r"type=secret\S*,env=", "a secret as a variable, which needs BuildKit 0.14"
        ),
    ),
    "piped-shell": (
        "error",
        _matching(
            ("RUN",),
            r"\b(curl|wget)\b[^;]*\|\s*(sudo\s+)?\S*sh\b",
            "a script is fetched and run, by no hash",
        ),
    ),
    "library-path": (
        "error",
        _matching(
            ("ENV", "ARG"), r"\bLD_LIBRARY_PATH\b", "LD_LIBRARY_PATH for all: it hides RPATHs"
        ),
    ),
    "visible-devices": (
        "error",
        _matching(
            ("ENV", "ARG"), r"\bNVIDIA_VISIBLE_DEVICES\b", "all GPUs of a node, to every pod"
        ),
    ),
    "latest": ("error", _latest),
    "unpinned": ("info", _unpinned),
    "second-cuda": ("warning", _second_cuda),
    "root": ("error", _root),
    "unchecked-install": ("error", _installs),
    "cache-in-layer": ("error", _caches),
    "recursive-chown": ("error", _chown),
    "shadowed": ("error", _shadowed),
    "secret": ("error", _secrets),
    "labels": ("error", _labels),
    "unseen-file": ("error", _unseen),
}
"""Rule -> its level, and what finds it."""
