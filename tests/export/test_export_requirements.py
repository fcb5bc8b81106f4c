"""``--to requirements``: real pip and real uv take the file, and would install the lock."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
import uv

from exporting import exported, lock_of, pairs, pip, ran, versions
from loopback import environment

if TYPE_CHECKING:
    from pathlib import Path

    from loopback import Index

PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64")
WHERE = [word for each in PLATFORMS for word in ("--platform", each)]


def dry_run(file: Path, shop: Index, *words: str) -> tuple[int, str]:
    """Ask pip what it would install for the target; the file is all it is told."""
    argv = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
    argv += [*WHERE, "--only-binary", ":all:", "--target", "t", "--report", "r.json"]
    done = ran([*argv, "--requirement", str(file), *words], file.parent, pip(shop))
    return done.returncode, done.stderr


@pytest.mark.parametrize("variant", ["runtime", "dev"])
def test_pip_takes_the_file_of_two_indexes_and_would_install_the_lock(
    variant: str, torch_folder: Path, shop: Index, tmp_path: Path
) -> None:
    exported(torch_folder, tmp_path, "--to", "requirements", "--variant", variant)
    status, err = dry_run(tmp_path / "requirements.txt", shop)
    assert status == 0, err
    rows = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["install"]
    found = pairs((each["metadata"]["name"], each["metadata"]["version"]) for each in rows)
    assert found == versions(torch_folder, dev=variant == "dev")
    hashes = {each["download_info"]["archive_info"]["hashes"]["sha256"] for each in rows}
    assert hashes <= {each.sha256 for each in lock_of(torch_folder).package}


def test_pip_refuses_a_file_whose_hash_was_changed(
    torch_folder: Path, shop: Index, tmp_path: Path
) -> None:
    exported(torch_folder, tmp_path, "--to", "requirements")
    file = tmp_path / "requirements.txt"
    first = next(each for each in lock_of(torch_folder).package if each.name == "torch")
    file.write_text(file.read_text(encoding="utf-8").replace(first.sha256, "0" * 64), "utf-8")
    status, err = dry_run(file, shop)
    assert status != 0
    assert "DO NOT MATCH THE HASHES" in err


def test_uv_takes_the_file_too(torch_folder: Path, shop: Index, tmp_path: Path) -> None:
    exported(torch_folder, tmp_path, "--to", "requirements")
    words = ["pip", "sync", "--dry-run", "--target", "t"]
    words += ["--python-platform", "x86_64-manylinux_2_28", "--python", sys.executable]
    argv = [uv.find_uv_bin(), *words, "--index-strategy", "unsafe-best-match", "requirements.txt"]
    done = ran(argv, tmp_path, environment(shop))
    assert done.returncode == 0, done.stderr
    lines = [each.removeprefix(" + ") for each in done.stderr.splitlines() if each[:3] == " + "]
    found = pairs((name, version) for name, _, version in (each.partition("==") for each in lines))
    assert found == versions(torch_folder)


def test_the_default_index_is_not_named(torch_folder: Path, tmp_path: Path) -> None:
    text = (
        exported(torch_folder, tmp_path, "--to", "requirements") / "requirements.txt"
    ).read_text()
    urls = [line for line in text.splitlines() if "://" in line]
    assert urls == ["--extra-index-url http://download.pytorch.org/whl/cu126"]
