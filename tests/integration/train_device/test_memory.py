"""Memory of a device: what `deepsynth fit` estimates is what a step takes, and a full device is explained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from deepsynth_api.errors import TemporaryError
from support.training.device_training import build_batches, build_device_world, start_training, take_steps
from support.training.tiny_training import OCR2, build_settings

if TYPE_CHECKING:
    import torch

LABEL_TOKENS = 300
SAMPLES = 4
LARGE: dict[str, Any] = {"image_processor": {"size": 512}, "micro_batch_size": SAMPLES}
"""So large that the step takes more than what a GPU's libraries take for themselves."""


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "bf16"},
        {"precision": "bf16", "gradient_checkpointing": True},
        {"precision": "bf16", "model": {"uri": OCR2, "lora": {"rank": 4, "alpha": 8}}},
    ],
    ids=["full", "recomputed", "adapters"],
)
def test_a_step_takes_what_fit_estimates(changes: dict[str, Any], device: torch.device) -> None:
    from deepsynth_train.memory.estimate import build_batch, estimate_memory

    settings = build_settings(**LARGE, **changes)
    estimate = estimate_memory(settings, samples=SAMPLES, gpus=1, pages=1, label_tokens=LABEL_TOKENS)
    stepper = start_training(device, **LARGE, **changes)
    batch = build_batch(stepper.model, SAMPLES, 1, LABEL_TOKENS)
    peak = measure_peak(lambda: take_steps(stepper, [batch, batch]), stepper, device)
    assert peak == pytest.approx(estimate.total_bytes - estimate.reserve_bytes, rel=0.1)


def measure_peak(work: Any, stepper: Any, device: torch.device) -> int:
    import torch

    from deepsynth_train.memory.meter import MemoryMeter

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        work()
        return int(torch.cuda.max_memory_allocated(device))
    module = stepper.model.module
    with MemoryMeter([*module.parameters(), *module.buffers(), *stepper.reduction._flat]) as meter:
        work()
    return int(meter.peak)


def test_a_full_device_is_explained_by_its_parts_and_with_settings_that_help(device: torch.device) -> None:
    from deepsynth_train.memory.full_gpu import explain_full_gpu

    settings = build_settings(micro_batch_size=2)
    stepper = start_training(device, micro_batch_size=2)
    batches = build_batches(stepper, 2)
    take_steps(stepper, batches[:1])
    stepper.model.module.get_output_embeddings().register_forward_hook(lambda *_: fill(device))
    with (
        pytest.raises(
            TemporaryError, match=r"GPU memory is full.*lower spec\.microBatchSize \(now 2\) or set it to auto"
        ) as caught,
        explain_full_gpu(
            stepper.model.module, stepper.optimizer, settings, build_device_world(device), micro_batch_size=2
        ),
    ):
        take_steps(stepper, batches[1:])
    assert caught.value.reason == "OutOfMemory"
    assert ("weights" in str(caught.value)) == (device.type == "cuda"), "a CPU does not say what it holds"
    stepper.model.module.get_output_embeddings()._forward_hooks.clear()
    assert take_steps(stepper, batches[1:])[0].updated, "the run could not continue"


def fill(device: torch.device) -> None:
    """Ask for more memory than there is."""
    import torch

    if device.type == "cpu":
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.25 GiB.")
    torch.empty(2**45, dtype=torch.uint8, device=device)
