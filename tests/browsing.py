"""A real browser, Debian's Chromium: what a page asks for, says, and is to a screen reader."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

WIDE, PHONE = (1280, 900), (390, 844)


@contextmanager
def browser() -> Iterator[Browser]:
    """Yield a running Chromium; skip where there is none."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no chromium is on this machine")
    # Chromium's sandbox does not run as root; what is opened are pages of our own.
    words = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=program, args=words)
        try:
            yield running
        finally:
            running.close()


class Watched:
    """A page, with all that it asked for and all that its console said."""

    def __init__(
        self, at: Browser, path: Path, *, size: tuple[int, int] = WIDE, script: bool = True
    ) -> None:
        self.context = at.new_context(
            viewport={"width": size[0], "height": size[1]}, java_script_enabled=script
        )
        self.page: Page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda each: self.said.append(each.text))
        self.page.on("pageerror", lambda each: self.said.append(str(each)))
        self.page.on("request", lambda each: self.asked.append(each.url))
        self.url = path.as_uri()

    def open(self, anchor: str = "") -> Page:
        self.page.goto(self.url + (f"#{anchor}" if anchor else ""))
        return self.page

    @property
    def elsewhere(self) -> list[str]:
        """What was asked for that is not the page."""
        return [each for each in self.asked if each.partition("#")[0] != self.url]

    def violations(self) -> list[str]:
        """Return what axe has against the page as it is now, by rule and place."""
        # axe is put in by the test, so the page's policy is not asked
        found = Axe().run(self.page).response["violations"]
        return [f"{each['id']}: {node['html'][:120]}" for each in found for node in each["nodes"]]
