"""From words of a command line to what a job needs: spec, date, network and progress."""

from __future__ import annotations

import gc
import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Self

from mlenv.cli import words
from mlenv.errors import Reason, UsageError
from mlenv.host import disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from rich.status import Status

    from mlenv.catalog.load import Catalog
    from mlenv.imaging.pinning import Pinner
    from mlenv.solve.asking import Desk
    from mlenv.spec.parse import SpecFile

PATIENCE_SECONDS = 1.0
"""How long work goes on in silence before progress is shown."""


_ALLOCATIONS = 100_000
"""So many objects come before Python looks for rings of garbage: 700 is its own number."""


@contextmanager
def swift() -> Iterator[None]:
    """Look for garbage seldom: what a short command makes stays, and the search takes a tenth."""
    before = gc.get_threshold()
    gc.set_threshold(_ALLOCATIONS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def today() -> str:
    """Return the beginning of this day, RFC 3339, UTC."""
    return f"{datetime.now(UTC).date()}T00:00:00Z"


def now() -> str:
    """Return this second, RFC 3339, UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@cache
def catalog() -> Catalog:
    """Return the facts in use; where the refreshed ones are damaged, say so once."""
    from mlenv.catalog.load import load  # noqa: PLC0415 (pydantic stays out of a no-op)

    found = load()
    if found.damaged is not None:
        words.show_reasons([found.damaged], "warning")
    return found


def read(path: Path) -> str:
    """Return the text of a spec.

    Raises:
        UsageError: ``spec-unreadable``.
    """
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise UsageError(
            Reason(
                code="spec-unreadable",
                what=f"{path} cannot be read",
                cause=error.strerror or str(error),
                fix="name a spec that is there; `mlenv init` writes one",
            )
        ) from None


def spec_file(path: Path, text: str | None = None) -> SpecFile:
    """Return a spec, parsed; ``text`` is what it is going to say, if not what it says.

    Raises:
        UsageError: every mistake of it.
    """
    from mlenv.spec.parse import parse_spec  # noqa: PLC0415 (pydantic stays out of a no-op)

    return parse_spec(read(path) if text is None else text, origin=str(path))


@contextmanager
def desk(*, offline: bool, verbose: bool, indexes: Mapping[str, str]) -> Iterator[Desk]:
    """Yield what a solve works with; progress is shown where stderr is a terminal.

    ``indexes`` are alias and URL of the spec's own, for their credentials.
    """
    from mlenv.host.http import Web  # noqa: PLC0415 (heavy, for solving only)
    from mlenv.host.login import from_environment  # noqa: PLC0415
    from mlenv.solve.asking import Desk  # noqa: PLC0415

    shown = _Progress()
    with Web(offline=offline, credentials=from_environment(indexes)) as web, shown:
        yield Desk(
            web=web,
            cache=disk.cache_folder(),
            offline=offline,
            say=shown.say,
            tell=words.say if verbose else _silent,
        )


@contextmanager
def pinning(*, offline: bool) -> Iterator[Pinner]:
    """Yield who asks for the digests of images: registries, else an engine."""
    from mlenv.imaging import pinning as room  # noqa: PLC0415 (loaded when used)

    def engine(reference: str) -> str | None:
        from mlenv.host.engine import find_engine  # noqa: PLC0415 (where no registry answers)

        return None if offline else find_engine().digest(reference)

    with room.from_environment(offline=offline, engine=engine) as found:
        yield found


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Yield what shows one line of progress, on a terminal, where work takes a while."""
    with _Progress() as shown:
        yield shown.say


def _silent(text: str) -> None:
    """Show nothing."""


class _Progress:
    """One line that says what is being done, on a terminal, for work that takes a while."""

    def __init__(self) -> None:
        self._text = ""
        self._status: Status | None = None
        self._timer = threading.Timer(PATIENCE_SECONDS, self._show)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._status is not None:
            self._status.stop()

    def _show(self) -> None:
        from rich.console import Console  # noqa: PLC0415 (only where something is shown)

        status = Console(stderr=True).status(self._text)
        status.start()
        self._status = status

    def say(self, text: str) -> None:
        self._text = text
        if self._status is not None:
            self._status.update(text)
