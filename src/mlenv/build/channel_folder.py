"""A conda solution as the folder that ``build`` leaves: the lock, and what conda's tools read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlenv import __version__
from mlenv.backends import conda_lock
from mlenv.build.folder import Content, draft, made_of, sealed, wheel_packages
from mlenv.catalog.conda import conda_frameworks
from mlenv.files import File
from mlenv.image.conda_steps import kit as conda_kit
from mlenv.image.dockerfile import dockerfile, ignore_file, init_file
from mlenv.image.lint import approve
from mlenv.image.recipe import recipe_of
from mlenv.image.smoke import smoke
from mlenv.layers import conda_layer, layer_files
from mlenv.lock import Package, Stack, Tools
from mlenv.repodata import SUBDIRS, aliases

if TYPE_CHECKING:
    from mlenv.build.folder import Folder
    from mlenv.catalog.load import Catalog
    from mlenv.image.pins import Pins
    from mlenv.lock import Lock
    from mlenv.solve.channel import Solution


def channel_folder(
    solution: Solution, catalog: Catalog, *, spec_sha256: str, uv_version: str, pins: Pins | None
) -> Folder:
    """Return the lock and all files of a target; with ``pins``, those of the image too."""
    plan = solution.plan
    below = _packages(solution)
    packages = (*below, *wheel_packages(solution.picked, catalog))
    versions = {each.name: each.version for each in below}
    content = Content(
        plan=plan,
        packages=packages,
        pins=pins,
        verdict=solution.verdict,
        warnings=solution.warnings,
        spec_sha256=spec_sha256,
        tools=Tools(
            mlenv=__version__, uv=uv_version, rattler=solution.rattler, catalog=catalog.scanned
        ),
        stack=Stack(
            toolkit=plan.toolkit_text,
            channel=next(iter(aliases(plan.stack.spec.lock.channels).values())),
            cudnn=versions.get("cudnn") or versions.get("libcudnn"),
            nccl=versions.get("nccl"),
        ),
    )
    lock = draft(content, catalog)
    files = [*_files(solution, lock), *layer_files(packages)]
    if pins:
        lock = lock.model_copy(update={"image": made_of(plan)})
        files += _image(solution, lock)
    return sealed(lock, files)


def _image(solution: Solution, lock: Lock) -> tuple[File, ...]:
    """Return the recipe of the image, and what it needs beside the layers' files."""
    plan = solution.plan
    spec = plan.stack.spec
    recipe = recipe_of(
        lock,
        indexes={each.alias: each.url for each in plan.indexes},
        channels={alias: url for url, alias in aliases(spec.lock.channels).items()},
    )
    first = init_file(lock)
    beside = (*conda_kit(), *((first,) if first else ()))
    made = dockerfile(recipe, lock)
    approve(made.text, [*layer_files(lock.package), *beside])
    return (made, ignore_file(), smoke(lock, gpus=plan.gpus, checks=spec.smoke), *beside)


def _packages(solution: Solution) -> tuple[Package, ...]:
    members = {name for row in conda_frameworks() for name in row.members}
    named = aliases(solution.plan.stack.spec.lock.channels)
    return tuple(
        Package(
            name=each.name,
            version=each.version,
            layer=conda_layer(
                each.name,
                size=each.size or 0,
                framework=each.name in members,
                dev=each.name in solution.dev,
            ),
            index=named[each.channel],
            subdir=each.subdir,
            filename=each.filename,
            sha256=each.sha256 or "",
            md5=each.md5,
            size=each.size or 0,
        )
        for each in solution.records
    )


def _files(solution: Solution, lock: Lock) -> tuple[File, ...]:
    spec = solution.plan.stack.spec
    subdir = SUBDIRS[solution.plan.stack.platform]
    wheels = layer_files(each for each in lock.package if each.subdir is None)
    facts = {f"mlenv.virtual.{name}": said for name, said in solution.virtual}
    facts |= {
        "mlenv.exclude-newer": lock.exclude_newer,
        "mlenv.rattler": solution.rattler,
        "mlenv.toolkit": lock.stack.toolkit,
    }
    answered = conda_lock.Answered(
        name=spec.name,
        subdir=subdir,
        records=solution.records,
        dev=solution.dev,
        digest=lock.spec_sha256,
    )
    return (
        conda_lock.conda_lock(
            answered,
            channels=spec.lock.channels,
            facts=facts,
            on_top=tuple(each.path for each in wheels),
        ),
        conda_lock.explicit(answered),
        File(conda_lock.PIXI, solution.pixi),
    )
