"""What keeps pods from starting is shown at once, and what follows from it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from deepsynth_api.conditions import ConditionType, find_condition
from support.clocks.manual_clock import START
from support.control.seen import RUNNING_JOB, a_pod, decide, follow
from unit.deepsynth_operator.decisions.waiting_pods import (
    FULL,
    IMAGE,
    PULL,
    SECRET,
    a_generation_pod,
    a_live_generation,
    a_starting_run,
    a_waiting_pod,
    decide_on,
    get_reason,
    get_warnings,
)


@pytest.mark.parametrize(
    ("fields", "reason", "words"),
    [
        (SECRET, "CreateContainerConfigError", 'secret "hugging-face" not found'),
        (IMAGE, "ImagePullBackOff", 'Back-off pulling image "nowhere/gpu:1"'),
        (FULL, "Unschedulable", "2 Insufficient nvidia.com/gpu"),
    ],
)
def test_an_obstacle_shows_in_the_conditions_and_as_an_event_at_once(
    fields: dict[str, str], reason: str, words: str
) -> None:
    decision = decide(a_starting_run(), RUNNING_JOB, [a_pod(0), a_waiting_pod(1, **fields)], after=2)
    assert decision.status.state == "Starting"
    assert get_reason(decision)[0] == decision.status.summary.reason == reason
    assert words in get_reason(decision)[1]
    assert [event.reason for event in get_warnings(decision)] == [reason]
    assert words in get_warnings(decision)[0].message


def test_a_pull_that_keeps_failing_is_one_event() -> None:
    run = a_starting_run()
    warnings = []
    for after, fields in enumerate([PULL, IMAGE, PULL, IMAGE], 2):
        decision = decide(run, RUNNING_JOB, [a_waiting_pod(0, **fields), a_waiting_pod(1)], after=after)
        warnings += get_warnings(decision)
        run = follow(run, decision)
    assert [event.reason for event in warnings] == ["ImagePullBackOff"]


def test_a_job_whose_pods_are_rejected_shows_where_to_look() -> None:
    early = decide(a_starting_run(), RUNNING_JOB, [], after=50)
    assert (get_reason(early)[0], get_warnings(early)) == ("Starting", [])
    for decision in (decide(a_starting_run(), RUNNING_JOB, [], after=61), decide_on(a_live_generation(), [], after=61)):
        reason, message = get_reason(decision)
        assert reason == decision.status.summary.reason == "PodsNotCreated"
        assert "`kubectl describe job" in message
        assert [event.reason for event in get_warnings(decision)] == ["PodsNotCreated"]
    there = decide(a_starting_run(), RUNNING_JOB, [a_waiting_pod(0, **FULL), a_waiting_pod(1)], after=61)
    assert get_reason(there)[0] == "Unschedulable"


def test_a_container_that_is_being_created_is_not_an_obstacle() -> None:
    pods = [a_waiting_pod(0, waiting_reason="ContainerCreating"), a_waiting_pod(1)]
    decision = decide(a_starting_run(), RUNNING_JOB, pods, after=2)
    assert (get_reason(decision)[0], get_warnings(decision)) == ("Starting", [])


@pytest.mark.parametrize("waiting", ["ContainerCreating", "PodInitializing"])
def test_a_container_that_is_created_for_minutes_is_an_obstacle_and_says_where_to_look(waiting: str) -> None:
    """A missing volume shows up in the pod's Events only."""
    pods = [a_waiting_pod(0, waiting_reason=waiting), a_pod(1)]
    assert get_reason(decide(a_starting_run(), RUNNING_JOB, pods, after=299))[0] == "Starting"
    decision = decide(a_starting_run(), RUNNING_JOB, pods, after=300)
    assert (decision.status.state, get_reason(decision)[0]) == ("Starting", waiting)
    assert "kubectl describe pod" in get_reason(decision)[1]
    assert [event.reason for event in get_warnings(decision)] == [waiting]
    (attempt,) = decide(a_starting_run(), RUNNING_JOB, pods, after=600).status.attempts
    assert (attempt.outcome, attempt.reason) == ("Disrupted", "NotStarted")
    assert f"1 of 2 pods ran within 600 s: pod read-xsum-train-1-0: {waiting}" in attempt.message


def test_what_a_user_has_to_fix_comes_before_a_slow_container() -> None:
    pods = [a_waiting_pod(0, waiting_reason="ContainerCreating"), a_waiting_pod(1, **SECRET)]
    assert get_reason(decide(a_starting_run(), RUNNING_JOB, pods, after=400))[0] == "CreateContainerConfigError"


def test_a_generation_whose_pods_are_created_for_minutes_keeps_waiting_and_says_so() -> None:
    pods = [a_generation_pod({"waiting_reason": "ContainerCreating"})]
    decision = decide_on(a_live_generation(), pods, after=3600)
    assert (decision.status.state, decision.status.summary.reason) == ("Starting", "ContainerCreating")
    assert "a missing volume" in get_reason(decision)[1]


def test_a_missing_secret_fails_the_run_at_its_start_timeout_without_a_retry() -> None:
    pods = [a_waiting_pod(0, **SECRET), a_waiting_pod(1, **SECRET)]
    before = decide(a_starting_run(), RUNNING_JOB, pods, after=599)
    decision = decide(a_starting_run(), RUNNING_JOB, pods, after=600)
    assert before.status.state == "Starting", "somebody may still create it"
    assert decision.status.state == "Failed"
    failed = find_condition(decision.status.conditions, ConditionType.FAILED)
    assert failed is not None
    assert failed.reason == "CreateContainerConfigError"
    assert 'secret "hugging-face" not found' in failed.message
    assert "create what is missing and raise backoffLimit; the run then continues" in failed.message


def test_an_image_name_that_cannot_be_parsed_is_not_met_by_more_attempts() -> None:
    waits = {"waiting_reason": "InvalidImageName", "waiting_message": "the name has no repository"}
    pods = [a_waiting_pod(0, **waits), a_waiting_pod(1, **waits)]
    failed = find_condition(
        decide(a_starting_run(), RUNNING_JOB, pods, after=600).status.conditions, ConditionType.FAILED
    )
    assert failed is not None
    assert failed.message.endswith("; correct image; the run then continues")


def test_a_failed_image_pull_is_retried_because_registries_recover() -> None:
    decision = decide(a_starting_run(), RUNNING_JOB, [a_waiting_pod(0, **IMAGE), a_waiting_pod(1, **IMAGE)], after=600)
    assert (decision.status.state, decision.status.failures) == ("Restarting", 1)


def test_a_generation_shows_what_keeps_its_pods_from_starting() -> None:
    decision = decide_on(a_live_generation(), [a_generation_pod(SECRET)], after=2)
    assert (decision.status.state, get_reason(decision)[0]) == ("Starting", "CreateContainerConfigError")
    assert decision.status.summary.reason == "CreateContainerConfigError"
    assert [event.reason for event in get_warnings(decision)] == ["CreateContainerConfigError"]


def test_a_gang_that_found_its_last_node_late_may_lack_a_secret_at_first() -> None:
    late = replace(a_waiting_pod(1, **SECRET), scheduled=START + timedelta(seconds=595))
    decision = decide(a_starting_run(), RUNNING_JOB, [a_pod(0), late], after=600)
    assert decision.status.state == "Restarting"
    assert decision.status.attempts[-1].reason == "NotStarted"
    settled = replace(late, scheduled=START + timedelta(seconds=530))
    assert decide(a_starting_run(), RUNNING_JOB, [a_pod(0), settled], after=600).status.state == "Failed"
