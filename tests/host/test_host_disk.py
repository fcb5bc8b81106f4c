from __future__ import annotations

import errno
import fcntl
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlenv.errors import HostError
from mlenv.files import File
from mlenv.host import disk, swap

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("Dockerfile", "layers/00-base.txt", "layers/01-framework.txt", "mlenv.lock")


def files(word: str, names: tuple[str, ...] = NAMES) -> tuple[File, ...]:
    return tuple(File(name, f"{name} {word}\n" * 50) for name in names)


def tree(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def texts(*made: File) -> dict[str, str]:
    return {each.path: each.text for each in made}


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.parent.iterdir() if ".mlenv-" in path.name]


def user_writes(folder: Path) -> dict[str, str]:
    """Let the user put files of their own everywhere; return them all."""
    own = {".venv/bin/python": "elf", "notes.txt": "mine", "layers/notes.txt": "also mine"}
    for name, text in own.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (folder / "empty").mkdir()
    (folder / "layers" / "link").symlink_to("nowhere")
    return own


def code_of(caught: pytest.ExceptionInfo[HostError]) -> str:
    return caught.value.reasons[0].code


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "out" / "train"


def test_a_folder_is_made_with_its_parents(folder: Path) -> None:
    disk.replace(folder, files("one"))
    assert tree(folder) == texts(*files("one"))
    assert disk.read(folder, [*NAMES, "absent"]) == texts(*files("one"))
    assert not hidden(folder)


def test_the_modes_are_those_of_any_other_file(folder: Path) -> None:
    disk.replace(folder, files("one"))
    mask = os.umask(0)
    os.umask(mask)
    assert folder.stat().st_mode & 0o777 == 0o777 & ~mask
    assert (folder / "Dockerfile").stat().st_mode & 0o777 == 0o666 & ~mask


def test_the_folder_keeps_its_mode(folder: Path) -> None:
    disk.replace(folder, files("one"))
    folder.chmod(0o750)
    disk.replace(folder, files("two"))
    assert folder.stat().st_mode & 0o777 == 0o750


def test_what_is_the_users_survives_and_what_was_mlenvs_goes(folder: Path) -> None:
    disk.replace(folder, files("one", (*NAMES, "old/gone.txt")))
    own = user_writes(folder)
    disk.replace(folder, files("two"), owned=[*NAMES, "old/gone.txt"])
    assert tree(folder) == texts(*files("two")) | own
    assert (folder / "empty").is_dir()
    assert (folder / "layers" / "link").is_symlink()
    assert not (folder / "old").exists()
    assert not hidden(folder)


def test_a_users_file_survives_in_a_folder_that_mlenv_no_longer_fills(folder: Path) -> None:
    disk.replace(folder, files("one"))
    user_writes(folder)
    disk.replace(folder, files("two", ("Dockerfile",)), owned=NAMES)
    assert (folder / "layers" / "notes.txt").read_text(encoding="utf-8") == "also mine"
    assert not (folder / "layers" / "00-base.txt").exists()


def test_nothing_is_touched_where_nothing_changes(folder: Path) -> None:
    disk.replace(folder, files("one"))
    before = folder.stat().st_ino
    disk.replace(folder, files("one"), owned=NAMES)
    assert folder.stat().st_ino == before
    disk.replace(folder, files("one", NAMES[:2]), owned=NAMES)
    assert tree(folder) == texts(*files("one", NAMES[:2]))


def test_a_users_folder_where_a_file_must_lie_is_kept_beside_it(folder: Path) -> None:
    (folder / "Dockerfile").mkdir(parents=True)
    (folder / "Dockerfile" / "mine").write_text("mine", encoding="utf-8")
    (folder / "layers").write_text("a file of mine", encoding="utf-8")
    disk.replace(folder, files("one"))
    assert tree(folder) == texts(*files("one")) | {
        "Dockerfile.kept-1/mine": "mine",
        "layers.kept-1": "a file of mine",
    }


def test_a_symlink_to_a_folder_is_followed(tmp_path: Path, folder: Path) -> None:
    disk.replace(folder, files("one"))
    link = tmp_path / "link"
    link.symlink_to(folder)
    disk.replace(link, files("two"))
    assert link.is_symlink()
    assert tree(folder) == texts(*files("two"))


def test_a_file_in_the_way_is_left_alone(folder: Path) -> None:
    folder.parent.mkdir()
    folder.write_text("mine", encoding="utf-8")
    with pytest.raises(HostError) as caught:
        disk.replace(folder, files("one"))
    assert code_of(caught) == "disk-failed"
    assert "a file lies there" in str(caught.value)
    assert folder.read_text(encoding="utf-8") == "mine"
    assert not hidden(folder)


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "", ".", "a//b", "a/./b", "a\0b"])
def test_a_path_that_leaves_the_folder_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(HostError) as caught:
        disk.replace(folder, [File(name, "x")])
    assert code_of(caught) == "disk-failed"
    with pytest.raises(HostError):
        disk.read(folder, [name])
    assert not folder.parent.exists()


