from __future__ import annotations

import marshal
import os
import shutil
import struct
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.util import source_hash
from pathlib import Path

import pytest

from mlenv.errors import HostError, ImageError
from mlenv.host.bytecode import Bytecode
from unpacked import VERSION, make_wheel, own_bytecode

SITE = "/opt/venv/lib/python3.12/site-packages"
TAG = sys.implementation.cache_tag
SETS = b"""
KNOWN = "alpha"
def one(x):
    '''a docstring that is long enough'''
    return x in {"alpha", "beta", "gamma", 1, 2.5, (1, "delta")}
def two(y, *, alpha=("alpha", "beta")):
    return [f"{y}-{alpha}" for y in ("alpha", b"bytes", 1000000, 2.5, None)]
class Three:
    alpha: int = 300
    beta = frozenset({"x", "y", "z"})
"""
"""Names and constants that other modules have too, and sets, which have no order."""


def modules() -> dict[str, bytes]:
    """Return path in the wheel -> source: real modules, and what is known to be unsteady."""
    library = Path(os.__file__).parent
    names = ("argparse", "ast", "typing", "inspect", "pathlib", "json/decoder", "tarfile", "enum")
    paths = {name: library / f"{name}.py" for name in names}
    found = {f"pkg/{name}.py": path.read_bytes() for name, path in paths.items() if path.exists()}
    return found | {f"pkg/sets{number}.py": SETS for number in range(4)} | {"pkg/none.py": b""}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    extra = {"pkg/bad.py": b"def (:\n", "pkg/nul.py": b"\0", "pkg/latin.py": b"x = '\xe9'\n"}
    extra["pkg/deep.py"] = b"x = " + b"(" * 500 + b")" * 500
    return make_wheel(tmp_path_factory.mktemp("wheel"), modules() | extra)


def wanted(*names: str) -> dict[str, str]:
    return {f"{SITE}/{name}": name for name in names}


def pythons() -> list[tuple[str, str]]:
    """Return version -> path of the CPythons that are here, beside that of the tests."""
    found = {}
    for minor in range(9, 16):
        path = shutil.which(f"python3.{minor}")
        text = os.popen(f"{path} -IS -c 'import sys; print(*sys.version_info[:3], sep=\".\")' 2>&1")  # noqa: S605 - a path that `which` gave
        version = text.read().strip() if path else ""
        text.close()
        if path and version.startswith(f"3.{minor}."):
            found[version] = path
    return sorted(found.items())


@pytest.mark.parametrize(
    ("version", "path"), [pytest.param(*each, id=each[0]) for each in pythons()]
)
def test_what_a_module_gives_depends_on_no_other_module(
    version: str, path: str, wheel: Path
) -> None:
    names = tuple(modules())
    with Bytecode(python=version, argv=(path,)) as bytecode:
        together = dict(bytecode.compiled(wheel, wanted(*names)))
        again = dict(bytecode.compiled(wheel, wanted(*reversed(names))))
    assert len(together) == len(names)
    assert again == together
    for seed in ("1", "2"):
        with Bytecode(python=version, argv=(path,), env={"HOME": f"/{seed}"}) as other:
            assert dict(other.compiled(wheel, wanted(*names))) == together
    for name in names:
        with Bytecode(python=version, argv=(path,)) as alone:
            (one,) = alone.compiled(wheel, wanted(name))
            assert one[1] == together[one[0]], name


@pytest.mark.skipif(sys.version_info < (3, 11), reason="3.10 orders sets by their hash")
def test_the_hash_seed_changes_nothing(wheel: Path) -> None:
    found = []
    for seed in ("0", "1", "2"):
        with own_bytecode(hash_seed=seed) as bytecode:
            found.append(dict(bytecode.compiled(wheel, wanted(*modules()))))
    assert found[0] == found[1] == found[2]


def test_bytecode_is_by_unchecked_hash_and_names_the_path_in_the_image(wheel: Path) -> None:
    with own_bytecode() as bytecode:
        ((path, data),) = bytecode.compiled(wheel, wanted("pkg/sets0.py"))
    assert path == f"{SITE}/pkg/__pycache__/sets0.{TAG}.pyc"
    flags, hashed = struct.unpack("<L8s", data[4:16])
    assert (flags, hashed) == (1, source_hash(SETS))
    assert marshal.loads(data[16:]).co_filename == f"{SITE}/pkg/sets0.py"  # noqa: S302 - our own


def test_what_does_not_compile_is_left_out(wheel: Path) -> None:
    names = ("pkg/bad.py", "pkg/deep.py", "pkg/latin.py", "pkg/none.py", "pkg/nul.py")
    with own_bytecode() as bytecode:
        found = [path for path, _ in bytecode.compiled(wheel, wanted(*names))]
    assert found == [f"{SITE}/pkg/__pycache__/none.{TAG}.pyc"]


def test_nothing_to_compile_starts_nothing(wheel: Path) -> None:
    assert list(Bytecode(python=VERSION, argv=("no-such-python",)).compiled(wheel, {})) == []


def test_threads_share_it(wheel: Path) -> None:
    together = threading.Barrier(4)

    def compiled(_: int) -> dict[str, bytes]:
        together.wait()
        return dict(bytecode.compiled(wheel, wanted(*modules())))

    with own_bytecode() as bytecode, ThreadPoolExecutor(4) as pool:
        found = list(pool.map(compiled, range(4)))
        started = len(bytecode._all)
        assert dict(bytecode.compiled(wheel, wanted(*modules()))) == found[0]
        assert len(bytecode._all) == started
    assert found[1:] == found[:-1]


def test_a_caller_that_stops_early_leaves_a_good_one(wheel: Path) -> None:
    with own_bytecode() as bytecode:
        answers = bytecode.compiled(wheel, wanted(*modules()))
        next(iter(answers))
        answers.close()  # type: ignore[attr-defined]  # it is a generator
        assert bytecode._all == []
        assert len(dict(bytecode.compiled(wheel, wanted("pkg/none.py")))) == 1


@pytest.mark.parametrize(
    ("program", "cause"),
    [
        pytest.param("exit 3", "does not start", id="it ends at once"),
        pytest.param("echo hello; cat", "it is Python hello", id="it is no interpreter"),
        pytest.param("echo 2.7.18 cpython-27; cat", "it is Python 2.7.18", id="another Python"),
        pytest.param(
            f"echo {VERSION} ../x; cat",
            "no bytecode",
            id="a bad tag",
        ),
        pytest.param(
            f"echo {VERSION} cpython-1; head -c 1 > /dev/null; printf ab",
            "in the midst",
            id="it ends in the midst",
        ),
    ],
)
def test_an_interpreter_that_cannot_do_it(
    tmp_path: Path, wheel: Path, program: str, cause: str
) -> None:
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{program}\n", encoding="utf-8")
    path.chmod(0o755)
    with (
        Bytecode(python=VERSION, argv=(str(path),)) as bytecode,
        pytest.raises(ImageError) as caught,
    ):
        list(bytecode.compiled(wheel, wanted("pkg/none.py")))
    (reason,) = caught.value.reasons
    assert reason.code == "bytecode-failed"
    assert cause in reason.cause
    assert bytecode._all == []


def test_an_interpreter_that_is_not_there(wheel: Path) -> None:
    with pytest.raises(HostError) as caught:
        list(Bytecode(python=VERSION, argv=("/no/python",)).compiled(wheel, wanted("pkg/none.py")))
    assert caught.value.reasons[0].code == "tool-missing"
