"""Steps on a device: the numbers of a CPU in fp32, overflows, batches copied meanwhile, nothing to wait for."""

from __future__ import annotations

from functools import partialmethod
from typing import TYPE_CHECKING, Any

import pytest

from support.training.device_training import build_batches, forbid_waits, start_training, take_steps
from support.training.tiny_training import OCR2, VIT, build_samples

if TYPE_CHECKING:
    from pathlib import Path

    import torch

LOSS_TOLERANCE = {"fp32": 1e-3, "bf16": 0.02, "fp16": 0.005}
NORM_TOLERANCE = {"fp32": 5e-3, "bf16": 0.1, "fp16": 0.05}
"""Relative. Convolutions of a GPU compute in TF32 also with fp32."""


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("uri", [OCR2, VIT])
def test_steps_compute_what_a_cpu_computes_in_fp32(uri: str, precision: str, device: torch.device) -> None:
    import torch

    reference = start_training(torch.device("cpu"), uri)
    expected = take_steps(reference, build_batches(reference, 3))
    stepper = start_training(device, uri, precision=precision)
    found = take_steps(stepper, build_batches(stepper, 3))
    assert all(outcome.updated for outcome in found)
    for outcome, wanted in zip(found, expected, strict=True):
        assert outcome.loss == pytest.approx(wanted.loss, rel=LOSS_TOLERANCE[precision])
        assert outcome.grad_norm == pytest.approx(wanted.grad_norm, rel=NORM_TOLERANCE[precision])


def test_a_loss_scale_that_is_too_high_is_halved_until_steps_work(device: torch.device) -> None:
    import torch

    stepper = start_training(device, precision="fp16")
    stepper.loss_scale.scale = highest = 2.0**22
    (batch,) = build_batches(stepper, 1)
    before = [parameter.detach().clone() for parameter in stepper.model.module.parameters()]
    (first,) = take_steps(stepper, [batch])
    assert first.overflowed
    assert not first.updated
    assert stepper.loss_scale.scale == highest / 2
    assert all(map(torch.equal, before, stepper.model.module.parameters()))
    outcomes = [first]
    while not outcomes[-1].updated:
        outcomes += take_steps(stepper, [batch])
    assert stepper.loss_scale.scale == highest / 2 ** (len(outcomes) - 1) > 1
    assert take_steps(stepper, [batch])[0].loss < first.loss


def test_batches_are_made_ahead_in_memory_that_a_gpu_copies_by_itself(device: torch.device, tmp_path: Path) -> None:
    import torch

    from deepsynth_train.data.loader import prefetch

    stepper = start_training(device)
    samples = build_samples(stepper.model, 8)

    def make(number: int) -> Any:
        batch = stepper.model.family.collate(samples[number : number + 2])
        return batch.pin() if device.type == "cuda" else batch

    expected = [stepper.model.family.collate(samples[number : number + 2]) for number in range(6)]
    for batch, wanted in zip(prefetch(range(6), make, 2), expected, strict=True):
        assert batch.rows.is_pinned() == (device.type == "cuda")
        moved = batch.to(device)
        assert moved.targets.device.type == device.type
        for name, value in wanted.inputs.items():
            assert torch.equal(moved.inputs[name].cpu(), value)


