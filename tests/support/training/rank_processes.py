"""Processes that form a process group. They are forked from a server that imports torch once.

Before each collective, torch compares its kind, shapes and dtypes over the ranks, as it does for a real run with
TORCH_DISTRIBUTED_DEBUG=DETAIL. Ranks that differ fail with an error that names both, instead of waiting for each other.
That of torch 2.11 has no gather for sharded modules, so only the release of the lock file and later ones compare.
"""

import multiprocessing
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["torch", "deepsynth_train.checkpoint.folder", "deepsynth_train.checkpoint.state.trained", "torch._dynamo"]
)


PATIENCE = timedelta(minutes=5)
"""How long a rank waits for another one in a collective; then both fail."""


def start_ranks(size: int, folder: Path, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Start `size` processes that meet through a file in `folder`, join one gloo group and call `function(*arguments)`.

    function: at the top level of a module. Its result, an int or None, is the exit code; -9 after SIGKILL.
    """
    folder.mkdir(parents=True, exist_ok=True)
    meeting = folder / f"meeting-{uuid4().hex}"
    processes = [
        CONTEXT.Process(target=_run_rank, args=(rank, size, meeting, function, arguments)) for rank in range(size)
    ]
    for process in processes:
        process.start()
    return processes


def run_ranks(size: int, folder: Path, function: Callable[..., Any], *arguments: Any) -> list[int]:
    """Run `start_ranks` to the end. Returns the exit codes by rank."""
    return join_ranks(start_ranks(size, folder, function, *arguments))


def join_ranks(processes: list[Any], seconds: float = 600) -> list[int]:
    """Wait for the exit codes, by rank. Raises TimeoutError for a process that is still alive after `seconds`."""
    for process in processes:
        process.join(seconds)
        if process.is_alive():
            process.kill()
            raise TimeoutError(f"{process} did not end")
    return [process.exitcode for process in processes]


def _run_rank(rank: int, size: int, meeting: Path, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(size), LOCAL_WORLD_SIZE=str(size))
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    if size > 1:
        if torch.__version__ >= "2.15":
            os.environ["TORCH_DISTRIBUTED_DEBUG"] = "DETAIL"
            dist.set_debug_level_from_env()  # type: ignore[attr-defined]  # torch does not export it
        address = f"file://{meeting}"
        dist.init_process_group("gloo", init_method=address, rank=rank, world_size=size, timeout=PATIENCE)
    raise SystemExit(function(*arguments))