def test_two_files_that_cannot_both_be_leave_the_old_folder(folder: Path) -> None:
    disk.replace(folder, files("one"))
    with pytest.raises(HostError) as caught:
        disk.replace(folder, [File("a", "x"), File("a/b", "x")])
    assert code_of(caught) == "disk-failed"
    assert tree(folder) == texts(*files("one"))
    assert not hidden(folder)


def test_a_second_writer_waits_and_is_then_told(folder: Path) -> None:
    disk.replace(folder, files("one"))
    handle = os.open(folder.parent, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(HostError) as caught:
        disk.replace(folder, files("two"), patience_seconds=0.2)
    os.close(handle)
    assert code_of(caught) == "folder-busy"
    disk.replace(folder, files("two"), patience_seconds=0.2)
    assert tree(folder) == texts(*files("two"))


WRITER = """
import itertools, pathlib, sys
from mlenv.files import File
from mlenv.host import disk
folder, names = pathlib.Path(sys.argv[1]), sys.argv[2:]
for number in itertools.count():
    here = names if number % 2 else [*names, "sometimes/more.txt"]
    made = [File(name, f"{name} {number}\\n" * 50) for name in here]
    disk.replace(folder, made, owned=[*names, "sometimes/more.txt"])
    if number == 0:
        print("ready", flush=True)
"""


def test_a_writer_killed_at_any_moment_leaves_the_old_folder_or_the_new(folder: Path) -> None:
    chance = random.Random(7)  # noqa: S311 - moments, not secrets
    own = user_writes(folder)
    broken = 0
    for _ in range(30):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder), *NAMES], stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(chance.uniform(0, 0.08))
            writer.kill()
        found = disk.read(folder, [*NAMES, "sometimes/more.txt"])
        (number,) = {text.split()[1] for text in found.values()}
        want = NAMES if int(number) % 2 else (*NAMES, "sometimes/more.txt")
        assert found == texts(*files(number, want))
        broken += bool(hidden(folder))
        disk.replace(folder, files("end"), owned=["sometimes/more.txt"])
        assert tree(folder) == texts(*files("end")) | own
        assert not hidden(folder)
    assert broken > 0, "no kill met a writer at work, so this showed nothing"


def test_a_reader_never_meets_two_states(folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), *NAMES], stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        seen = set()
        for _ in range(300):
            found = disk.read(folder, NAMES)
            assert found.keys() == set(NAMES)
            (number,) = {text.split()[1] for text in found.values()}
            seen.add(number)
        writer.kill()
    assert len(seen) > 1


def leftover(folder: Path, where: str) -> Path:
    """Make what a swap leaves that was killed when the user's files lay in ``where``."""
    work = folder.with_name(f".{folder.name}.mlenv-0123abcd")
    (work / where).mkdir(parents=True)
    names = [*NAMES, "gone.txt"]
    (work / "journal.json").write_text(str(names).replace("'", '"'), encoding="utf-8")
    for each in files("old", tuple(names)):
        path = work / where / each.path
        path.parent.mkdir(exist_ok=True)
        path.write_text(each.text, encoding="utf-8")
    return work


def test_what_a_killed_swap_took_along_comes_back(folder: Path) -> None:
    disk.replace(folder, files("one"))
    own = user_writes(leftover(folder, "tree") / "tree")
    (folder / "notes.txt").write_text("a newer one", encoding="utf-8")
    disk.replace(folder, files("one"))
    kept = own | {"notes.txt": "a newer one", "notes.txt.kept-1": "mine"}
    assert tree(folder) == texts(*files("one")) | kept
    assert not hidden(folder)


def test_a_swap_killed_between_two_renames_is_undone(folder: Path) -> None:
    work = leftover(folder, "old")
    own = user_writes(work / "old")
    leftover_new = work / "tree"
    leftover_new.mkdir()
    (leftover_new / "Dockerfile").write_text("new", encoding="utf-8")
    disk.replace(folder, files("two"), owned=[*NAMES, "gone.txt"])
    assert tree(folder) == texts(*files("two")) | own
    assert not hidden(folder)


def test_a_folder_that_only_looks_like_a_leftover_is_left_alone(folder: Path) -> None:
    mine = folder.with_name(".train.mlenv-00000000")
    other = folder.with_name(".train.mlenv-backup")
    for each in (mine, other):
        each.mkdir(parents=True)
        (each / "notes.txt").write_text("mine", encoding="utf-8")
    disk.replace(folder, files("one"))
    assert tree(mine) == tree(other) == {"notes.txt": "mine"}


