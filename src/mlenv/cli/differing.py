"""What two things of one kind differ in, in words, as JSON and as Markdown."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlenv.cli import finding, moves, opening, words
from mlenv.errors import Exit
from mlenv.files import LOCK_NAME
from mlenv.host import disk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlenv.build.contrast import Contrast
    from mlenv.build.verdict import Outcome
    from mlenv.changes import Changes
    from mlenv.image.contrast import ImageChanges, Seen, SeenLayer
    from mlenv.lock import Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Differing:
    """One run of ``diff``."""

    markdown: bool
    platform: str
    out: Path
    offline: bool
    as_json: bool

    def run(self, before: str, after: str) -> int:
        """Compare two things of one kind; return the status.

        Raises:
            click.UsageError: they are of two kinds.
        """
        kinds = _kind(before), _kind(after)
        if kinds[0] != kinds[1]:
            raise click.UsageError(
                f"{before} is {_ARTICLES[kinds[0]]}, and {after} {_ARTICLES[kinds[1]]}: "
                "name two of one kind"
            )
        if kinds[0] == "spec":
            same = self._specs(before, after)
        elif kinds[0] == "lock":
            same = self._locks(Path(before), Path(after))
        else:
            same = self._images(before, after)
        return Exit.DONE if same else Exit.FAILED

    def _locks(self, before: Path, after: Path) -> bool:
        from mlenv.changes import changes  # noqa: PLC0415 (loaded when used)

        found = changes(_lock(before), _lock(after))
        lines = _verdicts(_lock(before), _lock(after))
        if self.as_json:
            document = moves.document(found)
            words.emit(document | {"same": document["same"] and not lines, "verdicts": lines})
        elif self.markdown:
            self._show(f"{before} -> {after}", [*lines, *moves.markdown(found)])
        else:
            self._show("", [*lines, *moves.lines(found)])
        return not (found or lines)

    def _specs(self, before: str, after: str) -> bool:
        from mlenv.build.contrast import contrasts  # noqa: PLC0415 (loaded when used)

        found = contrasts(self._outcomes(before), self._outcomes(after))
        same = not any(found)
        if self.as_json:
            words.emit({"same": same, "targets": [asdict(each) for each in found]})
        else:
            shown = [line for each in found if each for line in self._contrast(each)]
            self._show(f"{before} -> {after}", shown)
        return same

    def _outcomes(self, path: str) -> tuple[Outcome, ...]:
        from mlenv.build.verdict import Order, check  # noqa: PLC0415 (loaded when used)

        spec = opening.spec_file(Path(path))
        return check(spec, opening.catalog(), Order(out=self.out, today=opening.today()))

    def _contrast(self, found: Contrast) -> Iterator[str]:
        mark = "- " if self.markdown else ""
        if found.target is not None:
            yield f"{'### ' if self.markdown else ''}target {found.target}"
        if found.verdict[0] != found.verdict[1]:
            yield f"{mark}verdict {found.verdict[0]} -> {found.verdict[1]}"
        yield from (f"{mark}{each}" for each in found.reasons)
        yield from (f"{mark}{each}" for each in found.decisions)
        yield from (f"{mark}{each}" for each in found.lines)

    def _images(self, before: str, after: str) -> bool:
        from mlenv.image.contrast import contrast  # noqa: PLC0415 (loaded when used)

        with opening.progress() as say:
            say(f"looking at {before}")
            old = self._seen(before)
            say(f"looking at {after}")
            new = self._seen(after)
        found = contrast(old, new)
        packages = self._packages(old, new)
        if self.as_json:
            words.emit(
                {
                    "same": not found,
                    **asdict(found),
                    "packages": moves.document(packages) if packages else None,
                }
            )
        else:
            self._show(f"{before} -> {after}", list(self._image_lines(found, packages)))
        return not found

    def _seen(self, text: str) -> Seen:
        from mlenv.imaging import looking  # noqa: PLC0415 (loaded when used)

        path = Path(text)
        if path.is_dir():
            return looking.in_folder(path, self.platform)
        return looking.named(text, self.platform, offline=self.offline)

    def _packages(self, before: Seen, after: Seen) -> Changes | None:
        """Return what moved between the locks of two images, where both lie here."""
        from mlenv.changes import changes  # noqa: PLC0415 (loaded when used)
        from mlenv.verify.subject import LABEL  # noqa: PLC0415

        wanted = (before.labels.get(LABEL), after.labels.get(LABEL))
        places = [*self.out.glob(f"*/{LOCK_NAME}"), *self.out.glob(f"*/*/{LOCK_NAME}")]
        locks = {each.artefacts_sha256: each for each in map(_lock, sorted(places))}
        old, new = (locks.get(each or "") for each in wanted)
        return changes(old, new) if old and new else None

    def _image_lines(self, found: ImageChanges, packages: Changes | None) -> Iterator[str]:
        mark = "- " if self.markdown else ""
        if packages:
            yield from moves.markdown(packages) if self.markdown else moves.lines(packages)
        yield from (f"{mark}{each}" for each in found.facts)
        if self.markdown and found.again:
            yield from ("", "| layer | to push again |", "|---|---:|")
        for each in found.again:
            size = _size(each)
            yield f"| {_text(each)} | {size} |" if self.markdown else f"{size:>8}  {_text(each)}"
        if not found:
            return
        total = sum(each.size or 0 for each in found.again)
        yield from ("",) if self.markdown else ()
        count = f"{len(found.again)} layer{'' if len(found.again) == 1 else 's'}"
        kept = f"{found.kept} kept ({words.megabytes(found.kept_bytes)})"
        yield f"to push again: {words.megabytes(total)} in {count}; {kept}"

    def _show(self, title: str, lines: list[str]) -> None:
        if self.markdown:
            click.echo(f"## {title}\n")
        for each in lines or ["no difference"]:
            click.echo(each)


_ARTICLES = {"spec": "a spec", "lock": "a lock", "image": "an image"}


def _kind(text: str) -> str:
    from mlenv.imaging.looking import LAYOUT  # noqa: PLC0415 (loaded when used)

    path = Path(text)
    if path.is_dir():
        return "image" if (path / LAYOUT).is_file() else "lock"
    if path.suffix == ".toml" or (path.is_file() and finding.spec_content(path) is not None):
        return "spec"
    looks = path.is_file() or path.name == LOCK_NAME or text.startswith((".", "/", "~"))
    return "lock" if looks else "image"


def _lock(path: Path) -> Lock:
    from mlenv.lock import parse_lock  # noqa: PLC0415 (loaded when used)

    place = path / LOCK_NAME if path.is_dir() else path
    return parse_lock(disk.text(place), origin=str(place))


def _verdicts(before: Lock, after: Lock) -> list[str]:
    if before.verdict == after.verdict:
        return []
    return [f"verdict {before.verdict} -> {after.verdict}"]


def _size(layer: SeenLayer) -> str:
    return words.megabytes(layer.size) if layer.size is not None else "?"


def _text(layer: SeenLayer) -> str:
    return words.fitted(layer.text.replace("|", "/") or layer.digest[:19], 60)
