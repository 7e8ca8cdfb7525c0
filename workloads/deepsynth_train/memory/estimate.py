"""Memory of one training step by part, from the settings of a run: no weights are read and no GPU is needed."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import Any

import torch
from PIL import Image
from torch import nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)
from torch.utils._python_dispatch import TorchDispatchMode

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import TrainingSettings
from deepsynth_train.coordination.world import World
from deepsynth_train.memory.meter import MemoryMeter
from deepsynth_train.models.build import build_page_structure
from deepsynth_train.models.interface.page_model import HOST_INPUTS, Batch, Inputs, PageModel, Sample
from deepsynth_train.models.quantization.four_bit import list_parts
from deepsynth_train.optimization.loss import compute_loss_sum
from deepsynth_train.optimization.optimizer import check_sharding, count_state_bytes
from deepsynth_train.optimization.precision import build_autocast
from deepsynth_train.optimization.reduction import Buckets
from deepsynth_train.optimization.sharding import find_layers, place_module

RESERVE = 2**30
"""Bytes for what is not a tensor: the CUDA context, the work space of its libraries, gaps between blocks."""
PAGE = (1240, 1754)
"""Pixels of an A4 page at 150 dpi. Matters only to models whose number of positions depends on it."""
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes on each GPU at the peak of a step, and the number of weights of the whole model.

    activations: what the backward pass needs, logits, weights cast to the compute dtype, and the batch.
    gathered: layers that sharding puts together again while they compute.
    """

    trained: int
    frozen: int
    trained_bytes: int
    frozen_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    activation_bytes: int
    gathered_bytes: int
    reserve_bytes: int = RESERVE

    @property
    def total_bytes(self) -> int:
        return sum(size for name, size in asdict(self).items() if name.endswith("_bytes"))


def estimate_memory(
    settings: TrainingSettings, *, samples: int, gpus: int, pages: int, label_tokens: int
) -> MemoryEstimate:
    """For micro-batches of `samples` samples with `pages` A4 pages and `label_tokens` tokens each.

    gpus: number of processes. spec.compile is ignored: it needs less memory or the same. Raises the errors of
    `build_page_model`, and ConfigurationError for a model whose memory cannot be estimated.
    """
    model = build_page_structure(settings)
    return _estimate(model, settings, build_batch(model, samples, pages, label_tokens), gpus)


def estimate_samples(settings: TrainingSettings, samples: Sequence[Sample], *, gpus: int) -> MemoryEstimate:
    """The same for a micro-batch of these samples."""
    model = build_page_structure(settings)
    return _estimate(model, settings, model.family.collate(samples), gpus)


def _estimate(model: PageModel, settings: TrainingSettings, batch: Batch, gpus: int) -> MemoryEstimate:
    """model: on the meta device; changed by this."""
    check_sharding(settings)
    with _without_value_checks(), FakeTensorMode(allow_non_fake_inputs=True) as fake, _GroupedProducts():  # type: ignore[no-untyped-call]  # torch
        _allocate(model.module)
        place_module(model.module, settings.model_copy(update={"compile": False}), World(0, 1, 0, 1, _CPU))
        model.module.train()
        inputs: Inputs = {
            name: value if name in HOST_INPUTS else fake.from_tensor(value) for name, value in batch.inputs.items()
        }
        batch = replace(
            batch, inputs=inputs, rows=fake.from_tensor(batch.rows), targets=fake.from_tensor(batch.targets)
        )
        try:
            return measure_step(model, settings, batch, gpus=gpus)
        except (DataDependentOutputException, DynamicOutputShapeException) as error:
            kind = model.module.config.model_type
            raise ConfigurationError(
                f"spec.model.uri: the memory of {kind} cannot be estimated, because what it computes depends on the "
                "pages; train a few steps and look at the GPU instead"
            ) from error


