"""Checkpoints written and read by several processes, in a folder and in an object store."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deepsynth_train.checkpoint.opening import open_files
from integration.train_resume.toy_training import Plan, read_weights, train, train_sharded
from support.store.object_servers.moto_server import make_bucket, start_moto
from support.training.rank_processes import run_ranks

LOST_PEERS = 1
"""What Python exits with after the error of a collective whose peer is gone."""

BuildPlan = Callable[..., Plan]


@pytest.fixture(params=["folder", "bucket"])
def build_plan(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BuildPlan]:
    """A plan whose checkpoints are in a folder, or in a bucket."""
    if request.param == "folder":
        yield lambda name, **fields: Plan(tmp_path / name, **fields)
        return
    environment = {
        "AWS_ENDPOINT_URL": start_moto(),
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "correct-horse",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with make_bucket() as bucket:

        def build(name: str, **fields: Any) -> Plan:
            (tmp_path / name).mkdir()
            return Plan(tmp_path / name, uri=f"s3://{bucket}/{name}", environment=environment, **fields)

        yield build


def find_files(plan: Plan, step: int, pattern: str) -> list[str]:
    names = open_files(plan.find_uri()).list_files("")
    return [name for name in names if name.startswith(f"step-{step}") and pattern in name]


@pytest.mark.parametrize("size", [2, 4])
def test_a_run_whose_worker_was_killed_ends_with_the_weights_of_an_uninterrupted_one(
    build_plan: BuildPlan, tmp_path: Path, size: int
) -> None:
    import torch

    whole = Plan(tmp_path / "whole")
    assert run_ranks(size, tmp_path, train, whole) == [0] * size
    broken = build_plan("broken", kill_rank=size - 1, kill_step=3)
    codes = run_ranks(size, tmp_path, train, broken)
    assert codes[-1] == -9
    assert set(codes[:-1]) == {LOST_PEERS}
    resumed_from = open_files(broken.find_uri()).list_steps()[0]
    assert resumed_from >= 3
    again = replace(broken, kill_rank=None, attempt=2, resumed_from=resumed_from)
    assert run_ranks(size, tmp_path, train, again) == [0] * size
    expected = read_weights(whole.folder, 1)
    actual = read_weights(broken.folder, 2)
    assert all(torch.equal(expected[name], actual[name]) for name in expected)


def test_a_different_number_of_processes_reads_the_checkpoint(build_plan: BuildPlan, tmp_path: Path) -> None:
    plan = build_plan("run", last_step=2)
    assert run_ranks(2, tmp_path, train, plan) == [0, 0]
    assert run_ranks(3, tmp_path, train, replace(plan, attempt=2, resumed_from=2, last_step=3)) == [0, 0, 0]
    assert run_ranks(1, tmp_path, train, replace(plan, attempt=3, resumed_from=3, last_step=3)) == [0]
    assert len(find_files(plan, 3, "/shards/rank-")) == 3


def test_a_damaged_byte_is_found_by_any_rank(build_plan: BuildPlan, tmp_path: Path) -> None:
    plan = build_plan("run", last_step=2)
    assert run_ranks(2, tmp_path, train, plan) == [0, 0]
    files = open_files(plan.find_uri())
    (name,) = find_files(plan, 2, "/shards/rank-1.")
    files.write(name, (files.read(name) or b"")[:-1] + b"?")
    assert run_ranks(2, tmp_path, train, replace(plan, attempt=2, resumed_from=1)) == [0, 0]


def test_a_sharded_model_is_saved_in_full_and_read_by_a_different_number_of_ranks(
    build_plan: BuildPlan, tmp_path: Path
) -> None:
    import torch

    plan = build_plan("run", last_step=1)
    assert run_ranks(2, tmp_path, train_sharded, plan) == [0, 0]
    assert run_ranks(3, tmp_path, train_sharded, replace(plan, attempt=2, resumed_from=1, last_step=2)) == [0, 0, 0]
    assert run_ranks(1, tmp_path, train, replace(plan, attempt=3, resumed_from=2, last_step=2)) == [0]
    expected, actual = read_weights(plan.folder, 2), read_weights(plan.folder, 3)
    assert all(torch.equal(expected[name], actual[name]) for name in expected)
