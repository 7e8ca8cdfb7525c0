"""What a device computes with: attention by fused kernels, and text as a CPU writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from torch.utils._python_dispatch import TorchDispatchMode

from support.training.device_training import build_batches, start_training
from support.training.tiny_training import OCR2, VIT, build_samples

if TYPE_CHECKING:
    import torch

    from deepsynth_train.optimization.step import Stepper

FUSED = ("flash", "efficient", "cudnn")


class Attention(TorchDispatchMode):
    """Names of the attention kernels that run inside `with`."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch has no types here
        self.kernels: list[str] = []

    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if "scaled_dot_product" in str(func) and "backward" not in str(func):
            self.kernels.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("uri", [OCR2, VIT])
def test_attention_runs_in_fused_kernels(uri: str, device: torch.device) -> None:
    from deepsynth_train.optimization.loss import compute_loss_sum
    from deepsynth_train.optimization.sharding import find_layers

    stepper = start_training(device, uri, precision="bf16")
    (batch,) = build_batches(stepper, 1)
    with Attention() as attention:
        compute_loss_sum(stepper.model, batch.to(device), stepper.autocast).backward()  # type: ignore[no-untyped-call]
    fused = [name for name in attention.kernels if any(kind in name for kind in FUSED)]
    assert fused == attention.kernels
    layers = [name for name, _ in stepper.model.module.named_modules() if name.endswith(("attn", "attention"))]
    assert len(fused) >= len(find_layers(stepper.model.module)) // 2 > 0, layers


@pytest.mark.parametrize("uri", [OCR2, VIT])
def test_a_device_writes_the_text_that_a_cpu_writes(uri: str, device: torch.device) -> None:
    import torch

    written = []
    for place in (torch.device("cpu"), device):
        stepper = start_training(place, uri)
        written.append(write(stepper))
    assert written[0] == written[1]


def write(stepper: Stepper) -> list[list[int]]:
    import torch

    from deepsynth_train.models.families.square_pages import fit_inputs

    family, module = stepper.model.family, stepper.model.module.eval()
    inputs = fit_inputs(family.prepare(family.collate_prompts(build_samples(stepper.model, 4))), module)
    with torch.no_grad():
        ids: list[list[int]] = module.generate(**inputs, max_new_tokens=8, do_sample=False).tolist()
    return ids
