"""A page of a package index as values: PEP 691 in JSON, or PEP 503 in HTML."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

if TYPE_CHECKING:
    from packaging.version import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A file of a page."""

    filename: str
    version: Version
    wheel: bool
    requires_python: str | None
    uploaded: str | None
    """RFC 3339, where the index says."""
    yanked: bool


def address(index: str, package: str) -> str:
    """Return the URL of a package's page."""
    return f"{index.rstrip('/')}/{canonicalize_name(package)}/"


def files(content_type: str, text: str) -> tuple[Published, ...]:
    """Return the files of a page; those whose name says no version are left out.

    Raises:
        ValueError: the page is no JSON though it says so.
    """
    if content_type.partition(";")[0].strip().endswith("json"):
        rows = [
            (
                each["filename"],
                each.get("requires-python"),
                each.get("upload-time"),
                bool(each.get("yanked")),
            )
            for each in json.loads(text)["files"]
        ]
    else:
        page = _Links()
        page.feed(text)
        rows = page.rows
    return tuple(found for row in rows if (found := _published(*row)))


def _published(
    filename: str,
    requires_python: str | None,
    uploaded: str | None,
    yanked: bool,  # noqa: FBT001
) -> Published | None:
    wheel = filename.endswith(".whl")
    try:
        version = (parse_wheel_filename if wheel else parse_sdist_filename)(filename)[1]
    except (InvalidWheelFilename, InvalidSdistFilename):
        return None
    return Published(
        filename=filename,
        version=version,
        wheel=wheel,
        requires_python=requires_python,
        uploaded=uploaded,
        yanked=yanked,
    )


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[str, str | None, str | None, bool]] = []
        self._held: dict[str, str | None] | None = None
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._held, self._text = dict(attrs), ""

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._held is not None:
            held = self._held
            self.rows.append(
                (
                    self._text.strip(),
                    held.get("data-requires-python"),
                    held.get("data-upload-time"),
                    "data-yanked" in held,
                )
            )
            self._held = None
