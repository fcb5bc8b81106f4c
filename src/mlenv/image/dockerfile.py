"""The Dockerfile: one stage and one COPY for each layer of the lock, light layers last.

It is text that ``docker build`` (BuildKit, from Docker 20.10 on), buildah and podman read alike:
no frontend is pulled, and no heredoc, ``COPY --link`` or secret-as-environment is used. No
package without a hash is installed, and no credential, mirror or CA reaches a layer. What comes
from outside stands in it as a word that ``Recipe`` checked, or as a quoted label.

    start     the base image                       build   uv, an empty environment
    layer-X   one layer's packages, in parallel    image   all that the variants share
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING

from mlenv.files import File
from mlenv.image.steps import apt, environment, install, label, system
from mlenv.layers import DEFAULT_INDEX, DEV, LAYERS, SOURCE, Slice, slices

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlenv.image.recipe import Recipe
    from mlenv.lock import Lock

EPOCH = 315532800
"""1980-01-01, the oldest time of a ZIP. A constant: the bytes of a layer move with no date."""

COMPILER = ("g++", "gcc", "libc6-dev")
"""What torch.compile and Triton look for. Source: read off both without it, 2026-11-22."""

_UV = re.compile(r"\d{1,4}(\.\d{1,4}){1,2}((a|b|rc)\d{1,3})?")
_PYTORCH = re.compile(r"pytorch-(cu\d{2,4}|cpu)")


def build_tools(recipe: Recipe) -> File | None:
    """Return the file of what source packages are built with; None where nothing is needed."""
    lines = "".join(f"{each}\n" for each in sorted(set(recipe.build_tools)))
    return File("layers/build.txt", f"# mlenv build tools\n{lines}") if lines else None


def ignore_file() -> File:
    """Return the .dockerignore: only the layer files are sent to the engine."""
    return File(".dockerignore", "*\n!layers\n")


def dockerfile(recipe: Recipe, lock: Lock) -> File:
    """Return the Dockerfile; beside it lie ``layer_files``, and ``build_tools`` where there are.

    Raises:
        ValueError: a package's index has no URL, or a value is outside its alphabet.
    """
    layers = {
        name: tuple(members)
        for name, members in groupby(slices(lock.package), key=lambda each: each.layer)
        if "dev" in recipe.variants or name not in DEV
    }
    blocks = [_head(recipe, lock), _start(recipe), _build(recipe)]
    blocks += [_layer(recipe, name, members) for name, members in layers.items()]
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
        "# A syntax line is left out on purpose: no frontend image is pulled.",
    ]
    if recipe.base:
        lines.append(f"ARG BASE_IMAGE={recipe.base}")
    else:
        # ARG without a value: the engine stops at FROM until one is given.
        lines += [
            f"# No image is known by hash that brings Python {recipe.python}. Name one that does:",
            "#   --build-arg BASE_IMAGE=REFERENCE@sha256:DIGEST",
            "ARG BASE_IMAGE",
        ]
    lines += [f"ARG BASE_DIGEST={recipe.base_digest}"] if recipe.base_digest else []
    lines += [
        f"ARG UV_IMAGE=ghcr.io/astral-sh/uv:{lock.tools.uv}{digest}",
        f"ARG SOURCE_DATE_EPOCH={EPOCH}",
        "",
        "FROM ${UV_IMAGE} AS uv",
    ]
    return "\n".join(lines)


def _start(recipe: Recipe) -> str:
    digest = "@${BASE_DIGEST}" if recipe.base_digest else ""
    return "\n".join(
        (
            f"FROM ${{BASE_IMAGE}}{digest} AS start",
            "USER 0:0",
            "ENV VIRTUAL_ENV=/opt/venv PATH=/opt/venv/bin:${PATH} PYTHONNOUSERSITE=1",
        )
    )


def _build(recipe: Recipe) -> str:
    return "\n".join(
        (
            "FROM start AS build",
            "ARG SOURCE_DATE_EPOCH",
            "# Bytecode that no time stamp makes stale, from one worker: the same bytes each time.",
            "ENV SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH} UV_CACHE_DIR=/var/cache/uv \\",
            "    UV_NO_CONFIG=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never \\",
            "    UV_CONCURRENT_INSTALLS=1 UV_COMPILE_BYTECODE=1 \\",
            "    PYC_INVALIDATION_MODE=UNCHECKED_HASH PYTHONDONTWRITEBYTECODE=1",
            environment(str(recipe.python)),
        )
    )


def _layer(recipe: Recipe, name: str, members: Sequence[Slice]) -> str:
    sizes = [package.size for each in members for package in each.packages]
    lines = [
        f"# {LAYERS[name]}: {sum(sizes) / 1e6:.1f} MB in {len(sizes)} packages",
        f"FROM build AS layer-{name}",
    ]
    if name in SOURCE and recipe.compile:
        lines.append(apt(COMPILER))
    tools = build_tools(recipe)
    lines += [install(each, url=_url(recipe, each.index), tools=tools) for each in members]
    return "\n".join(lines)


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
        return ("\n".join((_image(recipe, "runtime", shared), *_labels(recipe, lock, "runtime"))),)
    # An engine that is given no --target builds the last stage: runtime, where it is asked for.
    return (
        _image(recipe, "image", shared),
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


def _image(recipe: Recipe, stage: str, layers: Iterable[str]) -> str:
    packages = {"tini", *recipe.apt, *(COMPILER if recipe.compile else ())}
    return "\n".join(
        (
            f"FROM start AS {stage}",
            "ARG SOURCE_DATE_EPOCH",
            apt(packages),
            "# Any user will do: home belongs to group 0, which a user that has no name is in.",
            system((), _HOME),
            "WORKDIR /home/ml",
            *(_copy(each) for each in ("build", *(f"layer-{name}" for name in layers))),
            "ENV HOME=/home/ml",
            *(_gpu(recipe) if recipe.gpu else ()),
            "USER 1000:0",
            'ENTRYPOINT ["/usr/bin/tini", "--"]',
            'CMD ["python"]',
        )
    )


_HOME = (
    "getent passwd 1000 > /dev/null || echo 'ml:x:1000:0::/home/ml:/bin/sh' >> /etc/passwd",
    "mkdir -p /home/ml",
    "chown 1000:0 /home/ml",
    "chmod 0775 /home/ml",
)


def _copy(stage: str) -> str:
    return f"COPY --from={stage} /layer/ /"


def _gpu(recipe: Recipe) -> list[str]:
    lines = [
        "# NVIDIA_VISIBLE_DEVICES is left to who starts the image: `all` would give a pod of",
        "# Kubernetes every GPU of its node, and enroot wants exactly that.",
        "ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility",
    ]
    if recipe.driver_floor:
        lines.append(f'ENV NVIDIA_REQUIRE_CUDA="driver>={recipe.driver_floor}"')
    return lines


def _labels(recipe: Recipe, lock: Lock, variant: str) -> tuple[str, ...]:
    ours = {
        "spec-sha256": lock.spec_sha256,
        "artefacts-sha256": lock.artefacts_sha256,
        "toolkit": lock.stack.toolkit,
        "python": str(recipe.python),
        "gpus": ",".join(lock.target.gpus),
        "driver": lock.target.driver or "",
        "variant": variant,
    }
    base = {"name": "BASE_IMAGE"} | ({"digest": "BASE_DIGEST"} if recipe.base_digest else {})
    return (
        *(f"ARG {each}" for each in base.values()),
        label("org.opencontainers.image.title", recipe.name),
        *(f'LABEL {_BASE_LABEL}.{key}="${{{name}}}"' for key, name in base.items()),
        *(label(key, text) for key, text in sorted(recipe.labels.items())),
        # Last, so that no label of the user's can stand in for what the lock says.
        *(label(f"dev.mlenv.{key}", text) for key, text in ours.items() if text),
    )


_BASE_LABEL = "org.opencontainers.image.base"
