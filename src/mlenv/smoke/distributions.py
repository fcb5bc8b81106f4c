"""Level 0: what is installed, whether it is whole, and whether its libraries find theirs."""

from __future__ import annotations

import os
import re
import sysconfig
from importlib import metadata

from mlenv.smoke import owners, shared_object
from mlenv.smoke.register import Fail

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mlenv.smoke.owners import Owned
    from mlenv.smoke.register import Given

_DRIVERS = re.compile(r"lib(cuda|nvidia-[\w-]+|nvcuvid|nvoptix)\.so")
"""They come with the driver: their absence says nothing about an environment."""
_LOADERS = re.compile(r"ld-linux|ld-musl|linux-vdso")
_SOME = 5


def installed(given: Given) -> dict[str, Any]:
    """Compare with what is expected; look for files of two owners and files that were changed.

    Raises:
        Fail: ``distribution-differs``, ``metadata-twice``, ``two-owners``, ``record-differs``.
    """
    found, twice = _found()
    conda = owners.conda_files()
    libraries = owners.libraries()
    wrong = {
        "distribution-differs": [
            *_different(found, given.expect.get("distributions", {})),
            *_other_builds(conda, given.expect.get("conda", {})),
        ],
        "metadata-twice": [f"{name} {' and '.join(said)}" for name, said in sorted(twice.items())],
        "two-owners": _clashes(libraries),
        "record-differs": _changed(libraries, by_size=given.quick),
    }
    facts = {
        "distributions": found,
        "conda": conda,
        "libraries": len(libraries),
        "hashed": not given.quick,
        "problems": {code: texts for code, texts in wrong.items() if texts},
    }
    for code, texts in wrong.items():
        if texts:
            raise Fail(code, _some(texts), **facts)
    return facts


def _some(texts: list[str]) -> str:
    more = f"; and {len(texts) - _SOME} more" if len(texts) > _SOME else ""
    return "; ".join(texts[:_SOME]) + more


def _found() -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return what is installed, and what is so twice; the first in the path is imported."""
    found: dict[str, str] = {}
    places: dict[str, dict[str, str]] = {}
    for each in metadata.distributions():
        name = owners.spelt(each.metadata["Name"] or "")
        if not name:
            continue
        found.setdefault(name, each.version)
        place = os.path.realpath(str(each.locate_file("")))
        places.setdefault(name, {}).setdefault(f"{each.version} in {place}", place)
    twice = {name: sorted(said) for name, said in places.items() if len(said) > 1}
    return dict(sorted(found.items())), twice


def _different(found: dict[str, str], expected: dict[str, str]) -> list[str]:
    return [
        f"{name} {found.get(owners.spelt(name), 'is missing')} (expected {version})"
        for name, version in sorted(expected.items())
        if not same(found.get(owners.spelt(name), ""), version)
    ]


def _other_builds(found: dict[str, str], expected: dict[str, str]) -> list[str]:
    return [
        f"{name} {found.get(name, 'is missing')} (expected {file})"
        for name, file in sorted(expected.items())
        if found.get(name) != file
    ]


def same(found: str, expected: str) -> bool:
    """Tell whether two spellings are one version; a build's own ``+label`` may be left out."""
    one, other = _plain(found), _plain(expected)
    return one == other or ("+" not in other and one.partition("+")[0] == other)


def _plain(version: str) -> str:
    text = re.sub(r"[-_]", ".", version.strip().lower().lstrip("v"))
    return re.sub(r"(?<![0-9a-z])0+(?=\d)", "", text)


def _clashes(libraries: dict[str, list[Owned]]) -> list[str]:
    return [
        f"{path} is of {' and '.join(sorted({f'{each.name} {each.version}' for each in found}))}"
        for path, found in sorted(libraries.items())
        if len({each.name for each in found}) > 1 and len({each.sha256 for each in found}) > 1
    ]


