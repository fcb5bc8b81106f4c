"""Compiles modules of wheels to bytecode; it runs in the interpreter that an image has.

Standard library only, and nothing of mlenv: it is handed over as text (``host.bytecode``), and any
CPython from 3.8 on must read it. Words come in, each after its length in four bytes: a wheel, the
number of its members that are wanted, and for each the member and its path. Each is answered by a
word; a length of all ones says that it does not compile. It runs nothing of a wheel, and writes
nothing.

The answer depends on nothing but the source, the path and the interpreter. Where what a process
has done before shows in the bytecode, each module gets a process of its own. And it imports little:
3.11 marks a constant such as "{" as interned where json has been at work, and uv's worker has none.
"""

from __future__ import annotations

import sys

sys.path[:] = [each for each in sys.path if each]  # not what lies in the current folder

import importlib._bootstrap_external as external  # noqa: E402
import importlib.util  # noqa: E402
import os  # noqa: E402
import struct  # noqa: E402
import zipfile  # noqa: E402

_NOT_COMPILED = b"\xff\xff\xff\xff"
_STEADY = {(3, 11), (3, 12), (3, 13)}
"""The Pythons whose bytecode was seen to depend on no earlier one, nor on the hash seed.

3.10 marks in a code object what other modules have used too, and orders frozensets by their hash.
Source: 679 files of numpy, jupyterlab and others, compiled in three orders, alone, and after other
imports, with three seeds, by 3.10.13, 3.11.7, 3.12.1 and 3.13.0, 2026-11-22.
"""


def steady() -> bool:
    """Tell whether one process may compile one module after another."""
    free_threaded = "free-threading" in sys.version
    return sys.version_info[:2] in _STEADY and not free_threaded


def compiled(source: bytes, path: str) -> bytes:
    """Return what a ``.pyc`` file holds that no change of its source makes stale, or nothing."""
    try:
        code = compile(source, path, "exec", dont_inherit=True, optimize=0)
        hashed = importlib.util.source_hash(source)
        return bytes(external._code_to_hash_pyc(code, hashed, False))  # type: ignore[attr-defined]  # noqa: SLF001
    except (ArithmeticError, LookupError, MemoryError, SyntaxError, TypeError, ValueError):
        return b""
    except (AssertionError, RuntimeError, SystemError):  # nested too deeply, and worse
        return b""


def framed(source: bytes, path: str) -> bytes:
    """Return the answer for one module."""
    code = compiled(source, path)
    return struct.pack("<L", len(code)) + code if code else _NOT_COMPILED


def aside(source: bytes, path: str) -> None:
    """Answer for one module from a process that has compiled nothing else."""
    child = os.fork()
    if not child:
        status = 1
        try:
            sys.stdout.buffer.write(framed(source, path))
            sys.stdout.buffer.flush()
            status = 0
        finally:
            os._exit(status)
    if os.waitpid(child, 0)[1]:
        sys.exit(1)


def word() -> bytes:
    """Return the next word; nothing at the end."""
    head = sys.stdin.buffer.read(4)
    return sys.stdin.buffer.read(struct.unpack("<L", head)[0]) if head else b""


def main() -> None:
    """Say which Python this is; then answer until nobody asks."""
    version = ".".join(map(str, sys.version_info[:3]))
    out = sys.stdout.buffer
    out.write(f"{version} {sys.implementation.cache_tag}\n".encode())
    out.flush()
    alone = not steady()
    while name := word():
        count = int(word())
        wanted = [(word().decode(), word().decode()) for _ in range(count)]
        with zipfile.ZipFile(os.fsdecode(name)) as wheel:
            for member, path in wanted:
                source = wheel.read(member)
                if alone:
                    aside(source, path)
                else:
                    out.write(framed(source, path))
        out.flush()


if __name__ == "__main__":
    main()
