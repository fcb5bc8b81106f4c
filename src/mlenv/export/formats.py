"""The formats of ``mlenv export``: one row each. A new one is a module and a row here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mlenv.export.requirements import requirements

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mlenv.export.source import Source
    from mlenv.files import File

Need = Literal["urls", "needs", "licences", "image"]
"""What a format cannot do without: files' URLs, dependencies, licences; the name of an image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format."""

    says: str
    """What it is, for the help: a line of 60 columns at most."""
    files: Callable[[Source], tuple[File, ...]]
    use: str
    """The next command, for a person; ``{}`` is the file."""
    backends: tuple[str, ...] = ("uv",)
    """Whose locks it can tell."""
    variant: Literal["runtime", "dev"] = "runtime"
    """Which variant it is of, where none is named."""
    needs: tuple[Need, ...] = ()


FORMATS: Mapping[str, Format] = {
    "requirements": Format(
        says="requirements.txt with hashes, for pip and a venv",
        files=requirements,
        use="pip install --requirement {}",
    ),
}
"""Name -> format, in the order of the help."""
