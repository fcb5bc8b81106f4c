"""What commands say: verdicts and reasons for a person, and the same as one JSON document."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from mlenv.build.verdict import Outcome
    from mlenv.errors import Exit, Reason
    from mlenv.spec.parse import SpecFile

MARKS = {
    "ok": ("ok", "green"),
    "impossible": ("impossible", "red"),
    "unknown": ("unknown", "yellow"),
}
_RANK = {"ok": 0, "unknown": 1, "impossible": 2, None: 3}


def say(text: str) -> None:
    """Print a line of talk to stderr."""
    click.echo(text, err=True)


def show_reasons(reasons: Iterable[Reason], kind: str) -> None:
    """Print reasons to stderr, as errors or warnings."""
    color = "red" if kind == "error" else "yellow"
    for each in reasons:
        head, _, rest = each.text(kind).partition("\n")
        label, _, what = head.partition(": ")
        say(f"{click.style(label, fg=color, bold=True)}: {click.style(what, bold=True)}\n{rest}")


def show(outcome: Outcome, *, quiet: bool) -> None:
    """Print what became of one target: reasons to stderr, the verdict to stdout or ``quiet``."""
    show_reasons(outcome.warnings, "warning")
    show_reasons(outcome.reasons, "error")
    if quiet:
        return
    word, color = MARKS.get(outcome.verdict or "", ("not known", "red"))
    if outcome.reasons and outcome.verdict != "impossible":
        word, color = "not solved", "red"
    click.echo(f"{title(outcome)}: {click.style(word, fg=color, bold=True)}{_facts(outcome)}")


def title(outcome: Outcome) -> str:
    """Return ``train`` or ``train, target h100``."""
    stack = outcome.stack
    return stack.spec.name + (f", target {stack.target}" if stack.target else "")


def _facts(outcome: Outcome) -> str:
    plan, lock = outcome.plan, outcome.lock
    if plan is None:
        return ""
    words = [
        f"CUDA {plan.toolkit}" if plan.toolkit else {True: "CPU only"}.get(plan.cpu, "no CUDA")
    ]
    words += [f"Python {plan.stack.python}", plan.stack.platform]
    if lock is None:
        words += [
            f"{each.candidate.build.release.name} {each.candidate.version}"
            for each in plan.frameworks
            if each.candidate
        ]
    else:
        total = sum(each.size for each in lock.package)
        words += [f"{len(lock.package)} packages", megabytes(total)]
    return " (" + ", ".join(words) + ")"


def short(reference: str) -> str:
    """Return an image's name with twelve digits of its digest, for a line of a terminal."""
    name, mark, digest = reference.partition("@sha256:")
    return f"{name}{mark}{digest[:12]}"


def fitted(text: str, width: int) -> str:
    """Return ``text`` in ``width`` columns; of a longer one the middle is left out."""
    if len(text) <= width:
        return text
    head = (width - 1) // 4
    return f"{text[:head]}…{text[len(text) - width + head + 1 :]}"


def megabytes(size: int) -> str:
    """Return bytes as a person reads them: ``12 kB``, ``1.2 MB``, ``888 MB``, ``3.00 GB``."""
    if size < 1_000_000:
        return f"{size / 1e3:.0f} kB"
    if size < 10_000_000:
        return f"{size / 1e6:.1f} MB"
    return f"{size / 1e6:.0f} MB" if size < 1_000_000_000 else f"{size / 1e9:.2f} GB"


def worst(outcomes: Sequence[Outcome], *, strict: bool) -> Exit:
    """Return the exit status of a command: the worst of its targets."""
    from mlenv.errors import Exit  # noqa: PLC0415 (a value)

    found = [each.exit_status for each in outcomes]
    if strict and any(each.verdict == "unknown" for each in outcomes):
        found.append(Exit.UNPROVEN)
    return max(found, default=Exit.DONE)


