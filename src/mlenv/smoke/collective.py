"""An all-reduce of NCCL over every visible GPU, one process each.

One GPU is honest too: it proves that NCCL loads and starts, and nothing about links; how many
took part is among the facts. It speaks over files and this machine only.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mlenv.smoke import kernels_torch
from mlenv.smoke.register import Fail, Skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from mlenv.smoke.register import Given

COUNT = 1_000_003
"""A prime, so that the last piece of the ring is a partial one."""
_RANK = """
import sys, torch
import torch.distributed as ranks
backend, rank, size, meeting, count = *sys.argv[1:2], *map(int, sys.argv[2:4]), *sys.argv[4:]
device = torch.device("cuda", rank) if backend == "nccl" else torch.device("cpu")
if backend == "nccl":
    torch.cuda.set_device(device)
ranks.init_process_group(backend, init_method="file://" + meeting, rank=rank, world_size=size)
index = torch.arange(int(count), dtype=torch.float32, device=device)
held = index % 977 + rank + 1
ranks.all_reduce(held)
wanted = (torch.arange(int(count), dtype=torch.float64) % 977) * size + size * (size + 1) / 2
wrong = int((held.double().cpu() != wanted).sum())
if wrong or not wanted.numel():
    sys.exit(f"rank {rank}: {wrong} of {count} elements are wrong")
ranks.destroy_process_group()
"""
"""Sums of small integers: float32 holds each exactly, in whatever order they are added."""
_TOLD = 1500


def nccl(_: Given) -> dict[str, Any]:
    """Sum over all visible GPUs.

    Raises:
        Skip: ``not-installed``: torch was built without NCCL.
        Fail: ``cpu-only-build``, ``nccl-failed`` with the first rank's words.
    """
    torch = kernels_torch.cuda()
    if not torch.distributed.is_available() or not torch.distributed.is_nccl_available():
        raise Skip("not-installed", "torch was built without NCCL")
    size = torch.cuda.device_count()
    facts = summed("nccl", size)
    facts["says"] = ".".join(str(part) for part in torch.cuda.nccl.version())
    return facts


def summed(backend: str, size: int) -> dict[str, Any]:
    """Sum over so many processes; ``gloo`` needs no GPU."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        ranks = [_rank(backend, rank, size, Path(folder)) for rank in range(size)]
        ended = [rank.wait() for rank in ranks]
        said = [Path(folder, f"said-{rank}").read_text(errors="replace") for rank in range(size)]
    facts: dict[str, Any] = {"world_size": size, "backend": backend, "count": COUNT}
    facts["seconds"] = round(time.perf_counter() - begun, 3)
    if any(ended):
        raise Fail("nccl-failed", _first(ended, said), ended=ended, **facts)
    return facts


def _rank(backend: str, rank: int, size: int, folder: Path) -> subprocess.Popen[bytes]:
    words = [backend, str(rank), str(size), str(folder / "meeting"), str(COUNT)]
    environment = {"NCCL_DEBUG": "WARN", **os.environ}
    with (folder / f"said-{rank}").open("wb") as said:
        return subprocess.Popen(  # noqa: S603 (this very Python)
            [sys.executable, "-c", _RANK, *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )


def _first(ended: Sequence[int], said: Sequence[str]) -> str:
    rank = next(rank for rank, status in enumerate(ended) if status)
    return f"rank {rank} of {len(ended)} ended with {ended[rank]}: {said[rank].strip()[-_TOLD:]}"
