"""A full GPU is explained by its parts and by settings that are not used yet."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from deepsynth_api.errors import TemporaryError
from deepsynth_train.memory.full_gpu import (
    GpuUse,
    count_local_bytes,
    describe_full_gpu,
    explain_full_gpu,
    is_full_gpu,
)
from support.training.tiny_training import build_settings, build_world

GIB = 2**30
CUDA = torch.OutOfMemoryError(
    "CUDA out of memory. Tried to allocate 2.25 GiB. GPU 0 has a total capacity of 79.11 GiB of which 1.02 GiB is free."
)
MANY_ACTIVATIONS = GpuUse(80 * GIB, 7 * GIB, GIB // 10, GIB // 5, 70 * GIB, GIB, GIB)
LARGE_MODEL = GpuUse(80 * GIB, 14 * GIB, 13 * GIB, 26 * GIB, 20 * GIB, GIB, 0)


def describe(use: GpuUse | None, world_size: int = 8, **changes: Any) -> str:
    settings = build_settings(**changes)
    return describe_full_gpu(
        CUDA, use, settings, world_size, 8 if settings.micro_batch_size == "auto" else settings.micro_batch_size
    )


def test_the_message_says_what_took_the_memory_and_three_settings_that_help() -> None:
    assert describe(MANY_ACTIVATIONS, micro_batch_size=8) == (
        "GPU memory is full, 2.25 GiB more were needed; of 80.0 GiB: activations and batches 70.0, weights 7.0, "
        "gaps between tensors 1.0, other processes and CUDA 1.0, optimizer state 0.2, gradients 0.1; "
        "lower spec.microBatchSize (now 8) or set it to auto, set spec.gradientCheckpointing: true, or set "
        "spec.sharding: full"
    )


def test_a_size_that_auto_chose_is_lowered_where_later_attempts_read_it() -> None:
    said = describe(MANY_ACTIVATIONS, micro_batch_size="auto", checkpoint={"uri": "pvc://runs/first/"})
    assert (
        "; set spec.microBatchSize below 8, which auto chose (if there are checkpoints, lower it in "
        "pvc://runs/first/datasets.json instead), set spec.gradientCheckpointing: true, or "
    ) in said


@pytest.mark.parametrize(
    ("use", "world_size", "changes", "remedies"),
    [
        (LARGE_MODEL, 8, {}, ["spec.sharding: full", "spec.model.lora", "spec.model.freeze"]),
        (LARGE_MODEL, 1, {}, ["spec.model.lora", "spec.model.freeze", "spec.gradientCheckpointing"]),
        (MANY_ACTIVATIONS, 1, {}, ["spec.gradientCheckpointing", "spec.model.lora", "spec.model.freeze"]),
        (None, 8, {"micro_batch_size": 2}, ["spec.microBatchSize", "spec.gradientCheckpointing", "spec.sharding"]),
        (
            MANY_ACTIVATIONS,
            8,
            {
                "gradient_checkpointing": True,
                "sharding": "full",
                "model": {"uri": "config://deepseek-ocr2-tiny", "lora": {}, "freeze": ["vision"]},
            },
            ["spec.imageProcessor.size", "spec.maxSequenceTokens", "a GPU with more memory"],
        ),
    ],
)
def test_only_settings_that_are_not_used_yet_are_named(
    use: GpuUse | None, world_size: int, changes: dict[str, Any], remedies: list[str]
) -> None:
    said = describe(use, world_size, **changes).rpartition("; ")[2].split(", ")
    assert len(said) == 3
    assert all(remedy in text for remedy, text in zip(remedies, said, strict=True))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (CUDA, True),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported later"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("CUDA error: out of memory"), False),
    ],
)
def test_a_full_gpu_is_recognised_by_its_errors(error: Exception, expected: bool) -> None:
    assert is_full_gpu(error) is expected


def test_a_full_gpu_ends_the_attempt_and_other_errors_pass() -> None:
    module = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(module.parameters())
    for error, expected in ((CUDA, TemporaryError), (RuntimeError("x"), RuntimeError)):
        with (
            pytest.raises(expected) as caught,
            explain_full_gpu(module, optimizer, build_settings(), build_world(), micro_batch_size=1),
        ):
            raise error
        assert getattr(caught.value, "reason", "") == ("OutOfMemory" if error is CUDA else "")


def test_tensors_that_share_memory_count_once() -> None:
    weight = torch.zeros(10, 10)
    assert count_local_bytes([weight, weight, weight[2:], torch.zeros(5, dtype=torch.int8)]) == 405


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_parts_of_a_real_gpu_add_up() -> None:
    from deepsynth_train.memory.full_gpu import read_gpu_use

    device = torch.device("cuda")
    module = torch.nn.Linear(4096, 4096, device=device)
    optimizer = torch.optim.AdamW(module.parameters())
    module(torch.ones(8, 4096, device=device)).sum().backward()
    optimizer.step()
    held = torch.empty(2**28, dtype=torch.uint8, device=device)
    use = read_gpu_use(module, optimizer, device)
    size = 4 * (4096 * 4096 + 4096)
    assert (use.weights, use.gradients) == (size, size)
    assert 2 * size <= use.optimizer <= 2 * size + 1024
    assert use.activations >= held.numel()
    assert sum(use.parts.values()) <= use.total
