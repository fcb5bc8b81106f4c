"""What the loopback index publishes is whole: pins that resolve, files that are looked into."""

from __future__ import annotations

import io
import re
import zipfile
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import facts

if TYPE_CHECKING:
    from loopback import Index


def test_every_requirement_is_published(index: Index) -> None:
    held = {name for root in index.roots.values() for name in root.projects}
    shown = [each for r in index.roots.values() for f in r.projects.values() for each in f.values()]
    of = {name: {e.artefact.version for e in shown if e.artefact.project == name} for name in held}
    text = "\n".join(each.artefact.metadata.decode() for each in shown)
    needs = map(Requirement, set(re.findall(r"^Requires-Dist: (.+)$", text, re.MULTILINE)))
    names = {need: canonicalize_name(need.name) for need in needs}
    assert [n for n, name in names.items() if not any(n.specifier.filter(of.get(name, ())))] == []


def test_wheels_hold_the_files_that_are_looked_into(index: Index) -> None:
    def inside(name: str, filename: str, path: str) -> str:
        shown = index.roots[facts.DEFAULT].projects[name][filename]
        with zipfile.ZipFile(io.BytesIO(shown.artefact.content)) as archive:
            return archive.read(path).decode()

    torch = "torch-2.8.0-cp312-cp312-manylinux_2_28"
    path = "torch/version.py"
    assert "cuda: Optional[str] = '12.8'" in inside("torch", f"{torch}_x86_64.whl", path)
    assert "cuda: Optional[str] = None" in inside("torch", f"{torch}_aarch64.whl", path)
    path = "tensorflow/python/platform/build_info.py"
    for arch, cuda in (("x86_64", True), ("aarch64", False)):
        name = f"tensorflow-2.20.0-cp312-cp312-manylinux_2_17_{arch}.manylinux2014_{arch}.whl"
        assert f"('is_cuda_build', {cuda})" in inside("tensorflow", name, path)
    cudnn = "nvidia_cudnn_cu{}-9.13.0.50-py3-none-manylinux_2_27_x86_64.whl"
    path = "nvidia/cudnn/lib/libcudnn.so.9"
    twelve, thirteen = (
        inside(f"nvidia-cudnn-cu{major}", cudnn.format(major), path) for major in (12, 13)
    )
    assert twelve != thirteen
