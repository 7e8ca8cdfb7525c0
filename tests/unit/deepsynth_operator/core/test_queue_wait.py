"""Why a queue holds a Job: Workloads as Kueue 0.19 writes them."""

from dataclasses import replace
from typing import Any

import pytest

from deepsynth_operator.core.queue_wait import QueueWait
from support.control.seen import RUNNING_JOB, a_live_run, decide

QUOTA = "insufficient unused quota for nvidia.com/gpu in flavor any, 2 more needed"


def a_workload(message: str, *, active: bool = True, **status: Any) -> dict[str, Any]:
    reserved = {"type": "QuotaReserved", "status": "False", "reason": "Pending", "message": message}
    return {"spec": {"active": active}, "status": {"conditions": [reserved], **status}}


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (QUOTA, "QuotaExceeded"),
        ("LocalQueue team doesn't exist", "QueueNotFound"),
        ("ClusterQueue gpus is stopped", "QueueStopped"),
        ("LocalQueue team is inactive", "QueueStopped"),
        ("Waiting for another sentence", "Queued"),
    ],
)
def test_kueues_sentence_gives_the_reason(message: str, reason: str) -> None:
    assert QueueWait.parse(a_workload(message)) == QueueWait(reason, message)


def test_a_deactivated_workload_names_what_it_was_evicted_for() -> None:
    evicted = {"type": "Evicted", "status": "True", "message": "exceeded the maximum number of re-queuing retries"}
    wait = QueueWait.parse(a_workload("", active=False, conditions=[evicted]))
    assert wait is not None
    assert wait.reason == "DeactivatedByQueue"
    assert "re-queuing retries" in wait.message


def test_admission_checks_are_named() -> None:
    reserved = {"type": "QuotaReserved", "status": "True"}
    checks = [{"name": "provisioning", "state": "Pending", "message": "no nodes yet"}, {"name": "ok", "state": "Ready"}]
    wait = QueueWait.parse(a_workload("", conditions=[reserved], admissionChecks=checks))
    assert wait == QueueWait("Queued", "admission checks are not ready: provisioning: no nodes yet")


def test_a_workload_that_must_not_be_read_or_says_nothing_explains_nothing() -> None:
    assert QueueWait.parse(None) is None
    assert QueueWait.parse(a_workload("")) is None
    missing = QueueWait.parse({})
    assert missing is not None
    assert missing.reason == "WorkloadMissing"


def test_a_queued_run_shows_the_reason_and_looks_again_soon() -> None:
    held = replace(RUNNING_JOB, suspended=True, started=None)
    run = a_live_run()
    unknown = decide(run.updated(status=_not_started(run)), held)
    known = decide(run.updated(status=_not_started(run)), replace(held, wait=QueueWait("QuotaExceeded", QUOTA)))
    assert (unknown.status.summary.reason, unknown.requeue_after) == ("Queued", 300)
    assert (known.status.summary.reason, known.requeue_after) == ("QuotaExceeded", 30)
    assert known.status.conditions[0].message.endswith("2 more needed")


def _not_started(run: Any) -> Any:
    return run.status.updated(attempts=[run.status.attempts[0].updated(held_time=None, running_time=None)])
