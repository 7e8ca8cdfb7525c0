"""Invariants: a history that is right passes, and each fault in one is found."""

from typing import Any

import pytest

from deepsynth_chaos.invariants import (
    Life,
    Record,
    check_events,
    check_failures,
    check_jobs,
    check_lives,
    check_rows,
    check_status,
    find_orphans,
)


def build_attempt(number: int, outcome: str = "") -> dict[str, Any]:
    attempt = {"number": number, "job": f"r-train-{number}", "startTime": "t0"}
    return attempt | ({"endTime": "t1", "outcome": outcome} if outcome else {})


def build_record(*statuses: dict[str, Any]) -> Record:
    return Record(versions=[{"status": status} for status in statuses])


GOOD = build_record(
    {},
    {"state": "Starting", "attempts": [build_attempt(1)], "failures": 0},
    {"state": "Running", "attempts": [build_attempt(1)], "failures": 0, "savedStep": 5},
    {"state": "Restarting", "attempts": [build_attempt(1, "Failed")], "failures": 1, "savedStep": 5},
    {"state": "Running", "attempts": [build_attempt(1, "Failed"), build_attempt(2)], "failures": 1, "savedStep": 10},
    {"state": "Complete", "attempts": [build_attempt(1, "Failed"), build_attempt(2, "Succeeded")], "failures": 1}
    | {"savedStep": 80},
)
LIVES = [Life(1, 0, 7, 0, failed=True), Life(2, 5, 80, 5)]


def test_a_good_history_violates_nothing() -> None:
    assert list(check_status(GOOD)) == []
    assert list(check_failures(GOOD, LIVES)) == []
    assert list(check_lives(LIVES, 5)) == []


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ({"state": "Complete"}, {"state": "Running"}, "Complete became Running"),
        ({"failures": 2}, {"failures": 1}, "failures fell from 2 to 1"),
        ({"savedStep": 10}, {"savedStep": 5}, "savedStep fell from 10 to 5"),
        ({"savedStep": 10}, {}, "savedStep fell from 10 to None"),
        ({"startTime": "t"}, {}, "startTime fell from t to None"),
        (
            {"attempts": [build_attempt(1, "Disrupted")]},
            {"attempts": [build_attempt(1, "Failed")]},
            "attempt 1 ended, then its outcome changed from Disrupted",
        ),
        ({}, {"attempts": [build_attempt(1), build_attempt(3)]}, "attempts are numbered [1, 3]"),
        ({}, {"attempts": [build_attempt(1), build_attempt(2)]}, "attempts [1, 2] are open at once"),
        (
            {"attempts": [build_attempt(1, "Failed"), build_attempt(2)]},
            {"attempts": [build_attempt(1, "Failed")]},
            "attempt 2 vanished",
        ),
        ({"progress": {"shardsDone": 3}}, {"progress": {"shardsDone": 2}}, "shardsDone fell from 3 to 2"),
        (
            {},
            {"jobs": [{"step": "plan"}, {"step": "render"}, {"step": "render"}]},
            "Jobs are live at once: plan, render, render",
        ),
        (
            {},
            {"jobs": [{"step": "render"}], "ahead": {"job": {"step": "render"}}},
            "Jobs are live at once: render, render",
        ),
        ({"output": {"rows": 4}}, {"output": {"rows": 5}}, "output changed from {'rows': 4} to {'rows': 5}"),
    ],
)
def test_a_status_that_goes_back_is_found(before: dict[str, Any], after: dict[str, Any], problem: str) -> None:
    assert problem in list(check_status(build_record(before, after)))


def test_a_job_may_render_while_the_plan_is_made() -> None:
    reading = {"jobs": [{"step": "render", "endTime": "t"}, {"step": "plan"}], "ahead": {"job": {"step": "render"}}}
    assert list(check_status(build_record({}, reading))) == []


def test_old_attempts_may_leave_the_list() -> None:
    ended = [build_attempt(number, "Disrupted") for number in range(1, 11)]
    assert list(check_status(build_record({"attempts": ended}, {"attempts": [*ended[1:], build_attempt(11)]}))) == []


def test_a_job_that_was_created_twice_is_found() -> None:
    assert list(check_jobs(Record(jobs={"a": {"1"}, "b": {"2", "3"}}))) == ["Job b was created 2 times"]


def test_failures_that_are_not_counted_or_counted_without_a_failed_pod_are_found() -> None:
    failed = build_record({"attempts": [build_attempt(1, "Failed")], "failures": 0})
    assert list(check_failures(failed, LIVES)) == ["failures is 0; attempts [1] failed"]
    disrupted = build_record({"attempts": [build_attempt(1, "Failed")], "failures": 1})
    assert list(check_failures(disrupted, [Life(1, 0, 7, 0)])) == [
        "attempts [1] count as failed, but none of their pods failed"
    ]


@pytest.mark.parametrize(
    ("second", "problem"),
    [
        (Life(2, 0, 9, 5), "attempt 2 began at step 0; 5 was saved"),
        (Life(2, 0, 9, 0), "attempt 2 repeats 7 steps; a checkpoint has 5"),
        (Life(1, 5, 9, 5), "attempt 1 worked after attempt 1"),
    ],
)
def test_lost_and_doubled_work_is_found(second: Life, problem: str) -> None:
    assert problem in list(check_lives([Life(1, 0, 7, 0), second], 5))


def test_lost_and_doubled_rows_are_found() -> None:
    expected = ["a", "b", "c"]
    assert list(check_rows({0: ["a", "b"], 1: ["c"]}, expected, expected)) == []
    assert list(check_rows({0: ["a", "b"], 1: ["b"]}, ["a", "b", "c", "d"], expected)) == [
        "rendered: 1 rows lost, 1 doubled",
        "published: 0 rows lost, 0 doubled",
    ]


def test_an_event_that_was_recorded_twice_is_found() -> None:
    event = {"involvedObject": {"uid": "u"}, "reason": "AttemptStarted", "message": "attempt 1: Job j", "count": 1}
    assert list(check_events([event, event | {"reason": "Note"}, event | {"reason": "Note"}])) == []
    (twice,) = check_events([event, event])
    assert twice.startswith("AttemptStarted was recorded 2 times")
    assert list(check_events([event | {"count": 2}]))


def test_a_child_without_an_owner_is_found() -> None:
    owner = {"metadata": {"uid": "u"}}
    children = [
        {"kind": "Job", "metadata": {"name": "a", "ownerReferences": [{"uid": "u"}]}},
        {"kind": "Job", "metadata": {"name": "b", "ownerReferences": [{"uid": "gone"}]}},
    ]
    assert list(find_orphans([owner], children)) == ["Job b has no owner"]
