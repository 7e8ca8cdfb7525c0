"""The largest micro-batch that fits in memory, by estimates: no step is tried, so no rank runs out of memory."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import torch

from deepsynth_train.coordination.container import read_memory_limit
from deepsynth_train.coordination.world import World

FILLED: Final = 0.9
"""Share of the memory to fill. The rest is for what an estimate cannot know, such as gaps between tensors."""
_MEMORY: Final = Path("/proc/meminfo")


class Choice(NamedTuple):
    """size: samples of a micro-batch. bytes: that a step with it takes."""

    size: int
    bytes: int


def choose_size(measure: Callable[[int], int], limit: int, highest: int) -> Choice:
    """The largest power of two that is at most `highest` and takes at most `limit` bytes; 1 if nothing fits.

    measure: bytes of a step with micro-batches of a size, which takes seconds. They grow linearly, so two estimates
    give the size, and a third confirms it:   1: 20 GiB   2: 27 GiB   -> 8: 69 GiB of 71   measured: 69 GiB
    """
    one = measure(1)
    if one > limit or highest < 2:
        return Choice(1, one)
    two = measure(2)
    fitting = 1 + (limit - one) // max(1, two - one)
    size = _round_down(min(fitting, highest))
    found = {1: one, 2: two}
    while size not in found:
        found[size] = measure(size)
        if found[size] > limit:
            size //= 2
    return Choice(size, found[size])


def _round_down(number: int) -> int:
    """The largest power of two that is at most `number`."""
    return int(2 ** (number.bit_length() - 1))


def read_memory(world: World) -> int:
    """Bytes of this process's GPU; on a CPU its share of what the container may use, and of what the machine has."""
    if world.device.type == "cuda":
        return int(torch.cuda.get_device_properties(world.device).total_memory)
    available = _read_available(_MEMORY)
    limit = read_memory_limit()
    return min(available, limit or available) // world.local_size


def _read_available(meminfo: Path) -> int:
    """MemAvailable is in units of 1,024 bytes."""
    lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
    return int(lines["MemAvailable"].split()[0]) * 1024
