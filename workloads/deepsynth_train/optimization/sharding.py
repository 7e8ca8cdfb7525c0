"""Placing the model on its devices: a replica per rank, or sharded over all ranks by FSDP2."""

from itertools import chain
from typing import Any, Final

import torch
from torch import nn
from torch.distributed.fsdp import FSDPModule

from deepsynth_api.v1alpha1 import TrainingSettings
from deepsynth_train.coordination.world import World
from deepsynth_train.models.quantization.four_bit import is_quantised
from deepsynth_train.optimization.precision import cast_experts, set_weight_dtypes
from deepsynth_train.optimization.reduction import Buckets, Reduction, Sharded

MAX_GRAPHS: Final = 64
"""Torch compiles a function up to 8 times, then it runs uncompiled. That is too few, because all layers of a model run
through one function of transformers. DeepSeek-OCR-2 has 5 kinds of layers, and each has up to 6 graphs: for a batch of
one document, for the first other length and for any length, with gradients and without.
"""


def is_sharded(settings: TrainingSettings, world: World) -> bool:
    """Whether spec.sharding is full and there is more than one process to shard over."""
    return settings.sharding == "full" and world.size > 1


def place_module(module: Any, settings: TrainingSettings, world: World) -> None:
    """Move to the device, set the weights' dtypes, checkpoint activations, compile and shard, as the settings say.

    Sharding casts and shards layer by layer, so a device never holds the whole model in fp32.
    """
    if any(tensor.device != world.device for tensor in chain(module.parameters(), module.buffers())):
        module.to(world.device)  # not for nothing: it cannot take the fake tensors of memory/estimate.py
    if settings.gradient_checkpointing:
        _recompute_activations(module)
    cast_experts(module, settings.precision)
    if settings.compile:
        _compile_layers(module)
    if is_sharded(settings, world):
        _shard(module, settings, world)
    else:
        set_weight_dtypes(module, settings.precision)


def _recompute_activations(module: Any) -> None:
    """Transformers renamed the method; both names do the same.

    They also make the output of each embedding require gradients, that of page patches too, so the backward pass would
    run through a frozen vision part. Only reentrant recomputation needs that.
    """
    enable = getattr(module, "activation_checkpointing_enable", None) or module.gradient_checkpointing_enable
    enable({"use_reentrant": False})
    module.disable_input_require_grads()


def _compile_layers(module: Any) -> None:
    """Compile each layer by itself: layers of one kind share their graphs."""
    from torch._dynamo import config

    config.recompile_limit = max(config.recompile_limit, MAX_GRAPHS)
    for layer in find_layers(module):
        layer.compile()


def build_reduction(module: Any, settings: TrainingSettings, world: World) -> Reduction:
    """Call it after loading a checkpoint: it allocates the gradients."""
    if is_sharded(settings, world):
        return Sharded(module)
    return Buckets([p for p in module.parameters() if p.requires_grad], world.size)


def gather_full_state(module: Any, world: World) -> dict[str, Any]:
    """The full model on the CPU of rank 0; empty on other ranks, so that a node holds one copy. Called by all ranks.

    Tied weights share memory, as in the module. Of a model with 4-bit weights only the trained ones: `export_model`
    reads the others again.
    """
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    if is_quantised(module):
        trained = {name: p.detach().cpu() for name, p in module.named_parameters() if p.requires_grad}
        return trained if world.is_first else {}
    if not world.is_first and not any(isinstance(part, FSDPModule) for part in module.modules()):
        return {}  # without shards, rank 0 has all of it
    state = get_model_state_dict(module, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    live = module.state_dict(keep_vars=True)
    first: dict[int, Any] = {}
    return {name: first.setdefault(id(live[name]), tensor) for name, tensor in state.items()}


def find_layers(module: Any) -> list[nn.Module]:
    """The repeated transformer layers."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    return [part for part in module.modules() if isinstance(part, GradientCheckpointingLayer)]


def find_library_module(module: Any) -> Any:
    """The transformers model inside peft's wrapper, or the module itself without adapters."""
    return module.get_base_model() if hasattr(module, "get_base_model") else module


def _shard(module: Any, settings: TrainingSettings, world: World) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method

    mesh = init_device_mesh(world.device.type, (world.size,))
    dtype = torch.bfloat16 if settings.precision == "bf16" else None
    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32)
    for layer in find_layers(module):
        set_weight_dtypes(layer, settings.precision)
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    set_weight_dtypes(module, settings.precision)
    whole = find_library_module(module)  # `generate` enters here, not at peft's wrapper
    fully_shard(whole, mesh=mesh, mp_policy=policy)
    register_fsdp_forward_method(whole, "generate")
