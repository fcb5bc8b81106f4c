"""The site is built strictly, has every page and block, and asks nothing from elsewhere."""

from __future__ import annotations

import contextlib
import functools
import http.server
import re
import subprocess
import threading
import tomllib
from typing import TYPE_CHECKING

import pytest

from browsing import WIDE, browser
from exporting import tool
from fenced import ROOT, blocks, pages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.network  # what builds it comes from the index


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the built site."""
    place = tmp_path_factory.mktemp("site")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    programs = tool(place / "tool", *project["dependency-groups"]["docs"])
    made = place / "made"
    done = subprocess.run(
        [programs / "mkdocs", "build", "--strict", "--site-dir", made],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return made


def html(site: Path, page: Path) -> str:
    name = page.relative_to(ROOT / "docs").with_suffix("")
    folder = site if name.name == "index" else site / name
    return (folder / "index.html").read_text(encoding="utf-8")


def test_every_page_is_on_the_site_with_all_of_its_blocks(site: Path) -> None:
    for page in pages()[1:]:
        found = list(blocks(page.read_text(encoding="utf-8"), page.name))
        text = html(site, page)
        assert text.count('<div class="language-') == len(found), page
        assert all(f"language-{each.language} " in text for each in found), page
        assert "not run:" not in re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    loaded = r'<(?:script|img|iframe|source)[^>]*\ssrc="(https?:)?//|<link[^>]*\shref="https?://'
    for each in site.rglob("*.html"):
        assert re.findall(loaded, each.read_text(encoding="utf-8")) == [], each
    for each in site.rglob("*.css"):
        assert re.findall(r"url\(['\"]?https?:[^)]*\)|@import", each.read_text("utf-8")) == []


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Yield the address of a folder on loopback."""
    handler = functools.partial(_Silent, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.browser
def test_a_browser_reads_and_searches_it(site: Path, tmp_path: Path) -> None:
    said: list[str] = []
    asked: list[str] = []
    with served(site) as address, browser() as chromium:
        page = chromium.new_page(viewport={"width": WIDE[0], "height": WIDE[1]})
        page.on("console", lambda each: said.append(each.text))
        page.on("pageerror", lambda each: said.append(str(each)))
        page.on("request", lambda each: asked.append(each.url))
        page.on("response", lambda each: said.extend([each.url] if each.status >= 400 else []))
        page.goto(address)
        page.get_by_role("link", name="Tutorial", exact=True).click()
        page.wait_for_url("**/tutorial/")
        assert page.locator("h1").first.inner_text().startswith("From a spec")
        page.get_by_placeholder("Search").fill("cuda-not-offered")
        found = page.locator("a.md-search-result__link").first
        found.wait_for()
        assert "/codes/" in (found.get_attribute("href") or "")
        page.screenshot(path=tmp_path / "search.png")
        page.goto(f"{address}codes/#cuda-not-offered")
        assert page.locator("#cuda-not-offered").is_visible()
    assert said == []
    assert [each for each in asked if not each.startswith((address, "data:", "blob:"))] == []
