"""Conda stacks: rattler over a channel on loopback, and over conda-forge's own records."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

import condachannel
import condaforge
from drive import TODAY, built, texts
from mlenv import uptodate
from mlenv.host import tools

if TYPE_CHECKING:
    from collections.abc import Iterator

    from condachannel import Channel
    from mlenv.build.verdict import Outcome

HEAD = 'name = "stack"\nbackend = "conda"\n'
GPU = HEAD + 'python = "3.12"\nframework = "torch"\n'
BOTH = """
[targets.amd64]
platform = "linux/amd64"
gpus = ["H100"]
driver = ">=570"
[targets.arm64]
platform = "linux/arm64"
gpus = ["H100"]
driver = ">=570"
"""


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Channel]:
    with condaforge.served(tmp_path_factory.mktemp("conda-forge")) as channel:
        yield channel


def lock(spec: str, tmp_path: Path, *channels: str, today: str = TODAY) -> tuple[Outcome, ...]:
    """Lock a spec; ``channels`` are its own."""
    if channels:
        spec += f"[lock]\nchannels = {json.dumps(channels)}\n"
    return built(spec, tmp_path / "images", tmp_path / "cache", recipe=False, today=today)


def packages(outcome: Outcome) -> dict[str, str]:
    assert outcome.lock is not None, outcome.reasons
    return {each.name: each.filename for each in outcome.lock.package}


def refusal(outcomes: tuple[Outcome, ...]) -> Any:  # noqa: ANN401
    (outcome,) = outcomes
    assert outcome.verdict == "impossible"
    assert outcome.lock is None
    return outcome.reasons[0]


def test_each_platform_has_a_gpu_build_of_the_toolkit_that_was_asked(
    conda_stubs: Channel, tmp_path: Path
) -> None:
    spec = GPU + 'cuda = "12.6"\n' + BOTH
    amd64, arm64 = lock(spec, tmp_path, conda_stubs.url)
    for outcome, subdir in ((amd64, "linux-64"), (arm64, "linux-aarch64")):
        found = packages(outcome)
        assert found["pytorch"] == "pytorch-2.7.1-cuda126_generic_py312_h0def456_200.conda"
        assert found["cuda-version"].startswith("cuda-version-12.6-")
        assert found["libcublas"].startswith("libcublas-12.6")
        assert outcome.lock is not None
        assert {each.subdir for each in outcome.lock.package} == {subdir, "noarch"}
        assert (outcome.lock.stack.toolkit, outcome.lock.stack.cudnn) == ("12.6", "9.10.2.21")
        # what a GPU build holds for a GPU no source says of this channel, so nothing calls it good
        assert outcome.verdict == "unknown"
        assert "fact-unknown" in {each.code for each in outcome.warnings}


def test_the_folder_is_what_condas_tools_read(conda_stubs: Channel, tmp_path: Path) -> None:
    (outcome,) = lock(GPU, tmp_path, conda_stubs.url)
    found = texts(tmp_path / "images" / "stack")
    assert {"conda-lock.yml", "conda-linux-64.lock", "pixi.lock", "mlenv.lock"} < found.keys()
    written = yaml.safe_load(found["conda-lock.yml"])
    names = [each["name"] for each in written["package"]]
    assert names == sorted(packages(outcome))
    assert all(each["hash"].keys() == {"md5", "sha256"} for each in written["package"])
    facts = written["metadata"]["custom_metadata"]
    assert facts["mlenv.virtual.__glibc"] == "2.36"
    explicit = found["conda-linux-64.lock"].splitlines()
    assert explicit[3] == "@EXPLICIT"
    assert len(explicit) == 4 + len(names)
    pixi = yaml.safe_load(found["pixi.lock"])
    kept = {each["conda"].rpartition("/")[2]: each for each in pixi["packages"]}
    assert kept[packages(outcome)["cuda-version"]]["constrains"][-1] == "__cuda >=12"
    # mlenv.lock says where nothing lies, so that a mirror can serve it
    assert conda_stubs.url not in found["mlenv.lock"]
    assert tomllib.loads(found["mlenv.lock"])["tools"]["rattler"]


def test_the_same_spec_gives_the_same_bytes(conda_stubs: Channel, tmp_path: Path) -> None:
    lock(GPU, tmp_path / "one", conda_stubs.url)
    lock(GPU, tmp_path / "two", conda_stubs.url)
    assert texts(tmp_path / "one" / "images") == texts(tmp_path / "two" / "images")


def test_a_driver_of_another_major_gets_its_own_toolkit(
    conda_stubs: Channel, tmp_path: Path
) -> None:
    spec = HEAD + 'python = "3.12"\ncuda = "13.0"\n[targets.m]\ndriver = ">=570"\n'
    reason = refusal(lock(spec, tmp_path, conda_stubs.url))
    assert reason.code == "driver-too-old"


def test_an_older_driver_of_the_same_major_is_enough(conda_stubs: Channel, tmp_path: Path) -> None:
    spec = GPU + '[targets.m]\ndriver = ">=535"\n'
    (outcome,) = lock(spec, tmp_path, conda_stubs.url)
    assert outcome.lock is not None
    assert outcome.lock.stack.toolkit == "12.9"
    assert "minor-version-mode" in {each.code for each in outcome.warnings}


def test_a_framework_that_something_holds_back_is_said_to_be_old(
    conda_stubs: Channel, tmp_path: Path
) -> None:
    (outcome,) = lock(GPU + 'cuda = "12.6"\n', tmp_path, conda_stubs.url)
    (said,) = [each for each in outcome.warnings if each.code == "older-than-newest"]
    assert said.what == "torch is 2.7.1; the newest that fits this target by itself is 2.8.0"
    pinned = GPU.replace('"torch"', '"torch==2.7.*"')
    (outcome,) = lock(pinned, tmp_path / "pinned", conda_stubs.url)
    assert "older-than-newest" not in {each.code for each in outcome.warnings}


def test_a_cpu_stack_has_no_cuda(conda_stubs: Channel, tmp_path: Path) -> None:
    (outcome,) = lock(GPU + 'cuda = "cpu"\n', tmp_path, conda_stubs.url)
    found = packages(outcome)
    assert found["pytorch"].startswith("pytorch-2.8.0-cpu_generic")
    assert not {"cuda-version", "libcublas", "cudnn"} & found.keys()
    assert outcome.lock is not None
    assert outcome.lock.stack.toolkit == "cpu"


def test_where_only_a_cpu_build_fits_the_lines_are_named(
    conda_stubs: Channel, tmp_path: Path
) -> None:
    spec = HEAD + 'python = "3.12"\nframework = "torch==2.8.*"\ncuda = "12.6"\n'
    reason = refusal(lock(spec, tmp_path, conda_stubs.url))
    assert reason.code == "cpu-only-build"
    assert [each.rpartition(": ")[2] for each in reason.where] == ["framework", "cuda"]
    assert "2.8.0 for CUDA 12.8, 2.8.0 for CUDA 12.9" in reason.cause
    assert reason.nearest == ('framework: "torch==2.7.1"', 'cuda = "12.9"')
    assert not (tmp_path / "images").exists()


@pytest.mark.parametrize(
    ("lines", "code", "keys"),
    [
        pytest.param('cudnn = "8"\n', "cudnn-mismatch", {"framework", "cudnn"}, id="cuDNN"),
        pytest.param(
            '[targets.m]\nglibc = "2.17"\n', "glibc-too-old", {"framework", "glibc"}, id="glibc"
        ),
        pytest.param(
            'packages = ["numpy<2"]\n', "no-solution", {"packages[0]"}, id="a package alone"
        ),
        pytest.param(
            'packages = ["numpy[extra]"]\n', "extra-missing", {"packages[0]"}, id="an extra"
        ),
    ],
)
def test_the_lines_that_conflict_are_named(
    conda_stubs: Channel, tmp_path: Path, lines: str, code: str, keys: set[str]
) -> None:
    reason = refusal(lock(GPU + lines, tmp_path, conda_stubs.url))
    assert reason.code == code
    said = {re.sub(r"^targets\.m\.", "", each.rpartition(": ")[2]) for each in reason.where}
    assert keys <= said


def test_a_framework_that_no_channel_has_is_said_so(conda_stubs: Channel, tmp_path: Path) -> None:
    spec = HEAD + 'python = "3.12"\nframework = "jax"\n'
    reason = refusal(lock(spec, tmp_path, conda_stubs.url))
    assert (reason.code, "`jax`" in reason.what) == ("cuda-not-offered", True)


def test_what_came_later_is_not_seen(conda_stubs: Channel, tmp_path: Path) -> None:
    (then,) = lock(GPU, tmp_path / "then", conda_stubs.url)
    (now,) = lock(GPU, tmp_path / "now", conda_stubs.url, today="2026-11-01T00:00:00Z")
    assert packages(then)["typing_extensions"].startswith("typing_extensions-4.14.0-")
    assert packages(now)["typing_extensions"].startswith("typing_extensions-4.15.0-")


def test_the_first_channel_that_has_a_package_is_the_only_one(
    conda_stubs: Channel, tmp_path: Path
) -> None:
    own = [
        condachannel.Package(
            name="numpy",
            version="1.26.4",
            build="py312_0",
            subdir="linux-64",
            depends=("python >=3.12,<3.13.0a0",),
        )
    ]
    corp = condachannel.write(own, tmp_path / "corp")
    spec = HEAD + 'python = "3.12"\npackages = ["numpy"]\n'
    (outcome,) = lock(spec, tmp_path, corp.url, conda_stubs.url)
    assert packages(outcome)["numpy"].startswith("numpy-1.26.4-")
    assert outcome.lock is not None
    assert {each.index for each in outcome.lock.package if each.name == "numpy"} == {"corp"}


def test_what_nobody_can_verify_is_no_lock(tmp_path: Path) -> None:
    channel = condachannel.stubs(tmp_path / "channel")
    for each in channel.root.glob("*/repodata.json"):
        rows = json.loads(each.read_text("utf-8"))
        for row in (*rows["packages"].values(), *rows["packages.conda"].values()):
            row.pop("sha256")
        each.write_text(json.dumps(rows), encoding="utf-8")
    (outcome,) = lock(GPU, tmp_path, channel.url)
    assert (outcome.verdict, outcome.reasons[0].code) == (None, "hash-missing")


def test_a_channel_out_of_reach_says_nothing_of_the_stack(tmp_path: Path) -> None:
    (outcome,) = lock(GPU, tmp_path, "http://127.0.0.1:9/none")
    assert (outcome.verdict, outcome.solved) == ("unknown", False)
    assert outcome.reasons[0].code == "network-failed"
    assert "127.0.0.1:9/none" in outcome.reasons[0].what


def test_a_mirrors_password_is_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDA_CHANNEL_ALIAS", "http://user:s3cret@127.0.0.1:9")
    (outcome,) = lock(GPU, tmp_path)
    assert outcome.reasons[0].code == "network-failed"
    assert "s3cret" not in outcome.reasons[0].text()


def test_offline_what_was_read_once_is_enough(conda_stubs: Channel, tmp_path: Path) -> None:
    with condachannel.served(conda_stubs) as channel:
        (first,) = lock(GPU, tmp_path, channel.url)
        spec = GPU + f"[lock]\nchannels = {json.dumps([channel.url])}\n"
    again = built(
        spec, tmp_path / "again", tmp_path / "cache", offline=True, recipe=False, upgrade=True
    )
    assert packages(again[0]) == packages(first)
    (cold,) = built(spec, tmp_path / "cold", tmp_path / "none", offline=True, recipe=False)
    assert cold.reasons[0].code == "network-off"


@pytest.mark.network
def test_what_no_channel_has_comes_from_the_index_on_top(
    conda_stubs: Channel, tmp_path: Path
) -> None:
    spec = GPU + 'packages = ["torchmetrics==1.8.2", "mlenv-demo"]\n'
    (outcome,) = lock(spec, tmp_path, conda_stubs.url, today="2026-11-01T00:00:00Z")
    assert outcome.lock is not None
    wheels = {each.name for each in outcome.lock.package if each.subdir is None}
    # neither PyPI's torch and its CUDA, nor a second numpy
    assert wheels == {"torchmetrics", "lightning-utilities", "packaging"}
    assert {"pytorch", "numpy", "mlenv-demo"} < packages(outcome).keys() - wheels
    found = texts(tmp_path / "images" / "stack")
    assert "torchmetrics" in found["layers/05-rest.txt"]
    assert "torchmetrics" not in found["conda-lock.yml"].partition("package:")[2]


@pytest.mark.network
@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        pytest.param("nonesuch-of-nobody", "no package is called", id="unknown to both"),
        pytest.param("torchaudio==2.9.0", "and conda installs 2.8.0", id="another torch"),
    ],
)
def test_what_the_index_cannot_lay_on_top_is_refused(
    conda_stubs: Channel, tmp_path: Path, wanted: str, said: str
) -> None:
    spec = HEAD + f'python = "3.12"\nframework = "torch==2.8.0"\npackages = ["{wanted}"]\n'
    reason = refusal(lock(spec, tmp_path, conda_stubs.url, today="2026-11-01T00:00:00Z"))
    assert (reason.code, said in reason.cause) == ("no-solution", True)
    assert reason.where[0].endswith(": packages[0]")


@pytest.mark.network
def test_a_name_that_nobody_has_is_told_with_the_nearest_of_the_channel(
    conda_stubs: Channel, tmp_path: Path
) -> None:
    spec = GPU + 'packages = ["mlenv-dem0"]\n'
    reason = refusal(lock(spec, tmp_path, conda_stubs.url, today="2026-11-01T00:00:00Z"))
    assert reason.code == "no-solution"
    assert reason.nearest == ('packages: "mlenv-demo", which a channel has',)


@pytest.mark.network
def test_a_second_cuda_from_the_index_is_refused(conda_stubs: Channel, tmp_path: Path) -> None:
    spec = GPU + 'packages = ["nvidia-cuda-nvrtc-cu12"]\n'
    reason = refusal(lock(spec, tmp_path, conda_stubs.url, today="2026-11-01T00:00:00Z"))
    assert reason.code == "shadows-conda"


@pytest.mark.network
def test_a_wheel_that_was_compiled_against_another_torch_is_not_called_good(
    conda_stubs: Channel, tmp_path: Path
) -> None:
    spec = HEAD + 'python = "3.12"\nframework = "torch==2.8.0"\npackages = ["torchaudio==2.8.0"]\n'
    (outcome,) = lock(spec, tmp_path, conda_stubs.url, today="2026-11-01T00:00:00Z")
    assert outcome.verdict == "unknown"
    assert any("torchaudio 2.8.0" in each.what for each in outcome.warnings)


FORGE = HEAD + 'framework = "torch{}"\npython = "{}"\ncuda = "{}"\n[targets.m]\n{}'


@pytest.mark.parametrize(
    ("wanted", "python", "toolkit", "machine", "build"),
    [
        pytest.param("==2.6.*", "3.12", "12.8", 'gpus = ["H100"]', "cuda126_mkl_py312", id="2.6"),
        pytest.param("==2.6.*", "3.12", "12.8", 'gpus = ["V100"]', "cuda126_mkl_py312", id="V100"),
        pytest.param("", "3.13", "12.9", 'driver = ">=570"', "cuda129_mkl_py313", id="newest"),
        pytest.param("", "3.12", "12", 'driver = ">=535"', "cuda129_mkl_py312", id="any 12"),
    ],
)
def test_conda_forge_gives_gpu_builds(  # noqa: PLR0917 (a table)
    forge: Channel,
    tmp_path: Path,
    wanted: str,
    python: str,
    toolkit: str,
    machine: str,
    build: str,
) -> None:
    assert forge.url
    spec = FORGE.format(wanted, python, toolkit, machine) + "\n"
    (outcome,) = lock(spec, tmp_path, today=condaforge.TODAY)
    assert f"-{build}_" in packages(outcome)["pytorch"]
    assert outcome.lock is not None
    assert outcome.lock.stack.toolkit.startswith(toolkit)
    assert {each.index for each in outcome.lock.package} == {"conda-forge"}
    cudnn = outcome.lock.stack.cudnn
    assert cudnn is not None
    if "V100" in machine:  # cuDNN 9.11 and newer have no kernels for it
        assert tuple(map(int, cudnn.split(".")[:2])) < (9, 11)
        assert outcome.verdict == "ok"


def test_the_spec_of_this_repository_is_good_on_conda_forges_records(
    forge: Channel, tmp_path: Path
) -> None:
    assert forge.url
    spec = (Path(__file__).parents[2] / "specs" / "torch-conda.toml").read_text("utf-8")
    (outcome,) = lock(spec, tmp_path, today=condaforge.TODAY)
    assert (outcome.verdict, outcome.lock and outcome.lock.stack.toolkit) == ("ok", "12.9")
    assert "cuda129" in packages(outcome)["pytorch"]
    assert {each.code for each in outcome.warnings} <= {"minor-version-mode"}


@pytest.mark.parametrize(
    ("wanted", "python", "toolkit", "code", "keys"),
    [
        pytest.param("", "3.14", "12.9", "cpu-only-build", ["python", "framework"], id="3.14"),
        pytest.param("", "3.12", "12.6", "no-solution", ["python", "framework", "cuda"], id="12.6"),
    ],
)
def test_conda_forge_never_gives_a_cpu_build_in_silence(  # noqa: PLR0917 (a table)
    forge: Channel,
    tmp_path: Path,
    wanted: str,
    python: str,
    toolkit: str,
    code: str,
    keys: list[str],
) -> None:
    assert forge.url
    spec = FORGE.format(wanted, python, toolkit, 'driver = ">=570"\n')
    reason = refusal(lock(spec, tmp_path, today=condaforge.TODAY))
    assert reason.code == code
    assert [each.rpartition(": ")[2] for each in reason.where] == keys
    assert reason.nearest


def test_the_toolkit_that_came_is_held_against_the_driver(
    conda_stubs: Channel, tmp_path: Path
) -> None:
    spec = GPU + '[targets.m]\ndriver = "==470.42.01"\n'
    reason = refusal(lock(spec, tmp_path, conda_stubs.url))
    assert reason.code in {"no-solution", "driver-too-old", "cpu-only-build"}
    assert any("driver" in each for each in reason.where)


def test_nothing_is_solved_where_nothing_changed(conda_stubs: Channel, tmp_path: Path) -> None:
    lock(GPU, tmp_path, conda_stubs.url)
    spec = GPU + f"[lock]\nchannels = {json.dumps([conda_stubs.url])}\n"
    out = tmp_path / "images"
    found = uptodate.current(spec, out, target=None, recipe=False)
    assert found is not None
    assert [*found] == [out / "stack"]
    assert uptodate.current(spec + "# a note\n", out, target=None, recipe=False) is not None
    assert (
        uptodate.current(spec + "exclude-newer = 2025-12-01\n", out, target=None, recipe=False)
        is None
    )
    (out / "stack" / "pixi.lock").write_text("", encoding="utf-8")
    assert uptodate.current(spec, out, target=None, recipe=False) is None


@pytest.mark.network
def test_without_the_extra_the_error_says_what_to_install(tmp_path: Path) -> None:
    """In an environment that has mlenv and all it needs, but for the extra."""
    repository = Path(__file__).parents[2]
    uv = tools.uv()
    for words in (
        ["venv", "--quiet", "--python", sys.executable, str(tmp_path / "venv")],
        ["pip", "install", "--quiet", "--python", str(tmp_path / "venv"), str(repository)],
    ):
        subprocess.run([uv, *words], check=True, capture_output=True)
    (tmp_path / "spec.toml").write_text(GPU, encoding="utf-8")
    done = subprocess.run(
        [str(tmp_path / "venv" / "bin" / "mlenv"), "lock", "spec.toml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "error[solver-missing]" in done.stderr) == (4, True)
    assert "pip install 'mlenv[conda]'" in done.stderr
    assert not (tmp_path / "images").exists()
