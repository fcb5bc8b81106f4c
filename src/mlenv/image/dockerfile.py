"""The Dockerfile: one stage and one COPY for each layer of the lock, light layers last.

It is text that ``docker build`` (BuildKit, from Docker 20.10 on), buildah and podman read alike:
no frontend is pulled, and no heredoc, ``COPY --link`` or secret-as-environment is used. No
package without a hash is installed, and no credential, mirror or CA reaches a layer. What comes
from outside stands in it as a word that ``Recipe`` checked, or as a quoted label.

    start     the base image                       build   an empty environment, its first process
    python    the interpreter, where not in start  image   all that the variants share
    layer-X   one layer's packages, in parallel
"""

from __future__ import annotations

import json
import re
from itertools import groupby
from typing import TYPE_CHECKING

from mlenv.files import File
from mlenv.image import conda_steps
from mlenv.image.settings import BASE_DIGEST, BASE_NAME, HOME, OWNER, PASSWD, environment, settings
from mlenv.image.steps import apt, first_process, install, interpreter, label, system
from mlenv.image.steps import environment as empty
from mlenv.layers import DEFAULT_INDEX, DEV, LAYERS, SOURCE, Slice, slices

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mlenv.image.recipe import Recipe
    from mlenv.lock import Lock

EPOCH = 315532800
"""1980-01-01, the oldest time of a ZIP. A constant: the bytes of a layer move with no date."""

COMPILER = ("g++", "gcc", "libc6-dev")
"""What torch.compile and Triton look for. Source: read off both without it, 2026-11-22."""

_WORD = re.compile(r"[A-Za-z0-9/:.,${}_-]+")
_UV = re.compile(r"\d{1,4}(\.\d{1,4}){1,2}((a|b|rc)\d{1,3})?")
_PINNED = re.compile(r"[a-z0-9][a-z0-9-]*==[a-z0-9.]+ --hash=sha256:[0-9a-f]{64}")
_PYTORCH = re.compile(r"pytorch-(cu\d{2,4}|cpu)")


def build_tools(recipe: Recipe) -> File | None:
    """Return the file of what source packages are built with; None where nothing is needed."""
    lines = "".join(f"{each}\n" for each in sorted(set(recipe.build_tools)))
    return File("layers/build.txt", f"# mlenv build tools\n{lines}") if lines else None


def init_file(lock: Lock) -> File | None:
    """Return the file of the image's first process, as its step reads it."""
    if lock.init is None:
        return None
    line = f"{lock.init.name}=={lock.init.version} --hash=sha256:{lock.init.sha256}"
    if not _PINNED.fullmatch(line):
        raise ValueError(f"{line!r} is no pinned package")
    return File("layers/init.txt", f"# mlenv init: the first process of the image\n{line}\n")


def ignore_file() -> File:
    """Return the .dockerignore: only the layer files are sent to the engine."""
    return File(".dockerignore", "*\n!layers\n")


def dockerfile(recipe: Recipe, lock: Lock) -> File:
    """Return the Dockerfile; beside it lie ``layer_files``, ``init_file`` and ``build_tools``.

    Raises:
        ValueError: a package's index has no URL, or a value is outside its alphabet.
    """
    layers = {
        name: tuple(members)
        for name, members in groupby(slices(lock.package), key=lambda each: each.layer)
        if "dev" in recipe.variants or name not in DEV
    }
    blocks = [_head(recipe, lock), _start(recipe, lock), *_python(recipe)]
    every = tuple(each for members in layers.values() for each in members)
    blocks += _conda_build(recipe, lock, every) if recipe.conda else [_build(recipe, lock)]
    blocks += [_layer(recipe, lock, name, members, every) for name, members in layers.items()]
    blocks += _variants(recipe, lock, tuple(layers))
    return File("Dockerfile", "\n\n".join(blocks) + "\n")


