"""When a generation's Job is over although it neither completed nor failed."""

from dataclasses import replace
from datetime import timedelta

from deepsynth_api.v1alpha1.dataset_generation_status import GenerationProgress
from support.clocks.manual_clock import START
from unit.deepsynth_operator.decisions.waiting_pods import (
    FULL,
    IMAGE,
    PULL,
    SECRET,
    a_generation_pod,
    a_live_generation,
    decide_on,
    get_reason,
    get_warnings,
)


def test_a_generation_whose_secret_stays_missing_fails_after_ten_minutes() -> None:
    pods = [a_generation_pod(SECRET)]
    assert decide_on(a_live_generation(), pods, after=599).status.state == "Starting"
    decision = decide_on(a_live_generation(), pods, after=600)
    assert decision.status.state == "Failed"
    assert 'secret "hugging-face" not found' in decision.status.conditions[0].message


def test_a_generation_waits_for_a_node_without_a_limit() -> None:
    decision = decide_on(a_live_generation(), [a_generation_pod(FULL)], after=86_400)
    assert (decision.status.state, get_reason(decision)[0]) == ("Starting", "Unschedulable")


def test_shards_that_wait_for_a_node_while_others_are_rendered_are_not_an_obstacle() -> None:
    pods = [
        a_generation_pod({"phase": "Running", "started": START}, 0, "render"),
        a_generation_pod(FULL, 1, "render"),
    ]
    decision = decide_on(a_live_generation("render"), pods, after=2)
    assert (decision.status.state, get_warnings(decision)) == ("Rendering", [])


def test_a_shard_that_found_a_node_late_may_fail_to_pull_at_first() -> None:
    generation = a_live_generation("render")
    pods = [replace(a_generation_pod(PULL, 1, "render"), scheduled=START + timedelta(seconds=900))]
    assert decide_on(generation, pods, after=903).status.state == "Rendering"
    assert decide_on(generation, pods, after=1499).status.state == "Rendering"
    assert decide_on(generation, pods, after=1500).status.state == "Failed"


def test_one_bad_node_does_not_fail_a_generation_whose_other_pods_ran() -> None:
    """It waits while others are at work; then another Job starts, and the pod may get another node."""
    generation = a_live_generation("render")
    at_work = [a_generation_pod({"phase": "Running", "started": START}, index, "render") for index in range(2)]
    bad = a_generation_pod(PULL, 2, "render")
    decision = decide_on(generation, [*at_work, bad], after=700)
    assert decision.status.state == "Rendering"
    decision = decide_on(generation.updated(status=decision.status), [bad], after=800)
    assert (decision.status.jobs[-1].outcome, decision.status.jobs[-1].reason) == ("Disrupted", "ImagePullBackOff")
    assert decision.status.state != "Failed"


def test_a_job_between_two_shards_is_at_work() -> None:
    generation = a_live_generation("render")
    bad = a_generation_pod(PULL, 0, "render")
    ran = {"phase": "Succeeded", "started": START, "exit_code": 0, "finished": START + timedelta(seconds=650)}
    done, starting = a_generation_pod(ran, 1, "render"), a_generation_pod({"phase": "Pending"}, 2, "render")
    starting = replace(starting, scheduled=START + timedelta(seconds=650))
    decision = decide_on(generation, [bad, done, starting], after=651)
    assert decision.status.jobs[-1].outcome is None
    decision = decide_on(generation.updated(status=decision.status), [bad, done, starting], after=711)
    assert decision.status.jobs[-1].outcome == "Disrupted"


def test_a_pod_that_is_gone_with_its_node_is_not_an_obstacle() -> None:
    gone = replace(a_generation_pod(PULL), phase="Failed", gone=True)
    fresh = replace(a_generation_pod({"phase": "Pending"}), uid="fresh", scheduled=START + timedelta(seconds=590))
    assert decide_on(a_live_generation(), [gone, fresh], after=601).status.state == "Starting"


def test_one_bad_node_does_not_fail_a_generation_whose_previous_job_ran() -> None:
    """A generation whose plan ran has its image; only a second Job none of whose pods ran is its own fault."""
    planned = a_live_generation("plan").status.jobs[0].updated(running_time=START, end_time=START, outcome="Succeeded")
    generation = a_live_generation("render")
    generation = generation.updated(status=generation.status.updated(jobs=[planned, *generation.status.jobs]))
    bad = a_generation_pod(PULL, 0, "render")
    decision = decide_on(generation, [bad], after=601)
    assert decision.status.jobs[-1].outcome == "Disrupted"
    again = a_live_generation("render").status.jobs[0].updated(number=2, name="xsum-render-2")
    generation = generation.updated(status=decision.status.updated(jobs=[*decision.status.jobs, again]))
    bad = replace(bad, job="xsum-render-2")
    assert decide_on(generation, [bad], after=1300).status.state == "Failed"


def test_a_job_that_ends_records_how_many_shards_were_done() -> None:
    generation = a_live_generation("render")
    rendered = GenerationProgress(shards_total=20, shards_done=7)
    generation = generation.updated(status=generation.status.updated(progress=rendered))
    decision = decide_on(generation, [a_generation_pod(SECRET, 0, "render")], after=601)
    assert decision.status.jobs[-1].outcome == "Failed"
    assert decision.status.jobs[-1].shards_done == 7


def test_a_temporary_obstacle_does_not_hide_one_that_a_user_has_to_fix() -> None:
    passing = a_generation_pod({"waiting_reason": "SomethingElse"}, 0, "render")
    decision = decide_on(a_live_generation("render"), [passing, a_generation_pod(IMAGE, 1, "render")], after=601)
    assert (decision.status.state, decision.status.jobs[-1].reason) == ("Failed", "ImagePullBackOff")
