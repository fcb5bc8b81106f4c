"""``pylock.toml`` (PEP 751): for uv, pip and whatever else reads the standard.

The norm wants an address beside each file, so this is the one export that names the index that
the lock was solved on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlenv.files import File

if TYPE_CHECKING:
    from packaging.pylock import Package as Locked

    from mlenv.export.source import Source
    from mlenv.lock import Package


def pylock(source: Source) -> tuple[File, ...]:
    """Return the file for ``uv pip sync pylock.toml``.

    Raises:
        ValueError: nobody knows where a file lies.

    Source: https://packaging.python.org/en/latest/specifications/pylock-toml/, version 1.0.
    """
    import tomli_w  # noqa: PLC0415 (loaded when used)
    from packaging.markers import Marker  # noqa: PLC0415
    from packaging.pylock import Pylock  # noqa: PLC0415
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415
    from packaging.version import Version  # noqa: PLC0415

    found = Pylock(
        lock_version=Version("1.0"),
        environments=[Marker(source.marker)],
        requires_python=SpecifierSet(f"=={source.python.short}.*"),
        created_by="mlenv",
        packages=[_package(source, each) for each in source.packages],
    )
    return (File("pylock.toml", f"{source.note()}\n\n{tomli_w.dumps(dict(found.to_dict()))}"),)


def _package(source: Source, package: Package) -> Locked:
    from packaging.pylock import Package as Locked  # noqa: PLC0415 (loaded when used)
    from packaging.pylock import PackageSdist, PackageWheel  # noqa: PLC0415
    from packaging.utils import canonicalize_name  # noqa: PLC0415
    from packaging.version import Version  # noqa: PLC0415

    url = source.urls.get(package.sha256)
    if url is None:
        raise ValueError(f"nobody knows where {package.filename} lies: uv.lock is not beside it")
    # Without the name a file is called like the last part of its address: PEP 751 wants it where
    # that differs, and a percent sign in the address is enough for that.
    file = PackageWheel if package.filename.endswith(".whl") else PackageSdist
    told = file(
        name=package.filename,
        url=url,
        size=package.size or None,
        hashes={"sha256": package.sha256},
    )
    return Locked(
        name=canonicalize_name(package.name),
        version=Version(package.version),
        index=source.url(package.index),
        wheels=[told] if isinstance(told, PackageWheel) else None,
        sdist=told if isinstance(told, PackageSdist) else None,
    )