class _GroupedProducts(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch has no types here
    """Torch 2.11 knows the shape of a grouped matrix product, which routed experts use, only for bf16."""

    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not torch.ops.aten._grouped_mm.default:  # noqa: SLF001 - its only name
            return func(*args, **(kwargs or {}))
        tokens, weights, *rest = args
        return func(tokens.bfloat16(), weights.bfloat16(), *rest, **(kwargs or {})).to(tokens.dtype)


@contextmanager
def _without_value_checks() -> Iterator[None]:
    """Fake tensors have no values for the checks of transformers' models, such as the number of image positions."""
    name = "TRANSFORMERS_DISABLE_TORCH_CHECK"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before


def _allocate(module: nn.Module) -> None:
    """Move from the meta device to the CPU. Inside FakeTensorMode this allocates nothing.

    On meta attention would not choose the kernel that it runs; `module.to_empty` cannot make fake parameters.
    """
    made: dict[int, torch.Tensor] = {}
    for part in module.modules():
        for name, weight in part.named_parameters(recurse=False):
            if id(weight) not in made:  # tied weights stay tied
                made[id(weight)] = nn.Parameter(torch.empty_like(weight, device=_CPU), weight.requires_grad)
            setattr(part, name, made[id(weight)])
        for name, buffer in part.named_buffers(recurse=False):
            setattr(part, name, torch.empty_like(buffer, device=_CPU))


def build_batch(model: PageModel, samples: int, pages: int, label_tokens: int) -> Batch:
    """A micro-batch of white pages and labels of one repeated token."""
    prompt = model.family.build_prompt([Image.new("L", PAGE, 255)] * pages)
    return model.family.collate([Sample(prompt, [0] * label_tokens)] * samples)


def measure_step(model: PageModel, settings: TrainingSettings, batch: Batch, *, gpus: int) -> MemoryEstimate:
    """Run a forward and a backward pass of a placed model, with real tensors or fake ones, and count their memory."""
    shards = gpus if settings.sharding == "full" else 1
    trained = [p for p in model.module.parameters() if p.requires_grad]
    frozen = [p for p in model.module.parameters() if not p.requires_grad]
    kept = count_bytes(trained), count_bytes(frozen)
    moments = count_state_bytes(trained, settings.optimizer)
    gathered = 0
    if shards == 1:
        buckets = Buckets(trained, 1)
        activations = _measure(model, settings, batch)
        del buckets
    else:
        _imitate_shards(model.module, trained, settings)
        activations = _measure(model, settings, batch)
        gathered = _count_gathered(model.module)
    return MemoryEstimate(
        trained=sum(p.numel() for p in trained),
        frozen=sum(p.numel() for p in frozen),
        trained_bytes=kept[0] // shards,
        frozen_bytes=kept[1] // shards,
        gradient_bytes=sum(4 * p.numel() for p in trained) // shards,
        optimizer_bytes=moments // shards,
        activation_bytes=activations + count_bytes([*batch.inputs.values(), batch.rows, batch.targets]),
        gathered_bytes=gathered,
    )


def count_bytes(tensors: Sequence[torch.Tensor]) -> int:
    parts = (part for tensor in tensors for part in list_parts(tensor))
    return sum(part.numel() * part.element_size() for part in parts)


def _measure(model: PageModel, settings: TrainingSettings, batch: Batch) -> int:
    """Bytes at the peak of the pass, above what is there before it."""
    module = model.module
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    with MemoryMeter(chain(module.parameters(), module.buffers(), gradients)) as meter:
        before = meter.now
        loss = compute_loss_sum(model, batch, build_autocast(settings.precision, _CPU))
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no types here
    return int(meter.peak - before)


def _imitate_shards(module: nn.Module, trained: Sequence[nn.Parameter], settings: TrainingSettings) -> None:
    """As FSDP does: weights arrive in the compute dtype, and a layer's gradients leave once they are reduced."""
    if settings.precision == "bf16":
        for parameter in module.parameters():
            parameter.data = parameter.data.bfloat16()
    for parameter in trained:
        parameter.register_post_accumulate_grad_hook(_drop_gradient)  # type: ignore[no-untyped-call]  # torch has no types here


def _drop_gradient(parameter: torch.Tensor) -> None:
    parameter.grad = None


def _count_gathered(module: nn.Module) -> int:
    """Bytes of whole weights at once: those outside of layers all the time, and two layers, of which one is fetched
    while the other computes.
    """
    layers = [list(layer.parameters()) for layer in find_layers(module)]
    inside = {parameter for layer in layers for parameter in layer}
    outside = [parameter for parameter in module.parameters() if parameter not in inside]
    return count_bytes(outside) + 2 * max((count_bytes(layer) for layer in layers), default=0)
