"""``image``, ``build --image``, ``update``, ``clean``, ``explain --image``, as they are typed."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

import imagery
from drive import texts
from imagery import PYTHON
from loopback import Index, environment, wheel
from mlenv.cli import main
from mlenv.lock import parse_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from containers import Hub

pytestmark = pytest.mark.registry

LONG = "example_heavy/" + "a_folder_with_a_long_name/" * 3 + "libexample_of_many_words.so.12"


@pytest.fixture
def hub_and_index(
    mirrored: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Hub, Index]]:
    """Yield a registry that has the base, and the index; the folder is the test's."""
    imagery.publish(mirrored, imagery.base(tmp_path / "base"))
    with Index(imagery.shelf()) as index:
        for name, text in environment(index, cache=tmp_path / "uv-cache").items():
            monkeypatch.setenv(name, text)
        monkeypatch.setenv("MLENV_CACHE_DIR", str(tmp_path / "cache"))
        monkeypatch.chdir(tmp_path)
        yield mirrored, index


@pytest.fixture
def folder(hub_and_index: tuple[Hub, Index], tmp_path: Path) -> Path:
    assert hub_and_index
    return imagery.lock(tmp_path / "images", tmp_path / "cache")


@pytest.fixture
def no_engine(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the engines of this machine: what lies in them is no test's to remove."""
    assert folder.is_dir()  # the registry runs by now
    monkeypatch.setenv("PATH", str(tmp_path / "no-programs"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")


def typed(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    status = main(words)
    said = capsys.readouterr()
    return status, said.out, said.err


def document(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    status, out, _ = typed(capsys, *words, "--json")
    return status, json.loads(out)


def test_an_image_is_told_in_lines_of_eighty_columns(
    folder: Path, hub_and_index: tuple[Hub, Index], capsys: pytest.CaptureFixture[str]
) -> None:
    target = f"{hub_and_index[0].address}/me/small:1"
    status, out, err = typed(capsys, "image", str(folder), "--push", target, "--output", "x.tar")
    assert status == 0, err
    digest = imagery.pull(hub_and_index[0], "me/small", "1").digest
    assert out.splitlines() == [f"{target}@{digest}", "x.tar"]
    assert all(len(line) <= 80 for line in err.splitlines()), err
    assert f"small: assembled on python:{imagery.BASE_TAG}@" in err
    assert "not proven" in err
    _, _, again = typed(capsys, "image", str(folder), "--push", target)
    assert again.count("  kept") == 4
    assert "uploaded 0 kB of 8.0 MB" in again


def test_the_document_of_an_image_says_what_was_made(
    folder: Path, hub_and_index: tuple[Hub, Index], capsys: pytest.CaptureFixture[str]
) -> None:
    target = f"{hub_and_index[0].address}/me/small:1"
    status, found = document(capsys, "image", str(folder), "--push", target, "--output", "layout")
    assert (status, found["route"], found["written"]) == (0, "assembled", "layout")
    assert found["pushed"] == f"{target}@{found['digest']}"
    assert found["reproducible"] is True
    assert [set(each) for each in found["layers"]] == [
        {"text", "digest", "size", "unpacked", "new"}
    ] * 4
    assert sum(each["size"] for each in found["layers"]) < found["size"]


@pytest.mark.parametrize(
    ("spec", "words", "code", "said"),
    [
        pytest.param(
            'apt = ["git"]\n', ("--engine", "none"), "needs-engine", "`image.apt`", id="apt"
        ),
        pytest.param(
            "compile = true\n", ("--engine", "none"), "needs-engine", "compiler", id="a compiler"
        ),
        pytest.param(
            "", ("--push", "a/b@sha256:" + "0" * 64), "image-order", "digest", id="digest"
        ),
        pytest.param("", ("--push", "not a name!"), "image-order", "names no image", id="nonsense"),
        pytest.param("", ("--push", ""), "image-order", "names no image", id="nothing"),
        pytest.param(
            "", ("--output", "x.tar", "--tag", "UP per"), "image-order", "--tag", id="a wrong tag"
        ),
        pytest.param("", ("--output", "full"), "disk-failed", "no image", id="a folder with files"),
        pytest.param("", ("--output", "full.tar"), "disk-failed", "a folder", id="a folder.tar"),
    ],
)
def test_an_order_that_cannot_be_is_refused_before_the_work(
    hub_and_index: tuple[Hub, Index],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    spec: str,
    words: tuple[str, ...],
    code: str,
    said: str,
) -> None:
    for name in ("full", "full.tar"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.txt").write_text("mine")
    folder = imagery.lock(
        tmp_path / "images", tmp_path / "cache", imagery.SPEC.replace("[image]", f"[image]\n{spec}")
    )
    hub_and_index[1].hits.clear()
    status, found = document(capsys, "image", str(folder), *words)
    (reason,) = found["reasons"]
    assert (reason["code"], status) == (code, 4 if code == "disk-failed" else 2)
    assert said in f"{reason['what']} {reason['cause']}"
    assert hub_and_index[1].hits == []
    assert not (tmp_path / "cache" / "images").exists()
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"


def test_what_was_not_locked_for_an_image_is_refused(
    hub_and_index: tuple[Hub, Index], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hub_and_index
    (tmp_path / "empty").mkdir()
    status, _, err = typed(capsys, "image", "empty", "--output", "x.tar")
    assert (status, "error[not-locked]" in err, "it holds no mlenv.lock" in err) == (2, True, True)
    (tmp_path / "small.toml").write_text(imagery.SPEC, "utf-8")
    assert typed(capsys, "lock", "small.toml")[0] == 0
    status, _, err = typed(capsys, "image", "images/small", "--output", "x.tar")
    assert (status, "no recipe of an image" in err) == (2, True)
    assert "mlenv build" in err
    assert not (tmp_path / "x.tar").exists()


def test_an_edited_recipe_is_not_ignored(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = folder / "Dockerfile"
    recipe.write_text(recipe.read_text("utf-8") + "USER 0\n", "utf-8")
    words = ("image", str(folder), "--engine", "none", "--output", "x.tar")
    status, _, err = typed(capsys, *words)
    assert (status, "error[needs-engine]" in err) == (2, True)
    assert "Dockerfile was edited" in err


def test_options_of_an_image_want_an_image(
    hub_and_index: tuple[Hub, Index], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "small.toml").write_text(imagery.SPEC, "utf-8")
    status, _, err = typed(capsys, "build", "small.toml", "--push", "a/b:1")
    assert (status, "--push is for an image: add --image" in err) == (2, True)
    two = f"{imagery.SPEC}[targets.one]\n[targets.two]\n"
    (tmp_path / "two.toml").write_text(two, "utf-8")
    target = f"{hub_and_index[0].address}/me/two:1"
    status, _, err = typed(capsys, "build", "two.toml", "--image", "--push", target)
    assert (status, "pick one with --target" in err) == (2, True)
    assert imagery.tags(hub_and_index[0], "me/two") == []


def test_a_base_that_moved_moves_a_digest_and_nothing_else(
    hub_and_index: tuple[Hub, Index], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub, index = hub_and_index
    (tmp_path / "small.toml").write_text(imagery.SPEC, "utf-8")
    assert typed(capsys, "build", "small.toml")[0] == 0
    before = texts(tmp_path / "images" / "small")
    moved = imagery.publish(hub, imagery.base(tmp_path / "newer", glibc="2.36-10"))
    shelf = next(iter(index.roots.values()))
    shelf.add(wheel("example-light", "1.2"), uploaded="2025-06-01")  # is not asked for
    assert typed(capsys, "build", "small.toml")[0] == 0
    assert texts(tmp_path / "images" / "small") == before
    status, found = document(capsys, "update", "small.toml", "--only", "base")
    assert (status, found["verdict"]) == (0, "ok")
    after = texts(tmp_path / "images" / "small")
    old, new = (parse_lock(each["mlenv.lock"], origin="x") for each in (before, after))
    assert new.base is not None
    assert new.uv is not None
    assert old.base is not None
    assert moved == new.base.digest != old.base.digest
    assert (new.package, new.exclude_newer) == (old.package, old.exclude_newer)
    changed = {name for name, text in after.items() if before.get(name) != text}
    assert changed == {"mlenv.lock", "Dockerfile"}
    lines = set(after["mlenv.lock"].splitlines()) - set(before["mlenv.lock"].splitlines())
    assert {line.partition(" =")[0] for line in lines} == {"digest", "sha256"}
    status, found = document(capsys, "update", "small.toml")
    assert (status, found["solved"]) == (0, True)


@pytest.mark.usefixtures("no_engine")
def test_clean_removes_what_can_be_made_again(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    words = ("image", str(folder), "--output", "x.tar")
    _, before = document(capsys, *words)
    (cache / "catalog").mkdir(exist_ok=True)
    (cache / "catalog" / "packages.json.gz").write_bytes(b"refreshed")
    busy = cache / "images" / "blobs" / "sha256" / ".part-busy"
    busy.write_bytes(b"of another mlenv")
    everything = sorted(cache.rglob("*"))
    _, dry = document(capsys, "clean", "--dry-run", "--all")
    assert (dry["removed"], dry["bytes"] > 8_000_000) == (False, True)
    assert sorted(cache.rglob("*")) == everything
    _, fresh = document(capsys, "clean")
    assert (fresh["removed"], fresh["bytes"]) == (True, 0)
    old = time.time() - 20 * 86400
    layers = sorted((cache / "images" / "layers").iterdir())
    for each in (layers[0], next((cache / "rootfs").iterdir())):
        os.utime(each, (old, old))
    _, aged = document(capsys, "clean", "--days", "14")
    assert {each["what"]: each["files"] for each in aged["kinds"]} == {
        "layers of images": 1,
        "facts of base images": 1,
    }
    assert typed(capsys, *words)[0] == 0
    status, out, err = typed(capsys, "clean", "--all")
    assert (status, "layers of images" in out, "freed " in err) == (0, True, True)
    assert busy.exists()
    assert (cache / "catalog" / "packages.json.gz").read_bytes() == b"refreshed"
    assert not [each for each in (cache / "images").rglob("*") if each.is_file() and each != busy]
    assert typed(capsys, "clean", "--all")[2] == "nothing to remove\n"
    _, after = document(capsys, *words)
    assert after["digest"] == before["digest"]


@pytest.mark.usefixtures("no_engine")
def test_clean_takes_of_a_folder_only_what_mlenv_wrote(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "mine.txt").write_text("mine")
    smoke = folder / "smoke.json"
    smoke.write_text(smoke.read_text("utf-8") + "\n", "utf-8")
    outside = tmp_path / "outside"
    (folder / "layers").rename(outside)
    (folder / "layers").symlink_to(outside)
    kept = sorted(outside.iterdir())
    status, found = document(capsys, "clean", str(folder), "--dry-run")
    assert (status, found["removed"], (folder / "mlenv.lock").exists()) == (0, False, True)
    assert "Dockerfile" in found["folders"][str(folder)]
    status, _, err = typed(capsys, "clean", str(folder))
    assert (status, "smoke.json was edited, and stays" in err) == (0, True)
    assert sorted(each.name for each in folder.iterdir()) == ["layers", "mine.txt", "smoke.json"]
    assert sorted(outside.iterdir()) == kept
    status, _, err = typed(capsys, "clean", str(folder))
    assert (status, "error[not-locked]" in err) == (2, True)


def test_a_broken_off_clean_costs_no_image(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("image", str(folder), "--output", "x.tar")
    _, before = document(capsys, *words)
    digest = next((tmp_path / "cache" / "rootfs").iterdir()).stem
    place = tmp_path / "cache" / "interpreters" / digest / PYTHON
    (place / "usr").mkdir(parents=True, exist_ok=True)  # and no word of what is in it
    status, after = document(capsys, *words)
    assert (status, after.get("digest")) == (0, before["digest"])


def test_the_weight_of_an_image_fits_a_terminal(
    hub_and_index: tuple[Hub, Index], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub, index = hub_and_index
    shelf = next(iter(index.roots.values()))
    files: dict[str, str | bytes] = {
        "example_heavy/__init__.py": "",
        LONG: b"\x7fELF" + bytes(2_000_000),
    }
    files["example_heavy/tests/data.bin"] = bytes(1_500_000)
    files["example_heavy/include/all.h"] = bytes(1_200_000)
    shelf.add(wheel("example-heavy", "2.0", files=files))
    (tmp_path / "small.toml").write_text(imagery.SPEC, "utf-8")
    assert typed(capsys, "build", "small.toml")[0] == 0
    status, out, _ = typed(capsys, "explain", "small.toml", "--image")
    assert (status, "no image of it was made here yet" in out) == (0, True)
    folder = imagery.lock(tmp_path / "images", tmp_path / "cache", today="2026-04-01T00:00:00Z")
    target = f"{hub.address}/me/small:1"
    assert typed(capsys, "image", str(folder), "--push", target)[0] == 0
    status, out, _ = typed(capsys, "explain", "small.toml", "--image")
    shown = out[out.index("\nimage") :]
    assert [line for line in shown.splitlines() if len(line) > 80] == []
    for word in ("largest files", "what could leave", "tests, 1 file", "headers", "first push"):
        assert word in shown
    assert "libexample_of_many_words.so.12 (example-heavy)" in shown
    assert f"last image: assembled on python:{imagery.BASE_TAG}@sha256:" in shown
    _, found = document(capsys, "explain", "small.toml", "--image")
    weight = found["targets"][0]["image"]
    assert {"parts", "largest", "leavers", "unread", "made"} == set(weight)
    assert weight["unread"] == []
    assert weight["made"]["now"]["route"] == "assembled"
