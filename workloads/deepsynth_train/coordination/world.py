"""The processes of one attempt: rank and device of this one, and small collectives over all."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

T = TypeVar("T")

COLLECTIVE_TIMEOUT = timedelta(hours=24)
"""How long ranks wait for one that downloads. The launcher's watchdog finds hangs long before."""


@dataclass(frozen=True)
class World:
    """rank and size count all processes, local_rank and local_size those of this node.

    Two nodes with two processes each:   node 0: rank 0 (local_rank 0), rank 1 (local_rank 1)
                                         node 1: rank 2 (local_rank 0), rank 3 (local_rank 1)
    """

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

    def sum(self, values: Sequence[float] | torch.Tensor) -> list[float]:
        """Element-wise sum over all ranks, in float64, the same on every rank. It waits for the device.

        A tensor is on the device and float64, and is overwritten.
        """
        if isinstance(values, torch.Tensor):
            tensor = values
        else:
            tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        if self.size > 1:
            dist.all_reduce(tensor)
        return [float(value) for value in tensor.tolist()]

    def share(self, value: T) -> T:
        """Rank 0's value, on every rank. The value must be picklable."""
        values = [value]
        if self.size > 1:
            dist.broadcast_object_list(values, src=0, device=self.device)
        return values[0]

    def gather(self, value: T) -> list[T]:
        """The values of all ranks, in order, on every rank. The values must be picklable."""
        if self.size == 1:
            return [value]
        values: list[T] = [value] * self.size
        dist.all_gather_object(values, value)
        return values

    def wait_for_all(self, beat: Callable[[], None]) -> None:
        """Return when every rank has called this. Calls `beat` while waiting, which can take as long as a download."""
        if self.size == 1:
            return
        arrival = dist.all_reduce(torch.zeros(1, device=self.device), async_op=True)
        while not arrival.is_completed():
            beat()
            time.sleep(0.2)
        arrival.wait()


def join_world() -> World:
    """Read torchrun's environment variables (without them: one process) and set up the process group, NCCL on GPUs.

    Call once per process, and `leave_world` at the end.
    """
    rank, size = _read("RANK", 0), _read("WORLD_SIZE", 1)
    local_rank, local_size = _read("LOCAL_RANK", 0), _read("LOCAL_WORLD_SIZE", 1)
    device = torch.device("cuda", local_rank) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    elif "OMP_NUM_THREADS" not in os.environ:
        # More threads than cores are slow, and the number of threads must not change floating-point sums.
        torch.set_num_threads(1)
    if size > 1 and not dist.is_initialized():
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, rank=rank, world_size=size, timeout=COLLECTIVE_TIMEOUT)
    return World(rank, size, local_rank, local_size, device)


def leave_world() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def _read(name: str, default: int) -> int:
    return int(os.environ.get(name, default))
