"""Locked folders of conda stacks, for what comes after a lock: images, verification, exports."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import rattler

import condachannel
from mlenv.files import LOCK_NAME, File
from mlenv.host import disk
from mlenv.image.smoke import smoke
from mlenv.layers import conda_layer
from mlenv.lock import (
    Base,
    Image,
    Lock,
    Package,
    Stack,
    Target,
    Tools,
    Written,
    artefacts_sha256,
    lock_text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from condachannel import Channel

BASE = "debian:bookworm-slim"
WANTED = (
    *(f"python {condachannel.MINOR}.*", "numpy", "mlenv-demo"),
    *("pytorch 2.8.* *cuda128*", "cuda-version 12.8.*"),
)


def solved(
    channel: Channel, wanted: Sequence[str], *, driver: str | None, subdir: str = "linux-64"
) -> list[rattler.RepoDataRecord]:
    """Return what rattler picks, sorted by name; nothing uploaded after ``EARLY`` is seen."""
    machine = {"__glibc": "2.36", "__linux": "6.1", "__unix": "0"}
    machine |= {"__cuda": driver} if driver else {}
    virtual = [
        rattler.GenericVirtualPackage(
            rattler.PackageName(name), rattler.Version(version), rattler.BuildString("0")
        )
        for name, version in machine.items()
    ]
    found = asyncio.run(
        rattler.solve(
            [channel.url],
            [rattler.MatchSpec(each, strict=False) for each in wanted],
            platforms=[rattler.Subdir(subdir), "noarch"],
            virtual_packages=virtual,
            exclude_newer=datetime.fromtimestamp(condachannel.EARLY / 1000 + 86400, tz=UTC),
        )
    )
    return sorted(found, key=lambda each: each.name.normalized)


def folder(
    place: Path,
    channel: Channel,
    wanted: Sequence[str] = WANTED,
    *,
    platform: str = "linux/amd64",
    init: Package | None = None,
    wheels: Sequence[Package] = (),
    toolkit: str = "12.8",
) -> Path:
    """Write the folder of a lock that is solved over ``channel``; return it."""
    subdir = {"linux/amd64": "linux-64", "linux/arm64": "linux-aarch64"}[platform]
    records = solved(channel, wanted, driver="12.8", subdir=subdir)
    packages = tuple(sorted((*map(_package, records), *wheels), key=lambda each: each.name))
    explicit = [
        "@EXPLICIT",
        *(f"{each.url}#{json.loads(each.to_json())['md5']}" for each in records),
    ]
    lock = Lock(
        name="stack",
        backend="conda",
        verdict="ok",
        spec_sha256="1" * 64,
        artefacts_sha256=artefacts_sha256(packages),
        exclude_newer="2025-06-16T00:00:00Z",
        tools=Tools(mlenv="0.1.0", uv="0.13.9", rattler="0.28.0", catalog="2026-11-22T00:00:00Z"),
        target=Target(name="default", platform=platform, python=condachannel.MINOR, glibc="2.28"),
        stack=Stack(toolkit=toolkit, channel="test"),
        base=Base(reference=BASE),
        init=init,
        image=Image(brings_python=False),
        package=packages,
    )
    files = [
        File(f"conda-{subdir}.lock", "\n".join(explicit) + "\n"),
        smoke(lock, gpus=(), checks=()),
    ]
    written = tuple(Written(path=each.path, sha256=each.sha256) for each in sorted(files))
    lock = lock.model_copy(update={"written": written})
    disk.replace(place, [*files, File(LOCK_NAME, lock_text(lock))])
    return place


def _package(record: rattler.RepoDataRecord) -> Package:
    row = json.loads(record.to_json())
    return Package(
        name=row["name"],
        version=row["version"],
        layer=conda_layer(
            row["name"],
            size=row["size"],
            framework=row["name"] in {"pytorch", "libtorch"},
            dev=False,
        ),
        index="test",
        subdir=row["subdir"],
        filename=record.file_name,
        sha256=row["sha256"],
        md5=row["md5"],
        size=row["size"],
    )