def _head(recipe: Recipe, lock: Lock) -> str:
    if not _UV.fullmatch(lock.tools.uv):
        raise ValueError(f"{lock.tools.uv!r} is no version of uv")
    digest = f"@{recipe.uv_digest}" if recipe.uv_digest else ""
    lines = [
        f"# {recipe.name}: written by mlenv; edit the spec rather than this file.",
        f"#   docker build -t {recipe.name} .    (Docker before 23: with DOCKER_BUILDKIT=1)",
        "# What the network asks for is given as a secret; none of it stays in a layer:",
        "#   --secret id=ca,src=FILE        certificates, behind a proxy that opens TLS",
        "#   --secret id=netrc,src=FILE     credentials of the indexes",
        "#   --secret id=uv-index,src=FILE  the URL of a mirror (uv-index-ALIAS: of another index)",
        *(() if recipe.brings_python or recipe.conda else _PYTHON_SECRET),
        *(_CHANNEL_SECRET if recipe.conda else ()),
        *(_APT_SECRET if _packages(recipe) else ()),
        "# A syntax line is left out on purpose: no frontend image is pulled.",
        f"ARG BASE_IMAGE={recipe.base}",
        *([f"ARG BASE_DIGEST={recipe.base_digest}"] if recipe.base_digest else []),
        f"ARG UV_IMAGE=ghcr.io/astral-sh/uv:{lock.tools.uv}{digest}",
        *([f"ARG TOOLS_IMAGE={conda_steps.TOOLS_IMAGE}"] if recipe.conda else []),
        f"ARG SOURCE_DATE_EPOCH={EPOCH}",
        "",
        "FROM ${UV_IMAGE} AS uv",
    ]
    return "\n".join(lines)


_PYTHON_SECRET = (
    "#   --secret id=python-mirror,src=FILE  the URL of a mirror of python-build-standalone",
)
_CHANNEL_SECRET = (
    "#   --secret id=conda-channel-ALIAS,src=FILE  the URL of a mirror of a channel",
)
_APT_SECRET = (
    "#   --secret id=apt-sources,src=FILE    a sources.list, such as of an archive at a fixed date",
)


def _start(recipe: Recipe, lock: Lock) -> str:
    digest = "@${BASE_DIGEST}" if recipe.base_digest else ""
    first = f"FROM ${{BASE_IMAGE}}{digest} AS start"
    return "\n".join((first, "USER 0:0", _env(environment(lock.backend))))


def _env(variables: Mapping[str, str]) -> str:
    # In quotes where a word would end; no value has a quote of its own.
    words = (f"{k}={v}" if _WORD.fullmatch(v) else f'{k}="{v}"' for k, v in variables.items())
    return f"ENV {' '.join(words)}"


def _python(recipe: Recipe) -> tuple[str, ...]:
    if recipe.brings_python or recipe.conda:
        return ()
    lines = (
        f"# The base image has no Python {recipe.python}. uv checks this one against its own hash.",
        "FROM start AS python",
        "ARG SOURCE_DATE_EPOCH",
        interpreter(str(recipe.python)),
    )
    return ("\n".join(lines),)


_SETTINGS = (
    "# Bytecode that no time stamp makes stale, from one worker: the same bytes each time.",
    "ENV SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH} UV_CACHE_DIR=/var/cache/uv \\",
    "    UV_NO_CONFIG=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never \\",
    "    UV_CONCURRENT_INSTALLS=1 UV_COMPILE_BYTECODE=1 \\",
    "    PYC_INVALIDATION_MODE=UNCHECKED_HASH PYTHONDONTWRITEBYTECODE=1",
)


def _conda_build(recipe: Recipe, lock: Lock, slices: Sequence[Slice]) -> list[str]:
    laid = (
        "# Conda packages are laid out here; of this stage nothing else gets into the image.",
        "FROM ${TOOLS_IMAGE} AS tools",
        "ARG SOURCE_DATE_EPOCH",
        *_SETTINGS,
        conda_steps.tools(),
    )
    first = conda_steps.init(recipe, lock, slices, init_file(lock))
    return ["\n".join(laid), f"FROM tools AS build\nARG SOURCE_DATE_EPOCH\n{first}"]


def _build(recipe: Recipe, lock: Lock) -> str:
    init = init_file(lock)
    return "\n".join(
        (
            "FROM start AS build",
            "ARG SOURCE_DATE_EPOCH",
            *_SETTINGS,
            *_from_python(recipe),
            empty(str(recipe.python), brought=recipe.brings_python),
            *((first_process(init),) if init else ()),
        )
    )


def _from_python(recipe: Recipe) -> tuple[str, ...]:
    return () if recipe.brings_python or recipe.conda else (_copy("python"),)


