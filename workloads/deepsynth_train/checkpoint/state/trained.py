"""What a run trains, by name: the trained weights, the buffers and the state of the optimizer.

    model.encoder.weight                        a trained parameter, or a persistent buffer
    optimizer.state.encoder.weight.exp_avg      what the optimizer keeps for it

Frozen weights are not part of it. They come from the base model, which base.py identifies. The optimizer's
hyperparameters are not part of it either: they come from the settings, and the learning rate is set at every step.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.distributed.tensor import DTensor

from deepsynth_api.errors import InternalError
from deepsynth_train.checkpoint.state.parts import Part, locate
from deepsynth_train.checkpoint.state.tensor_files import Stored

WEIGHTS = "model."
OPTIMIZER = "optimizer.state."


class FrozenWeightChangedError(ValueError):
    """A frozen weight in a checkpoint differs from that of the base model."""


@dataclass(frozen=True)
class Trained:
    """A module and its optimizer. The same on every rank, with plain tensors or, sharded by FSDP2, DTensors."""

    module: nn.Module
    optimizer: torch.optim.Optimizer

    def list_tensors(self) -> dict[str, torch.Tensor]:
        """All tensors by name, not copies."""
        tensors = {WEIGHTS + name: weight for name, weight in self.list_weights().items()}
        for name, parameter, state in self._list_states():
            for key, value in state.items():
                if isinstance(value, torch.Tensor):
                    _check_sharding(name, parameter, key, value)
                    tensors[f"{OPTIMIZER}{name}.{key}"] = value
        return tensors

    def list_values(self) -> dict[str, Any]:
        """What the optimizer keeps for a weight that is not a tensor, such as a step counter."""
        return {
            f"{OPTIMIZER}{name}.{key}": value
            for name, _, state in self._list_states()
            for key, value in state.items()
            if not isinstance(value, torch.Tensor)
        }

    def list_weights(self) -> dict[str, torch.Tensor]:
        """Trained parameters and persistent buffers."""
        trained = {name: p for name, p in self.module.named_parameters() if p.requires_grad}
        persistent = self.module.state_dict().keys()
        buffers = {name: buffer for name, buffer in self.module.named_buffers() if name in persistent}
        return {**trained, **buffers}

    def list_frozen(self) -> dict[str, torch.Tensor]:
        return {name: p for name, p in self.module.named_parameters() if not p.requires_grad}

    @torch.no_grad()
    def restore(self, stored: Stored) -> None:
        """Fill the weights and the optimizer in place.

        Raises ValueError when names or shapes differ, and FrozenWeightChangedError.
        """
        known = self.module.state_dict().keys()
        strangers = [name for name in stored.tensors if name.startswith(WEIGHTS) and name[len(WEIGHTS) :] not in known]
        if strangers:
            raise ValueError(f"the model has no tensor {strangers[0]}")
        stored.fill(locate(WEIGHTS + name, weight) for name, weight in self.list_weights().items())
        self._check_frozen(stored)
        state = self._build_optimizer_state(stored)
        tensors = {name: value for entries in state.values() for name, value in entries.items()}
        stored.fill(locate(name, value) for name, value in tensors.items() if isinstance(value, torch.Tensor))
        self._load_optimizer_state(state)

    def _check_frozen(self, stored: Stored) -> None:
        """Checkpoints of format 1 hold frozen weights too. Later ones will not, so they must be those of the base."""
        for name, weight in self.list_frozen().items():
            if WEIGHTS + name in stored.tensors:
                part = locate(WEIGHTS + name, weight)
                saved = torch.empty_like(part.data)
                stored.fill([Part(part.name, part.shape, part.start, saved)])
                if not torch.equal(saved, part.data):
                    raise FrozenWeightChangedError(f"the frozen weight {name} differs from the one in the checkpoint")

    def _build_optimizer_state(self, stored: Stored) -> dict[int, dict[str, Any]]:
        """By number of the weight: what was stored for it, by its name there. Tensors are not filled yet."""
        found = _group_by_weight(stored)
        state = {
            number: {name: _build_entry(stored, name, parameter) for name in found.pop(weight)}
            for number, (weight, parameter, _) in enumerate(self._list_states())
            if weight in found
        }
        if found:
            raise ValueError(f"the optimizer does not train {next(iter(found))}")
        return state

    def _load_optimizer_state(self, state: Mapping[int, Mapping[str, Any]]) -> None:
        by_key = {
            number: {name.rpartition(".")[2]: value for name, value in entries.items()}
            for number, entries in state.items()
        }
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": by_key, "param_groups": groups})

    def _list_states(self) -> Iterator[tuple[str, nn.Parameter, Mapping[str, Any]]]:
        """(name, weight, its state) for each weight of the optimizer, in the optimizer's order."""
        names = {id(parameter): name for name, parameter in self.module.named_parameters()}
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                yield names[id(parameter)], parameter, self.optimizer.state.get(parameter, {})


def _check_sharding(name: str, parameter: torch.Tensor, key: str, value: torch.Tensor) -> None:
    """Each rank has its own value, and only one rank would write it."""
    if isinstance(parameter, DTensor) and not isinstance(value, DTensor) and value.numel() > 1:
        raise InternalError(f"{key} of {name}: this optimizer's state cannot be saved with sharded weights")


def _group_by_weight(stored: Stored) -> dict[str, list[str]]:
    """{"encoder.weight": ["optimizer.state.encoder.weight.step", ...], ...}"""
    groups: dict[str, list[str]] = {}
    for name in (*stored.tensors, *stored.values):
        if name.startswith(OPTIMIZER):
            weight = name.removeprefix(OPTIMIZER).rpartition(".")[0]
            groups.setdefault(weight, []).append(name)
    return groups


def _build_entry(stored: Stored, name: str, parameter: torch.Tensor) -> Any:
    """What has the shape of its weight is placed like the weight; the optimizer moves anything else."""
    if name in stored.values:
        return stored.values[name]
    kind = stored.tensors[name]
    if kind.shape == tuple(parameter.shape):
        return torch.empty_like(parameter, dtype=kind.dtype, requires_grad=False)
    return torch.empty(kind.shape, dtype=kind.dtype)
