"""From a lock to what is asked of it, over small locks and those of ``images/``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from judging import ROOT, SMOKE, TORCH, asked, lock
from mlenv.lock import parse_lock
from mlenv.report.plan import plan_text
from mlenv.report.wanted import wanted
from mlenv.smoke.register import PROBES

if TYPE_CHECKING:
    from pathlib import Path

    from mlenv.report.plan import Scope

FOLDERS = sorted(each.parent for each in (ROOT / "images").glob("*/mlenv.lock"))


def test_the_rows_are_the_probes_that_there_are() -> None:
    assert {each.name for each in wanted()} == set(PROBES)


def test_a_row_says_of_its_probe_whether_it_needs_a_gpu() -> None:
    rows = {each.name: each.gpu for each in wanted() if each.name not in {"driver", "nvml"}}
    assert rows == {name: each.gpu for name, each in PROBES.items() if name in rows}


@pytest.mark.parametrize(
    ("words", "named", "absent"),
    [
        pytest.param({}, "torch:compile", "jax:jit", id="the probes of what is locked"),
        pytest.param({}, "kernel:ptx", "kernel:nvcc", id="every CUDA stack runs a kernel"),
        pytest.param({"compile_": "nvcc"}, "kernel:nvcc", "jax:jit", id="nvcc, where it is"),
        pytest.param({"compile_": "none"}, "torch:eager", "torch:compile", id="without a compiler"),
        pytest.param({"toolkit": "cpu"}, "desk:numpy", "driver", id="a CPU stack asks no GPU"),
        pytest.param({"python": "3.14t"}, "gil", "jax:jit", id="a free-threaded Python"),
        pytest.param({"packages": {"cupy-cuda13x": "14"}}, "cupy:math", "torch:math", id="CuPy"),
    ],
)
def test_probes_of_a_stack(words: dict[str, Any], named: str, absent: str) -> None:
    found = asked(lock(**words))
    assert named in found.probes
    assert absent not in found.probes


def test_the_static_scope_needs_no_gpu() -> None:
    found = asked(scope="static")
    assert not {name for name in found.probes if name in PROBES and PROBES[name].gpu}
    assert {"mapped:torch", "compile:nvrtc", "compile:triton"} <= found.required
    assert "driver" not in found.probes


def test_the_quick_scope_leaves_out_what_takes_long_and_keeps_a_kernel() -> None:
    whole, quick = asked(), asked(quick=True)
    assert set(quick.probes) < set(whole.probes)
    assert {"driver", "kernel:ptx", "torch:compile"} <= quick.required
    assert "torch:math" not in quick.probes


def test_what_is_not_required_is_asked_all_the_same() -> None:
    found = asked()
    assert {"nvml", "speed:torch"} <= set(found.probes) - found.required


@pytest.mark.parametrize(
    ("scope", "gpus", "there"),
    [
        pytest.param("static", 0, True, id="one without a GPU, statically"),
        pytest.param("static", 1, False, id="one with a GPU, statically"),
        pytest.param("gpu", 1, True, id="one with a GPU"),
    ],
)
def test_checks_of_the_user(scope: Scope, gpus: int, there: bool) -> None:  # noqa: FBT001
    smoke = {**SMOKE, "checks": [{"name": "mine", "run": ["python", "-V"], "gpus": gpus}]}
    found = asked(smoke=smoke, scope=scope)
    assert ("check:mine" in found.required) is there
    if there:
        assert found.params["check:mine"] == {"run": ["python", "-V"], "gpus": gpus}


def test_packages_of_the_dev_variant_are_demanded_of_it_alone() -> None:
    found = lock({**TORCH, "mypy": "2.0"}, dev=("mypy",))
    assert "mypy" not in asked(found).distributions
    dev = asked(found, variant="dev")
    assert dev.distributions["mypy"] == "2.0"
    assert "desk:mypy" in dev.required


def test_the_document_says_all() -> None:
    found = asked()
    document = json.loads(plan_text(found))
    assert document["schema"] == "mlenv.plan/1"
    assert document["expect"] == {
        "conda": {},
        "distributions": TORCH,
        "driver_cuda_min": "13.0",
        "gpus": ["sm_90"],
        "min_gpus": 1,
        "python": "3.12",
    }
    assert plan_text(found) == plan_text(asked())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda each: each.name)
def test_every_image_is_asked_for_something_that_means_something(folder: Path) -> None:
    found = parse_lock((folder / "mlenv.lock").read_text(), origin="mlenv.lock")
    smoke = json.loads((folder / "smoke.json").read_text())
    plan = asked(found, smoke)
    static = asked(found, smoke, scope="static")
    assert {"distributions", "needed"} <= static.required
    if plan.cuda:
        kernels = {each for each in plan.required if each.startswith(("kernel:", "jax:", "torch:"))}
        assert len(kernels) >= 2
        assert any(each.startswith("mapped:") for each in static.required)
