"""What an engine prints while it builds, read into steps: where it is, and what went wrong.

BuildKit's plain log and that of buildah are read alike; a line of neither belongs to the step
before it. Nothing is kept but the last lines of each step, and nothing is decided about them.

Source: read off docker 20.10, 26.1 and 28.5 and buildah 1.28 on 2026-11-22.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field

KEPT_LINES = 20
_STEPS_KEPT = 500

_NUMBERED = re.compile(r"#(\d+) (.*)")
_TITLE = re.compile(r"\[([^\]]+)\] (.*)")
_OUTPUT = re.compile(r"\d+\.\d+ (.*)|\d+\.\d+")
_NOISE = re.compile(r"sha256:[0-9a-f]{64}.*|\.\.\.|DONE .*|CANCELED|transferring .*")
_ENDED = re.compile(
    r"ERROR: (?:executor failed running|process) .*?(exit code: \d+|signal: \w+)\S*"
)
_RULE = re.compile(r"-{6}| > .*|Dockerfile:\d+|\s*\d+ \| .*")
"""What BuildKit says again at its end."""
_BUILDAH = re.compile(r"(?:\[(\d+)/\d+\] )?STEP (\d+)/(\d+): (.*)")
_NAMED = re.compile(r"FROM .* AS (\S+)", re.IGNORECASE)
_STAGE = re.compile(r"FROM\s+(\S+)(?:\s+AS\s+(\S+))?", re.IGNORECASE)
_WORK = re.compile(r"(RUN|COPY|ADD|WORKDIR)\b")
_FROM_STAGE = re.compile(r"\bfrom=([A-Za-z0-9_.-]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a build is."""

    step: str
    """The stage, such as ``layer-cuda``; or what the engine does by itself."""
    done: int
    total: int
    text: str

    def __str__(self) -> str:
        """Return ``layer-cuda 7/12: what it says``."""
        return f"{self.step} {self.done}/{self.total}: {self.text}"


@dataclass(slots=True, kw_only=True)
class Step:
    """One instruction that an engine works at."""

    name: str
    instruction: str = ""
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    failed: bool = False
    ended: bool = False


class BuildLog:
    """A build as far as its log has come."""

    def __init__(self, dockerfile: str, target: str) -> None:
        """Begin with nothing done of what ``target`` needs."""
        self._total = instructions(dockerfile, target)
        self._steps: dict[str, Step] = {}
        self._stages: dict[str, str] = {}
        self._all = Step(name="the build")
        self._at = self._all
        self._numbers = False

    def feed(self, line: str) -> Progress | None:
        """Read one line; return where the build is, where the line tells something new."""
        text = line.rstrip()
        found = _NUMBERED.fullmatch(text)
        if found is not None:
            self._numbers = True
            said = self._numbered(found[1], found[2])
        elif (begun := _BUILDAH.match(text)) is not None:
            said = self._begun(begun)
        elif _RULE.fullmatch(text):
            return None
        else:
            said = text
            # BuildKit's own words come after all steps; those of buildah's steps have no number.
            if not self._numbers:
                self._at.lines.append(text)
                self._at.failed |= text.startswith("subprocess exited with status")
        if not said.strip():
            return None
        self._all.lines.append(f"{self._at.name}: {said}" if self._at is not self._all else said)
        done = sum(
            each.ended and bool(_WORK.match(each.instruction)) for each in self._steps.values()
        )
        return Progress(
            step=self._at.name, done=min(done, self._total), total=self._total, text=said.strip()
        )

    @property
    def failed(self) -> Step:
        """The step that failed; else the one that was worked at last."""
        wrong = [each for each in self._steps.values() if each.failed]
        return wrong[0] if wrong else self._at

    def last_lines(self) -> tuple[str, ...]:
        """Return what the failed step said last, else what the build did."""
        lines = tuple(each for each in self.failed.lines if each.strip())
        return lines or self.tail()

    def tail(self) -> tuple[str, ...]:
        """Return what the engine said last, whichever step it was about."""
        return tuple(self._all.lines)

    def _numbered(self, number: str, body: str) -> str:
        step = self._steps.get(number)
        title = _TITLE.fullmatch(body)
        if title is not None and (step is None or not step.lines):
            step = step or self._step(number, Step(name=_named(title[1], title[2])))
            step.instruction = title[2]
            self._at = step
            return _short(title[2])
        if step is None:
            step = self._step(number, Step(name="the engine", instruction=body))
        self._at = step
        if body.startswith("ERROR"):
            step.failed = True
            step.lines.append(_ENDED.sub(r"\1", body))
            return step.lines[-1]
        if body.startswith(("DONE", "CACHED")):
            step.ended = True
            return body
        if _NOISE.fullmatch(body) or title is not None:
            return ""
        output = _OUTPUT.fullmatch(body)
        text = (output[1] or "") if output else body
        step.lines.append(text)
        return text

    def _begun(self, found: re.Match[str]) -> str:
        stage, number, count, instruction = found.groups()
        named = _NAMED.fullmatch(instruction)
        if number == "1":
            self._stages[stage or ""] = named[1] if named else "the image"
        if self._at is not self._all:
            self._at.ended = True
        step = Step(name=self._stages.get(stage or "", "the image"), instruction=instruction)
        self._at = self._step(f"{stage}.{number}/{count}", step)
        return _short(instruction)

    def _step(self, key: str, step: Step) -> Step:
        while len(self._steps) >= _STEPS_KEPT:
            self._steps.pop(next(iter(self._steps)))
        self._steps[key] = step
        return step


def _short(instruction: str) -> str:
    """Return what stands for an instruction: of a RUN, whose text nobody could read, the word."""
    return "RUN" if instruction.startswith("RUN ") else instruction


def _named(title: str, instruction: str) -> str:
    """Return ``layer-cuda`` of ``linux/amd64 layer-cuda 2/3``; what is internal by its words."""
    if title == "internal":
        return instruction
    words = [each for each in title.split() if not re.fullmatch(r"\d+/\d+|linux/\S+", each)]
    return " ".join(words) or "the image"


def instructions(dockerfile: str, target: str) -> int:
    """Return how many instructions that take time a target needs, with all it is made from."""
    joined = re.sub(r"^#.*\n", "", dockerfile, flags=re.MULTILINE).replace("\\\n", " ")
    stages: dict[str, tuple[set[str], int]] = {}
    name = ""
    for line in joined.splitlines():
        stage = _STAGE.match(line)
        if stage is not None:
            name = stage[2] or str(len(stages))
            stages[name] = ({stage[1]}, 0)
        elif name and _WORK.match(line):
            needs, count = stages[name]
            stages[name] = (needs | set(_FROM_STAGE.findall(line)), count + 1)
    seen, todo = set[str](), [target if target in stages else name]
    while todo:
        at = todo.pop()
        if at in stages and at not in seen:
            seen.add(at)
            todo += stages[at][0]
    return max(1, sum(stages[each][1] for each in seen))
