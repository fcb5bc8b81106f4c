"""``mlenv diff`` of specs and of images; of locks see ``test_cli``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import imagery
from loopback import Index, environment
from mlenv.cli import main
from mlenv.image.contrast import Seen, SeenLayer, contrast

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from containers import Hub

OLD = (
    'name = "a"\npython = "3.12"\nframework = "torch==2.8.*"\ncuda = "12.8"\npackages = ["tqdm"]\n'
)
NEW = OLD.replace("2.8.*", "2.9.*").replace('"tqdm"', '"tqdm>=4", "rich"')


def typed(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    status = main(words)
    said = capsys.readouterr()
    return status, said.out, said.err


@pytest.fixture
def specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.toml").write_text(OLD, encoding="utf-8")
    (tmp_path / "new.toml").write_text(NEW, encoding="utf-8")
    return tmp_path


def test_specs_differ_in_lines_and_decisions(
    specs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = typed(capsys, "diff", "old.toml", "new.toml")
    assert status == 1
    assert "torch==2.8.* -> torch==2.9.*" in out
    assert "tqdm -> tqdm>=4" in out
    assert "rich is new" in out
    assert typed(capsys, "diff", "old.toml", "old.toml")[:2] == (0, "no difference\n")
    (specs / "note.toml").write_text(f"# a note\n{OLD}", encoding="utf-8")
    assert typed(capsys, "diff", "old.toml", "note.toml")[0] == 0


def test_a_verdict_that_changes_is_told_first_with_its_reason(
    specs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (specs / "bad.toml").write_text(OLD.replace("12.8", "11.8"), encoding="utf-8")
    status, out, _ = typed(capsys, "diff", "old.toml", "bad.toml", "--json")
    (target,) = json.loads(out)["targets"]
    assert status == 1
    assert target["verdict"] == ["ok", "impossible"]
    assert target["reasons"][0].startswith("cuda-not-offered: ")
    _, page, _ = typed(capsys, "diff", "old.toml", "bad.toml", "--markdown")
    assert page.startswith("## old.toml -> bad.toml\n\n- verdict ok -> impossible\n")


def test_two_kinds_are_refused(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = typed(capsys, "diff", "old.toml", "ghcr.io/me/a:1")
    assert (status, "old.toml is a spec, and ghcr.io/me/a:1 an image" in err) == (2, True)
    assert sorted(each.name for each in specs.iterdir()) == ["new.toml", "old.toml"]


def seen(*layers: tuple[str, int], **labels: str) -> Seen:
    return Seen(
        name="x",
        digest=None,
        platform="linux/amd64",
        labels=labels,
        environment={},
        user="1000",
        layers=tuple(SeenLayer(text=d, digest=d, size=s) for d, s in layers),
    )


def test_a_layer_that_stays_is_not_pushed_again() -> None:
    found = contrast(
        seen(("base", 10), ("cuda", 100), ("rest", 1), a="1"),
        seen(("base", 10), ("cuda", 100), ("new", 2), a="2"),
    )
    assert [each.digest for each in found.again] == ["new"]
    assert [each.digest for each in found.gone] == ["rest"]
    assert (found.kept, found.kept_bytes) == (2, 110)
    assert found.facts == ("label a 1 -> 2",)
    assert not contrast(seen(("base", 10)), seen(("base", 10)))


@pytest.fixture
def two(
    mirrored: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Hub, Path, Path]]:
    """Yield a registry, and two locked folders that differ in a package."""
    imagery.publish(mirrored, imagery.base(tmp_path / "base"))
    with Index(imagery.shelf()) as index:
        for name, text in environment(index, cache=tmp_path / "uv-cache").items():
            monkeypatch.setenv(name, text)
        monkeypatch.setenv("MLENV_CACHE_DIR", str(tmp_path / "cache"))
        monkeypatch.chdir(tmp_path)
        spec = imagery.SPEC
        one = imagery.lock(tmp_path / "images", tmp_path / "cache", spec)
        less = spec.replace(', "example-tool"', "").replace('"small"', '"less"')
        other = imagery.lock(tmp_path / "images", tmp_path / "cache", less)
        yield mirrored, one, other


@pytest.mark.registry
def test_images_differ_in_packages_labels_and_layers(
    two: tuple[Hub, Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    hub, one, other = two
    names = [f"{hub.address}/me/{each.name}:1" for each in (one, other)]
    for folder, name in zip((one, other), names, strict=True):
        words = ("image", str(folder), "--engine", "none", "--push", name)
        assert typed(capsys, *words, "--output", f"{folder.name}-layout")[0] == 0
    for pair in (names, ["small-layout", "less-layout"]):
        status, out, err = typed(capsys, "diff", *pair)
        assert status == 1, err
        assert " is gone (" in out
        assert "label dev.mlenv.artefacts-sha256" in out
        assert "to push again: " in out.splitlines()[-1]
        assert " kept (" in out.splitlines()[-1]
    status, out, _ = typed(capsys, "diff", *names, "--json")
    found = json.loads(out)
    assert found["same"] is False
    assert found["kept"] >= 1
    assert [each["name"] for each in found["packages"]["moves"]] == ["example-tool"]
    assert typed(capsys, "diff", names[0], names[0])[:2] == (0, "no difference\n")


@pytest.mark.registry
def test_a_damaged_layout_is_told(
    two: tuple[Hub, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(capsys, "image", str(two[1]), "--engine", "none", "--output", "layout")[0] == 0
    for blob in (tmp_path / "layout" / "blobs" / "sha256").iterdir():
        blob.unlink()
        blob.write_bytes(b"{}")
    status, _, err = typed(capsys, "diff", "layout", "layout")
    assert status == 2
    assert "error[image-unreadable]" in err
    (tmp_path / "layout" / "index.json").write_text("[]", encoding="utf-8")
    assert typed(capsys, "diff", "layout", "layout")[0] == 2
