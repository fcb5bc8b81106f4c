"""``docs/coming-in.md`` names what is read; its commands are run with those of the other pages."""

from __future__ import annotations

from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "coming-in.md"


@pytest.mark.parametrize("word", ["requirements.txt", "conda-lock.yml", "cog.yaml", "Dockerfile"])
def test_the_page_names_every_kind(word: str) -> None:
    assert f"| `{word}` |" in PAGE.read_text(encoding="utf-8")