def test_a_file_system_without_the_trade_is_served_by_two_renames(tmp_path: Path) -> None:
    one, other, aside = (tmp_path / name for name in ("one", "other", "aside"))
    for each in (one, other):
        each.mkdir()
        (each / each.name).touch()
    swap.exchange(one, other, aside, trade=lambda *_: False)
    assert (not one.exists(), tree(other), tree(aside)) == (True, {"one": ""}, {"other": ""})
    swap.exchange(aside, other, one)
    assert (tree(aside), tree(other)) == ({"one": ""}, {"other": ""})


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Yield a file system of 256 KiB."""
    where = tmp_path / "small"
    where.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None:
        pytest.skip("there is no mount program, so no small file system can be filled")
    command = [mount, "-t", "tmpfs", "-o", "size=256k", "mlenv-test", str(where)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except subprocess.CalledProcessError:
        pytest.skip("this user may not mount a file system, so no small one can be filled")
    yield where
    subprocess.run([umount, str(where)], check=True)


def test_a_full_disk_leaves_the_old_folder(small: Path) -> None:
    folder = small / "train"
    disk.replace(folder, files("one"))
    own = user_writes(folder)
    with pytest.raises(HostError) as caught:
        disk.replace(folder, [*files("two"), File("large.txt", "x" * 400_000)])
    reason = caught.value.reasons[0]
    assert (reason.code, reason.cause) == ("disk-failed", os.strerror(errno.ENOSPC))
    assert "free some space" in reason.fix
    assert tree(folder) == texts(*files("one")) | own
    assert not hidden(folder)
    with pytest.raises(HostError):
        disk.write(folder / "Dockerfile", "x" * 400_000)
    assert tree(folder) == texts(*files("one")) | own


def test_a_mount_point_is_refused_before_anything_changes(small: Path) -> None:
    (small / "mine").touch()
    with pytest.raises(HostError) as caught:
        disk.replace(small, files("one"))
    assert "mount point" in str(caught.value)
    assert tree(small) == {"mine": ""}
    assert not hidden(small)


@pytest.fixture
def shared() -> Iterator[Path]:
    """Yield a folder that every user of this machine can enter and write to."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


def test_a_folder_that_the_user_may_not_move_is_refused_before_anything_changes(
    shared: Path,
) -> None:
    folder = shared / "train"
    disk.replace(folder, files("one", ("Dockerfile",)))
    folder.chmod(0o777)
    (folder / "outputs").mkdir(mode=0o500)
    code = (
        "import os, pathlib\n"
        "from mlenv.errors import HostError\n"
        "from mlenv.files import File\n"
        "from mlenv.host import disk\n"
        "if os.getuid() == 0:\n"
        "    os.setgid(65534)\n"
        "    os.setuid(65534)\n"
        "try:\n"
        "    disk.replace(pathlib.Path('train'), [File('Dockerfile', 'two')])\n"
        "except HostError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=shared, capture_output=True, text=True, check=False
    )
    assert "outputs" in done.stdout, done.stderr
    assert "may not write to it" in done.stdout
    assert tree(folder) == texts(*files("one", ("Dockerfile",)))
    assert not hidden(folder)


def test_a_file_is_written_in_one_step_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "new" / "spec.toml"
    disk.write(path, "one\r\n")
    assert disk.text(path) == "one\r\n"
    path.chmod(0o600)
    link = tmp_path / "link.toml"
    link.symlink_to(path)
    disk.write(link, b"two")
    assert (link.is_symlink(), disk.text(path), path.stat().st_mode & 0o777) == (True, "two", 0o600)
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "spec.toml"
    path.write_bytes(b"name = '\xff'")
    for read in (lambda: disk.text(path), lambda: disk.read(tmp_path, ["spec.toml"])):
        with pytest.raises(HostError, match=r"no UTF-8 text \(byte 8\)"):
            read()


def test_an_absent_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(HostError) as caught:
        disk.text(tmp_path / "absent.toml")
    reason = caught.value.reasons[0]
    assert reason.what.endswith("absent.toml")
    assert (reason.cause, reason.fix) == (os.strerror(errno.ENOENT), "check the path")
    assert disk.read(tmp_path / "absent", ["x"]) == {}


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        pytest.param({"MLENV_CACHE_DIR": "/c", "XDG_CACHE_HOME": "/x"}, "/c", id="its own first"),
        pytest.param({"XDG_CACHE_HOME": "/x"}, "/x/mlenv", id="then the user's caches"),
        pytest.param({}, "/home/me/.cache/mlenv", id="then the home"),
        pytest.param({"XDG_CACHE_HOME": "x"}, "/home/me/.cache/mlenv", id="a relative one is not"),
    ],
)
def test_the_cache_lies_where_the_user_says(
    variables: dict[str, str], wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MLENV_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **variables}.items():
        monkeypatch.setenv(name, value)
    assert disk.cache_folder() == Path(wanted)


def test_an_interrupt_while_it_writes_leaves_a_whole_folder(folder: Path) -> None:
    own = user_writes(folder)
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), *NAMES],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(0.05)
        writer.send_signal(signal.SIGINT)
        _, stderr = writer.communicate(timeout=20)
    assert b"KeyboardInterrupt" in stderr
    assert disk.read(folder, NAMES).keys() == set(NAMES)
    disk.replace(folder, files("end"), owned=["sometimes/more.txt"])
    assert tree(folder) == texts(*files("end")) | own
