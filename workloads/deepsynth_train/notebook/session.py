"""The process around a call of the Trainer: its rank and device, and the progress bars of libraries."""

import atexit
import os
from typing import TYPE_CHECKING, Any, Self

from deepsynth_train.coordination.progress import NoProgress, StartReport

if TYPE_CHECKING:
    from deepsynth_train.coordination.world import World


def is_first() -> bool:
    """Whether this is the only process, or the first of a torchrun."""
    return int(os.environ.get("RANK", "0")) == 0


def join() -> "World":
    """Join the processes of a torchrun, until the interpreter ends."""
    from deepsynth_train.coordination.world import join_world, leave_world

    world = join_world()
    if world.size > 1:
        atexit.register(leave_world)
    return world


def describe_device(world: "World") -> str:
    """Such as `using 1 x NVIDIA H200; for the other 7, start a script with torchrun --nproc-per-node 8`."""
    import torch

    if world.device.type != "cuda":
        return "using the CPU: no GPU was found"
    count = torch.cuda.device_count()
    unused = count - world.local_size
    remedy = f"; for the other {unused}, start a script with torchrun --nproc-per-node {count}" if unused > 0 else ""
    return f"using {world.size} x {torch.cuda.get_device_name(world.device)}{remedy}"


class LibraryBars(NoProgress):
    """Bars of transformers: useful while a model is downloaded and loaded, in the way once training has started."""

    def __init__(self, *, shown: bool) -> None:
        from transformers.utils import logging

        self._logging: Any = logging
        self._shown = shown
        self._earlier = self._logging.is_progress_bar_enabled()

    def __enter__(self) -> Self:
        if not self._shown:
            self._logging.disable_progress_bar()
        return self

    def start(self, report: StartReport) -> None:  # noqa: ARG002 - the protocol's
        self._logging.disable_progress_bar()

    def __exit__(self, *_: object) -> None:
        if self._earlier:
            self._logging.enable_progress_bar()
