"""AdamW with the parameter groups of transformers' Trainer: no weight decay for norms and biases."""

import re

import torch
from torch import nn

from deepsynth_api.v1alpha1 import OptimizerSettings

_NOT_DECAYED = re.compile(r"bias|layernorm|rmsnorm|(?:^|\.)norm(?:$|\.)|_norm(?:$|\.)")


def build_optimizer(module: nn.Module, settings: OptimizerSettings) -> torch.optim.AdamW:
    """Over the trainable parameters. `Stepper` sets the learning rate before each step."""
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
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=float(settings.learning_rate),
        betas=(beta1, beta2),
        fused=True,
    )


def _is_decayed(module: nn.Module, name: str) -> bool:
    owner = module.get_submodule(name.rpartition(".")[0])
    return not isinstance(owner, nn.LayerNorm) and not _NOT_DECAYED.search(name.lower())
