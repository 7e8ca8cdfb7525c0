"""Which parts of a run filled the GPU's memory, and which settings make room."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch

from deepsynth_api.errors import TemporaryError
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import TrainingSettings
from deepsynth_api.v1alpha1.shared.base import AUTO
from deepsynth_train.checkpoint.layout import PINS_FILE
from deepsynth_train.coordination.world import World
from deepsynth_train.models.quantization.four_bit import list_parts

_GIB: Final = 2**30
_MAX_REMEDIES: Final = 3


@dataclass(frozen=True)
class GpuUse:
    """Bytes of one GPU. gaps: held by torch between tensors. others: other processes, and what CUDA itself takes."""

    total: int
    weights: int
    gradients: int
    optimizer: int
    activations: int
    gaps: int
    others: int

    @property
    def parts(self) -> dict[str, int]:
        """What the GPU is full of, the largest first."""
        named = {
            "activations and batches": self.activations,
            "weights": self.weights,
            "optimizer state": self.optimizer,
            "gradients": self.gradients,
            "gaps between tensors": self.gaps,
            "other processes and CUDA": self.others,
        }
        return dict(sorted(named.items(), key=lambda item: -item[1]))


@contextmanager
def explain_full_gpu(
    module: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    settings: TrainingSettings,
    world: World,
    *,
    micro_batch_size: int,
) -> Iterator[None]:
    """Turn torch's error into a TemporaryError (OutOfMemory) that says what took the memory and what to change."""
    try:
        yield
    except RuntimeError as error:
        if not is_full_gpu(error):
            raise
        use = read_gpu_use(module, optimizer, world.device) if world.device.type == "cuda" else None
        message = describe_full_gpu(error, use, settings, world.size, micro_batch_size)
        raise TemporaryError(message, reason=Reason.OUT_OF_MEMORY) from error


def is_full_gpu(error: BaseException) -> bool:
    """Whether the GPU had no memory left: torch says so in several ways, by the library that asked for it."""
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and ("CUDA error: out of memory" in text or "_STATUS_ALLOC_FAILED" in text)
    )


def read_gpu_use(module: torch.nn.Module, optimizer: torch.optim.Optimizer, device: torch.device) -> GpuUse:
    """Call it while the error is handled: its traceback still holds the activations."""
    parameters = list(module.parameters())
    weights = count_local_bytes([*parameters, *module.buffers()])
    gradients = count_local_bytes(p.grad for p in parameters if p.grad is not None)
    states = [value for state in optimizer.state.values() for value in state.values()]
    resident = (value for value in states if isinstance(value, torch.Tensor) and value.device.type == device.type)
    moments = count_local_bytes(resident)
    allocated, reserved = torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device)
    free, total = torch.cuda.mem_get_info(device)
    return GpuUse(
        total=total,
        weights=weights,
        gradients=gradients,
        optimizer=moments,
        activations=max(0, allocated - weights - gradients - moments),
        gaps=reserved - allocated,
        others=max(0, total - free - reserved),
    )


def count_local_bytes(tensors: Iterable[Any]) -> int:
    """Bytes of this process's shards; tensors that share memory count once."""
    parts = (part for tensor in tensors for part in list_parts(tensor))
    shards = (part.to_local() if hasattr(part, "to_local") else part for part in parts)
    storages = {shard.untyped_storage().data_ptr(): shard.untyped_storage().nbytes() for shard in shards}
    return sum(storages.values())


def describe_full_gpu(
    error: BaseException, use: GpuUse | None, settings: TrainingSettings, world_size: int, micro_batch_size: int
) -> str:
    """use: None if it is unknown."""
    wanted = re.search(r"Tried to allocate ([\d.]+ [KMG]iB)", str(error))
    asked = f", {wanted[1]} more were needed" if wanted else ""
    remedies = _find_remedies(use, settings, world_size, micro_batch_size)
    remedy = ", ".join(remedies[:-1]) + f", or {remedies[-1]}"
    if use is None:
        return f"GPU memory is full{asked}; {remedy}"
    parts = ", ".join(f"{name} {size / _GIB:.1f}" for name, size in use.parts.items())
    return f"GPU memory is full{asked}; of {use.total / _GIB:.1f} GiB: {parts}; {remedy}"


def _find_remedies(use: GpuUse | None, settings: TrainingSettings, world_size: int, micro_batch_size: int) -> list[str]:
    """The settings that free most and are not used yet, the best first."""
    smaller_batches = [
        (micro_batch_size > 1, _lower_micro_batch_size(settings, micro_batch_size)),
        (not settings.gradient_checkpointing, "set spec.gradientCheckpointing: true"),
    ]
    fewer_weights = [
        (settings.sharding == "none" and world_size > 1, "set spec.sharding: full"),
        (settings.model.lora is None, "train adapters only (spec.model.lora)"),
        (not settings.model.freeze, "freeze a part of the model (spec.model.freeze)"),
    ]
    smaller_samples = [
        (True, "lower spec.imageProcessor.size"),
        (True, "lower spec.maxSequenceTokens"),
        (True, "use a GPU with more memory"),
    ]
    is_model = use is not None and use.weights + use.gradients + use.optimizer > use.activations
    ordered = fewer_weights + smaller_batches if is_model else smaller_batches + fewer_weights
    return [text for applies, text in ordered + smaller_samples if applies][:_MAX_REMEDIES]


def _lower_micro_batch_size(settings: TrainingSettings, size: int) -> str:
    """A number that auto chose is kept with the checkpoints, whose folder does not take a run with another spec."""
    if settings.micro_batch_size != AUTO:
        return f"lower spec.microBatchSize (now {size}) or set it to auto"
    return (
        f"set spec.microBatchSize below {size}, which auto chose (if there are checkpoints, lower it in "
        f"{settings.checkpoint.uri.rstrip('/')}/{PINS_FILE} instead)"
    )
