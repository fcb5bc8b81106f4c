"""The libraries that a probe found mapped into its process: whose each is, and what it says.

How precisely a library can tell its version differs; owner and hash tell the rest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlenv.report.probed import ProbeReport

_DRIVER = re.compile(
    r"lib(cuda|nvidia-ml|nvidia-ptxjitcompiler|nvidia-nvvm\d*|nvidia-gpucomp|cudadebugger)\.so"
)
_NUMBERS = {
    **dict.fromkeys(("libcudart", "libnvrtc", "libnvJitLink"), 2),
    **dict.fromkeys(("libcudnn", "libcudnn_graph", "libcublas", "libcublasLt", "libnccl"), 3),
    **dict.fromkeys(("libcufft", "libcurand", "libcusolver", "libcusparse", "libcusparseLt"), 3),
}
"""How many numbers of a package's version the library itself says. Source: the wheels of torch
2.11.0+cu130, jax 0.12.0.1 and tensorflow 2.21.0, loaded without a driver on 2026-11-22."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """A library of a process."""

    name: str
    """``libcudnn.so.9``."""
    path: str
    owner: str | None
    """The distribution that installed it; None where none did."""
    owner_version: str
    record_ok: bool | None
    """Whether it is still the file that was installed; None where nobody can say."""
    says: str | None
    """The version that the library itself answers."""
    system: bool = False
    """It is of a package of the operating system."""

    @property
    def folder(self) -> str:
        """The folder that it was loaded from."""
        return self.path.rpartition("/")[0]

    @property
    def driver(self) -> bool:
        """Whether it comes with the driver, and so with the machine."""
        return _DRIVER.match(self.name) is not None


def mapped(report: ProbeReport) -> Iterator[tuple[str, Mapped]]:
    """Yield each mapped library, with the name of the probe that found it."""
    for each in report.probes:
        rows = (each.facts or {}).get("libraries")
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, dict) and row.get("path"):
                yield each.name, _mapped(row)


def _mapped(row: dict[str, Any]) -> Mapped:
    path = str(row["path"])
    owner = row.get("owner")
    return Mapped(
        name=str(row.get("soname") or path.rpartition("/")[2]),
        path=path,
        owner=canonicalize_name(str(owner)) if owner else None,
        owner_version=str(row.get("owner_version") or ""),
        record_ok=row.get("record_ok"),
        says=str(row["says"]) if row.get("says") else None,
        system=str(owner or "").startswith(("deb:", "rpm:")),
    )


def spoken(library: Mapped, locked: str) -> bool:
    """Tell whether what a library says of itself fits the locked version of its package."""
    count = _NUMBERS.get(library.name.partition(".so")[0])
    if library.says is None or count is None:
        return True
    one, other = (re.findall(r"\d+", each)[:count] for each in (library.says, locked))
    length = min(len(one), len(other))
    return one[:length] == other[:length]
