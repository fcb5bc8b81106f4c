"""Exports for clusters: each is read by the tool it is for, and makes GPUs appear there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

import clusters
from exporting import exported, lock_of, ran, tool

IMAGE = "ghcr.io/me/train:1"
DIGEST = f"{IMAGE}@sha256:{'a' * 64}"
HOSTILE = ("python", "-c", "print('$(touch no) `touch no` \"; touch no #')", "*", "a\nb", "%j", "")
SCRIPTS = {"slurm": "torch-cuda126-cluster.sbatch", "enroot": "torch-cuda126-cluster-enroot.sh"}
SAYS_WORDS = (
    '#!/bin/sh\nprintf \'%s\\0\' "$@" >>"$MLENV_TEST_SAID"; printf \'\\1\' >>"$MLENV_TEST_SAID"\n'
)


def script(folder: Path, place: Path, name: str, *words: str) -> Path:
    return exported(folder, place, "--to", name, *words) / SCRIPTS[name]


def squashed(folder: Path) -> str:
    """Return what the squashfs of a lock is called: another lock's is called otherwise."""
    return f"torch-cuda126-cluster-{lock_of(folder).artefacts_sha256[:12]}"


def job(folder: Path, place: Path, *words: str) -> dict[str, Any]:
    exported(folder, place, "--to", "kubernetes", *words)
    (path,) = place.glob("*-job.yaml")
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("words", [(), ("--image", DIGEST)], ids=["a local image", "a digest"])
def test_shellcheck_has_nothing_to_say(
    name: str, words: tuple[str, ...], torch_folder: Path, tmp_path: Path
) -> None:
    path = script(torch_folder, tmp_path, name, *words, "--", "python", "train.py", "--lr", "a b")
    argv = [str(Path(sys.executable).parent / "shellcheck"), "--severity=style", str(path)]
    done = ran(argv, tmp_path, {})
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_words_of_a_job_arrive_as_they_were_given(
    name: str, torch_folder: Path, tmp_path: Path
) -> None:
    # neither srun with pyxis nor enroot can be had here: these say what they were told
    for program in ("srun", "enroot"):
        path = tmp_path / "bin" / program
        path.parent.mkdir(exist_ok=True)
        path.write_text(SAYS_WORDS, encoding="utf-8")
        path.chmod(0o755)
    path = script(torch_folder, tmp_path, name, "--image", IMAGE, "--", *HOSTILE)
    (tmp_path / f"{squashed(torch_folder)}.sqsh").touch()  # imported already
    said = tmp_path / "said"
    env = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "MLENV_TEST_SAID": str(said)}
    done = ran(["bash", str(path)], tmp_path, env)
    assert done.returncode == 0, done.stderr
    last = said.read_bytes().decode().split("\1")[-2].removesuffix("\0").split("\0")
    assert tuple(last[-len(HOSTILE) :]) == HOSTILE
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        pytest.param(
            None,
            (
                *('"$PWD/{squashed}.sqsh"', "dockerd://torch-cuda126:cluster"),
                *("docker-daemon", "torch-cuda126:cluster"),
            ),
            id="what mlenv loaded into docker",
        ),
        pytest.param(
            IMAGE,
            (
                *("'ghcr.io#me/train:1'", "'docker://ghcr.io#me/train:1'"),
                *("docker", "ghcr.io/me/train:1"),
            ),
            id="a tag",
        ),
        pytest.param(
            DIGEST,
            (
                f"'ghcr.io#me/train@sha256:{'a' * 64}'",
                f"'docker://ghcr.io#me/train@sha256:{'a' * 64}'",
                *("docker", f"ghcr.io/me/train@sha256:{'a' * 64}"),
            ),
            id="a digest, without its tag",
        ),
        pytest.param(
            "me/train",
            ("me/train:latest", "docker://me/train:latest", "docker", "me/train:latest"),
            id="Docker Hub, which enroot does not name",
        ),
    ],
)
def test_an_image_is_named_as_each_tool_names_it(
    image: str | None, expected: tuple[str, str, str, str], torch_folder: Path, tmp_path: Path
) -> None:
    slurm, enroot, *apptainer = expected
    words = ("--image", image) if image else ()
    exported(torch_folder, tmp_path, *words, "--to", "slurm", "--to", "enroot", "--to", "apptainer")
    found = {p.suffix: p.read_text(encoding="utf-8") for p in tmp_path.iterdir()}
    name = squashed(torch_folder)
    assert f"\nimage={slurm.format(squashed=name)}\n" in found[".sbatch"]
    assert f" --output {name}.part.sqsh {enroot}\n" in found[".sh"]
    assert f"\nBootstrap: {apptainer[0]}\nFrom: {apptainer[1]}\n" in found[".def"]


