"""The steps of a Dockerfile that lay conda packages out, without a solve and without a GPU.

They run in a stage of their own, on an image that has a Python: nothing of it but the files of the
packages gets into the image. A step gets its packages by hash-pinned lines, and the text of what
lays them out (``host.conda_laying``) lies beside them, to be read.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from mlenv.catalog.conda import conda_installer
from mlenv.files import File
from mlenv.image.settings import PREFIXES
from mlenv.image.steps import CACHE, NORMAL, PIP, SECRETS, UV, given, outside, run
from mlenv.repodata import SUBDIRS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlenv.image.recipe import Recipe
    from mlenv.layers import Slice
    from mlenv.lock import Lock

TOOLS_IMAGE = "python:3.12-slim-bookworm"
"""Has the Python that py-rattler runs in. It takes part in no layer of the image."""
PREFIX = PREFIXES["conda"]

_PYTHON = re.compile(r"python-\d")
_PACKAGES = "bind,source={path},target=/run/mlenv/{name}"
_FILES = "cache,target=/var/cache/mlenv,sharing=shared"
_FOUND = "find /layer ! -type d | LC_ALL=C sort"
_INTO = f"--python {PREFIX}/bin/python --break-system-packages"
_PYTHON_FIRST = f"ln -s /layer{PREFIX} {PREFIX}"


@cache
def kit() -> tuple[File, ...]:
    """Return the files that a build needs beside those of the layers."""
    host, row = files("mlenv.host"), conda_installer()
    install = host.joinpath("conda_install.py").read_text(encoding="utf-8")
    hashes = " ".join(f"--hash=sha256:{each}" for each in row.sha256)
    return (
        File("layers/conda/install.py", install.replace("mlenv.host.conda_laying", "laying")),
        File(
            "layers/conda/laying.py",
            host.joinpath("conda_laying.py").read_text(encoding="utf-8"),
        ),
        File(
            "layers/conda/tools.txt",
            f"# what lays conda packages out\n{row.name}=={row.version} {hashes}\n",
        ),
    )


def tools() -> str:
    """Return the stage that everything is laid out in."""
    tools = kit()[2]
    commands = (
        f": sha256={tools.sha256}",
        *outside(),
        given("uv-index", "UV_DEFAULT_INDEX", '"$(cat /run/secrets/uv-index)"'),
        f"{PIP} --system --only-binary :all: -r /run/mlenv/tools.txt",
        f"mkdir -p /layer{PREFIX}",
        _PYTHON_FIRST,
    )
    mounts = (UV, _bind(tools, "tools.txt"), CACHE, *_secrets("uv-index"))
    return run(mounts, commands)


def init(recipe: Recipe, lock: Lock, slices: Sequence[Slice], file: File | None) -> str:
    """Return the step that makes an empty environment, with the image's first process."""
    history = f": > {PREFIX}/conda-meta/history"
    if file is None:
        return run((), (f"mkdir -p {PREFIX}/conda-meta", history, *NORMAL))
    return _wheels(recipe, lock, slices, file, mirror="uv-index", after=(history,))


def packages(recipe: Recipe, lock: Lock, slices: Sequence[Slice], part: Slice) -> str:
    """Return the step that lays the conda packages of one layer file out."""
    commands = (
        f": {_seen(slices, part.file)}",
        *outside(),
        *_channel("url", recipe, part.index),
        *_python_from(recipe, slices),
        _install(lock, "/run/mlenv/layer.txt", '"$url"'),
        *NORMAL,
    )
    channels = dict.fromkeys((part.index, _python(slices).index))
    mounts = (*_binds(slices, part.file), _FILES, *_secrets(*map(_secret, channels)))
    return run(mounts, commands)


def wheels(
    recipe: Recipe, lock: Lock, slices: Sequence[Slice], part: Slice, url: str | None
) -> str:
    """Return the step that installs the wheels of one layer file, on top."""
    mirror = f"uv-index-{part.index}" if url else "uv-index"
    return _wheels(recipe, lock, slices, part.file, mirror=mirror, url=url)


def _wheels(  # noqa: PLR0913 (what, where from, and what after)
    recipe: Recipe,
    lock: Lock,
    slices: Sequence[Slice],
    file: File,
    *,
    mirror: str,
    url: str | None = None,
    after: tuple[str, ...] = (),
) -> str:
    commands = (
        f": {_seen(slices, file)}",
        *outside(),
        *_python_from(recipe, slices),
        f"{_FOUND} > /tmp/own.txt",
        _install(lock, "/run/mlenv/python.txt", '"$python"', only=True),
        f"{_FOUND} | comm -13 /tmp/own.txt - > /tmp/python.txt",
        *((f"export UV_DEFAULT_INDEX='{url}'",) if url else ()),
        given(mirror, "UV_DEFAULT_INDEX", f'"$(cat /run/secrets/{mirror})"'),
        f"{PIP} {_INTO} --only-binary :all: -r /run/mlenv/layer.txt",
        # It was there to install with, and lies in a layer of its own.
        "xargs -d '\\n' rm -f < /tmp/python.txt",
        "find /layer -mindepth 1 -type d -empty -delete",
        f"mkdir -p {PREFIX}/conda-meta",
        *after,
        *NORMAL,
    )
    mounts = (
        *(UV, *_binds(slices, file), _FILES, CACHE),
        *_secrets(mirror, _secret(_python(slices).index)),
    )
    return run(mounts, commands)


def _install(lock: Lock, layer: str, url: str, *, only: bool = False) -> str:
    words = f'--python "$python" /run/mlenv/python.txt --subdir {SUBDIRS[lock.target.platform]}'
    more = " --only-python" if only else ""
    return (
        f"python /run/mlenv/install.py {url} {layer} \\\n        {words} --out /layer{PREFIX}{more}"
    )


def _python_from(recipe: Recipe, slices: Sequence[Slice]) -> tuple[str, ...]:
    return _channel("python", recipe, _python(slices).index)


def _channel(variable: str, recipe: Recipe, alias: str) -> tuple[str, ...]:
    if alias not in recipe.channels:
        raise ValueError(f"the channel {alias!r} has no URL")
    secret = _secret(alias)
    return (
        f"{variable}='{recipe.channels[alias]}'",
        f'if [ -s /run/secrets/{secret} ]; then {variable}="$(cat /run/secrets/{secret})"; fi',
    )


def _secret(alias: str) -> str:
    return f"conda-channel-{alias}"


def _python(slices: Sequence[Slice]) -> Slice:
    """Return the slice that has the interpreter."""
    for each in slices:
        if any(p.subdir is not None and p.name == "python" for p in each.packages):
            return each
    raise ValueError("the lock has no Python")


def _binds(slices: Sequence[Slice], file: File) -> tuple[str, ...]:
    install, laying, _ = kit()
    named = {"layer.txt": file, "python.txt": _python(slices).file}
    named |= {"install.py": install, "laying.py": laying}
    return tuple(_bind(each, name) for name, each in named.items())


def _bind(file: File, name: str) -> str:
    return _PACKAGES.format(path=file.path, name=name)


def _seen(slices: Sequence[Slice], file: File) -> str:
    # buildah's cache does not see what a mounted file holds; the hashes here make it look.
    found = (file, _python(slices).file, *kit()[:2])
    return " ".join(dict.fromkeys(f"sha256={each.sha256}" for each in found))


def _secrets(*names: str) -> tuple[str, ...]:
    return tuple(f"secret,id={each}" for each in dict.fromkeys((*SECRETS, *names)))
