"""Which pod's log belongs to which shard, also while a Job renders ahead of the plan."""

from typing import Any

from deepsynth_client.attempt_logs import LoggedAttempt, find_pod_logs, list_attempts
from deepsynth_client.interface import PodLog


def a_job(name: str, start: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "step": name.partition("-")[0], "startTime": f"2026-01-02T03:{start}:00Z", **fields}


def a_generation(**status: Any) -> dict[str, Any]:
    return {"kind": "DatasetGeneration", "metadata": {"name": "xsum"}, "spec": {}, "status": status}


READING = {
    "jobs": [a_job("render-1", "05", shards=4), a_job("plan-1", "01")],
    "ahead": {"job": a_job("render-2", "07", firstShard=4, shards=2)},
}


def test_jobs_keep_their_numbers_while_others_render_ahead() -> None:
    attempts = list_attempts(a_generation(**READING))
    assert [(item.number, item.job, item.first_rank) for item in attempts] == [
        (1, "plan-1", 0),
        (2, "render-1", 0),
        (3, "render-2", 4),
    ]


def test_the_shard_that_failed_is_shown_first_else_the_first_one_of_the_job() -> None:
    assert list_attempts(a_generation(**READING))[-1].culprit == 4
    assert list_attempts(a_generation(**READING, lastFailure={"index": 5}))[-1].culprit == 5
    assert list_attempts(a_generation(**READING, lastFailure={"index": 1}))[-1].culprit == 4


def test_a_shard_is_found_in_the_pod_that_had_it() -> None:
    class Resources:
        def list_logs(self, resource: Any) -> list[PodLog]:
            return [PodLog(f"render-2-{index}-x", "render-2", index, is_over=True) for index in range(2)]

    found: Any = Resources()
    attempt = LoggedAttempt(3, "render-2", 4, first_rank=4)
    assert [log.pod for log in find_pod_logs(found, a_generation(**READING), attempt, 5)] == ["render-2-1-x"]
    assert find_pod_logs(found, a_generation(**READING), attempt, 1) == []
