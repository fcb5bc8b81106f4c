"""Which container engine builds here: docker, else podman, else buildah.

An engine is taken only if it answers and can build from our Dockerfile. Nothing is started,
installed or configured for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlenv.errors import HostError, Reason
from mlenv.host.docker_engine import find_docker
from mlenv.host.engine_port import Engine, failed
from mlenv.host.podman_engine import find_buildah, find_podman

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SEARCHES: Mapping[str, Callable[[], tuple[Engine | None, str]]] = {
    "docker": find_docker,
    "podman": find_podman,
    "buildah": find_buildah,
}
ENGINES = tuple(_SEARCHES)
"""Their names, in the order in which they are looked for."""

_ABSENT = "is not on PATH"


def find_engine(wanted: str | None = None) -> Engine:
    """Return the engine called ``wanted``, else the first that can build here.

    Raises:
        HostError: ``engine-missing``: none is installed; ``engine-failed``: one is, and does not
            answer or cannot build; ``tool-timeout``.
    """
    reasons = []
    for name in (wanted,) if wanted else ENGINES:
        found, why = _SEARCHES[name]()
        if found is not None:
            return found
        reasons.append(why)
    if all(each.endswith(_ABSENT) for each in reasons):
        raise _missing(wanted, reasons)
    raise failed(
        f"{wanted or 'no container engine'} cannot build here",
        "; ".join(each for each in reasons if not each.endswith(_ABSENT)),
        "start its daemon (or set DOCKER_HOST), install docker-buildx where that is what lacks, "
        "or name another with --engine; `--engine none` needs no engine",
    )


def _missing(wanted: str | None, reasons: list[str]) -> HostError:
    return HostError(
        Reason(
            code="engine-missing",
            what=f"{wanted} was asked for" if wanted else "the image needs a container engine",
            cause="; ".join(reasons),
            fix="install docker, podman or buildah; `--engine none` needs no engine, where the "
            "spec asks for no Debian package and no compiler",
        )
    )
