"""conda-forge as of 2026-11-22, as far as 1,523 of its real records go: solved over, not run.

The records lie beside the repository; a test that needs them skips where they are absent. They are
served on loopback, and reached under conda-forge's own name as by whoever has a mirror.
"""

from __future__ import annotations

import contextlib
import gzip
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import condachannel

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDS = Path(__file__).parents[2] / "shared" / "data" / "conda-forge-records"
TODAY = "2026-11-01T00:00:00Z"


@contextlib.contextmanager
def served(root: Path) -> Iterator[condachannel.Channel]:
    """Yield the channel; ``CONDA_CHANNEL_ALIAS`` leads to it. ``root`` is an empty folder."""
    if not RECORDS.is_dir():
        pytest.skip("the records of conda-forge are not beside this repository")
    for each in sorted(RECORDS.glob("*/repodata.json.gz")):
        place = root / "conda-forge" / each.parent.name
        place.mkdir(parents=True)
        (place / "repodata.json").write_bytes(gzip.decompress(each.read_bytes()))
    with (
        condachannel.served(condachannel.Channel(root=root, url="", records={})) as found,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("CONDA_CHANNEL_ALIAS", found.url)
        yield found
