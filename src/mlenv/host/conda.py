"""Conda channels: read and solved in this process by py-rattler, whose API ends at this room.

Mirrors are conda's own ``CONDA_CHANNEL_ALIAS`` (which stands for the address of channels that are
named without one) and what lies in pixi's configuration; logins are those of ``rattler auth``. None
of it lands in an answer: what is written names the channel, and whoever installs may go elsewhere.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from mlenv.errors import HostError, Reason
from mlenv.host import disk, outage, tools
from mlenv.repodata import ALIAS, Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import rattler

    from mlenv.repodata import Subdir, Wish

_TIMEOUT_SECONDS = 60
_URL = re.compile(r"https?://[^\s'\"()]+")


@dataclass(frozen=True, slots=True)
class Refusal:
    """No set of builds satisfies a wish; the solver's own words."""

    text: str


@dataclass(slots=True)
class Channels:
    """Channels that were opened once, for as many questions as there are."""

    _gateway: rattler.Gateway
    _offline: bool
    _records: dict[str, rattler.RepoDataRecord] = field(default_factory=dict)
    """URL -> what the solver gave, for what is written of it."""

    def names(self, channels: Sequence[str], subdir: Subdir) -> frozenset[str]:
        """Return the names of all packages that the channels have for a platform.

        Raises:
            HostError: ``network-failed`` or ``network-off``.
        """
        from rattler import Subdir as Folder  # noqa: PLC0415

        with _spoken(channels, offline=self._offline):
            found = asyncio.run(
                _awaited(
                    self._gateway.names(
                        list(channels), [Folder(subdir), Folder("noarch")], "disabled"
                    )
                )
            )
        return frozenset(each.normalized for each in found)

    def builds(self, channels: Sequence[str], subdir: Subdir, name: str) -> tuple[Record, ...]:
        """Return every build of one package that the channels have.

        Raises:
            HostError: ``network-failed`` or ``network-off``.
        """
        from rattler import Subdir as Folder  # noqa: PLC0415

        with _spoken(channels, offline=self._offline):
            found = asyncio.run(
                _awaited(
                    self._gateway.query(
                        list(channels),
                        [Folder(subdir), Folder("noarch")],
                        [name],
                        recursive=False,
                        channel_relations="disabled",
                    )
                )
            )
        return tuple(_record(each) for part in found for each in part)

    def solve(self, wish: Wish) -> tuple[Record, ...] | Refusal:
        """Return the builds that satisfy ``wish``, sorted by name, or why there are none.

        Raises:
            HostError: ``network-failed``, ``network-off`` or ``solver-timeout``.
        """
        import rattler  # noqa: PLC0415
        from rattler.exceptions import SolverError  # noqa: PLC0415

        until = datetime.fromisoformat(wish.until).astimezone(UTC) if wish.until else None
        try:
            with _spoken(wish.channels, offline=self._offline):
                found = asyncio.run(
                    rattler.solve(
                        list(wish.channels),
                        [rattler.MatchSpec(each, strict=False) for each in wish.specs],
                        gateway=self._gateway,
                        platforms=[rattler.Subdir(wish.subdir), rattler.Subdir("noarch")],
                        virtual_packages=[_virtual(*each) for each in wish.virtual],
                        channel_priority=rattler.ChannelPriority.Strict,
                        exclude_newer=until,
                        constraints=[rattler.MatchSpec(each, strict=False) for each in wish.bounds],
                        channel_relations="disabled",
                    )
                )
        except SolverError as error:
            return Refusal(str(error))
        for each in found:
            self._records[str(each.url)] = each
        return tuple(sorted((_record(each) for each in found), key=lambda each: each.name))

    def lacking(self, records: Sequence[Record]) -> str:
        """Return what an answer's records want of each other and do not find; nothing is well."""
        import rattler  # noqa: PLC0415
        from rattler.exceptions import ValidatePackageRecordsError  # noqa: PLC0415

        try:
            rattler.PackageRecord.validate([self._records[each.url] for each in records])
        except ValidatePackageRecordsError as error:
            return str(error)
        return ""

    def pixi_lock(self, records: Sequence[Record], wish: Wish, environment: str = "default") -> str:
        """Return ``pixi.lock`` (version 7) of an answer: constraints and virtual packages too.

        Raises:
            HostError: ``disk-failed``.
        """
        import rattler  # noqa: PLC0415

        virtual = ["=".join((name, *said.split())) for name, said in wish.virtual]
        platform = rattler.LockPlatform(wish.subdir, rattler.Subdir(wish.subdir), virtual)
        lock = rattler.LockFile([platform])
        lock.set_channels(environment, [rattler.LockChannel(f"{c}/") for c in wish.channels])
        for each in records:
            lock.add_conda_package(environment, platform, self._records[each.url])
        with tools.scratch() as folder:
            lock.to_path(folder / "pixi.lock")
            return disk.text(folder / "pixi.lock")


