"""A conda look-alike over rattler: the calls that ``conda-lock lock`` makes, and no others.

conda-lock solves by running conda, mamba or micromamba, and none of them is on a package index. So
what conda-lock would lock over a channel is learnt with this in their place. Virtual packages come
from the channel of stand-ins that conda-lock makes of its ``--virtual-package-spec``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import rattler
from rattler.exceptions import GatewayError, SolverError


def virtual(channel: str, subdir: str) -> list[rattler.GenericVirtualPackage]:
    """Return the stand-ins of a channel of virtual packages."""
    found = []
    for folder in (subdir, "noarch"):
        path = Path(urlsplit(channel).path) / folder / "repodata.json"
        rows = json.loads(path.read_text("utf-8"))["packages"].values() if path.is_file() else ()
        for row in rows:
            name, version = rattler.PackageName(row["name"]), rattler.Version(row["version"])
            build = rattler.BuildString(row["build"])
            found.append(rattler.GenericVirtualPackage(name, version, build))
    return found


def fetched(record: rattler.RepoDataRecord) -> dict[str, Any]:
    """Return a record as ``conda create --dry-run --json`` shows it under FETCH."""
    row: dict[str, Any] = json.loads(record.to_json())
    channel = str(record.url).rsplit("/", 1)[0]
    return row | {"fn": record.file_name, "url": str(record.url), "channel": channel}


def linked(row: dict[str, Any]) -> dict[str, Any]:
    """Return the same as it stands under LINK."""
    stem = row["fn"].removesuffix(".conda").removesuffix(".tar.bz2")
    return {
        "base_url": row["channel"].rsplit("/", 1)[0],
        "build_number": row["build_number"],
        "build_string": row["build"],
        "channel": row["channel"],
        "dist_name": stem,
        "name": row["name"],
        "platform": row["subdir"],
        "version": row["version"],
    }


def create(specs: list[str], channels: list[str]) -> dict[str, Any]:
    """Solve for the platform that CONDA_SUBDIR names."""
    subdir = os.environ.get("CONDA_SUBDIR") or str(rattler.Subdir.current())
    fake = [each for each in channels if "conda-lock-fake-repodata-" in each]
    cache = Path(os.environ.get("CONDA_PKGS_DIRS") or tempfile.mkdtemp())
    records = asyncio.run(
        rattler.solve(
            [each for each in channels if each not in fake],
            [rattler.MatchSpec(each, strict=False) for each in specs],
            platforms=[rattler.Subdir(subdir), rattler.Subdir("noarch")],
            gateway=rattler.Gateway(cache_dir=cache),
            virtual_packages=[one for each in fake for one in virtual(each, subdir)],
            channel_priority=rattler.ChannelPriority.Strict,
        )
    )
    rows = [fetched(each) for each in records]
    actions = {"FETCH": rows, "LINK": [linked(each) for each in rows], "PREFIX": ""}
    return {"success": True, "dry_run": True, "prefix": "", "actions": actions}


def main() -> int:
    """Answer one call."""
    if "--version" in sys.argv:
        sys.stdout.write("conda 26.8.0\n")
        return 0
    parser = argparse.ArgumentParser()
    parser.add_argument("command")
    parser.add_argument("-p", "--prefix")
    parser.add_argument("-c", "--channel", action="append", default=[])
    for flag in ("--dry-run", "--json", "--override-channels", "--no-pip", "--yes", "--quiet"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("specs", nargs="*")
    asked = parser.parse_intermixed_args()
    if asked.command == "info":
        answer: dict[str, Any] = {"pkgs_dirs": [tempfile.gettempdir()]}
    elif asked.command == "create":
        try:
            answer = create(asked.specs, asked.channel)
        except (SolverError, GatewayError) as error:
            answer = {"success": False, "error": str(error), "message": str(error)}
    else:
        answer = {"success": False, "message": f"no answer to {asked.command}"}
    sys.stdout.write(json.dumps(answer))
    return 0 if answer.get("success", True) else 1


if __name__ == "__main__":
    sys.exit(main())
