"""``mlenv init``: a first spec, from flags."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(
    epilog="Example: mlenv init train --framework torch --gpu H100 --driver '>=570' "
    "--package transformers"
)
@click.argument("name")
@click.option("--python", default="3.12", show_default=True, help="The interpreter.")
@click.option(
    "--framework", "frameworks", multiple=True, help="torch, jax, tensorflow, cupy; repeat."
)
@click.option("--cuda", help="A toolkit such as 12.8, or cpu.  [default: the newest that can run]")
@click.option("--package", "packages", multiple=True, help="A further requirement; repeat.")
@click.option("--gpu", "gpus", multiple=True, help="A GPU it must run on, such as H100; repeat.")
@click.option("--driver", help="The drivers of those machines, such as '>=570'.")
@click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write.  [default: NAME.toml]",
)
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
def command(  # noqa: PLR0913, PLR0917 (its options)
    name: str,
    python: str,
    frameworks: tuple[str, ...],
    cuda: str | None,
    packages: tuple[str, ...],
    gpus: tuple[str, ...],
    driver: str | None,
    file: Path | None,
    *,
    force: bool,
) -> int:
    """Write a spec called NAME from flags, and say whether it can run."""
    from mlenv.build.verdict import Order, check  # noqa: PLC0415 (loaded when used)
    from mlenv.cli import opening, words  # noqa: PLC0415
    from mlenv.host import disk  # noqa: PLC0415
    from mlenv.spec.parse import parse_spec  # noqa: PLC0415

    place = file or Path(f"{name}.toml")
    text = _text(name, python, frameworks, cuda, packages, gpus, driver)
    parsed = parse_spec(text, origin=str(place))
    found = check(parsed, opening.catalog(), Order(out=Path("images"), today=opening.today()))
    if place.exists() and not force:
        raise click.UsageError(f"{place} is there already; --force overwrites it.")
    disk.write(place, text)
    for each in found:
        words.show(each, quiet=False)
    click.echo(str(place))
    words.say(f"next: mlenv build {place}")
    return words.worst(found, strict=False)


def _text(  # noqa: PLR0913, PLR0917 (the words of a spec)
    name: str,
    python: str,
    frameworks: tuple[str, ...],
    cuda: str | None,
    packages: tuple[str, ...],
    gpus: tuple[str, ...],
    driver: str | None,
) -> str:
    import tomli_w  # noqa: PLC0415 (loaded when used)

    spec: dict[str, object] = {"name": name, "python": python}
    if frameworks:
        spec["framework"] = frameworks[0] if len(frameworks) == 1 else list(frameworks)
    if cuda:
        spec["cuda"] = cuda
    if packages:
        spec["packages"] = list(packages)
    target: dict[str, object] = {}
    if gpus:
        target["gpus"] = list(gpus)
    if driver:
        target["driver"] = driver
    if target:
        spec["targets"] = {"machine": target}
    return tomli_w.dumps(spec)
