"""A page of a package index as values: PEP 691 in JSON, or PEP 503 in HTML.

Mirrors mislabel one as the other, so the text decides which it is. Nothing here goes beyond the
page: what a file holds is not known, and what the page does not say is None.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from packaging.version import Version

_SHA256 = re.compile(r"[0-9a-f]{64}")


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
    reason: str = ""
    """Why it was yanked, where somebody said."""
    url: str = ""
    """Absolute where the page's own address is known."""
    sha256: str | None = None
    size: int | None = None
    metadata: bool = False
    """Whether its core metadata lies beside it (PEP 658)."""


def address(index: str, package: str) -> str:
    """Return the URL of a package's page."""
    return f"{index.rstrip('/')}/{canonicalize_name(package)}/"


def files(content_type: str, text: str, *, page: str = "") -> tuple[Published, ...]:
    """Return the files of a page; those whose name says no version are left out.

    Args:
        content_type: what the server calls it.
        text: the page.
        page: its own address, for links that are relative to it.

    Raises:
        ValueError: the page is none, though its type says so.
    """
    said = content_type.partition(";")[0].strip().endswith("json")
    rows = _of_json(text) if said or text.lstrip().startswith("{") else _of_html(text)
    return tuple(found for row in rows if (found := _published(row, page)) is not None)


def moment(said: object) -> str | None:
    """Return a time as ``YYYY-MM-DDTHH:MM:SSZ``; None where it is none."""
    try:
        found = datetime.fromisoformat(str(said))
        return found.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if found.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _of_json(text: str) -> Sequence[Mapping[str, Any]]:
    try:
        rows = json.loads(text)["files"]
        found = [
            {
                "filename": each["filename"],
                "url": each.get("url") or "",
                "requires_python": each.get("requires-python"),
                "uploaded": each.get("upload-time"),
                "yanked": bool(each.get("yanked")),
                "reason": each["yanked"] if isinstance(each.get("yanked"), str) else "",
                "sha256": (each.get("hashes") or {}).get("sha256"),
                "size": each["size"] if type(each.get("size")) is int else None,
                "metadata": bool(each.get("core-metadata") or each.get("dist-info-metadata")),
            }
            for each in rows
        ]
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("this is no page of a package index") from error
    for row in found:
        texts = (row["requires_python"], row["uploaded"], row["sha256"])
        sound = isinstance(row["filename"], str) and isinstance(row["url"], str)
        if not (sound and all(isinstance(each, str | None) for each in texts)):
            raise ValueError("this is no page of a package index")
    return found


def _of_html(text: str) -> Sequence[Mapping[str, Any]]:
    page = _Links()
    try:
        page.feed(text)
    except AssertionError as error:  # html.parser, on a declaration that is none
        raise ValueError("this is no HTML") from error
    return [_of_link(*row) for row in page.rows]


def _of_link(filename: str, held: Mapping[str, str | None]) -> Mapping[str, Any]:
    url, _, fragment = (held.get("href") or "").partition("#")
    beside = {"data-core-metadata", "data-dist-info-metadata"} & held.keys()
    return {
        "filename": filename,
        "url": url,
        "requires_python": held.get("data-requires-python"),
        "uploaded": held.get("data-upload-time"),
        "yanked": "data-yanked" in held,
        "reason": held.get("data-yanked") or "",
        "sha256": fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else None,
        "size": None,
        "metadata": any(held[key] != "false" for key in beside),
    }


def _published(row: Mapping[str, Any], page: str) -> Published | None:
    name = row["filename"]
    wheel = name.endswith(".whl")
    try:
        version = (parse_wheel_filename if wheel else parse_sdist_filename)(name)[1]
        url = urljoin(page, row["url"]) if page else row["url"]
    except (InvalidWheelFilename, InvalidSdistFilename, ValueError):
        return None
    sha256 = row["sha256"] if _SHA256.fullmatch(row["sha256"] or "") else None
    size = row["size"] if row["size"] is not None and row["size"] >= 0 else None
    shown = {**row, "url": url, "sha256": sha256, "size": size}
    return Published(version=version, wheel=wheel, **shown)


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[str, Mapping[str, str | None]]] = []
        self._held: dict[str, str | None] | None = None
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._held, self._text = dict(attrs), ""

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._held is not None:
            self.rows.append((self._text.strip(), self._held))
            self._held = None
