"""Checkpoints written and read by several processes."""

from dataclasses import replace
from pathlib import Path

import pytest

from deepsynth_train.checkpoint.layout import list_steps
from integration.train_resume.toy_training import Plan, read_weights, train, train_sharded
from support.training.rank_processes import run_ranks

LOST_PEERS = 1
"""What Python exits with after the error of a collective whose peer is gone."""


@pytest.mark.parametrize("size", [2, 4])
def test_a_run_whose_worker_was_killed_ends_with_the_weights_of_an_uninterrupted_one(tmp_path: Path, size: int) -> None:
    import torch

    whole = Plan(tmp_path / "whole")
    assert run_ranks(size, tmp_path, train, whole) == [0] * size
    broken = Plan(tmp_path / "broken", kill_rank=size - 1, kill_step=3)
    codes = run_ranks(size, tmp_path, train, broken)
    assert codes[-1] == -9
    assert set(codes[:-1]) == {LOST_PEERS}
    resumed_from = list_steps(broken.folder)[0]
    assert resumed_from >= 3
    assert run_ranks(size, tmp_path, train, Plan(broken.folder, attempt=2, resumed_from=resumed_from)) == [0] * size
    expected = read_weights(whole.folder, 1)
    actual = read_weights(broken.folder, 2)
    assert all(torch.equal(expected[name], actual[name]) for name in expected)


def test_a_different_number_of_processes_reads_the_checkpoint(tmp_path: Path) -> None:
    plan = Plan(tmp_path / "run", last_step=2)
    assert run_ranks(2, tmp_path, train, plan) == [0, 0]
    assert run_ranks(3, tmp_path, train, replace(plan, attempt=2, resumed_from=2, last_step=3)) == [0, 0, 0]
    assert run_ranks(1, tmp_path, train, replace(plan, attempt=3, resumed_from=3, last_step=3)) == [0]
    assert len(list((plan.folder / "step-3/shards").glob("rank-*"))) == 3


def test_a_damaged_byte_is_found_by_any_rank(tmp_path: Path) -> None:
    plan = Plan(tmp_path / "run", last_step=2)
    assert run_ranks(2, tmp_path, train, plan) == [0, 0]
    for path in (plan.folder / "step-2/shards").glob("rank-1.*"):
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert run_ranks(2, tmp_path, train, replace(plan, attempt=2, resumed_from=1)) == [0, 0]


def test_a_sharded_model_is_saved_in_full_and_read_by_a_different_number_of_ranks(tmp_path: Path) -> None:
    import torch

    plan = Plan(tmp_path / "run", last_step=1)
    assert run_ranks(2, tmp_path, train_sharded, plan) == [0, 0]
    assert run_ranks(3, tmp_path, train_sharded, replace(plan, attempt=2, resumed_from=1, last_step=2)) == [0, 0, 0]
    assert run_ranks(1, tmp_path, train, replace(plan, attempt=3, resumed_from=2, last_step=2)) == [0]
    expected, actual = read_weights(plan.folder, 2), read_weights(plan.folder, 3)
    assert all(torch.equal(expected[name], actual[name]) for name in expected)
