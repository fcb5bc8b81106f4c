from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import uv

from mlenv.host.venv import ACTIVATION, skeleton
from unpacked import MINOR, VERSION, things

if TYPE_CHECKING:
    from pathlib import Path

UV = uv.find_uv_bin()


def test_is_what_uv_makes_but_for_activation(tmp_path: Path) -> None:
    prefix = tmp_path / "venv"
    made = [UV, "venv", "--no-cache", "--no-config", "--offline", "--quiet"]
    subprocess.run([*made, "--python", sys.executable, str(prefix)], check=True)
    said = subprocess.run([UV, "--version"], capture_output=True, text=True, check=True)
    wanted = {
        str(path): str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in prefix.rglob("*")
        if path.is_symlink() or path.is_file()
    }
    for name in ACTIVATION:
        del wanted[str(prefix / "bin" / name)]
    wanted.pop(str(prefix / ".lock"), None)
    interpreter = str((prefix / "bin" / "python").readlink())
    found = things(
        lambda writer: skeleton(
            writer,
            interpreter=interpreter,
            version=VERSION,
            uv=said.stdout.split()[1],
            prefix=str(prefix),
        )
    )
    assert {path: each.target or each.content for path, each in found.items()} == wanted


def test_a_free_threaded_python_has_its_own_folder() -> None:
    found = things(
        lambda writer: skeleton(
            writer, interpreter="/usr/local/bin/python3.14t", version="3.14.0", uv="0.13.9"
        )
    )
    links = {path: each.target for path, each in found.items() if each.target}
    assert links == {
        "/opt/venv/bin/python": "/usr/local/bin/python3.14t",
        "/opt/venv/bin/python3": "python",
        "/opt/venv/bin/python3.14": "python",
        "/opt/venv/bin/python3.14t": "python",
        "/opt/venv/lib64": "lib",
    }


@pytest.mark.parametrize(
    ("interpreter", "version"),
    [("python3", VERSION), ("bin/python3", VERSION), (f"/bin/python{MINOR}", MINOR), ("/", "x")],
)
def test_refuses_what_is_no_interpreter(interpreter: str, version: str) -> None:
    with pytest.raises(ValueError, match="no interpreter"):
        things(
            lambda writer: skeleton(writer, interpreter=interpreter, version=version, uv="0.13.9")
        )
