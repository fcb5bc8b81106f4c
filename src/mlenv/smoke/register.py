"""The probes there are: what each is called, what it needs, and where it is written.

A probe is a function ``f(given: Given) -> dict`` of facts in a module of this room, named here as
``module:function`` and imported only in the child that runs it, so that a run starts at once. What
it returns has passed; it raises ``Fail`` for what it saw to be wrong, ``Skip`` for what cannot be
seen here, and whatever a framework raises by itself is a failure too.

No probe looks at a lock: it gathers facts, and the host judges them.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

CHECK = "check:"
"""What the names of the user's own checks begin with; their words come as parameters."""


class Given(NamedTuple):
    """What a probe is told."""

    params: dict[str, Any]
    """Of this probe, from the plan."""
    expect: dict[str, Any]
    """The plan's ``expect``, the same for all."""
    quick: bool
    """Leave out what only makes a good answer better."""


class Fail(Exception):  # noqa: N818 (it is a verdict, no error of the program)
    """It ran, and it was wrong."""

    def __init__(self, code: str, message: str, **facts: Any) -> None:  # noqa: ANN401 (JSON)
        """Say what was wrong, by a code and in words."""
        super().__init__(message)
        self.code = code
        self.facts = facts


class Skip(Exception):  # noqa: N818 (likewise)
    """It cannot be found out here, and that is nobody's fault."""

    def __init__(self, reason: str, message: str, **facts: Any) -> None:  # noqa: ANN401 (JSON)
        """Say why, by a code and in words."""
        super().__init__(message)
        self.code = reason
        self.facts = facts


class Tried:
    """Keeps what a library raises, whatever it is: ``with Tried() as tried: …; tried.error``."""

    def __init__(self) -> None:
        """Begin with no error."""
        self.error: BaseException | None = None

    def __enter__(self) -> Tried:  # noqa: PYI034 (typing.Self is not in Python 3.8)
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Keep the error, and go on behind the block."""
        self.error = error
        return True


class Probe(NamedTuple):
    """A row of the table."""

    name: str
    where: str
    """``module:function`` of this room."""
    level: int
    seconds: float
    """Its limit, where the plan names none."""
    needs: tuple[str, ...]
    """Modules of the target; without one of them it is skipped."""
    gpu: bool
    """Run only where ``driver`` has passed."""


def probe(  # noqa: PLR0913 (a row of a table)
    name: str,
    where: str,
    *,
    level: int,
    seconds: float = 60.0,
    needs: tuple[str, ...] = (),
    gpu: bool = False,
) -> Probe:
    """Return a row of the table."""
    return Probe(name, where, level, seconds, needs, gpu)


_DESK = (
    # What a [stack] entry is used for, done once, offline. Module it needs -> seconds.
    ("numpy", 60),
    ("pandas", 60),
    ("sklearn", 120),
    ("hydra", 60),
    ("wandb", 120),
    ("lightning", 240),
    ("transformers", 240),
    ("accelerate", 180),
    ("submitit", 120),
    ("jupyter", 120),
    ("pyright", 120),
    ("mypy", 120),
)
_COMMANDS = ("pyright", "mypy")
_JUPYTER = {"jupyter": ("ipykernel", "jupyter_client")}

_ROWS = (
    probe("host", "facts:host", level=0, seconds=30),
    probe("distributions", "distributions:installed", level=0, seconds=180),
    probe("needed", "distributions:needed", level=0, seconds=180),
    probe("mapped:cuda", "mapped:cuda", level=2, seconds=120),
    probe("mapped:torch", "mapped:torch", level=2, seconds=240, needs=("torch",)),
    probe("mapped:jax", "mapped:jax", level=2, seconds=240, needs=("jax",)),
    probe("mapped:tensorflow", "mapped:tensorflow", level=2, seconds=240, needs=("tensorflow",)),
    probe("mapped:cupy", "mapped:cupy", level=2, seconds=240, needs=("cupy",)),
    probe("gil", "gil:switched", level=0, seconds=600),
    probe("dataloader", "loader:workers", level=0, seconds=180),
    *(
        probe(
            "desk:" + name,
            ("desk_commands:" if name in _COMMANDS else "desk:") + name,
            level=0,
            seconds=seconds,
            needs=_JUPYTER.get(name, (name,)),
        )
        for name, seconds in _DESK
    ),
)

_GPU_ROWS = (
    probe("driver", "cuda_driver:driver", level=1),
    probe("nvml", "nvml_facts:nvml", level=1),
    # Compilers alone: proven without a GPU.
    probe("compile:c", "launcher:compile_c", level=3),
    probe("compile:nvrtc", "kernels_compilers:compile_nvrtc", level=3),
    probe("compile:nvcc", "kernels_compilers:compile_nvcc", level=3, seconds=300),
    probe(
        "compile:triton", "kernels_triton:compile_triton", level=3, seconds=180, needs=("triton",)
    ),
    *(
        probe(name, where, level=level, seconds=seconds, needs=needs, gpu=True)
        for name, where, level, seconds, needs in (
            ("kernel:ptx", "kernels_driver:ptx", 3, 60, ()),
            ("kernel:nvrtc", "kernels_compilers:nvrtc", 3, 120, ()),
            ("kernel:nvcc", "kernels_compilers:nvcc", 3, 300, ()),
            ("kernel:triton", "kernels_triton:kernel", 3, 180, ("torch", "triton")),
            ("torch:eager", "kernels_torch:eager", 3, 180, ("torch",)),
            ("torch:compile", "kernels_torch:compiled", 3, 600, ("torch",)),
            ("torch:math", "maths_torch:maths", 4, 300, ("torch",)),
            ("torch:nccl", "collective:nccl", 4, 300, ("torch",)),
            ("jax:jit", "kernels_frameworks:jax", 3, 300, ("jax",)),
            ("jax:math", "maths_numpy:jax", 4, 300, ("jax",)),
            ("tensorflow:xla", "kernels_frameworks:tensorflow", 3, 300, ("tensorflow",)),
            ("cupy:rawkernel", "kernels_frameworks:cupy", 3, 180, ("cupy",)),
            ("cupy:math", "maths_numpy:cupy", 4, 300, ("cupy",)),
            ("numba:cuda", "kernels_frameworks:numba", 3, 180, ("numba",)),
            ("speed:driver", "speed_driver:driver", 5, 120, ()),
            ("speed:torch", "speed_torch:torch", 5, 600, ("torch",)),
        )
    ),
)

PROBES = {each.name: each for each in (*_ROWS, *_GPU_ROWS)}


def find(name: str, params: dict[str, Any] | None = None) -> Probe | None:
    """Return the probe of that name; every ``check:NAME`` is one, and its ``gpus`` are needed."""
    if name.startswith(CHECK):
        gpu = bool((params or {}).get("gpus"))
        return probe(name, "desk_commands:check", level=0, seconds=600, gpu=gpu)
    return PROBES.get(name)


def load(name: str) -> Any:  # noqa: ANN401 (a module of the target has no type here)
    """Import a module by name; of the target, or of this room."""
    if not all(part.isidentifier() for part in name.split(".")):
        raise ValueError(name)
    exec(f"import {name}", {})  # noqa: S102 (of identifiers only)
    return sys.modules[name]
