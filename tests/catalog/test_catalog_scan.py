"""Pages and metadata as rows: every rule of the scan as a case."""

from __future__ import annotations

import json

import pytest

from mlenv import simple
from mlenv.catalog import inside, news, renewal, scan, scope
from mlenv.host.parts import Parts

LINUX = "manylinux_2_28_x86_64"


def files(*names: str, **said: object) -> tuple[simple.Published, ...]:
    rows = [{"filename": name, "url": f"/{name}", **said} for name in names]
    return simple.files("application/json", json.dumps({"files": rows}))


def row(*names: str) -> scan.Row:
    return scan.page_row(files(*names), None, "2026-01-01")


@pytest.mark.parametrize(
    ("names", "wheels"),
    [
        pytest.param(
            ["a-1-cp310-cp310-manylinux1_x86_64.whl", "a-1-cp39-cp39-manylinux2014_x86_64.whl"],
            {"x86_64": {"python": ["cp39", "cp310"], "glibc": ["2.5", "2.17"]}},
            id="pythons and glibcs ascend as numbers",
        ),
        pytest.param(
            ["a-1-cp313-cp313t-linux_aarch64.whl", "a-1-cp313-cp313-linux_aarch64.whl"],
            {"aarch64": {"python": ["cp313", "cp313t"]}},
            id="free-threaded, and a platform that says no glibc",
        ),
        pytest.param(
            [f"a-1-cp38-abi3-{LINUX}.whl", "a-1-py2.py3-none-any.whl"],
            {
                "any": {"python": ["py2", "py3"]},
                "x86_64": {"python": ["abi3>=cp38"], "glibc": ["2.28"]},
            },
            id="the stable ABI, and pure Python",
        ),
        pytest.param(
            ["a-1-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"],
            {"x86_64": {"python": ["py3"], "glibc": ["2.17"]}},
            id="two platforms of one wheel",
        ),
        pytest.param(
            ["a-1-py3-none-win_amd64.whl", "a-1-py3-none-musllinux_1_2_x86_64.whl"],
            None,
            id="no Linux that is catalogued",
        ),
        pytest.param(
            [f"a-1-cp{'9' * 5000}-none-{LINUX}.whl"],
            {"x86_64": {"python": [f"cp{'9' * 5000}"], "glibc": ["2.28"]}},
            id="a tag that is absurd",
        ),
    ],
)
def test_the_wheels_of_a_release(names: list[str], wheels: object) -> None:
    assert row(*names).get("wheels") == wheels


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        pytest.param(["cp310-cp310", "cp312-cp312", "cp313-cp313"], "cp312-cp312", id="cp312"),
        pytest.param(["cp39-cp39", "cp311-cp311", "cp313-cp313"], "cp311-cp311", id="before it"),
        pytest.param(["cp313-cp313", "cp314-cp314"], "cp313-cp313", id="only newer ones"),
        pytest.param(["cp313-cp313t", "cp314-cp314"], "cp314-cp314", id="not a free-threaded one"),
        pytest.param(["cp38-abi3", "py3-none"], "cp38-abi3", id="the stable ABI"),
    ],
)
def test_the_wheel_that_stands_for_a_release(names: list[str], chosen: str) -> None:
    found = scan.wheels(files(*(f"a-1-{name}-{LINUX}.whl" for name in names)))
    assert scan.representatives(found)["x86_64"].file.filename == f"a-1-{chosen}-{LINUX}.whl"


def test_a_pure_wheel_stands_where_an_architecture_has_no_other() -> None:
    names = [f"a-1-py3-none-{LINUX}.whl", "a-1-py3-none-any.whl"]
    assert set(scan.representatives(scan.wheels(files(*names)))) == {"x86_64", "any"}
    names.append("a-1-py3-none-manylinux_2_28_aarch64.whl")
    assert set(scan.representatives(scan.wheels(files(*names)))) == {"x86_64", "aarch64"}


def test_releases_below_the_lowest_and_prereleases_are_left_out() -> None:
    found = files(*(f"torch-{v}.tar.gz" for v in ("1.12.1", "1.13.0", "2.0.0rc1", "2.0.0.dev1")))
    releases = scan.releases(found, scope.SEEDS["torch"])
    assert [str(version) for version in releases] == ["1.13.0"]


def test_a_release_is_yanked_where_all_its_files_are() -> None:
    one, two = "a-1-py3-none-any.whl", "a-1.tar.gz"
    assert "yanked" not in scan.page_row((*files(one), *files(two, yanked=True)), None, "")
    assert scan.page_row(files(one, two, yanked=True), None, "")["yanked"] == scan.NO_REASON
    assert scan.page_row(files(one, yanked="broken"), None, "")["yanked"] == "broken"


def test_a_page_says_more_than_one_form_says() -> None:
    link = (
        '<a href="../f/a-1-py3-none-any.whl#sha256=' + "a" * 64 + '" data-yanked="why" '
        'data-core-metadata="sha256=0" data-upload-time="2025-01-02T03:04:05.678Z">'
        "a-1-py3-none-any.whl</a>"
    )
    (html,) = simple.files("text/html", link, page="http://index.example/simple/a/")
    document = {
        "files": [
            {
                "filename": "a-1-py3-none-any.whl",
                "url": "../f/a-1-py3-none-any.whl",
                "hashes": {"sha256": "a" * 64},
                "yanked": "why",
                "core-metadata": {"sha256": "0"},
                "upload-time": "2025-01-02T03:04:05.678Z",
            }
        ]
    }
    # a mirror that calls JSON HTML is read all the same
    (said,) = simple.files("text/html", json.dumps(document), page="http://index.example/simple/a/")
    assert html == said
    assert html.url == "http://index.example/simple/f/a-1-py3-none-any.whl"
    assert simple.moment(html.uploaded) == "2025-01-02T03:04:05Z"
    assert simple.moment("2025-01-02") is simple.moment("soon") is None


