"""What cannot be, with the code, the lines and the words of each reason."""

from __future__ import annotations

import pytest

from mlenv.errors import CODES, Exit
from planning import A100, ARM64, B200, V100, refused

IMPOSSIBLE = [
    pytest.param(
        ['framework = "tensorflow"', 'python = "3.14"'],
        "python-unsupported",
        ("framework[0]", "python"),
        ["tensorflow 2.13.0 to 2.21.0", "Python 3.14", "cp313"],
        id="Python is too new for every wheel tag",
    ),
    pytest.param(
        ['framework = "torch==2.15.0"', 'python = "3.10"'],
        "python-unsupported",
        ("framework[0]", "python"),
        ["Requires-Python is >=3.11"],
        id="Python is below the lower bound",
    ),
    pytest.param(
        ['framework = "torch==2.12.1"', 'python = "3.13t"'],
        "no-wheel-for-python-abi",
        ("framework[0]", "python"),
        ["cp313t", '`python = "3.13"`'],
        id="the free-threaded wheel was dropped",
    ),
    pytest.param(
        ['framework = "tensorflow"', 'python = "3.13t"'],
        "no-wheel-for-python-abi",
        ("framework[0]", "python"),
        ["tensorflow", "free-threaded"],
        id="there never was a free-threaded wheel",
    ),
    pytest.param(
        ['framework = "torch==2.8.0"', '[targets.old]\nglibc = "2.17"'],
        "glibc-too-old",
        ("framework[0]", "targets.old.glibc"),
        ["needs glibc 2.28", "has glibc 2.17"],
        id="the glibc of the machine is too old",
    ),
    pytest.param(
        [
            'framework = "torch==2.8.0"',
            '[image]\nbase = "debian:bookworm"',
            ARM64,
            'glibc = "2.27"',
        ],
        "glibc-too-old",
        ("framework[0]", "targets.a.glibc"),
        ["has glibc 2.27"],
        id="the older of machine and base counts",
    ),
    pytest.param(
        ['framework = "torch<2.11"', ARM64, 'gpus = ["GH200"]'],
        "cpu-only-build",
        ("framework[0]", "targets.a.platform", "targets.a.gpus"),
        ["2.10.0 on linux/arm64", "torch/version.py", '`cuda = "cpu"`'],
        id="torch for arm64 had no CUDA before 2.11",
    ),
    pytest.param(
        ['framework = "tensorflow==2.20.0"', ARM64, 'gpus = ["GH200"]'],
        "cpu-only-build",
        ("framework[0]", "targets.a.platform", "targets.a.gpus"),
        ["build_info.py"],
        id="the extra of tensorflow lies on arm64",
    ),
    pytest.param(
        ['python = "3.11"', 'framework = "tensorflow==2.15.0"'],
        "needs-build",
        ("framework[0]",),
        ["requires tensorrt 8.6.1.post1, which is published as source only"],
        id="an extra that requires a source package",
    ),
    pytest.param(
        ['framework = "torch==2.15.0"', 'cuda = "12.8"'],
        "cuda-not-offered",
        ("framework[0]", "cuda"),
        [
            "torch 2.15.0 is built for CUDA 13.2",
            "2.10.0 on the default index",
            "2.11.0 on the PyTorch index (pytorch-cu128)",
            '`cuda = "13.2"`',
            '`framework = "torch==2.10.0"`',
        ],
        id="a release that no longer has the toolkit: both lines, and both channels",
    ),
    pytest.param(
        ['framework = "torch==2.8.0"', 'cuda = "12.4"'],
        "cuda-not-offered",
        ("framework[0]", "cuda"),
        ["12.9 (PyTorch index), 12.8, 12.6 (PyTorch index)"],
        id="a release that never had the toolkit",
    ),
    pytest.param(
        ['framework = "torch"', 'cuda = "12.7"'],
        "cuda-not-offered",
        ("framework[0]", "cuda"),
        ["no build for CUDA 12.7"],
        id="a toolkit that does not exist",
    ),
    pytest.param(
        ['framework = "cupy"', 'cuda = "cpu"'],
        "cuda-not-offered",
        ("framework[0]", "cuda"),
        ["no build for the CPU alone", "CUDA 11, 12, 13"],
        id="a framework of GPUs alone",
    ),
    pytest.param(
        ['framework = "cupy-cuda12x"', 'cuda = "13"'],
        "cuda-not-offered",
        ("framework[0]", "cuda"),
        ["cupy-cuda12x has no build for CUDA 13", '`cuda = "12"`'],
        id="a package that is named for another major",
    ),
    pytest.param(
        ['framework = "jax==0.6.0"', 'cuda = "13"'],
        "extra-missing",
        ("framework[0]", "cuda"),
        ["no extra `cuda13`"],
        id="a release from before the toolkit's major",
    ),
    pytest.param(
        ['framework = "tensorflow==2.17.0"', 'cuda = "12.3"', 'cudnn = "9"'],
        "cudnn-mismatch",
        ("framework[0]", "cudnn"),
        ["does not take cuDNN 9", "8.9.7.29"],
        id="another cuDNN than the wheel pins",
    ),
    pytest.param(
        ['framework = "torch==2.6.0"', 'cuda = "12.4"', '[targets.a]\ngpus = ["RTX 5090"]'],
        "gpu-not-in-wheel",
        ("framework[0]", "targets.a.gpus"),
        ["RTX 5090 is sm_120", "sm_86 sm_90"],
        id="a GPU that is newer than the wheel",
    ),
    pytest.param(
        ['framework = "torch==2.15.0"', V100, 'driver = ">=570,<581"'],
        "gpu-not-in-wheel",
        ("framework[0]", "targets.a.gpus"),
        ["V100 is sm_70"],
        id="a GPU that the wheel left behind",
    ),
    pytest.param(
        ['framework = "jax"', 'cuda = "12"', 'cudnn = "9.17"', V100, 'driver = ">=570,<581"'],
        "gpu-not-in-cudnn",
        ("framework[0]", "targets.a.gpus", "cudnn"),
        ["cuDNN 9.17 has no kernels for V100", '`cudnn = "9.10"`'],
        id="the cuDNN asked for left the GPU behind",
    ),
    pytest.param(
        ['framework = "torch==2.4.0"', 'cuda = "12.4"', 'cudnn = "9.17"', V100],
        "gpu-not-in-cudnn",
        ("framework[0]", "targets.a.gpus", "cudnn"),
        ["cuDNN 9.17"],
        id="likewise where nobody knows what the wheel pins",
    ),
    pytest.param(
        ['framework = ["torch==2.6.0", "tensorflow==2.18.0"]'],
        "frameworks-disagree",
        ("framework[0]", "framework[1]"),
        ["no toolkit has builds of all", "tensorflow: CUDA 12.5"],
        id="two frameworks without a common toolkit",
    ),
    pytest.param(
        ['framework = ["tensorflow==2.17.0", "jax==0.4.31"]', 'cuda = "12.3"'],
        "frameworks-disagree",
        ("framework[0]", "framework[1]", "cuda"),
        ["nvidia-cudnn-cu12==8.9.7.29", "nvidia-cudnn-cu12<10.0,>=9.1"],
        id="two frameworks of one toolkit that pin different libraries",
    ),
    pytest.param(
        ['framework = "jax==0.4.32"'],
        "yanked",
        ("framework[0]",),
        ["jax 0.4.32 was yanked"],
        id="a release that its makers withdrew",
    ),
    pytest.param(
        ['framework = "torch==2.9.1"', 'cuda = "12.8"', B200, 'driver = "==550.54.15"'],
        "gpu-needs-newer-driver",
        ("targets.a.gpus", "targets.a.driver"),
        ["driver 550.54.15 does not know B200", "R570", '`driver = ">=570"`'],
        id="a driver from before the GPU, though the toolkit starts on it",
    ),
]


