"""The first proof of an image: every package that the lock names is imported in it.

As an image will be run: by the user it names and by one that has no name, with a root file system
that cannot be written to, no network and no rights. A GPU is not needed, and what only a GPU
shows is not found out here.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from mlenv.errors import ImageError, Reason
from mlenv.host.engine_port import Trial, failed
from mlenv.layers import DEV

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlenv.host.engine_port import Engine
    from mlenv.host.process import Finished
    from mlenv.lock import Lock

USERS = ("1000", "12345")
"""The image's own, and one that no file of it knows."""
GOOD = frozenset(("imported", "nothing", "driver"))
_SECONDS = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What came of one package."""

    name: str
    version: str
    status: str
    """``imported``; ``nothing``: it brings no module; ``driver``: it wants a GPU's driver;
    ``missing``, ``version`` or ``failed``."""
    module: str
    text: str
    """Why, where it is not good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """All packages of an image, imported by one user."""

    user: str
    python: str
    imports: tuple[Import, ...]
    seconds: float

    @property
    def bad(self) -> tuple[Import, ...]:
        """Those that cannot be imported."""
        return tuple(each for each in self.imports if each.status not in GOOD)


def locked(lock: Lock, variant: str) -> dict[str, str | list[str]]:
    """Return distribution -> version of what a variant holds; [version] of a conda package."""
    return {
        each.name: each.version if each.subdir is None else [each.version]
        for each in lock.package
        if variant == "dev" or each.layer not in DEV
    }


def prove(
    engine: Engine,
    image: str,
    distributions: Mapping[str, str | list[str]],
    *,
    users: Iterable[str] = USERS,
) -> tuple[Proof, ...]:
    """Import every distribution in ``image``, once for each user.

    Raises:
        ImageError: ``import-failed``: one reason for each package.
        HostError: ``engine-failed``, ``tool-timeout``.
    """
    proofs = tuple(_proof(engine, image, distributions, user) for user in users)
    found = {each.name: (proof.user, each) for proof in reversed(proofs) for each in proof.bad}
    if found:
        raise ImageError(*(_reason(*found[name]) for name in sorted(found)))
    return proofs


def _proof(
    engine: Engine, image: str, distributions: Mapping[str, str | list[str]], user: str
) -> Proof:
    script = files("mlenv.smoke").joinpath("imports.py").read_text(encoding="utf-8")
    start = time.monotonic()
    trial = Trial(
        image=image,
        argv=("python", "-I", "-c", script),
        text=json.dumps(dict(distributions)),
        user=user,
        seconds=_SECONDS,
    )
    answer = _answer(engine.run(trial), image)
    return Proof(
        user=user,
        python=answer["python"],
        imports=tuple(
            Import(**{name: each[name] for name in Import.__slots__}) for each in answer["packages"]
        ),
        seconds=time.monotonic() - start,
    )


def _answer(done: Finished, image: str) -> Any:  # noqa: ANN401 (the script's own JSON)
    try:
        return json.loads(done.stdout.strip().rpartition("\n")[2])
    except ValueError as error:
        said = (done.stderr.strip() or f"it ended with status {done.status}").splitlines()[-1]
        fix = f"run `python` in {image} by hand to see what it says"
        raise failed(f"the imports could not be tried in {image}", said, fix) from error


def _reason(user: str, found: Import) -> Reason:
    module = f", module {found.module}," if found.module else ""
    return Reason(
        code="import-failed",
        what=f"{found.name} {found.version}{module} cannot be imported in the image (user {user})",
        cause=found.text,
        fix="if a system library is missing, name its package in `apt` under [image]; if another "
        "release of it works, name that in the spec",
    )