@pytest.mark.parametrize("uri", [OCR2])
@pytest.mark.parametrize("settings", [{}, {"lora": {"rank": 2, "alpha": 4}}])
@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to")
def test_the_host_never_waits_for_the_device_inside_a_step(
    uri: str, settings: dict[str, Any], device: torch.device
) -> None:
    """Only for its result, at the end."""
    import torch

    from deepsynth_train.optimization.step import _Totals

    stepper = start_training(device, uri, precision="bf16", model={"uri": uri, **settings})
    batches = build_batches(stepper, 4)
    take_steps(stepper, batches[:2])  # what is copied or measured once
    stepper.reduction.zero()
    totals = _Totals(torch.zeros((), device=device))
    with forbid_waits(device):
        for batch in batches[2:]:
            stepper._accumulate(batch.to(device), totals)
        stepper.reduction.arm()
        norm = stepper.reduction.finish()
        stepper.reduction.scale(0.5)
        stepper.optimizer.step()
    assert float(norm) > 0
    assert float(totals.loss) > 0


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # torch's own, while it compiles
@pytest.mark.filterwarnings("ignore:.*TensorFloat32 tensor cores")
def test_compiled_layers_compute_what_others_compute(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU without a compiler behind it, which takes minutes."""
    import torch

    if device.type == "cpu":
        monkeypatch.setattr(torch.nn.Module, "compile", partialmethod(torch.nn.Module.compile, backend="eager"))
    losses = []
    with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True, recompile_limit=8):
        for compiles in (False, True):
            stepper = start_training(device, VIT, precision="bf16", compile=compiles)
            losses.append([outcome.loss for outcome in take_steps(stepper, build_batches(stepper, 3))])
    assert losses[1] == pytest.approx(losses[0], rel=0.01)


def test_gradients_are_summed_by_the_library_of_the_device(device: torch.device, tmp_path: Path) -> None:
    """NCCL on a GPU. In a group of one process the sum is what that process has."""
    import torch
    import torch.distributed as dist

    from deepsynth_train.optimization.reduction import Buckets

    plain = start_training(device)
    (expected,) = take_steps(plain, build_batches(plain, 1))
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        stepper = start_training(device)
        trained = [parameter for parameter in stepper.model.module.parameters() if parameter.requires_grad]
        stepper.reduction = Buckets(trained, world_size=2, bucket_bytes=100_000)  # two: so that it calls the library
        (found,) = take_steps(stepper, build_batches(stepper, 1))
        total = torch.ones(3, dtype=torch.float64, device=device)
        dist.all_reduce(total)
    finally:
        dist.destroy_process_group()
    assert total.tolist() == [1, 1, 1]
    assert found.loss == pytest.approx(expected.loss, rel=1e-6)
    assert found.grad_norm == pytest.approx(expected.grad_norm, rel=1e-5)


def test_a_checkpoint_holds_the_bits_of_the_device_and_the_run_continues_from_them(
    device: torch.device, tmp_path: Path
) -> None:
    import torch

    from deepsynth_train.checkpoint.content import Snapshot
    from deepsynth_train.checkpoint.folder import CheckpointFolder
    from deepsynth_train.checkpoint.owner import Owner
    from deepsynth_train.checkpoint.state.trained import Trained

    uri = f"file://{tmp_path}/checkpoints"
    whole = start_training(device, precision="bf16")
    batches = build_batches(whole, 4)
    take_steps(whole, batches[:2])
    trained = Trained(whole.model.module, whole.optimizer)
    saved = {name: tensor.detach().clone() for name, tensor in trained.list_tensors().items()}
    folder = CheckpointFolder(uri, Owner("run", "run", 1))
    folder.save(2, Snapshot(trained=trained, state={}))
    expected = take_steps(whole, batches[2:])  # while the copy is written
    folder.wait()
    part = start_training(device, precision="bf16")
    take_steps(part, batches[:1])  # other weights, and moments to fill
    restored = Trained(part.model.module, part.optimizer)
    assert CheckpointFolder(uri, Owner("run", "run", 2)).load_latest(restored) is not None
    found = restored.list_tensors()
    assert found.keys() == saved.keys()
    assert all(torch.equal(tensor, saved[name]) for name, tensor in found.items())
    assert all(tensor.device == saved[name].device for name, tensor in found.items())
    tolerance = 0 if device.type == "cpu" else 1e-3  # kernels of a GPU may add in another order
    for outcome, wanted in zip(take_steps(part, batches[2:]), expected, strict=True):
        assert outcome.loss == pytest.approx(wanted.loss, rel=tolerance)