@pytest.mark.parametrize(("lines", "code", "where", "words"), IMPOSSIBLE)
def test_refused_with_the_lines_and_the_words(
    lines: list[str], code: str, where: tuple[str, ...], words: list[str]
) -> None:
    (reason,) = refused(*lines)
    assert (reason.code, reason.where) == (code, where)
    assert CODES[code][0] is Exit.IMPOSSIBLE
    said = " ".join((reason.what, reason.cause, reason.fix, reason.source or ""))
    assert [each for each in words if each not in said] == []


@pytest.mark.parametrize(("lines", "code", "where", "words"), IMPOSSIBLE)
def test_every_reason_is_whole(
    lines: list[str], code: str, where: tuple[str, ...], words: list[str]
) -> None:
    assert code
    assert where
    assert words
    for reason in refused(*lines):
        assert all((reason.what, reason.cause, reason.fix, reason.where, reason.source))
        assert not reason.what.endswith(".")
        assert not any(line != line.rstrip() for line in reason.text().splitlines())


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(
            ['framework = "torhc"'],
            [("framework-unknown", "framework[0]", "`torch`")],
            id="a misspelt framework",
        ),
        pytest.param(
            ['framework = "scikit-learn"'],
            [("framework-unknown", "framework[0]", 'packages = ["scikit-learn"]')],
            id="what is no framework goes to the packages",
        ),
        pytest.param(
            ['framework = "torch"', '[targets.a]\ngpus = ["H10", "H100", "potato"]'],
            [
                ("gpu-unknown", "targets.a.gpus[0]", "'H100'"),
                ("gpu-unknown", "targets.a.gpus[2]", "sm_90"),
            ],
            id="GPUs that nobody knows",
        ),
        pytest.param(
            ['framework = ["torhc", "jaxx"]', '[targets.a]\ngpus = ["H10"]'],
            [
                ("framework-unknown", "framework[0]", "`torch`"),
                ("framework-unknown", "framework[1]", "`jax`"),
                ("gpu-unknown", "targets.a.gpus[0]", "'H100'"),
            ],
            id="all of it at once",
        ),
    ],
)
def test_unknown_names_are_told_at_once_with_a_guess(
    lines: list[str], expected: list[tuple[str, str, str]]
) -> None:
    found = refused(*lines)
    assert [(each.code, each.where[0]) for each in found] == [each[:2] for each in expected]
    for reason, (_, _, word) in zip(found, expected, strict=True):
        assert word in f"{reason.what} {reason.fix}"
        assert reason.exit_status is Exit.USAGE


def test_every_reason_against_a_stack_is_told_at_once() -> None:
    found = refused(
        'framework = ["torch==2.8.0", "tensorflow==2.20.0", "cupy==13.5.0", "jax==0.4.32"]',
        'cuda = "12.4"',
        '[targets.a]\ngpus = ["V100", "H100"]\ndriver = ">=500"',
    )
    assert [(each.code, each.where[0]) for each in found] == [
        ("driver-dropped-gpu", "targets.a.gpus"),
        ("gpu-needs-newer-driver", "targets.a.gpus"),
        ("cuda-not-offered", "framework[0]"),
        ("cuda-not-offered", "framework[1]"),
        ("yanked", "framework[2]"),
        ("yanked", "framework[3]"),
    ]


def test_a_stack_that_can_be_is_not_refused() -> None:
    assert refused('framework = "torch"', A100, 'driver = ">=535"') == ()
