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

Row = tuple[str, str | None, str | None, bool]
"""File name, Requires-Python, time of upload, whether it was yanked."""


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
        ValueError: the page is none, though its type says so.
    """
    json_ = content_type.partition(";")[0].strip().endswith("json")
    rows = _of_json(text) if json_ else _of_html(text)
    return tuple(found for row in rows if (found := _published(*row)))


def _of_json(text: str) -> list[Row]:
    try:
        rows = json.loads(text)["files"]
        found = [
            (
                each["filename"],
                each.get("requires-python"),
                each.get("upload-time"),
                bool(each.get("yanked")),
            )
            for each in rows
        ]
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("this is no page of a package index") from error
    for name, *said, _ in found:
        if not isinstance(name, str) or any(not isinstance(e, str | None) for e in said):
            raise ValueError("this is no page of a package index")
    return found


def _of_html(text: str) -> list[Row]:
    page = _Links()
    try:
        page.feed(text)
    except AssertionError as error:  # html.parser, on a declaration that is none
        raise ValueError("this is no HTML") from error
    return page.rows


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
        self.rows: list[Row] = []
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