@pytest.mark.parametrize(
    ("package", "text", "found"),
    [
        pytest.param("torch", "cuda = '12.8'\n", {"built-for": "12.8"}, id="torch"),
        pytest.param(
            "torch", "cuda: Optional[str] = '13.0'", {"built-for": "13.0"}, id="torch, annotated"
        ),
        pytest.param("torch", "cuda = None\n", {"built-for": "cpu"}, id="torch for the CPU"),
        pytest.param(
            "tensorflow",
            '"is_cuda_build": True, "cuda_version": "12.5.1", '
            '"cuda_compute_capabilities": ["sm_60", "compute_90"]',
            {"built-for": "12.5", "code": ["sm_60", "compute_90"]},
            id="tensorflow",
        ),
        pytest.param(
            "tensorflow",
            "'is_cuda_build': False",
            {"built-for": "cpu"},
            id="tensorflow for the CPU",
        ),
        pytest.param("cupy-cuda12x", '{"cuda": "12.x"}', {"built-for": "12"}, id="cupy"),
        pytest.param(
            "xformers", '{"version": {"cuda": 1208}}', {"built-for": "12.8"}, id="xformers"
        ),
        pytest.param("xformers", '{"version": {"cuda": null}}', {}, id="xformers without CUDA"),
        pytest.param("xformers", "[" * 100_000, {}, id="xformers, hostile"),
        pytest.param("onnxruntime-gpu", "cuda_version = '12.8'", {"built-for": "12.8"}, id="onnx"),
        pytest.param(
            "paddlepaddle-gpu", "cuda_version     = '11.8'", {"built-for": "11.8"}, id="p"
        ),
        pytest.param("torch", "", {}, id="no small file"),
    ],
)
def test_what_a_wheel_was_built_for(package: str, text: str, found: object) -> None:
    (wheel,) = scan.wheels(files(f"a-1-cp312-cp312-{LINUX}.whl"))
    made = inside.metadata_row(package, wheel, Parts(size=1, small=text))
    assert {key: made[key] for key in made if key != "file"} == found


METADATA = """Name: torch
Provides-Extra: with-cuda
Provides-Extra: docs
Requires-Dist: nvidia-cudnn-cu12==9.1; platform_machine == "x86_64"
Requires-Dist: cuda-toolkit[nvrtc,cublas]==13.0.2
Requires-Dist: numpy; python_version < "3.12"
Requires-Dist: requests
Requires-Dist: nvidia-nccl-cu12>=2; extra == "with-cuda"
Requires-Dist: nvidia-nvtx; extra == "docs"
Requires-Dist: triton; nonsense == "x"
Requires-Dist: triton; python_version >= "x"
Requires-Dist: !!!

Requires-Dist: tensorrt-of-the-description
"""


def test_requirements_that_have_to_do_with_gpus() -> None:
    x86, arm = scan.wheels(
        files(f"torch-1-cp312-cp312-{LINUX}.whl", "torch-1-cp311-cp311-manylinux1_aarch64.whl")
    )
    read = Parts(size=1, metadata=METADATA)
    made = inside.metadata_row("torch", x86, read)
    assert made["requires"] == {
        "cuda-toolkit[cublas,nvrtc]": "==13.0.2",
        "nvidia-cudnn-cu12": "==9.1",
    }
    assert made["extras"] == {"with-cuda": {"nvidia-nccl-cu12": ">=2"}}
    assert set(inside.metadata_row("torch", arm, read)["requires"]) == {
        "cuda-toolkit[cublas,nvrtc]",
        "numpy",
    }
    assert inside.discovered(read) == {
        *("nvidia-cudnn-cu12", "cuda-toolkit", "nvidia-nccl-cu12", "nvidia-nvtx")
    }


def test_gpu_code_that_was_read_before_is_kept_on_reading_anew() -> None:
    name = f"torch-2.0-cp312-cp312-{LINUX}.whl"
    former = {"metadata": {"x86_64": {"file": name, "built-for": "12.8", "code": ["sm_90"]}}}
    (step,) = renewal.steps("torch", files(name), {"2.0": former}, today="2026-01-01", anew=True)
    for small, code in (("cuda = '12.8'", ["sm_90"]), ("cuda = '12.9'", None)):
        made = renewal.finished(step, {name: Parts(size=1, small=small)})
        assert made["metadata"]["x86_64"].get("code") == code


def test_news_in_words() -> None:
    def pins(of: str) -> dict[str, object]:
        return {"date": "2025-01-01", "metadata": {"x86_64": {"file": "f", "requires": {"a": of}}}}

    before = {"p": {"1.0": {"date": "2025-01-01"}, "1.9": pins("==1"), "1.10": {"date": "d"}}}
    after = {
        "p": {
            "1.0": {"date": "2025-01-01", "yanked": "broken"},
            "1.9": pins("==2"),
            "1.11": {"date": "2025-02-02"},
        }
    }
    assert [(each.kind, each.text) for each in news.news(before, after)] == [
        ("yanked", "p 1.0 was yanked: broken"),
        ("pins", "p 1.9 pins otherwise: x86_64: a==2; x86_64: a==1 no longer"),
        ("gone", "p 1.10 is gone"),
        ("new", "p 1.11 is new (2025-02-02)"),
    ]
    assert news.news(after, after) == ()
    offers = {"torch": {"2.9.0": {"x86_64": ["12.8", "13.0"]}}}
    (one,) = news.offered({}, offers)
    assert one.text == "torch 2.9.0 on its own index: not known -> x86_64 12.8, 13.0"
