"""Several processes compute what one computes."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from integration.train_numerics import rank_training
from support.training.rank_processes import CONTEXT, run_ranks
from support.training.tiny_training import MODULES, OCR2, VIT

if TYPE_CHECKING:
    from pathlib import Path

    import torch

CONTEXT.set_forkserver_preload(MODULES)

BATCHES = [list(range(start, start + 8)) for start in range(0, 40, 8)]
UNEVEN = [[0, 1, 2], [3], [4, 5, 6, 7, 8]]


def run(size: int, folder: Path, uri: str, batches: list[list[int]], micro_batch: int, **changes: Any) -> None:
    function = partial(rank_training.run_steps, **changes)
    assert run_ranks(size, folder, function, folder, uri, batches, micro_batch) == [0] * size


def read(folder: Path, size: int, rank: int = 0) -> list[dict[str, float]]:
    lines: list[dict[str, float]] = json.loads((folder / f"steps-{size}-{rank}.json").read_text())
    return lines


def load(folder: Path, name: str) -> dict[str, torch.Tensor]:
    import torch

    tensors: dict[str, torch.Tensor] = torch.load(folder / name)
    return tensors


@pytest.mark.parametrize(("uri", "batches"), [(OCR2, BATCHES), (VIT, UNEVEN)], ids=["even", "uneven"])
def test_two_ranks_equal_one_with_twice_the_micro_batch(uri: str, batches: list[list[int]], tmp_path: Path) -> None:
    import torch

    run(1, tmp_path, uri, batches, 4)
    run(2, tmp_path, uri, batches, 2)
    one, two = read(tmp_path, 1), read(tmp_path, 2)
    assert [line["loss"] for line in two] == pytest.approx([line["loss"] for line in one], abs=1e-5)
    assert [line["norm"] for line in two] == pytest.approx([line["norm"] for line in one], abs=1e-4, rel=1e-5)
    expected, found = load(tmp_path, "gradients-1-0.pt"), load(tmp_path, "gradients-2-0.pt")
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-5, rtol=1e-3)
    assert read(tmp_path, 2, 0) == read(tmp_path, 2, 1)
    same = load(tmp_path, "weights-2-1.pt")
    assert all(torch.equal(weight, same[name]) for name, weight in load(tmp_path, "weights-2-0.pt").items())


def test_an_overflow_on_one_rank_makes_all_ranks_skip_and_halve_the_scale(tmp_path: Path) -> None:
    import torch

    run(2, tmp_path, VIT, BATCHES[:3], 4, precision="fp16", poisoned_rank=1, poisoned_step=1)
    first, second = read(tmp_path, 2, 0), read(tmp_path, 2, 1)
    assert [line["updated"] for line in first] == [True, False, True]
    assert [line["scale"] for line in first] == [128, 64, 64]
    assert [line["scale"] for line in second] == [128, 64, 64]
    same = load(tmp_path, "weights-2-1.pt")
    assert all(torch.equal(weight, same[name]) for name, weight in load(tmp_path, "weights-2-0.pt").items())


def test_shards_on_two_ranks_compute_what_one_rank_computes(tmp_path: Path) -> None:
    import torch

    for size in (1, 2):
        assert run_ranks(size, tmp_path, rank_training.run_sharded, tmp_path, "fp32") == [0] * size
    one, two = read(tmp_path, 1), read(tmp_path, 2)
    assert [line["loss"] for line in two] == pytest.approx([line["loss"] for line in one], abs=1e-5)
    assert [line["norm"] for line in two] == pytest.approx([line["norm"] for line in one], abs=1e-4, rel=1e-5)
    whole = load(tmp_path, "weights-2-0.pt")
    for name, weight in load(tmp_path, "weights-1-0.pt").items():
        torch.testing.assert_close(whole[name], weight, atol=1e-4, rtol=1e-3)


def test_shards_compute_in_bf16_and_a_rank_without_a_sample_takes_part(tmp_path: Path) -> None:
    import torch

    assert run_ranks(2, tmp_path, rank_training.run_sharded, tmp_path, "bf16") == [0, 0]
    weights = load(tmp_path, "weights-2-0.pt")
    frozen = [name for name, weight in weights.items() if weight.dtype == torch.bfloat16]
    assert frozen == ["model.vision_tower.query_1024_resolution.weight"]
    assert all(weight.dtype == torch.float32 for name, weight in weights.items() if name not in frozen)
