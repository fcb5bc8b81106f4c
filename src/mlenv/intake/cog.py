"""cog.yaml: what an image of Cog is built from.

Source: https://github.com/replicate/cog/blob/main/docs/yaml.md (2026-11-28).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mlenv.intake import hints, requirements_txt
from mlenv.intake.draft import Draft, Said
from mlenv.intake.environment_yml import moved
from mlenv.intake.yaml_text import line, mapping, strings, table

if TYPE_CHECKING:
    from mlenv.intake.draft import Source

_SERVING = ("predict", "train", "concurrency", "tests", "image", "weights", "environment")


def read(source: Source) -> Draft:
    """Return what a cog.yaml says."""
    draft = Draft(file=source.name)
    content = mapping(source)
    build = table(content.get("build"))
    for key in content:
        if key in _SERVING:
            draft.leave(line(key), str(key), "serving a model is Cog's work, and goes on top")
    _python(draft, build)
    _toolkit(draft, build)
    for each in strings(build.get("python_packages")):
        below = requirements_txt.read(replace(source, text=str(each)))
        draft.take(moved(below, (line(each) or 1) - 1))
    _file(draft, source, build)
    for each in strings(build.get("system_packages")):
        draft.apt.append(Said(text=str(each), at=draft.at(line(each))))
    _rest(draft, build)
    return draft


def _python(draft: Draft, build: dict[str, Any]) -> None:
    for each in strings(build.get("python_version")):
        short = ".".join(each.split(".")[:2])
        draft.pythons.append(Said(text=f"=={short}.*", at=draft.at(line(each))))


def _toolkit(draft: Draft, build: dict[str, Any]) -> None:
    for each in strings(build.get("cuda")):
        cuda = hints.minor(each)
        if cuda is None:
            draft.leave(line(each), f"cuda: {each}", "it is no version")
        else:
            draft.claim(cuda, line(each), f"cuda: {each}")
    for each in strings(build.get("cudnn")):
        draft.cudnn.append(Said(text=str(each), at=draft.at(line(each))))
        draft.note(line(each), f'cudnn: {each} is `cudnn = "{each}"`')
    for each in strings(build.get("gpu")):
        if each.lower() in {"false", "no", "off"}:
            draft.claim("cpu", line(each), f"gpu: {each}")


def _file(draft: Draft, source: Source, build: dict[str, Any]) -> None:
    for each in strings(build.get("python_requirements")):
        found = source.near(each)
        if found is None:
            draft.leave(line(each), each, "no such file lies in the folder of this one")
        else:
            draft.take(requirements_txt.read(found))


def _rest(draft: Draft, build: dict[str, Any]) -> None:
    for key in ("run", "pre_install"):
        listed = build.get(key)
        for each in listed if isinstance(listed, list) else [listed]:
            command = table(each).get("command", each)
            for text in strings(command):
                draft.leave(line(text), f"{key}: {text}", "a spec runs no shell")
    known = {"run", "pre_install", "gpu", "cuda", "cudnn", "python_version", "system_packages"}
    for key in build.keys() - known - {"python_packages", "python_requirements"}:
        draft.leave(line(key), str(key), "a spec has no such key")
