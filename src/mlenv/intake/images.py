"""What the name of a base image says: its Python, its CUDA, the framework in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlenv.intake.draft import Said

if TYPE_CHECKING:
    from mlenv.intake.draft import Draft

_CUDA = re.compile(
    r"(?:docker\.io/|nvcr\.io/)?nvidia/cuda(?:-arm64)?:(?P<cuda>\d+\.\d+)(?:\.\d+)?"
    r"(?:-cudnn(?P<cudnn>\d*))?(?P<rest>.*)"
)
_TORCH = re.compile(
    r"(?:docker\.io/)?pytorch/pytorch:(?P<version>\d+\.\d+\.\d+)-cuda(?P<cuda>\d+\.\d+)"
    r"-cudnn(?P<cudnn>\d+)-(?P<kind>runtime|devel)"
)
_TENSORFLOW = re.compile(
    r"(?:docker\.io/)?tensorflow/tensorflow:(?P<version>\d+\.\d+\.\d+)(?P<gpu>-gpu)?(?:-jupyter)?"
)
_PYTHON = re.compile(
    r"(?:docker\.io/)?(?:library/|cimg/|bitnami/)?python:(?P<python>3\.\d{1,2})(?:\.\d+)?(?:-.*)?"
    r"|ghcr\.io/astral-sh/uv:(?:[\d.]+-)?python(?P<uv>3\.\d{1,2})-.*"
)
_PLAIN = re.compile(r"(?:docker\.io/)?(?:library/)?(?:debian|ubuntu|buildpack-deps)(?::.*)?")
_NGC = re.compile(r"nvcr\.io/nvidia/(?!cuda).*")


def take(draft: Draft, line: int, image: str) -> None:
    """Add what the name of an image says."""
    if found := _CUDA.fullmatch(image):
        _cuda(draft, line, image, found)
    elif found := _TORCH.fullmatch(image):
        draft.require(f"torch=={found['version']}", line)
        _cuda(draft, line, image, found)
    elif found := _TENSORFLOW.fullmatch(image):
        draft.require(f"tensorflow=={found['version']}", line)
        if found["gpu"]:
            draft.note(line, f"{image} is tensorflow {found['version']}")
        else:
            draft.claim("cpu", line, image)
    elif found := _PYTHON.fullmatch(image):
        python = found["python"] or found["uv"]
        draft.pythons.append(Said(text=f"=={python}.*", at=draft.at(line)))
        draft.note(line, f"{image} is Python {python}; mlenv picks the base image")
    elif _PLAIN.fullmatch(image):
        draft.note(line, f"{image}: mlenv picks the base image (`base` under [image] holds one)")
    elif _NGC.fullmatch(image):
        draft.leave(line, f"FROM {image}", "NGC's own builds are no wheels of an index")
    elif image != "scratch":
        draft.leave(line, f"FROM {image}", "what is in it its name does not say")


def _cuda(draft: Draft, line: int, image: str, found: re.Match[str]) -> None:
    draft.claim(found["cuda"], line, image)
    if found["cudnn"]:
        draft.cudnn.append(Said(text=found["cudnn"], at=draft.at(line)))
        draft.note(line, f'{image} has `cudnn = "{found["cudnn"]}"`')
    if "devel" in image:
        draft.compile = "nvcc"
        draft.note(line, f'{image} has nvcc: `compile = "nvcc"` under [image]')
