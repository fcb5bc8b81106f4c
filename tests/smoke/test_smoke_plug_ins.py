"""Which extension modules a package works without, by what else needs the same library."""

from __future__ import annotations

import sysconfig
from types import SimpleNamespace

import pytest

from mlenv.smoke.distributions import _plug_ins

END = sysconfig.get_config_var("EXT_SUFFIX")
CORE, BLAS, TENSOR = (f"/env/cupy/{name}{END}" for name in ("core", "blas", "tensor"))
LIBRARY = "/env/cupy/libcupy.so"
OTHER = f"/env/other/one{END}"


@pytest.mark.parametrize(
    ("needs", "missing", "found"),
    [
        pytest.param(
            {CORE: ["libc.so.6"], TENSOR: ["libcutensor.so.2"]},
            {TENSOR: ["libcutensor.so.2"]},
            {TENSOR},
            id="one of several modules alone needs what is not there",
        ),
        pytest.param(
            {CORE: ["libcudart.so.13"], BLAS: ["libcudart.so.13"], TENSOR: ["libc.so.6"]},
            {CORE: ["libcudart.so.13"], BLAS: ["libcudart.so.13"]},
            set(),
            id="what two modules need is demanded",
        ),
        pytest.param(
            {CORE: ["libc.so.6"], LIBRARY: ["libnccl.so.2"], BLAS: ["libcupy.so"]},
            {LIBRARY: ["libnccl.so.2"]},
            set(),
            id="a library is no plug-in",
        ),
        pytest.param(
            {OTHER: ["libgone.so.1"]},
            {OTHER: ["libgone.so.1"]},
            set(),
            id="the only module of a package is demanded",
        ),
    ],
)
def test_plug_in(
    needs: dict[str, list[str]], missing: dict[str, list[str]], found: set[str]
) -> None:
    wants = {
        path: SimpleNamespace(needed=tuple(names), soname=None) for path, names in needs.items()
    }
    whose = {path: path.split("/")[2] for path in needs}
    assert _plug_ins(missing, wants, whose) == found  # type: ignore[arg-type]