def open_channels(cache: Path, *, offline: bool) -> Channels:
    """Return channels that nothing was asked of yet; ``cache`` is the folder of mlenv's caches.

    Raises:
        HostError: ``solver-missing``: py-rattler is not installed.
    """
    rattler_version()
    import rattler  # noqa: PLC0415 (80 MB, and only here)

    action: Literal["force-cache-only", "cache-or-fetch"]
    action = "force-cache-only" if offline else "cache-or-fetch"
    gateway = rattler.Gateway(
        cache_dir=cache / "conda" / "repodata",
        default_config=rattler.SourceConfig(cache_action=action),
        client=_client(),
    )
    return Channels(gateway, offline)


def rattler_version() -> str:
    """Return the version of py-rattler.

    Raises:
        HostError: ``solver-missing``: it is not installed.
    """
    found = tools.rattler_version()
    if found is None:
        raise HostError(
            Reason(
                code="solver-missing",
                what="a conda stack needs a conda solver",
                cause="py-rattler is not installed beside mlenv",
                fix="pip install 'mlenv[conda]'",
            )
        )
    return found


def _client() -> rattler.Client:
    from rattler import Client  # noqa: PLC0415
    from rattler.networking import (  # noqa: PLC0415
        AuthenticationMiddleware,
        MirrorMiddleware,
        OciMiddleware,
        RetryMiddleware,
    )

    middlewares: list[Any] = [RetryMiddleware(2), AuthenticationMiddleware(), OciMiddleware()]
    alias = os.environ.get("CONDA_CHANNEL_ALIAS", "").rstrip("/")
    if alias and alias != ALIAS:
        middlewares.insert(0, MirrorMiddleware({f"{ALIAS}/": [f"{alias}/"]}))
    return Client(middlewares, user_agent="mlenv", timeout=_TIMEOUT_SECONDS)


async def _awaited(question: Any) -> Any:  # noqa: ANN401 - rattler's own futures have no type
    return await question


def _virtual(name: str, said: str) -> rattler.GenericVirtualPackage:
    import rattler  # noqa: PLC0415

    number, _, build = said.partition(" ")
    return rattler.GenericVirtualPackage(
        rattler.PackageName(name), rattler.Version(number), rattler.BuildString(build or "0")
    )


def _record(found: rattler.RepoDataRecord) -> Record:
    row = json.loads(found.to_json())
    return Record(
        name=row["name"],
        version=row["version"],
        build=row["build"],
        subdir=row["subdir"],
        filename=str(found.file_name),
        channel=str(found.url).rsplit("/", 2)[0],
        md5=row.get("md5"),
        sha256=row.get("sha256"),
        size=row.get("size"),
        depends=tuple(row.get("depends", ())),
        constrains=tuple(row.get("constrains", ())),
    )


@contextmanager
def _spoken(channels: Sequence[str], *, offline: bool) -> Iterator[None]:
    from rattler.exceptions import FetchRepoDataError, GatewayError  # noqa: PLC0415

    try:
        yield
    except (GatewayError, FetchRepoDataError) as error:
        named = next((each for each in channels if each in str(error)), ", ".join(channels))
        if offline:
            raise outage.off(f"the repodata of {outage.shown(named)}") from error
        raise outage.failed(named, _cause(str(error)), _FIX) from error


_FIX = "check the name of the channel, and the network; CONDA_CHANNEL_ALIAS names a mirror of it"


def _cause(said: str) -> str:
    """Return the first and the last words of a chain of causes, and no credential."""
    lines = [each.removeprefix("Caused by: ") for each in said.splitlines() if each.strip()]
    first = lines[0].partition(" for url")[0] if lines else "rattler gave no reason"
    told = f"{first}: {lines[-1]}" if len(lines) > 1 else first
    return _URL.sub(lambda found: outage.shown(found[0]), told)  # a mirror's may hold a password
