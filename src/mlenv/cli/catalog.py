"""``mlenv catalog``: the facts that decisions rest on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlenv.cli import options
from mlenv.errors import Exit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlenv.catalog.load import Catalog
    from mlenv.catalog.news import News
    from mlenv.catalog.rows import VersionedRelease
    from mlenv.refresh import Renewed


@click.group()
def command() -> None:
    """Show and renew the facts that decisions rest on."""


@command.command(epilog="Example: mlenv catalog refresh")
@click.argument("packages", nargs=-1, metavar="[PACKAGE]...")
@click.option("--anew", is_flag=True, help="Read every wheel again, not only the new ones.")
@options.OFFLINE
@options.JSON
def refresh(packages: tuple[str, ...], *, anew: bool, offline: bool, as_json: bool) -> int:
    """Renew the facts from what the package index publishes now; without PACKAGE, all of them.

    The result lies in the cache (MLENV_CACHE_DIR moves it) and is used from then on. It is read
    from pages, metadata and a few kilobytes of new wheels; no wheel is downloaded.
    """
    from packaging.utils import canonicalize_name  # noqa: PLC0415 (loaded when used)

    from mlenv import refresh as room  # noqa: PLC0415
    from mlenv.catalog import kept, news  # noqa: PLC0415
    from mlenv.cli import opening, words  # noqa: PLC0415
    from mlenv.solve.index import default_index  # noqa: PLC0415

    former = opening.catalog()
    order = room.Order(
        index=default_index(),
        now=opening.now(),
        packages=tuple(dict.fromkeys(canonicalize_name(each) for each in packages)),
        anew=anew,
    )
    with opening.desk(offline=offline, verbose=False, indexes={}) as desk:
        found = room.refresh(former, desk, order)
        path = kept.write(found.document)
    words.show_reasons(found.warnings, "warning")
    told = news.news(former.raw, found.document.packages)
    told += news.offered(former.indexed, found.document.variants)
    if as_json:
        words.emit(_renewed(found, told, str(path)))
        return 0
    _tell(told)
    click.echo(f"{path}: facts of {found.document.scanned}")
    words.say(f"read {found.pages} pages and {found.wheels} wheels")
    return 0


@command.command(epilog="Example: mlenv catalog diff")
@click.argument("old", type=click.Path(path_type=Path, dir_okay=False), required=False)
@options.JSON
def diff(old: Path | None, *, as_json: bool) -> int:
    """Say what is new in the facts in use since OLD; without it, since those of this mlenv.

    OLD is a packages.json.gz. Exits with 1 where anything differs.
    """
    from mlenv.catalog import news  # noqa: PLC0415 (loaded when used)
    from mlenv.catalog.load import opened, shipped  # noqa: PLC0415
    from mlenv.cli import opening, words  # noqa: PLC0415

    before, after = shipped() if old is None else opened(old), opening.catalog()
    told = news.news(before.raw, after.raw) + news.offered(before.indexed, after.indexed)
    if as_json:
        words.emit(
            {
                "before": before.scanned,
                "after": after.scanned,
                "same": not told,
                "news": [asdict(each) for each in told],
            }
        )
    else:
        _tell(told)
    return Exit.FAILED if told else Exit.DONE


def _tell(told: Sequence[News]) -> None:
    for each in told:
        click.echo(each.text)
    if not told:
        click.echo("nothing new")


def _renewed(found: Renewed, told: Sequence[News], path: str) -> dict[str, Any]:
    from mlenv.cli import words  # noqa: PLC0415 (loaded when used)

    return {
        "file": path,
        "scanned": found.document.scanned,
        "pages": found.pages,
        "wheels": found.wheels,
        "news": [asdict(each) for each in told],
        "warnings": [words.reason(each) for each in found.warnings],
    }


@command.command(epilog="Example: mlenv catalog show torch")
@click.argument("package", required=False)
@click.option("--all", "everything", is_flag=True, help="All releases, not the newest ten.")
@options.JSON
def show(package: str | None, *, everything: bool, as_json: bool) -> int:
    """Show the releases of PACKAGE; without it, what the catalog holds.

    Python, CUDA and GPU columns are those of the linux/amd64 wheel.
    """
    from mlenv.cli import opening, words  # noqa: PLC0415 (loaded when used)

    catalog = opening.catalog()
    if package is None:
        _overview(catalog, as_json=as_json)
        return 0
    row = catalog.framework(package)
    name = (
        package
        if catalog.releases(package) or row is None
        else next(iter(row.distribution.values()))
    )
    releases = catalog.releases(name)
    if not releases:
        raise click.UsageError(_unknown(package, catalog))
    if as_json:
        words.emit({"package": name, "source": catalog.cited, "releases": dict(catalog.raw[name])})
        return 0
    shown = releases if everything else releases[-10:]
    _table([_row(each, catalog) for each in reversed(shown)])
    click.echo(f"\n{len(shown)} of {len(releases)} releases of {name}; {catalog.cited}")
    return 0


def _unknown(package: str, catalog: Catalog) -> str:
    import difflib  # noqa: PLC0415 (only for a name that is not there)

    near = difflib.get_close_matches(package, catalog.raw, n=1)
    guess = f" Did you mean '{near[0]}'?" if near else ""
    return f"The catalog has no package '{package}'.{guess}"


def _overview(catalog: Catalog, *, as_json: bool) -> None:
    from mlenv.cli import words  # noqa: PLC0415 (loaded when used)

    if as_json:
        words.emit(
            {
                "scanned": catalog.scanned,
                "source": catalog.source,
                "frameworks": list(catalog.frameworks),
                "packages": {name: len(rows) for name, rows in catalog.raw.items()},
            }
        )
        return
    click.echo(f"frameworks: {', '.join(catalog.frameworks)}")
    total = sum(len(rows) for rows in catalog.raw.values())
    click.echo(f"packages:   {len(catalog.raw)}, with {total} releases")
    click.echo(f"read:       {catalog.scanned}")
    click.echo(f"from:       {catalog.source}")


_HEAD = {
    "release": "release",
    "date": "date",
    "python": "python",
    "glibc": "glibc",
    "cuda": "cuda",
    "index": "own index",
    "gpus": "gpu code",
}


def _row(each: VersionedRelease, catalog: Catalog) -> dict[str, str]:
    from mlenv.plan.candidate import metadata  # noqa: PLC0415 (loaded when used)

    release = each.release
    said = metadata(release, "x86_64")
    wheels = release.wheels.get("x86_64") or release.wheels.get("any")
    row = catalog.framework(each.name)
    variants = catalog.variants(row.name, each.version)[0] if row else ()
    code = " ".join(f"{c.arch.major}{c.arch.minor}{c.suffix}" for c in said.code) if said else ""
    return {
        "release": each.text + (" (yanked)" if release.yanked else ""),
        "date": release.date,
        "python": _span(wheels.python) if wheels else "source only",
        "glibc": wheels.glibc[0] if wheels and wheels.glibc else "",
        "cuda": (said.built_for or "") if said else "",
        "index": " ".join(map(str, variants)),
        "gpus": code,
    }


def _span(tags: tuple[str, ...]) -> str:
    plain = [t.removeprefix("cp3") for t in tags if t.startswith("cp3") and not t.endswith("t")]
    free = [f"{t.removeprefix('cp3')}" for t in tags if t.startswith("cp3") and t.endswith("t")]
    others = [t for t in tags if not t.startswith("cp3")]
    words = [f"3.{plain[0]}-3.{plain[-1]}"] if plain else []
    return " ".join([*words, *(f"3.{each}" for each in free), *others])


def _table(rows: list[dict[str, Any]]) -> None:
    kept = [key for key in _HEAD if any(row[key] for row in rows)]
    widths = {key: max(len(_HEAD[key]), *(len(row[key]) for row in rows)) for key in kept}
    click.secho("  ".join(f"{_HEAD[key]:<{widths[key]}}" for key in kept).rstrip(), bold=True)
    for row in rows:
        click.echo("  ".join(f"{row[key]:<{widths[key]}}" for key in kept).rstrip())