def _changed(libraries: dict[str, list[Owned]], *, by_size: bool) -> list[str]:
    texts = []
    for path, found in sorted(libraries.items()):
        try:
            # Of two owners one is right, and that they are two is said elsewhere.
            if all(owners.intact(each, by_size=by_size) is False for each in found):
                texts.append(f"{path} is not what {found[0].name} {found[0].version} brought")
        except OSError as error:
            texts.append(f"{path} of {found[0].name} {found[0].version}: {error.strerror}")
    return texts


def needed(_given: Given) -> dict[str, Any]:
    """Look for each NEEDED of each library, without loading one.

    Only what an extension module needs is demanded, and of a package with several not what one of
    them alone needs: wheels bring plug-ins for libraries that most machines do not have.

    Raises:
        Fail: ``missing-needed``.
    """
    whose = owners.libraries()
    here = {path: shared_object.read(path) for path in whose if _readable(path)}
    wants = {path: found for path, found in here.items() if found is not None}
    files: dict[str, str] = {}
    for path, found in wants.items():
        files.setdefault(found.soname or os.path.basename(path), path)
        files.setdefault(os.path.basename(path), path)
    system = _system()
    missing = {
        path: sorted(name for name in found.needed if not _is_found(name, path, files, system))
        for path, found in wants.items()
    }
    missing = {path: names for path, names in missing.items() if names}
    demanded = _demanded(wants, files)
    demanded -= _plug_ins(missing, wants, {path: found[0].name for path, found in whose.items()})
    facts = {
        "libraries": len(wants),
        "optional": {path: names for path, names in missing.items() if path not in demanded},
    }
    bad = {path: names for path, names in missing.items() if path in demanded}
    if bad:
        texts = [f"{path} needs {', '.join(names)}" for path, names in sorted(bad.items())]
        raise Fail("missing-needed", _some(texts), missing=bad, **facts)
    return facts


def _readable(path: str) -> bool:
    return os.access(path, os.R_OK)


def _demanded(wants: dict[str, shared_object.Wants], files: dict[str, str]) -> set[str]:
    """Return the extension modules, and what they need of the environment."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX") or ".so"
    todo = [path for path in wants if path.endswith((suffix, ".abi3.so"))]
    seen: set[str] = set()
    while todo:
        path = todo.pop()
        if path not in seen and path in wants:
            seen.add(path)
            todo += [files[name] for name in wants[path].needed if name in files]
    return seen


def _plug_ins(
    missing: dict[str, list[str]], wants: dict[str, shared_object.Wants], whose: dict[str, str]
) -> set[str]:
    """Return the extension modules that a package works without: cupy's for cuTENSOR and NCCL."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX") or ".so"
    modules = [path for path in wants if path.endswith((suffix, ".abi3.so"))]
    found = set()
    for path in modules:
        others = [each for each in modules if whose[each] == whose[path] and each not in missing]
        shared = any(
            name in each.needed
            for name in missing.get(path, ())
            for other, each in wants.items()
            if other != path
        )
        if path in missing and others and not shared:
            found.add(path)
    return found


def _is_found(name: str, path: str, files: dict[str, str], system: set[str]) -> bool:
    # What another wheel brings is loaded before by the framework, or found by its own means.
    beside = os.path.join(os.path.dirname(path), name)
    known = name in files or name in system or _DRIVERS.match(name) or _LOADERS.match(name)
    return bool(known) or os.path.exists(beside)


def _system() -> set[str]:
    """Return the names of the libraries that the loader finds by itself."""
    folders = os.environ.get("LD_LIBRARY_PATH", "").split(":")
    said = owners.said(("ldconfig", "-p")) or owners.said(("/sbin/ldconfig", "-p"))
    folders += [os.path.dirname(line.rpartition(" ")[2]) for line in said.splitlines()]
    machine = sysconfig.get_config_var("MULTIARCH") or ""
    folders += [sysconfig.get_config_var("LIBDIR") or ""]
    for root in ("/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/local/lib"):
        folders += [root, f"{root}/{machine}"]
    names: set[str] = set()
    for folder in {each for each in folders if each}:
        try:
            names.update(name for name in os.listdir(folder) if ".so" in name)
        except OSError:
            continue
    return names