def _layer(
    recipe: Recipe, lock: Lock, name: str, members: Sequence[Slice], every: Sequence[Slice]
) -> str:
    sizes = [package.size for each in members for package in each.packages]
    lines = [
        f"# {LAYERS[name]}: {sum(sizes) / 1e6:.1f} MB in {len(sizes)} packages",
        f"FROM {'tools' if recipe.conda else 'build'} AS layer-{name}",
    ]
    if recipe.conda:
        lines.append("ARG SOURCE_DATE_EPOCH")
        return "\n".join((*lines, *(_on_conda(recipe, lock, every, each) for each in members)))
    if name in SOURCE and recipe.compile:
        lines.append(apt(COMPILER))
    tools = build_tools(recipe)
    lines += [install(each, url=_url(recipe, each.index), tools=tools) for each in members]
    return "\n".join(lines)


def _on_conda(recipe: Recipe, lock: Lock, every: Sequence[Slice], part: Slice) -> str:
    if part.packages[0].subdir is not None:
        return conda_steps.packages(recipe, lock, every, part)
    return conda_steps.wheels(recipe, lock, every, part, _url(recipe, part.index))


def _url(recipe: Recipe, alias: str) -> str | None:
    if alias == DEFAULT_INDEX:
        return None
    found = _PYTORCH.fullmatch(alias)
    if found:
        return f"https://download.pytorch.org/whl/{found[1]}"
    if alias not in recipe.indexes:
        raise ValueError(f"the index {alias!r} has no URL")
    return recipe.indexes[alias]


def _variants(recipe: Recipe, lock: Lock, layers: Sequence[str]) -> tuple[str, ...]:
    shared = [each for each in layers if each not in DEV]
    if recipe.variants == ("runtime",):
        return (
            "\n".join((_image(recipe, lock, "runtime", shared), *_labels(recipe, lock, "runtime"))),
        )
    # An engine that is given no --target builds the last stage: runtime, where it is asked for.
    return (
        _image(recipe, lock, "image", shared),
        *(
            "\n".join(
                (
                    f"FROM image AS {each}",
                    *(_copy(f"layer-{name}") for name in layers if each == "dev" and name in DEV),
                    *_labels(recipe, lock, each),
                )
            )
            for each in ("dev", "runtime")
            if each in recipe.variants
        ),
    )


def _packages(recipe: Recipe) -> tuple[str, ...]:
    return (*recipe.apt, *(COMPILER if recipe.compile else ()))


def _image(recipe: Recipe, lock: Lock, stage: str, layers: Iterable[str]) -> str:
    packages = _packages(recipe)
    made = settings(recipe, lock, stage)
    later = {k: v for k, v in made.env.items() if k not in environment(lock.backend)}
    return "\n".join(
        (
            f"FROM start AS {stage}",
            "ARG SOURCE_DATE_EPOCH",
            *((apt(packages),) if packages else ()),
            "# Any user will do: home belongs to group 0, which a user that has no name is in.",
            system((), _HOME),
            f"WORKDIR {made.workdir}",
            *_from_python(recipe),
            *(_copy(each) for each in ("build", *(f"layer-{name}" for name in layers))),
            *(_GPU_NOTE if recipe.gpu else ()),
            _env(later),
            f"USER {made.user}",
            f"ENTRYPOINT {json.dumps(made.entrypoint)}",
            f"CMD {json.dumps(made.cmd)}",
        )
    )


_HOME = (
    f"getent passwd {OWNER[0]} > /dev/null || echo '{PASSWD}' >> /etc/passwd",
    f"mkdir -p {HOME}",
    f"chown {OWNER[0]}:{OWNER[1]} {HOME}",
    f"chmod 0775 {HOME}",
)
_GPU_NOTE = (
    "# NVIDIA_VISIBLE_DEVICES is left to who starts the image: `all` would give a pod of",
    "# Kubernetes every GPU of its node, and enroot wants exactly that.",
)


def _copy(stage: str) -> str:
    return f"COPY --from={stage} /layer/ /"


def _labels(recipe: Recipe, lock: Lock, variant: str) -> tuple[str, ...]:
    # Whoever builds may name another base: the label says which one it was.
    arguments = {BASE_NAME: "BASE_IMAGE"}
    if recipe.base_digest:
        arguments[BASE_DIGEST] = "BASE_DIGEST"
    return (
        *(f"ARG {each}" for each in arguments.values()),
        *(
            f'LABEL {key}="${{{arguments[key]}}}"' if key in arguments else label(key, text)
            for key, text in settings(recipe, lock, variant).labels.items()
        ),
    )
