"""The same image wherever it is made: of a hundred packages of the real index, twice from nothing.

As whoever runs the tests and as a user without rights, under this Python and under another one:
nothing of the machine, its user or its Python is in a layer.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from containers import registries_conf, uv_image, uv_tag
from drive import texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from containers import Hub, Image

pytestmark = [pytest.mark.network, pytest.mark.registry]

NOBODY = 65534
PACKAGES = ("jupyterlab", "wandb", "sphinx")
SPEC = """
name = "hundred"
python = "{python}"
cuda = "cpu"
packages = {packages}
[lock]
exclude-newer = "2026-11-01T00:00:00Z"
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Yield a folder that every user can enter, as ``tmp_path`` is not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def unprivileged(python: str, cwd: Path) -> tuple[Sequence[str], dict[str, Any]]:
    """Return how ``python`` is run without root's rights: words before it, and the user.

    Where another user may not even read it (it lies in root's home), a user namespace takes the
    rights and leaves the files.
    """
    if os.geteuid() != 0:
        return (), {}
    dropped: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    mapped = ("unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}")
    ways: tuple[tuple[Sequence[str], dict[str, Any]], ...] = (((), dropped), (mapped, {}))
    for words, user in ways:
        try:
            code = "import os, mlenv; print(os.geteuid())"
            argv = [*words, python, "-c", code]
            done = subprocess.run(argv, cwd=cwd, capture_output=True, check=False, **user)
        except OSError:
            continue
        if done.returncode == 0 and done.stdout.strip() == str(NOBODY).encode():
            return words, user
    return pytest.skip(f"no other user can run {python}")


def image(
    python: str, spec: str, place: Path, words: Sequence[str] = (), **user: Any  # noqa: ANN401
) -> tuple[str, dict[str, str], int]:  # fmt: skip
    """Lock and make the image in ``place`` with caches of its own; return digest, lock, count."""
    work = place / "work"
    for each in (place, work, work / "tmp"):
        each.mkdir()
        if "user" in user:  # in a namespace of one's own, root's files stay one's own
            os.chown(each, user["user"], user["group"])
    (place / "hundred.toml").write_text(spec, "utf-8")
    env = {**os.environ, "HOME": str(work), "TMPDIR": str(work / "tmp")}
    env |= {"MLENV_CACHE_DIR": str(work / "cache"), "UV_CACHE_DIR": str(work / "uv")}
    argv = [*words, python, "-m", "mlenv", "build", "../hundred.toml", "--image"]
    argv += ["--engine", "none", "--output", "hundred.tar", "--json"]
    done = subprocess.run(argv, cwd=work, env=env, capture_output=True, check=False, **user)
    assert done.returncode == 0, done.stderr.decode()
    (target,) = json.loads(done.stdout)["targets"]
    assert target["image"]["reproducible"] is True
    found = texts(work / "images" / "hundred")
    archive = (work / "hundred.tar").stat().st_size
    assert archive > target["image"]["size"]
    count = len(target["packages"])
    shutil.rmtree(place)
    return target["image"]["digest"], found, count


@pytest.mark.timeout(900)
def test_a_hundred_packages_give_the_same_image_twice_from_nothing(
    hub: Hub, base_image: Image, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert base_image.python is not None
    minor = base_image.python.rpartition(".")[0]
    hub.push(base_image, "library/python", f"{minor}-slim-bookworm")
    hub.push(uv_image(), "astral-sh/uv", uv_tag())
    conf = registries_conf(open_folder / "registries.conf", hub.port)
    conf.chmod(0o644)
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(conf))
    spec = SPEC.format(python=minor, packages=json.dumps(list(PACKAGES)))
    other = os.environ.get("MLENV_OTHER_PYTHON") or sys.executable
    own = image(sys.executable, spec, open_folder / "one")
    words, user = unprivileged(other, open_folder)
    theirs = image(other, spec, open_folder / "two", words, **user)
    assert own[2] >= 100
    assert theirs[0] == own[0]
    assert theirs[1] == own[1]


def test_the_other_python_is_another() -> None:
    other = os.environ.get("MLENV_OTHER_PYTHON")
    if not other:
        pytest.skip("MLENV_OTHER_PYTHON names no other Python with mlenv")
    code = "import sys; print(*sys.version_info[:2])"
    done = subprocess.run([other, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() != [str(each) for each in sys.version_info[:2]]
