"""``mlenv catalog``: the facts that decisions rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mlenv.cli import options

if TYPE_CHECKING:
    from mlenv.catalog.load import Catalog
    from mlenv.catalog.rows import VersionedRelease


@click.group()
def command() -> None:
    """Show the facts that decisions rest on."""


@command.command(epilog="Example: mlenv catalog show torch")
@click.argument("package", required=False)
@click.option("--all", "everything", is_flag=True, help="All releases, not the newest ten.")
@options.JSON
def show(package: str | None, *, everything: bool, as_json: bool) -> int:
    """Show the releases of PACKAGE; without it, what the catalog holds.

    Python, CUDA and GPU columns are those of the linux/amd64 wheel.
    """
    from mlenv.catalog.load import load  # noqa: PLC0415 (loaded when used)
    from mlenv.cli import words  # noqa: PLC0415

    catalog = load()
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