def test_gpus_are_let_in_where_the_tool_wants_to_be_told(
    torch_folder: Path, tmp_path: Path
) -> None:
    names = ("slurm", "enroot", "apptainer", "kubernetes")
    words = [word for name in names for word in ("--to", name)]
    exported(torch_folder, tmp_path, *words, "--image", IMAGE)
    found = {p.suffix: p.read_text(encoding="utf-8") for p in tmp_path.iterdir()}
    for suffix in (".sbatch", ".sh"):
        assert "export NVIDIA_VISIBLE_DEVICES=all\n" in found[suffix]
        assert "export NVIDIA_DRIVER_CAPABILITIES=compute,utility\n" in found[suffix]
    both = "NVIDIA_VISIBLE_DEVICES,NVIDIA_DRIVER_CAPABILITIES"
    assert f"--container-env={both} " in found[".sbatch"]
    assert "--env NVIDIA_VISIBLE_DEVICES " in found[".sh"]
    assert "--nv" in found[".def"]
    assert "NVIDIA_VISIBLE_DEVICES" not in found[".yaml"]


def test_kubernetes_takes_the_job_and_sends_it_to_gpus_that_can_run_it(
    torch_folder: Path, tmp_path: Path
) -> None:
    found = job(torch_folder, tmp_path, "--image", DIGEST, "--gpus", "2", "--", *HOSTILE)
    for version in ("1.30", kubernetes_validate.latest_version()):
        kubernetes_validate.validate(found, version, strict=True)
    pod = found["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == DIGEST
    assert tuple(container["args"]) == HOSTILE
    assert container["resources"] == {"limits": {"nvidia.com/gpu": 2}}
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["nodeSelector"] == {"kubernetes.io/arch": "amd64"}
    affinity = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    terms = [
        {each["key"].rpartition("/")[2]: each["values"] for each in term["matchExpressions"]}
        for term in affinity["nodeSelectorTerms"]
    ]
    driver = {"cuda.driver-version.major": ["524"]}
    assert terms == [
        {"gpu.compute.major": ["7"], "gpu.compute.minor": ["0"], **driver},
        {"gpu.compute.major": ["8"], "gpu.compute.minor": ["0"], **driver},
    ]


def test_a_job_that_kubernetes_would_refuse_is_seen(torch_folder: Path, tmp_path: Path) -> None:
    found = job(torch_folder, tmp_path, "--image", IMAGE)
    found["spec"]["template"]["spec"]["containers"][0]["gpus"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(found, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.slurm
def test_slurm_would_start_the_job(torch_folder: Path, tmp_path: Path) -> None:
    if reason := clusters.lacking(accounting=False):
        pytest.skip(reason)
    path = script(torch_folder, tmp_path, "slurm", "--image", IMAGE, "--gpus", "2")
    with clusters.cluster(accounting=False) as running:
        env = {**os.environ, **running.environment}
        argv = ["sbatch", "--test-only", str(path)]
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert re.search(r"Job \d+ to start at", done.stderr)
        path.write_text(path.read_text(encoding="utf-8").replace("--gpus=2", "--gpus=9"))
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
        assert done.returncode != 0, "a job of more GPUs than there are is to be refused"


SHOW = """
import sys, runpy, json
import modal
found = runpy.run_path(sys.argv[1])
print(json.dumps([found["app"].name, sorted(found["app"].registered_functions)]))
"""


@pytest.mark.network
def test_modal_reads_its_file(torch_folder: Path, tmp_path: Path) -> None:
    python = tool(tmp_path / "tool", "modal") / "python"
    (tmp_path / "show.py").write_text(SHOW, encoding="utf-8")
    for name, words in (("a", ()), ("b", ("--image", DIGEST, "--gpus", "2"))):
        exported(torch_folder, tmp_path / name, "--to", "modal", *words, "--", *HOSTILE)
        path = tmp_path / name / "torch_cuda126_cluster_modal.py"
        done = ran([str(python), "show.py", str(path)], tmp_path, {})
        assert done.stdout == '["torch-cuda126-cluster", ["job"]]\n', done.stderr
    text = path.read_text(encoding="utf-8")
    assert "gpu='A100:2'" in text  # Modal has no V100
