"""When failed workers start again in the same pods."""

from datetime import UTC, datetime
from typing import Any

import pytest

from deepsynth_api.report import Failure, TrainReport
from deepsynth_api.v1alpha1.training_run_status import CheckpointStatus
from deepsynth_train.launcher.in_place import Budget, NodeEnd, Verdict, find_obstacle, judge

KILLED = Failure(reason="WorkerKilled", message="rank 1 was killed", exit_code=137, rank=1, exception="Traceback")
LOST = Failure(reason="PeerLost", message="lost the other processes", exit_code=69)
ROOM = Budget(allowed=5)
SAVED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def an_end(rank: int, failure: Failure | None = KILLED, **fields: Any) -> NodeEnd:
    return NodeEnd(node_rank=rank, failure=failure, **{"at": 100.0 + rank, **fields})


def decide(*ends: NodeEnd, nodes: int = 2, budget: Budget = ROOM, **train: Any) -> Verdict:
    return judge(ends, nodes, budget, TrainReport.model_validate({"attempt": 1, **train}))


def test_the_first_cause_of_all_nodes_is_the_root_cause_and_consequences_are_none() -> None:
    lost = an_end(0, LOST, at=1.0, is_consequence=True)
    later = an_end(2, KILLED.updated(rank=2), at=300.0)
    verdict = decide(lost, an_end(1, at=200.0), later, nodes=3, step=7, resumed_from_step=4)
    assert verdict.refusal == ""
    assert verdict.restart is not None
    assert (verdict.restart.failure.rank, verdict.restart.time.timestamp()) == (1, 200.0)
    assert (verdict.restart.step, verdict.restart.resumed_from_step) == (7, 4)
    assert verdict.restart.failure.exception is None, "a report holds several of them"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"reason": "BadConfiguration", "exit_code": 64}, "would fail in the same way"),
        ({"reason": "BadData", "exit_code": 65}, "would fail in the same way"),
        ({"reason": "InternalError", "exit_code": 70}, "would fail in the same way"),
        ({"reason": "Hung", "exit_code": 79}, "hang"),
        ({"reason": "OutOfMemory", "exit_code": 75}, "memory was full"),
        ({"reason": "DiskFull", "exit_code": 75}, "disk was full"),
        ({"reason": "NonFiniteLoss", "exit_code": 75}, "the same step"),
        ({"message": "RuntimeError: NCCL error: unhandled system error"}, "names NCCL"),
        ({"message": "AcceleratorError: CUDA error: uncorrectable ECC error encountered"}, "AcceleratorError"),
        ({"exception": "torch.AcceleratorError: CUDA error: an illegal memory access"}, "names"),
    ],
)
def test_what_would_fail_again_or_points_to_the_node_needs_a_new_job(changes: dict[str, Any], why: str) -> None:
    obstacle = find_obstacle(KILLED.updated(**changes))
    assert why in obstacle
    refusal = decide(an_end(0, LOST, is_consequence=True), an_end(1, KILLED, obstacle=obstacle)).refusal
    assert refusal == f"node 1: {obstacle}"


@pytest.mark.parametrize("reason", ["WorkerKilled", "WorkerCrashed", "WorkerFailed", "UnexpectedError", "AnyWord"])
def test_other_failures_start_again(reason: str) -> None:
    assert find_obstacle(KILLED.updated(reason=reason)) == ""


def test_a_node_whose_workers_have_finished_stands_against_a_restart() -> None:
    assert "have finished" in find_obstacle(None)
    assert "node 0" in decide(an_end(0, None, obstacle=find_obstacle(None)), an_end(1)).refusal


def test_a_node_that_does_not_report_stands_against_a_restart() -> None:
    assert decide(an_end(0), nodes=3).refusal == "nodes 1, 2 did not report how their workers ended"


def test_without_a_known_cause_the_network_or_a_node_may_be_bad() -> None:
    assert "no process" in decide(*(an_end(rank, LOST, is_consequence=True) for rank in range(2))).refusal


def test_the_budget_ends_and_so_do_restarts_that_bring_no_checkpoint() -> None:
    assert "5 times" in decide(an_end(0), an_end(1), budget=Budget(5, used=5)).refusal
    assert "no new checkpoint" in decide(an_end(0), an_end(1), budget=Budget(5, used=2, in_vain=2)).refusal
    verdict = decide(an_end(0), an_end(1), budget=Budget(5, used=2, in_vain=2), saved_step=9, resumed_from_step=5)
    assert verdict.restart is not None, "it has saved one since"


def test_the_first_restart_is_at_once_and_the_next_one_in_vain_waits() -> None:
    budget = ROOM
    delays = []
    for _ in range(2):
        delays.append(decide(an_end(0), an_end(1), budget=budget).delay)
        budget = budget.spend(saved=False)
    assert delays == [0.0, 10.0]
    assert decide(an_end(0), an_end(1), budget=budget).restart is None
    assert decide(an_end(0), an_end(1), budget=budget.spend(saved=True), saved_step=5).delay == 0.0


def test_what_was_saved_before_the_failure_is_reported_with_it() -> None:
    checkpoints = [CheckpointStatus(step=6, uri="file:///step-6", time=SAVED_AT)]
    restart = decide(an_end(0), an_end(1), saved_step=6, checkpoints=checkpoints).restart
    assert restart is not None
    assert (restart.saved_step, restart.saved_time) == (6, SAVED_AT)
