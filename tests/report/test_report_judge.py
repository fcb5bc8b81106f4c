"""From a plan and a report to a verdict: what is never good, and what is told first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from judging import TORCH, asked, good, library, lock, report
from mlenv.errors import Exit, HostError
from mlenv.report.judge import judge
from mlenv.report.probed import parse_report

if TYPE_CHECKING:
    from mlenv.report.plan import Scope
    from mlenv.report.verdict import Verdict

SKIP = {"status": "skip", "reason": "no-driver", "message": "libcuda.so.1: cannot open"}
GPU = {"status": "skip", "reason": "no-driver", "message": "not run: there is no GPU here"}


def judged(changes: dict[str, dict[str, Any] | None], **words: Any) -> Verdict:  # noqa: ANN401 (JSON)
    """Judge a good report in which some probes said something else; None: it never ran."""
    plan = asked(scope=words.pop("scope", "gpu"))
    trouble = words.pop("trouble", "")
    rows = good(plan)
    for name, change in changes.items():
        if change is None:
            del rows[name]
        else:
            rows[name] = {**rows[name], **change}
    return judge(plan, report(plan, rows, **words), trouble=trouble)


def without_gpu(**driver: Any) -> dict[str, dict[str, Any] | None]:  # noqa: ANN401 (JSON)
    plan = asked()
    gpu = [each for each in plan.probes if each.startswith(("kernel:", "torch:", "speed:", "nvml"))]
    return {**dict.fromkeys(gpu, GPU), "driver": {**SKIP, **driver}}


def test_all_that_was_asked_was_shown() -> None:
    found = judged({})
    assert (found.word, found.exit_status, found.findings) == ("verified", Exit.DONE, ())


def test_the_static_part_is_never_called_verified() -> None:
    found = judged({}, scope="static")
    assert (found.word, found.exit_status) == ("static-ok", Exit.DONE)


@pytest.mark.parametrize(
    ("changes", "words", "word", "root"),
    [
        pytest.param(without_gpu(), {}, "not-verified", "no-gpu", id="no GPU"),
        pytest.param(
            {"torch:eager": None}, {}, "not-verified", "probe-skipped", id="one is absent"
        ),
        pytest.param(
            {"torch:eager": {"status": "skip", "reason": "not-installed"}},
            {},
            "not-verified",
            "probe-skipped",
            id="a required one was skipped",
        ),
        pytest.param(
            {}, {"complete": False}, "not-verified", "run-ended", id="cut short at the end"
        ),
        pytest.param(
            {"torch:math": None, "torch:nccl": None},
            {"complete": False, "trouble": "the container was killed (SIGKILL)"},
            "not-verified",
            "run-ended",
            id="killed",
        ),
        pytest.param(
            {"torch:math": {"status": "error", "reason": "interrupted"}},
            {"complete": False},
            "not-verified",
            "run-ended",
            id="interrupted within a probe",
        ),
        pytest.param(
            {"torch:eager": {"status": "fail", "reason": "odd", "message": "2 is not 3"}},
            {},
            "failed",
            "unknown-fail",
            id="wrong, and unknown",
        ),
        pytest.param(
            {"torch:eager": {"status": "crash", "reason": "signal", "message": "SIGSEGV"}},
            {"complete": False},
            "failed",
            "unknown-crash",
            id="wrong before it was cut short",
        ),
        pytest.param(
            {"torch:eager": {"status": "timeout", "reason": "timeout"}},
            {},
            "failed",
            "unknown-timeout",
            id="it hangs",
        ),
        pytest.param(
            {"speed:torch": {"status": "skip", "reason": "no-power"}},
            {},
            "verified",
            None,
            id="what is not required may be skipped",
        ),
        pytest.param({}, {"host": {"python": "3.11.2"}}, "failed", "python-differs", id="Python"),
        pytest.param(
            {},
            {"host": {"python": "3.12.3", "machine": "aarch64"}},
            "failed",
            "machine-differs",
            id="another architecture",
        ),
    ],
)
def test_verdicts(
    changes: dict[str, Any], words: dict[str, Any], word: str, root: str | None
) -> None:
    found = judged(changes, **words)
    assert (found.word, found.root.id if found.root else None) == (word, root)
    assert (found.exit_status == 0) is (word == "verified")


def test_a_build_with_the_gil_is_no_free_threaded_one() -> None:
    plan = asked(lock(python="3.14t"))
    rows = good(plan)
    rows["host"]["facts"] = {"free_threaded": False}
    found = judge(plan, report(plan, rows))
    assert found.root is not None
    assert (found.word, found.root.id) == ("failed", "python-differs")
    assert "uv venv -p 3.14t" in found.root.fix


@pytest.mark.parametrize("scope", ["static", "gpu"])
def test_without_a_compiler_it_is_said_what_was_not_asked(scope: Scope) -> None:
    plan = asked(lock(compile_="none"), scope=scope)
    found = judge(plan, report(plan, good(plan)))
    assert found.exit_status == Exit.DONE
    (warning,) = found.findings
    assert (warning.id, warning.weight) == ("no-compiler-locked", "warning")
    assert "compile:c" in warning.what
    assert ("torch:compile" in warning.what) is (scope == "gpu")
    assert "compile = true" in warning.fix
    for packages in (TORCH, {"numpy": "2.4.6"}):
        plan = asked(lock(packages, compile_="cc" if packages is TORCH else "none"), scope=scope)
        assert judge(plan, report(plan, good(plan))).findings == ()


@pytest.mark.parametrize("name", sorted(asked().required))
@pytest.mark.parametrize(
    "status", ["absent", "skip", "blocked", "fail", "crash", "timeout", "error"]
)
def test_no_required_probe_may_be_without_a_pass(name: str, status: str) -> None:
    found = judged({name: None if status == "absent" else {"status": status, "facts": {}}})
    assert found.exit_status != Exit.DONE
    assert name in found.missing
    assert found.root is not None


@pytest.mark.parametrize("key", ["nonce", "lock_digest", "probe_sha256"])
@pytest.mark.parametrize("said", [None, "another"])
def test_an_answer_to_another_plan_is_none(key: str, said: str | None) -> None:
    with pytest.raises(HostError) as caught:
        judged({}, **{key: said})
    assert caught.value.reasons[0].code == "report-unusable"
    assert caught.value.exit_status == Exit.BROKEN


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("{", id="half of it"),
        pytest.param("[]", id="a list"),
        pytest.param('{"schema": "mlenv.report/2"}', id="of a later mlenv"),
        pytest.param(
            '{"schema": "mlenv.report/1", "probes": [{"name": "x", "status": "fine"}]}',
            id="a status that is none",
        ),
    ],
)
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(HostError) as caught:
        parse_report(text)
    assert caught.value.reasons[0].code == "report-unusable"


def test_one_broken_driver_is_one_cause() -> None:
    blocked = {"status": "blocked", "reason": "driver", "message": "not run"}
    changes: dict[str, Any] = {
        each: blocked for each in asked().probes if each.startswith(("kernel:", "torch:"))
    }
    changes["driver"] = {
        "status": "fail",
        "reason": "system-not-ready",
        "message": "cuInit: CUDA_ERROR_SYSTEM_NOT_READY (802): system not yet initialized",
        "facts": {},
    }
    found = judged(changes)
    assert found.word == "failed"
    assert [each.id for each in found.findings] == ["fabric-manager"]
    assert found.root is not None
    assert {"kernel:ptx", "torch:compile"} <= set(found.root.also)


def test_no_gpu_is_one_finding_with_all_that_waited() -> None:
    found = judged(without_gpu())
    assert len(found.findings) == 1
    assert found.root is not None
    assert set(found.root.also) == set(found.missing) - {"driver"}


@pytest.mark.parametrize(
    ("probe", "facts", "root", "words"),
    [
        pytest.param(
            "distributions",
            {"distributions": {"torch": "2.10.0", "triton": "3.6.0"}},
            "distribution-differs",
            "torch is 2.10.0, the lock has 2.11.0",
            id="another version is installed",
        ),
        pytest.param(
            "mapped:torch",
            {"libraries": [library("libcudnn.so.9", None, None, path="/opt/other/libcudnn.so.9")]},
            "library-shadowed",
            "libcudnn.so.9 was loaded from /opt/other/libcudnn.so.9",
            id="a library of nobody",
        ),
        pytest.param(
            "mapped:torch",
            {
                "libraries": [
                    library(
                        "libcudart.so.13",
                        None,
                        None,
                        path="/usr/local/cuda-13.0/lib64/libcudart.so.13",
                    )
                ]
            },
            "toolkit-of-the-host",
            "/usr/local/cuda-13.0/",
            id="the host's toolkit",
        ),
        pytest.param(
            "mapped:torch",
            {"libraries": [library("libcudart.so.13", "deb:libcudart13=13.0", None)]},
            "library-shadowed",
            "libcudart.so.13",
            id="a library of the system's packages",
        ),
        pytest.param(
            "mapped:torch",
            {
                "libraries": [
                    library("libcudnn.so.9", "nvidia-cudnn-cu13", "9.19.0.56", says="9.28.1")
                ]
            },
            "library-differs",
            "says that it is 9.28.1, the lock has nvidia-cudnn-cu13 9.19.0.56",
            id="a part of another version answers",
        ),
        pytest.param(
            "mapped:torch",
            {"libraries": [library("libnccl.so.2", "nvidia-nccl-cu12", "2.28.9")]},
            "library-not-locked",
            "libnccl.so.2 is of nvidia-nccl-cu12 2.28.9",
            id="of a package that is not locked",
        ),
        pytest.param(
            "mapped:torch",
            {
                "libraries": [
                    library("libcudnn.so.9", "nvidia-cudnn-cu13", "9.19.0.56", record_ok=False)
                ]
            },
            "library-changed",
            "is not the file that nvidia-cudnn-cu13 9.19.0.56 brought",
            id="a file that was overwritten",
        ),
        pytest.param(
            "mapped:torch",
            {
                "libraries": [
                    library("libcudnn.so.9", "nvidia-cudnn-cu13", "9.19.0.56"),
                    library("libcudnn_graph.so.9", None, None, path="/other/libcudnn_graph.so.9"),
                ]
            },
            "cudnn-mixed",
            "/other",
            id="cuDNN of two folders",
        ),
        pytest.param(
            "driver",
            {"driver_cuda": "12.2", "devices": [{"name": "H100", "sm": "sm_90"}]},
            "driver-too-old",
            "the driver runs CUDA 12.2, and the lock needs 13.0",
            id="a driver too old",
        ),
        pytest.param(
            "driver",
            {"driver_cuda": "13.0", "devices": [{"name": "T4", "sm": "sm_75"}]},
            "gpu-outside-target",
            "it ran on T4 (sm_75), and the target names sm_90",
            id="a GPU that the target does not name",
        ),
        pytest.param(
            "driver", {"driver_cuda": "13.0", "devices": []}, "too-few-gpus", "0 GPUs", id="no GPU"
        ),
        pytest.param(
            "nvml",
            {"driver": "535.1", "devices": []},
            "driver-outside-target",
            "the driver is 535.1, and the target says >=570",
            id="a driver outside the target",
        ),
        pytest.param(
            "host",
            {"driver_module": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  575.57.08  Sat May"},
            "driver-mismatch",
            "the kernel module is 575.57.08, the driver's libraries are 580.95.05",
            id="a module of another driver",
        ),
    ],
)
def test_what_passed_is_held_against_the_lock(
    probe: str, facts: dict[str, Any], root: str, words: str
) -> None:
    found = judged({probe: {"facts": facts}})
    assert found.root is not None
    assert (found.root.id, found.exit_status != 0) == (root, True)
    assert words in found.root.what


@pytest.mark.parametrize(
    ("facts", "visible", "reason", "root"),
    [
        pytest.param(
            {"container": ["/.dockerenv"]}, {}, "no-driver", "container-without-gpu", id="1"
        ),
        pytest.param(
            {"devices": ["/dev/nvidia0"]}, {}, "no-driver", "driver-library-hidden", id="2"
        ),
        pytest.param({}, {"CUDA_VISIBLE_DEVICES": "-1"}, "no-device", "gpu-hidden", id="3"),
        pytest.param(
            {"environment": {"NVIDIA_VISIBLE_DEVICES": "void"}},
            {},
            "no-driver",
            "gpu-hidden",
            id="4",
        ),
        pytest.param({"container": [], "devices": []}, {}, "no-driver", "no-gpu", id="5"),
    ],
)
def test_why_there_is_no_gpu(
    facts: dict[str, Any], visible: dict[str, str], reason: str, root: str
) -> None:
    changes = without_gpu(reason=reason, facts={"visible": visible})
    found = judged({**changes, "host": {"facts": facts}})
    assert found.root is not None
    assert (found.root.id, found.word) == (root, "not-verified")


def test_mig_is_named_where_a_gpu_lacks() -> None:
    plan = asked(min_gpus=2)
    rows = good(plan)
    rows["nvml"]["facts"]["devices"] = [{"mig": True}]
    found = judge(plan, report(plan, rows))
    assert {each.id for each in found.findings} == {"mig", "too-few-gpus"}


def test_a_label_of_a_build_is_no_difference() -> None:
    plan = asked()
    rows = good(plan)
    rows["distributions"]["facts"]["distributions"]["torch"] = "2.11.0+cu130"
    assert judge(plan, report(plan, rows)).word == "verified"


def test_a_stack_without_cuda_is_verified_without_a_gpu() -> None:
    plan = asked(lock({"numpy": "2.4.6"}, toolkit="cpu"))
    assert judge(plan, report(plan, good(plan))).word == "verified"
