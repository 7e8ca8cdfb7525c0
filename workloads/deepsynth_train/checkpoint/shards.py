"""Tensors to and from disk in torch.distributed.checkpoint's format, which any number of ranks can read."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.staging import BlockingAsyncStager
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from deepsynth_train.checkpoint.ranks import Ranks


def gather_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Model and optimizer state by parameter name, in one form for a plain, a DDP and an FSDP model:

        {"model": {"encoder.weight": Tensor, ...}, "optimizer": {"state": ..., "param_groups": ...}}

    The tensors are the live ones, not copies. Called by all ranks. If the optimizer has not stepped yet, this creates
    its state, so that `CheckpointFolder.load_latest` has tensors to fill.
    """
    model_state, optimizer_state = get_state_dict(model, optimizer)
    return {"model": model_state, "optimizer": optimizer_state}


def apply_tensors(model: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Any]) -> None:
    """Load the tensors that `load_latest` filled into the model and the optimizer. Called by all ranks."""
    set_state_dict(model, optimizer, model_state_dict=tensors["model"], optim_state_dict=tensors["optimizer"])


def copy_tensors(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """A copy on the CPU, so that training cannot change it while it is being written."""
    copied: dict[str, Any] = BlockingAsyncStager(cache_staged_state_dict=False).stage(dict(tensors))
    return copied


def write_shards(tensors: dict[str, Any], folder: Path, ranks: Ranks) -> list[Path]:
    """Write this rank's share. Called by all ranks. Returns the files that this rank wrote."""
    with _without_single_process_warning(ranks):
        save(
            tensors,
            storage_writer=FileSystemWriter(folder),
            process_group=ranks.group,
            no_dist=ranks.group is None,
        )
    own = sorted(folder.glob(f"__{ranks.rank}_*"))
    return [*own, folder / ".metadata"] if ranks.is_first else own


def read_shards(tensors: dict[str, Any], folder: Path, ranks: Ranks) -> None:
    """Fill `tensors` in place. Called by all ranks. Raises ValueError when names or shapes differ."""
    try:
        _read_shards(tensors, folder, ranks)
    except CheckpointException as error:
        first = unwrap_errors(error)[0]
        raise ValueError(str(first)) from error


def unwrap_errors(error: BaseException) -> list[BaseException]:
    """The ranks' own errors inside torch's CheckpointException (a BaseException); any other error unchanged."""
    if isinstance(error, CheckpointException):
        return [failure for failure, _ in error.failures.values()]
    return [error]


def _read_shards(tensors: dict[str, Any], folder: Path, ranks: Ranks) -> None:
    with _without_single_process_warning(ranks):
        load(
            tensors,
            storage_reader=FileSystemReader(folder),
            process_group=ranks.group,
            no_dist=ranks.group is None,
        )


@contextmanager
def _without_single_process_warning(ranks: Ranks) -> Iterator[None]:
    """Torch warns when it saves without a process group, which is what one rank wants."""
    if ranks.group is not None:
        yield
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        yield
