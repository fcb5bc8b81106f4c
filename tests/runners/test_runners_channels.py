"""A conda lock, verified here: the environment is made of its files, each held to the lock."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import condachannel
import condalocks

if TYPE_CHECKING:
    from pathlib import Path

    from condachannel import Channel

pytestmark = pytest.mark.network

WANTED = (f"python {condachannel.MINOR}.*", "numpy", "mlenv-demo")


def verified(folder: Path, status: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "mlenv", "verify", str(folder), "--static", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_what_is_installed_from_a_lock_is_what_is_locked(
    conda_channel: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLENV_CACHE_DIR", str(tmp_path / "cache"))
    folder = condalocks.folder(tmp_path / "out", conda_channel, WANTED, toolkit="cpu")
    found = verified(folder, 0)
    assert found["verdict"] == "static-ok"
    (prefix,) = (tmp_path / "cache" / "verify").iterdir()
    core = next(prefix.glob("lib/python*/site-packages/numpy/linalg/_umath_linalg*.so"))
    core.write_bytes(core.read_bytes() + b"x")
    other = prefix / "conda-meta" / "mlenv-demo-1.0-pyhd8ed1ab_0.json"
    other.write_text(other.read_text().replace("1.0-pyhd8ed1ab_0", "2.0-pyhd8ed1ab_0"))
    found = verified(folder, 1)
    said = json.dumps(found)
    assert "mlenv-demo-2.0-pyhd8ed1ab_0.conda" in said
    assert "the lock has mlenv-demo-1.0-pyhd8ed1ab_0.conda" in said
    assert core.name in said
