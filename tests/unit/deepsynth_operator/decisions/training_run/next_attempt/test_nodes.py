"""Which nodes the next attempt avoids, for how long, and what the status says about it."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from deepsynth_api.conditions import ConditionType, find_condition
from deepsynth_api.report import Failure
from deepsynth_api.v1alpha1 import Attempt, TrainingRun, TrainingRunStatus
from deepsynth_operator.core.observed import Children, ObservedRun
from deepsynth_operator.core.settings import Settings
from deepsynth_operator.decisions.shared.status_budget import MAX_STATUS_BYTES, fit_run_status, measure_status
from deepsynth_operator.decisions.training_run.attempts import may_restart
from deepsynth_operator.decisions.training_run.decide import decide_run
from deepsynth_operator.decisions.training_run.next_attempt.nodes import (
    describe_avoided,
    find_avoided_nodes,
    find_bad_node,
)
from support.clocks.manual_clock import START
from support.control.seen import FAILED_JOB, RUNNING_JOB, a_live_run, a_pod, a_report, an_ended_pod, decide, follow
from unit.deepsynth_operator.decisions.attempt_histories import NO_PLACE

HUNG: dict[str, Any] = {"outcome": "Hung", "reason": "Hung", "exitCode": 79, "rank": 1, "node": "n1"}
FAILED: dict[str, Any] = {**HUNG, "outcome": "Failed", "exitCode": 75, "nodes": 1}
ECC = "RuntimeError: CUDA error: uncorrectable ECC error encountered"
NCCL = "lost the other processes: NCCL error in: ProcessGroupNCCL.cpp:77, unhandled system error (run with NCCL_DEBUG)"


def an_attempt(number: int = 1, end: datetime | None = START, **fields: Any) -> Attempt:
    return Attempt.model_validate({"number": number, "startTime": START, "endTime": end, "job": f"j{number}", **fields})


def a_status(*attempts: dict[str, Any]) -> TrainingRunStatus:
    return TrainingRunStatus(attempts=[an_attempt(number, **fields) for number, fields in enumerate(attempts, 1)])


@pytest.mark.parametrize(
    "fields",
    [
        HUNG,
        {**FAILED, "reason": "UnexpectedError", "message": ECC},
        {
            **FAILED,
            "reason": "UnexpectedError",
            "message": "AcceleratorError: CUDA error: no CUDA-capable device is detected",
        },
        {**FAILED, "reason": "PeerLost", "message": NCCL},
    ],
)
def test_the_node_of_a_failure_that_points_to_hardware_is_bad(fields: dict[str, Any]) -> None:
    assert find_bad_node(an_attempt(**fields)) == "n1"


@pytest.mark.parametrize(
    "fields",
    [
        {**HUNG, "rank": None},
        {**HUNG, "node": None},
        {**HUNG, "node": "not a node"},
        {**HUNG, "end": None},
        {**FAILED, "reason": "UnexpectedError", "message": "ValueError: an Xid is no number"},
        {**FAILED, "reason": "UnexpectedError", "message": "RuntimeError: CUDA error: an illegal memory access"},
        {**FAILED, "reason": "OutOfMemory", "message": ECC},
        {**FAILED, "reason": "NonFiniteLoss", "message": "RuntimeError: Xid"},
        {**FAILED, "reason": "PeerLost", "message": "lost the other processes: Connection closed by peer"},
        {**FAILED, "reason": "PeerLost", "message": NCCL, "nodes": 2},
        {**FAILED, "outcome": "Disrupted", "reason": "UnexpectedError", "message": ECC},
        {**HUNG, "outcome": "Suspended"},
    ],
)
def test_no_other_end_of_an_attempt_makes_a_node_bad(fields: dict[str, Any]) -> None:
    assert find_bad_node(an_attempt(**fields)) is None


def test_a_node_is_avoided_for_an_hour() -> None:
    status = a_status(HUNG)
    assert find_avoided_nodes(status, START + timedelta(minutes=59)) == ["n1"]
    assert find_avoided_nodes(status, START + timedelta(minutes=60)) == []


def test_of_many_nodes_the_last_eight_are_avoided() -> None:
    status = a_status(*({**HUNG, "node": f"n{index}"} for index in range(10)))
    assert find_avoided_nodes(status, START) == [f"n{index}" for index in range(2, 10)]


def test_no_node_is_avoided_for_an_hour_after_the_pods_found_no_room_elsewhere() -> None:
    no_room = {"outcome": "Disrupted", "reason": "NotStarted", "avoidedNodes": ["n1"]}
    late = {**HUNG, "end": START + timedelta(minutes=50)}
    assert find_avoided_nodes(a_status(HUNG, no_room, late), START + timedelta(minutes=59)) == []
    assert find_avoided_nodes(a_status(HUNG, no_room, late), START + timedelta(minutes=61)) == ["n1"]
    assert find_avoided_nodes(a_status(HUNG, {**no_room, "avoidedNodes": []}), START) == ["n1"]


def test_the_status_says_which_nodes_are_avoided_and_why() -> None:
    status = a_status(HUNG, {**FAILED, "reason": "UnexpectedError", "message": ECC, "node": "n2"}, {})
    attempt = status.attempts[-1].updated(avoided_nodes=["n1", "n2", "n3"])
    text = "avoids nodes n1 (Hung in attempt 1), n2 (UnexpectedError in attempt 2), n3"
    assert describe_avoided(status, attempt) == text
    assert describe_avoided(status, status.attempts[-1]) == ""


def hang() -> TrainingRun:
    """A run whose first attempt hung because of rank 1 on node-1; its report names another node."""
    failure = Failure(reason="Hung", message="rank 1 hangs", exit_code=79, rank=1, node="kube-system")
    pods = [an_ended_pod(0, 69), an_ended_pod(1, 79, report=a_report(5, failure))]
    run = a_live_run()
    return follow(run, decide(run, FAILED_JOB, pods, after=60))


def test_the_attempt_after_a_hang_avoids_the_node_of_the_pod_and_says_so() -> None:
    run = hang()
    decision = decide(run, FAILED_JOB, after=120)
    attempt = decision.status.attempts[-1]
    assert (attempt.number, attempt.avoided_nodes) == (2, ["node-1"])
    condition = find_condition(decision.status.conditions, ConditionType.COMPLETE)
    assert condition is not None
    assert condition.message.endswith("; avoids node node-1 (Hung in attempt 1)")
    assert [event.message for event in decision.events if event.reason == "AttemptStarted"] == [
        "attempt 2: Job read-xsum-train-2; avoids node node-1 (Hung in attempt 1)"
    ]


def test_on_one_machine_no_node_is_avoided() -> None:
    local = Settings(gang_schedulers=None)
    decision = decide_run(ObservedRun(hang(), Children(jobs=(FAILED_JOB,))), local, START + timedelta(seconds=120))
    assert (len(decision.status.attempts), decision.status.attempts[-1].avoided_nodes) == (2, None)


@pytest.mark.parametrize(
    ("avoided", "pods", "queued", "ends"),
    [
        (["n1"], [a_pod(0, phase="Pending", started=None, **NO_PLACE)], False, True),
        (["n1"], [a_pod(0), a_pod(1, phase="Pending", started=None, **NO_PLACE)], False, True),
        ([], [a_pod(0, phase="Pending", started=None, **NO_PLACE)], False, False),
        (["n1"], [a_pod(0, phase="Pending", started=None, **NO_PLACE)], True, False),
        (["n1"], [a_pod(0, phase="Pending", started=None, waiting_reason="ContainerCreating")], False, False),
    ],
)
def test_an_attempt_that_avoids_nodes_ends_if_its_pods_find_no_other_node(
    avoided: list[str], pods: list[Any], queued: bool, ends: bool
) -> None:
    run = a_live_run()
    attempt = run.status.attempts[0].updated(running_time=None, held_time=None, avoided_nodes=avoided)
    run = run.updated(status=run.status.updated(attempts=[attempt]))
    job = replace(RUNNING_JOB, queue_labels={"kueue.x-k8s.io/queue-name": "team"} if queued else {})
    assert decide(run, job, pods, after=299).status.attempts[-1].outcome is None
    last = decide(run, job, pods, after=300).status.attempts[-1]
    assert (last.outcome, last.reason) == (("Disrupted", "NotStarted") if ends else (None, ""))
    if ends:
        assert f"avoided: n1; {NO_PLACE['unschedulable']}" in last.message


def test_the_job_of_a_queued_run_is_replaced_when_the_same_node_was_bad_twice() -> None:
    job = replace(RUNNING_JOB, name="j", was_admitted=True, replaces_pods=True)
    again = {**HUNG, "job": "j"}
    assert may_restart(a_status(again), job)
    assert may_restart(a_status({**again, "node": "n2"}, again), job)
    assert may_restart(a_status({**again, "job": "earlier"}, again), job)
    assert not may_restart(a_status(again, again), job)


def test_the_nodes_of_all_attempts_fit_into_the_budget_of_the_status() -> None:
    names = [f"{index}{'n' * 252}" for index in range(8)]
    message = "<" * 1000
    attempts = [an_attempt(number, message=message, avoidedNodes=names) for number in range(1, 11)]
    status = fit_run_status(TrainingRunStatus(attempts=attempts))
    assert measure_status(status) <= MAX_STATUS_BYTES
    assert status.attempts[-1].avoided_nodes == names
