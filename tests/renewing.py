"""A small index of GPU packages, and catalogs refreshed from it: what tests of a refresh share."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from archives import sdist, wheel
from drive import desk
from facts import DEFAULT, PYTORCH, Mode, Root
from loopback import Index, environment
from mlenv.catalog import load
from mlenv.refresh import Order, Renewed, refresh

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from archives import Artefact
    from mlenv.catalog.load import Catalog

NOW = "2026-01-02T03:04:05Z"
X86, ARM = "manylinux_2_28_x86_64", "manylinux_2_28_aarch64"
ON_X86 = '; platform_machine == "x86_64" and sys_platform == "linux"'


def torch(version: str, python: str, platform: str = X86, cuda: str | None = "12.8") -> Artefact:
    """Return a torch wheel that pins cuDNN on x86_64."""
    said = repr(cuda)
    return wheel(
        "torch",
        version,
        [f"nvidia-cudnn-cu12==9.10.2.21{ON_X86}", "filelock", 'optree; extra == "optree"'],
        tag=f"{python}-{python}-{platform}",
        requires_python=">=3.10",
        files={
            "torch/version.py": f"__version__ = '{version}'\ncuda: Optional[str] = {said}\n",
            "torch/lib/libcudart-e409450e.so.11.0": "",
        },
    )


def root(mode: Mode = "pypi") -> Root:
    """Return an index with two releases of torch, its cuDNN, and a framework of source only."""
    found = Root(DEFAULT, mode)
    for version, day in (
        ("2.8.0", "2025-08-06"),
        ("2.9.0", "2025-10-15"),
        ("2.10.0rc1", "2025-11-01"),
    ):
        for python in ("cp311", "cp312", "cp313"):
            found.add(torch(version, python), uploaded=day)
        found.add(torch(version, "cp312", ARM, None), uploaded=day)
    for platform in (X86, ARM):
        found.add(
            wheel(
                "nvidia-cudnn-cu12",
                "9.10.2.21",
                ["nvidia-cublas-cu12"],
                tag=f"py3-none-{platform}",
                requires_python=">=3",
                files={"nvidia/cudnn/lib/libcudnn.so.9": ""},
            ),
            uploaded="2025-06-01",
        )
    found.add(wheel("nvidia-cublas-cu12", "12.8.4.1", tag=f"py3-none-{X86}"), uploaded="2025-03-01")
    found.add(sdist("flash-attn", "2.8.3", pure=False), uploaded="2025-08-14")
    return found


def lead(index: Index, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """Lead this process to ``index``, with caches of its own."""
    for name, text in environment(index, cache=cache / "uv").items():
        monkeypatch.setenv(name, text)
    monkeypatch.setenv("MLENV_CACHE_DIR", str(cache / "mlenv"))


def nothing() -> Catalog:
    """Return a catalog without rows, whose own index for torch is asked by HTTP."""
    found = dataclasses.replace(load.shipped(), raw={}, scanned="2020-01-01T00:00:00Z", _made={})
    return with_http(found)


def with_http(catalog: Catalog) -> Catalog:
    """Return a catalog whose own index for torch is asked by HTTP."""
    row = catalog.frameworks["torch"].model_copy(update={"index": PYTORCH + "/{tag}"})
    catalog.__dict__["frameworks"] = {"torch": row}
    return catalog


def renewed(cache: Path, former: Catalog, *packages: str, **order: object) -> Renewed:
    """Refresh ``former`` from the index that uv would ask."""
    at = Order(index=DEFAULT, now=NOW, packages=packages)
    with desk(cache / "mlenv") as words:
        return refresh(former, words, dataclasses.replace(at, **order))  # type: ignore[arg-type]


def after(found: Renewed) -> Catalog:
    """Return the catalog that a refresh gave."""
    return with_http(load.of(found.document))


def wheels_read(index: Index) -> set[str]:
    """Return the names of the wheels of which something was asked."""
    paths = {hit.url.rpartition("/")[2].removesuffix(".metadata") for hit in index.hits}
    return {name for name in paths if name.endswith(".whl")}
