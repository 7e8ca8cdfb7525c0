"""AdamW with the parameter groups of transformers' Trainer: no weight decay for norms and biases."""

import re
from collections.abc import Iterable
from typing import Any, Final

import torch
from torch import nn

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import OptimizerSettings, TrainingSettings
from deepsynth_train.models.quantization.library import import_bitsandbytes

FIELD: Final = "spec.optimizer.type"
MIN_QUANTISED: Final = 4096
"""Tensors of fewer weights keep moments in fp32."""
BLOCK: Final = 256
"""8-bit numbers that share a scale."""
MIN_PAGED: Final = 100_000
"""Tensors of fewer weights have their moments on the GPU all the time."""
_NOT_DECAYED = re.compile(r"bias|layernorm|rmsnorm|(?:^|\.)norm(?:$|\.)|_norm(?:$|\.)")


def check_optimizer(settings: TrainingSettings, device: torch.device) -> None:
    """Refuse an optimizer that this machine or another setting rules out. Raises ConfigurationError."""
    check_sharding(settings)
    kind = settings.optimizer.type
    if kind == "adamw":
        return
    if kind == "pagedAdamw8bit" and device.type != "cuda":
        raise ConfigurationError(f"{FIELD}: pagedAdamw8bit needs an NVIDIA GPU; use adamw8bit, which runs anywhere")
    import_bitsandbytes(FIELD, kind, "adamw")


def check_sharding(settings: TrainingSettings) -> None:
    """Refuse 8-bit moments with sharded weights: a block that shares a scale would cross the border of two shards."""
    kind = settings.optimizer.type
    if kind != "adamw" and settings.sharding == "full":
        raise ConfigurationError(
            f"{FIELD}: must be adamw with spec.sharding full, which splits the moments over the GPUs, got {kind}; set "
            "spec.sharding: none, or adamw"
        )


def build_optimizer(module: nn.Module, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """Over the trainable parameters. `Stepper` sets the learning rate before each step.

    Raises ConfigurationError if the library of an 8-bit optimizer is not installed.
    """
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            (decayed if _is_decayed(module, name) else others).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": float(settings.weight_decay)},
        {"params": others, "weight_decay": 0.0},
    ]
    beta1, beta2 = (float(beta) for beta in settings.betas)
    used = [group for group in groups if group["params"]]
    if settings.type == "adamw":
        return torch.optim.AdamW(used, lr=float(settings.learning_rate), betas=(beta1, beta2), fused=True)
    paged = settings.type == "pagedAdamw8bit"
    return _build_8bit(settings.type, used, lr=float(settings.learning_rate), betas=(beta1, beta2), is_paged=paged)


def _build_8bit(kind: str, groups: list[dict[str, Any]], **options: Any) -> torch.optim.Optimizer:
    library = import_bitsandbytes(FIELD, kind, "adamw")

    class AdamW8bit(library.optim.AdamW):  # type: ignore[name-defined, misc]  # imported only here
        """With one correction: state that was loaded is paged like new state."""

        def load_state_dict(self, state_dict: dict[str, Any], *, move_to_device: bool = True) -> None:
            super().load_state_dict(state_dict, move_to_device)
            if not self.is_paged:
                return
            for parameter, state in self.state.items():
                for key in ("state1", "state2"):
                    loaded = state[key]
                    state[key] = self.get_state_buffer(parameter, dtype=loaded.dtype)
                    torch.cuda.synchronize(parameter.device)  # it fills the new memory
                    state[key].copy_(loaded)

    optimizer: torch.optim.Optimizer = AdamW8bit(groups, optim_bits=8, min_8bit_size=MIN_QUANTISED, **options)
    return optimizer


def count_state_bytes(parameters: Iterable[torch.Tensor], settings: OptimizerSettings) -> int:
    """Bytes on the GPU that the optimizer keeps for trained parameters. Paged moments are on the host when others need
    the room, so they count only while they are too small to be paged.
    """
    return sum(_count_moments(parameter.numel(), settings.type) for parameter in parameters)


def _count_moments(numbers: int, kind: str) -> int:
    if kind == "adamw" or numbers < MIN_QUANTISED:
        return 8 * numbers
    scales = 8 * -(-numbers // BLOCK)
    return scales + (0 if kind == "pagedAdamw8bit" and numbers >= MIN_PAGED else 2 * numbers)


def _is_decayed(module: nn.Module, name: str) -> bool:
    owner = module.get_submodule(name.rpartition(".")[0])
    return not isinstance(owner, nn.LayerNorm) and not _NOT_DECAYED.search(name.lower())
