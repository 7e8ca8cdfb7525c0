"""A short training loop around the checkpoints. What it computes depends only on step and rank."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

    from deepsynth_train.checkpoint.folder import CheckpointFolder


@dataclass(frozen=True)
class Plan:
    """kill_rank gets SIGKILL after kill_step. resumed_from: the newest step there, None if there is none.

    folder: for the final weights. uri: of the checkpoints; empty: in the same folder. environment: of the store, as
    processes are forked from a server that was started earlier.
    """

    folder: Path
    uri: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    attempt: int = 1
    last_step: int = 6
    kill_rank: int | None = None
    kill_step: int | None = None
    resumed_from: int | None = None
    width: int = 5

    def find_uri(self) -> str:
        return self.uri or f"file://{self.folder}"


def train(plan: Plan) -> int:
    """Train, save every step, write the final weights to weights-ATTEMPT.pt. Returns 0, or 2 for a wrong start."""
    import torch

    from deepsynth_train.checkpoint.content import Snapshot
    from deepsynth_train.checkpoint.state.trained import Trained

    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    model, optimizer = build_model(plan)
    folder, resumed = _resume(plan, model, optimizer)
    if resumed != plan.resumed_from:
        return 2
    for step in range((resumed or 0) + 1, plan.last_step + 1):
        _run_step(model, optimizer, step, rank, size)
        folder.save(step, Snapshot(Trained(model, optimizer), {"step": step}))
        if (rank, step) == (plan.kill_rank, plan.kill_step):
            folder.wait()
            os.kill(os.getpid(), signal.SIGKILL)
    folder.wait()
    if rank == 0:
        torch.save(model.state_dict(), plan.folder / f"weights-{plan.attempt}.pt")
    return 0


def train_sharded(plan: Plan) -> int:
    """Resume with FSDP2 over all ranks, train one step and save it. Writes weights and returns as `train` does."""
    import torch
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    from deepsynth_train.checkpoint.content import Snapshot
    from deepsynth_train.checkpoint.state.trained import Trained

    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    model, _ = build_model(plan)
    fully_shard(model, mesh=init_device_mesh("cpu", (size,)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    folder, resumed = _resume(plan, model, optimizer)
    if resumed != plan.resumed_from:
        return 2
    model(torch.ones(4, plan.width)).square().mean().backward()
    optimizer.step()
    folder.save(plan.last_step, Snapshot(Trained(model, optimizer), {"step": plan.last_step}))
    folder.wait()
    whole = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    if rank == 0:
        torch.save(whole, plan.folder / f"weights-{plan.attempt}.pt")
    return 0


def build_model(plan: Plan) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    import torch

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(plan.width, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
    return model, torch.optim.AdamW(model.parameters(), lr=0.05)


def _resume(
    plan: Plan, model: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[CheckpointFolder, int | None]:
    """The folder, and the step that was loaded from it."""
    from deepsynth_train.checkpoint.folder import CheckpointFolder
    from deepsynth_train.checkpoint.owner import Owner
    from deepsynth_train.checkpoint.state.trained import Trained

    os.environ.update(plan.environment)
    folder = CheckpointFolder(plan.find_uri(), Owner("uid-1", "same", plan.attempt))
    loaded = folder.load_latest(Trained(model, optimizer))
    return folder, loaded.step if loaded else None


def _run_step(model: torch.nn.Module, optimizer: torch.optim.Optimizer, step: int, rank: int, size: int) -> None:
    import torch
    import torch.distributed as dist

    generator = torch.Generator().manual_seed(1000 * step + rank)
    inputs = torch.randn(4, 5, generator=generator)
    model(inputs).square().mean().backward()
    for parameter in model.parameters():
        assert parameter.grad is not None
        if size > 1:
            dist.all_reduce(parameter.grad)
    optimizer.step()
    optimizer.zero_grad()


def read_weights(folder: Path, attempt: int) -> dict[str, Any]:
    import torch

    weights: dict[str, Any] = torch.load(folder / f"weights-{attempt}.pt")
    return weights
