"""The processes of one attempt: who this one is, its device, and small agreements between all of them."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

T = TypeVar("T")

TIMEOUT = timedelta(hours=24)
"""Longest that ranks wait for one that downloads; the launcher's heartbeat finds hangs long before."""


@dataclass(frozen=True)
class World:
    """rank and size count all processes, local_rank and local_size those of this node."""

    rank: int
    size: int
    local_rank: int
    local_size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @property
    def is_first_on_node(self) -> bool:
        return self.local_rank == 0

    @property
    def threads(self) -> int:
        """Cores of this node per process, for decoding pages."""
        return max(1, len(os.sched_getaffinity(0)) // self.local_size)

    def sum(self, values: Sequence[float]) -> list[float]:
        """Element-wise sum over all ranks in float64; every rank gets the same numbers."""
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        if self.size > 1:
            dist.all_reduce(tensor)
        return [float(value) for value in tensor.tolist()]

    def share(self, value: T) -> T:
        """Rank 0's value, on every rank. It must be possible to pickle it."""
        values = [value]
        if self.size > 1:
            dist.broadcast_object_list(values, src=0, device=self.device)
        return values[0]

    def wait_for_all(self, beat: Callable[[], None]) -> None:
        """Return when every rank is here; `beat` is called meanwhile, since that can take as long as a download."""
        if self.size == 1:
            return
        arrival = dist.all_reduce(torch.zeros(1, device=self.device), async_op=True)
        while not arrival.is_completed():
            beat()
            time.sleep(0.2)
        arrival.wait()


def join_world() -> World:
    """Read torchrun's variables (without them: one process) and set up the process group, NCCL where there is a GPU.

    Call once per process; `leave_world` undoes it.
    """
    rank, size = _read("RANK", 0), _read("WORLD_SIZE", 1)
    local_rank, local_size = _read("LOCAL_RANK", 0), _read("LOCAL_WORLD_SIZE", 1)
    device = torch.device("cuda", local_rank) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    elif "OMP_NUM_THREADS" not in os.environ:
        # More threads than the container's cores are slow, and their number must not change the sums.
        torch.set_num_threads(1)
    if size > 1 and not dist.is_initialized():
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, rank=rank, world_size=size, timeout=TIMEOUT)
    return World(rank, size, local_rank, local_size, device)


def leave_world() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def _read(name: str, default: int) -> int:
    return int(os.environ.get(name, default))
