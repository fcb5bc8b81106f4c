"""Workers that hand arrays over through /dev/shm, forked and spawned, as a data loader does.

Container engines give /dev/shm 64 MB; a worker that finds it full dies of SIGBUS in the midst of
an epoch. Where there is a GPU, it is taken into use before the workers are made.
"""

from __future__ import annotations

import multiprocessing
from importlib.util import find_spec
from multiprocessing import shared_memory

from mlenv.smoke.facts import shm_bytes
from mlenv.smoke.register import Fail, Tried, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mlenv.smoke.register import Given

LEAST_BYTES = 1 << 27
"""More than the 64 MB of an engine that was asked for nothing."""
_ITEMS = 64
_BATCH = 8
_WIDTH = 1 << 16
"""Numbers of an item: a batch is one file of 2 MB in /dev/shm."""
_WAIT = 60
_METHODS = (("fork", 2), ("spawn", 1))


class Numbers:
    """A data set; its class can be found by a spawned worker."""

    def __len__(self) -> int:
        """Return how many there are."""
        return _ITEMS

    def __getitem__(self, index: int) -> Any:  # noqa: ANN401 (a tensor of the target's)
        """Return one: a single tensor, since each that is handed over is a file of its own."""
        return load("torch").full((_WIDTH,), float(index))


def workers(given: Given) -> dict[str, Any]:
    """Let workers of both kinds hand over a small epoch.

    Raises:
        Fail: ``shm-small``, ``workers-wrong``; a worker that dies is the framework's own error.
    """
    least, there = int(given.params.get("shm_bytes", LEAST_BYTES)), shm_bytes()
    facts: dict[str, Any] = {"shm_bytes": there, "cuda_first": False}
    if there is None or there < least:
        text = f"there are {(there or 0) >> 20} MB in /dev/shm, and {least >> 20} MB are needed"
        raise Fail("shm-small", text, **facts)
    run = _torch_epoch if find_spec("torch") else _plain_epoch
    if run is _torch_epoch:
        facts["cuda_first"] = _took_gpu()
    for method, count in _METHODS:
        total = run(method, count)
        facts[method] = total
        if total != sum(range(_ITEMS)):
            text = f"{count} workers by {method} gave {total}, not {sum(range(_ITEMS))}"
            raise Fail("workers-wrong", text, **facts)
    return facts


def _took_gpu() -> bool:
    cuda = load("torch").cuda
    with Tried() as tried:
        cuda.init()
    return tried.error is None


def _torch_epoch(method: str, count: int) -> float:
    data = load("torch.utils.data")
    batches = data.DataLoader(
        Numbers(),
        batch_size=_BATCH,
        num_workers=count,
        multiprocessing_context=method,
        timeout=_WAIT,
    )
    # All of it is looked at: a page of shared memory that never came is zero.
    return float(sum(batch.double().sum().item() for batch in batches)) / _WIDTH


def _plain_epoch(method: str, count: int) -> float:
    context: Any = multiprocessing.get_context(method)
    block: Any = shared_memory.SharedMemory(create=True, size=_ITEMS)
    try:
        made = [
            context.Process(target=_fill, args=(block.name, index, count)) for index in range(count)
        ]
        for each in made:
            each.start()
        for each in made:
            each.join(_WAIT)
        return float(sum(block.buf[:_ITEMS]))
    finally:
        block.close()
        block.unlink()


def _fill(name: str, first: int, step: int) -> None:
    block: Any = shared_memory.SharedMemory(name=name)
    for index in range(first, _ITEMS, step):
        block.buf[index] = index
    block.close()
