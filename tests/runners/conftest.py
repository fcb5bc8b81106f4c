"""What a runner's test may leave running when its daemon or container is killed goes with it."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def no_leftovers(tmp_path: Path) -> Iterator[None]:
    yield
    own = str(tmp_path).encode()
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # ended meanwhile
            if own in each.read_bytes() and int(each.parent.name) != os.getpid():
                os.kill(int(each.parent.name), signal.SIGKILL)
