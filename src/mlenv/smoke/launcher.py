"""The C and C++ compilers that Triton and torch.compile look for, tried without a GPU.

Triton compiles a launcher in C at the first launch of a kernel, with Python's headers, and imports
it; torch.compile makes C++ of what stays on the CPU. Both are found as those two find them.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import sysconfig

from mlenv.smoke.register import Fail, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from mlenv.smoke.register import Given

_MODULE = "mlenv_launcher"
_C = """#include <Python.h>
static PyObject *add(PyObject *self, PyObject *words) {
  int one, other;
  (void)self;
  if (!PyArg_ParseTuple(words, "ii", &one, &other)) return NULL;
  return PyLong_FromLong(one + other);
}
static PyMethodDef methods[] = {{"add", add, METH_VARARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "mlenv_launcher", NULL, -1, methods};
PyMODINIT_FUNC PyInit_mlenv_launcher(void) { return PyModule_Create(&module); }
"""
_CXX = """#include <numeric>
#include <vector>
extern "C" int total(int count) {
  std::vector<int> all(count, 2);
  return std::accumulate(all.begin(), all.end(), 0);
}
"""
_TOLD = 1500


def compile_c(_: Given) -> dict[str, Any]:
    """Compile an extension of this Python and a library in C++, and use both.

    Raises:
        Fail: ``no-compiler``, ``compiler-failed``, ``wrong-result``, or the loader's own error.
    """
    suffix = sysconfig.get_config_var("EXT_SUFFIX") or ".so"
    headers = sysconfig.get_paths()["include"]
    one, facts = _built("C", _C, _MODULE + suffix, ("-I" + headers,))
    sys.path.insert(0, os.path.dirname(one))
    found = [load(_MODULE).add(40, 2)]
    other, more = _built("C++", _CXX, "libtotal.so", ("-std=c++17",))
    found.append(ctypes.CDLL(other).total(21))
    facts.update(more, headers=headers)
    if found != [42, 42]:
        raise Fail("wrong-result", f"what was compiled gave {found}, not 42 twice", **facts)
    return facts


_PROGRAMS = {"C": ("CC", "gcc", "clang", ".c"), "C++": ("CXX", "g++", "clang++", ".cpp")}


def _built(
    language: str, source: str, name: str, options: Sequence[str]
) -> tuple[str, dict[str, Any]]:
    variable, *programs, ending = _PROGRAMS[language]
    named = os.environ.get(variable)
    program = named or next(filter(None, map(shutil.which, programs)), None)
    if program is None:
        text = f"no {language} compiler: neither {' nor '.join(programs)} on PATH, nor {variable}"
        raise Fail("no-compiler", text, path=os.environ.get("PATH"))
    target, text = os.path.abspath(name), "source" + ending
    with open(text, "w", encoding="utf-8") as file:
        file.write(source)
    words = [program, text, "-O1", "-shared", "-fPIC", *options, "-o", target]
    try:
        done = subprocess.run(  # noqa: S603 (the target's own compiler)
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    except OSError as error:
        text = f"{program} ({variable}) cannot be started: {error.strerror}"
        raise Fail("no-compiler", text, words=words) from error
    if done.returncode:
        said = done.stdout.decode(errors="replace")[-_TOLD:]
        text = f"{program} ended with {done.returncode}: {said}"
        raise Fail("compiler-failed", text, words=words)
    return target, {language: shutil.which(program) or program}