def document(spec: SpecFile, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the JSON document about a spec: a verdict over all targets, and each of them."""
    verdicts = [each.verdict for each in outcomes]
    return {
        "spec": spec.origin,
        "verdict": max(verdicts, key=lambda each: _RANK[each], default="ok"),
        "reasons": [reason(r) for each in outcomes for r in each.reasons],
        "warnings": [reason(r) for each in outcomes for r in each.warnings],
        "solved": bool(outcomes) and all(each.solved for each in outcomes),
        "targets": [_target(each) for each in outcomes],
    }


def failure(origin: str, reasons: Iterable[Reason]) -> dict[str, Any]:
    """Return the JSON document where nothing could be said about the stack."""
    return {
        "spec": origin,
        "verdict": None,
        "reasons": [reason(each) for each in reasons],
        "warnings": [],
        "solved": False,
        "targets": [],
    }


def reason(each: Reason) -> dict[str, Any]:
    """Return a reason as JSON has it."""
    return asdict(each)


def _target(outcome: Outcome) -> dict[str, Any]:
    plan, lock = outcome.plan, outcome.lock
    found: dict[str, Any] = {
        "name": outcome.stack.target,
        "verdict": outcome.verdict,
        "reasons": [reason(each) for each in outcome.reasons],
        "warnings": [reason(each) for each in outcome.warnings],
        "solved": outcome.solved,
        "python": str(outcome.stack.python),
        "platform": outcome.stack.platform,
    }
    if plan is not None:
        found |= {
            "toolkit": plan.toolkit_text,
            "channel": plan.channel,
            "frameworks": {
                each.asked.requirement.name: each.candidate.version if each.candidate else None
                for each in plan.frameworks
            },
            "decisions": [asdict(each) for each in plan.decisions],
        }
    if lock is not None:
        found |= {
            "folder": str(outcome.folder),
            "changed": outcome.changed,
            "exclude-newer": lock.exclude_newer,
            "packages": {each.name: each.version for each in lock.package},
            "bytes": sum(each.size for each in lock.package),
        }
    return found


def emit(content: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print one JSON document to stdout."""
    click.echo(json.dumps(content, indent=2, ensure_ascii=False))


def several(documents: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return one document about several specs; about one spec, its own."""
    if len(documents) == 1:
        return documents[0]
    return {
        "verdict": max((d["verdict"] for d in documents), key=lambda each: _RANK[each]),
        "reasons": [r for d in documents for r in d["reasons"]],
        "specs": list(documents),
    }


def noted_unbuilt(spec: SpecFile) -> None:
    """Say which tables of a spec are for other commands."""
    if spec.spec.matrix is not None:
        say("note: this is about the spec itself; `mlenv matrix` is for the cells of its [matrix]")
    if set(spec.spec.dev.editors) & {"vscode", "cursor"}:
        say("note: `mlenv export DIR --to devcontainer` writes what VS Code and Cursor open")


def unchanged(origin: str, locks: Mapping[Path, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the JSON document about a spec whose folders are up to date."""
    unknown = any(lock["verdict"] == "unknown" for lock in locks.values())
    return {
        "spec": origin,
        "verdict": "unknown" if unknown else "ok",
        "reasons": [],
        "warnings": [said for lock in locks.values() for said in lock.get("said", ())],
        "solved": True,
        "targets": [_kept(folder, lock) for folder, lock in locks.items()],
    }


def _kept(folder: Path, lock: Mapping[str, Any]) -> dict[str, Any]:
    name = lock["target"]["name"]
    return {
        "name": None if name == "default" else name,
        "verdict": lock["verdict"],
        "reasons": [],
        "warnings": lock.get("said", []),
        "solved": True,
        "python": lock["target"]["python"],
        "platform": lock["target"]["platform"],
        "toolkit": lock["stack"]["toolkit"],
        "channel": lock["stack"]["channel"],
        "decisions": lock.get("decision", []),
        "folder": str(folder),
        "changed": False,
        "exclude-newer": lock["exclude-newer"],
        "packages": {each["name"]: each["version"] for each in lock["package"]},
        "bytes": sum(each["size"] for each in lock["package"]),
    }
