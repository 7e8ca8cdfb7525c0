"""What keeps a pod from starting is told within seconds, once, and ends what no further try can mend."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from deepsynth_api.conditions import ConditionType, find_condition
from deepsynth_api.v1alpha1 import DatasetGeneration, TrainingRun
from deepsynth_api.v1alpha1.dataset_generation_status import GenerationProgress, PlanStatus
from deepsynth_operator.core.observed import Children, ObservedGeneration, ObservedJob, ObservedPod
from deepsynth_operator.decisions.dataset_generation.decide import decide_generation
from deepsynth_operator.decisions.shared.decision import Decision, Event
from deepsynth_operator.decisions.training_run.attempts import replace_last
from support.builders import a_dataset_generation
from support.manual_clock import START
from support.seen import RUNNING_JOB, SETTINGS, a_live_run, a_pod, decide, follow

SECRET = {"waiting_reason": "CreateContainerConfigError", "waiting_message": 'secret "hugging-face" not found'}
IMAGE = {"waiting_reason": "ImagePullBackOff", "waiting_message": 'Back-off pulling image "nowhere/gpu:1"'}
PULL = {"waiting_reason": "ErrImagePull", "waiting_message": "failed to resolve nowhere/gpu:1"}
FULL: dict[str, Any] = {
    "unschedulable": "0/2 nodes are available: 2 Insufficient nvidia.com/gpu.",
    "node": None,
    "scheduled": None,
}


def a_starting_run() -> TrainingRun:
    run = a_live_run(startTimeoutSeconds=600, backoffLimit=3)
    return run.updated(status=replace_last(run.status, run.status.attempts[0].updated(running_time=None)))


def a_waiting_pod(index: int = 0, **fields: Any) -> ObservedPod:
    return a_pod(index, phase="Pending", started=None, **fields)


def get_reason(decision: Decision[Any]) -> tuple[str, str]:
    condition = find_condition(decision.status.conditions, ConditionType.COMPLETE)
    assert condition is not None
    return condition.reason, condition.message


def get_warnings(decision: Decision[Any]) -> list[Event]:
    return [event for event in decision.events if event.type == "Warning"]


@pytest.mark.parametrize(
    ("fields", "reason", "words"),
    [
        (SECRET, "CreateContainerConfigError", 'secret "hugging-face" not found'),
        (IMAGE, "ImagePullBackOff", 'Back-off pulling image "nowhere/gpu:1"'),
        (FULL, "Unschedulable", "2 Insufficient nvidia.com/gpu"),
    ],
)
def test_what_is_in_the_way_is_in_the_conditions_and_an_event_at_once(
    fields: dict[str, str], reason: str, words: str
) -> None:
    decision = decide(a_starting_run(), RUNNING_JOB, [a_pod(0), a_waiting_pod(1, **fields)], after=2)
    assert decision.status.state == "Starting"
    assert get_reason(decision)[0] == decision.status.summary.reason == reason
    assert words in get_reason(decision)[1]
    assert [event.reason for event in get_warnings(decision)] == [reason]
    assert words in get_warnings(decision)[0].message


def test_a_pull_that_fails_again_and_again_is_told_once() -> None:
    run = a_starting_run()
    warnings = []
    for after, fields in enumerate([PULL, IMAGE, PULL, IMAGE], 2):
        decision = decide(run, RUNNING_JOB, [a_waiting_pod(0, **fields), a_waiting_pod(1)], after=after)
        warnings += get_warnings(decision)
        run = follow(run, decision)
    assert [event.reason for event in warnings] == ["ImagePullBackOff"]


def test_a_container_that_is_being_created_is_no_obstacle() -> None:
    pods = [a_waiting_pod(0, waiting_reason="ContainerCreating"), a_waiting_pod(1)]
    decision = decide(a_starting_run(), RUNNING_JOB, pods, after=2)
    assert (get_reason(decision)[0], get_warnings(decision)) == ("Starting", [])


@pytest.mark.parametrize("waiting", ["ContainerCreating", "PodInitializing"])
def test_a_container_that_is_being_created_for_minutes_is_told_with_where_to_look(waiting: str) -> None:
    """A volume that is missing is told in the pod's Events alone."""
    pods = [a_waiting_pod(0, waiting_reason=waiting), a_pod(1)]
    assert get_reason(decide(a_starting_run(), RUNNING_JOB, pods, after=299))[0] == "Starting"
    decision = decide(a_starting_run(), RUNNING_JOB, pods, after=300)
    assert (decision.status.state, get_reason(decision)[0]) == ("Starting", waiting)
    assert "kubectl describe pod" in get_reason(decision)[1]
    assert [event.reason for event in get_warnings(decision)] == [waiting]
    (attempt,) = decide(a_starting_run(), RUNNING_JOB, pods, after=600).status.attempts
    assert (attempt.outcome, attempt.reason) == ("Disrupted", "NotStarted")
    assert f"1 of 2 pods ran within 600 s: pod read-xsum-train-1-0: {waiting}" in attempt.message


def test_what_a_person_must_mend_is_told_before_a_container_that_takes_long() -> None:
    pods = [a_waiting_pod(0, waiting_reason="ContainerCreating"), a_waiting_pod(1, **SECRET)]
    assert get_reason(decide(a_starting_run(), RUNNING_JOB, pods, after=400))[0] == "CreateContainerConfigError"


def test_a_generation_whose_pods_are_being_created_for_minutes_goes_on_waiting_and_says_so() -> None:
    pods = [a_generation_pod({"waiting_reason": "ContainerCreating"})]
    decision = decide_on(a_live_generation(), pods, after=3600)
    assert (decision.status.state, decision.status.summary.reason) == ("Starting", "ContainerCreating")
    assert "a volume that is missing" in get_reason(decision)[1]


def test_a_missing_secret_ends_the_run_at_its_start_timeout_and_is_not_tried_again() -> None:
    pods = [a_waiting_pod(0, **SECRET), a_waiting_pod(1, **SECRET)]
    before = decide(a_starting_run(), RUNNING_JOB, pods, after=599)
    decision = decide(a_starting_run(), RUNNING_JOB, pods, after=600)
    assert before.status.state == "Starting", "somebody may still create it"
    assert decision.status.state == "Failed"
    failed = find_condition(decision.status.conditions, ConditionType.FAILED)
    assert failed is not None
    assert failed.reason == "CreateContainerConfigError"
    assert 'secret "hugging-face" not found' in failed.message
    assert "create what is missing" in failed.message


def test_an_image_that_cannot_be_pulled_is_tried_again_because_registries_come_back() -> None:
    decision = decide(a_starting_run(), RUNNING_JOB, [a_waiting_pod(0, **IMAGE), a_waiting_pod(1, **IMAGE)], after=600)
    assert (decision.status.state, decision.status.failures) == ("Restarting", 1)


def a_live_generation(step: str = "plan") -> DatasetGeneration:
    job = {"step": step, "name": f"xsum-{step}-1", "number": 1, "startTime": START, "uid": "job-1", "image": "i"}
    return a_dataset_generation().with_status(startTime=START, jobs=[job]).build()


def decide_on(generation: DatasetGeneration, pods: list[ObservedPod], after: float) -> Decision[Any]:
    entry = generation.status.jobs[-1]
    job = ObservedJob(name=entry.name, uid="job-1", step=entry.step, started=START, parallelism=1)
    observed = ObservedGeneration(generation, Children((job,), tuple(pods)))
    return decide_generation(observed, SETTINGS, START + timedelta(seconds=after))


def a_generation_pod(fields: dict[str, Any], index: int = 0, step: str = "plan") -> ObservedPod:
    name = f"xsum-{step}-1"
    waiting: dict[str, Any] = {"phase": "Pending", "created": START, "scheduled": START, **fields}
    return ObservedPod(f"{name}-{index}", f"pod-{index}", name, index, **waiting)


def test_a_generation_tells_what_keeps_its_pods_from_starting() -> None:
    decision = decide_on(a_live_generation(), [a_generation_pod(SECRET)], after=2)
    assert (decision.status.state, get_reason(decision)[0]) == ("Starting", "CreateContainerConfigError")
    assert decision.status.summary.reason == "CreateContainerConfigError"
    assert [event.reason for event in get_warnings(decision)] == ["CreateContainerConfigError"]


def test_a_generation_whose_secret_stays_missing_fails_after_ten_minutes() -> None:
    pods = [a_generation_pod(SECRET)]
    assert decide_on(a_live_generation(), pods, after=599).status.state == "Starting"
    decision = decide_on(a_live_generation(), pods, after=600)
    assert decision.status.state == "Failed"
    assert 'secret "hugging-face" not found' in decision.status.conditions[0].message


def test_a_generation_waits_for_room_without_limit() -> None:
    decision = decide_on(a_live_generation(), [a_generation_pod(FULL)], after=86_400)
    assert (decision.status.state, get_reason(decision)[0]) == ("Starting", "Unschedulable")


def test_shards_that_wait_for_room_while_others_are_rendered_are_no_obstacle() -> None:
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


def test_one_bad_node_ends_no_generation_whose_other_pods_ran() -> None:
    """While others are at work, it waits; then another Job begins anew, and the pod may meet another node."""
    generation = a_live_generation("render")
    at_work = [a_generation_pod({"phase": "Running", "started": START}, index, "render") for index in range(2)]
    bad = a_generation_pod(PULL, 2, "render")
    decision = decide_on(generation, [*at_work, bad], after=700)
    assert decision.status.state == "Rendering"
    decision = decide_on(generation.updated(status=decision.status), [bad], after=800)
    assert (decision.status.jobs[-1].outcome, decision.status.jobs[-1].reason) == ("Disrupted", "ImagePullBackOff")
    assert decision.status.state != "Failed"


def test_a_gang_that_found_its_last_node_late_may_miss_a_secret_at_first() -> None:
    late = replace(a_waiting_pod(1, **SECRET), scheduled=START + timedelta(seconds=595))
    decision = decide(a_starting_run(), RUNNING_JOB, [a_pod(0), late], after=600)
    assert decision.status.state == "Restarting"
    assert decision.status.attempts[-1].reason == "NotStarted"
    settled = replace(late, scheduled=START + timedelta(seconds=530))
    assert decide(a_starting_run(), RUNNING_JOB, [a_pod(0), settled], after=600).status.state == "Failed"


def test_a_job_that_is_between_two_shards_is_at_work() -> None:
    generation = a_live_generation("render")
    bad = a_generation_pod(PULL, 0, "render")
    ran = {"phase": "Succeeded", "started": START, "exit_code": 0, "finished": START + timedelta(seconds=650)}
    done, starting = a_generation_pod(ran, 1, "render"), a_generation_pod({"phase": "Pending"}, 2, "render")
    starting = replace(starting, scheduled=START + timedelta(seconds=650))
    decision = decide_on(generation, [bad, done, starting], after=651)
    assert decision.status.jobs[-1].outcome is None
    decision = decide_on(generation.updated(status=decision.status), [bad, done, starting], after=711)
    assert decision.status.jobs[-1].outcome == "Disrupted"


def test_a_pod_that_is_gone_with_its_node_hinders_nobody() -> None:
    gone = replace(a_generation_pod(PULL), phase="Failed", gone=True)
    fresh = replace(a_generation_pod({"phase": "Pending"}), uid="fresh", scheduled=START + timedelta(seconds=590))
    assert decide_on(a_live_generation(), [gone, fresh], after=601).status.state == "Starting"


def test_one_bad_node_does_not_undo_what_the_job_before_has_shown() -> None:
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


@pytest.mark.parametrize(
    ("outcomes", "shards", "state"),
    [
        (["Disrupted"] * 10, [15] * 10, "Failed"),
        (["Disrupted"] * 9, [15] * 9, "Rendering"),
        (["Disrupted"] * 10, [*[15] * 9, 16], "Rendering"),
        ([*["Disrupted"] * 4, "Suspended", *["Disrupted"] * 5], [15] * 10, "Rendering"),
    ],
    ids=["ten", "nine", "a shard more", "suspended between"],
)
def test_a_generation_whose_jobs_are_disrupted_again_and_again_without_progress_fails(
    outcomes: list[str], shards: list[int], state: str
) -> None:
    """A pod that can start on no node, say, while pods of shards that are rendered already run well in each Job."""
    generation = a_live_generation("render")
    first = generation.status.jobs[0].updated(end_time=START, reason="ImagePullBackOff", message="cannot pull")
    jobs = [
        first.updated(number=number, outcome=outcome, shards_done=done)
        for number, (outcome, done) in enumerate(zip(outcomes, shards, strict=True), 1)
    ]
    plan = PlanStatus(revision="r", digest="d", shards=20, splits=[])
    generation = generation.updated(status=generation.status.updated(plan=plan, jobs=jobs))
    decision = decide_generation(ObservedGeneration(generation, Children((), ())), SETTINGS, START)
    assert decision.status.state == state
    if state == "Failed":
        message = "10 Jobs in a row ended without progress; ImagePullBackOff: cannot pull"
        assert get_reason(decision) == ("NoProgress", message)


def test_a_job_that_ends_notes_how_many_shards_were_done() -> None:
    generation = a_live_generation("render")
    rendered = GenerationProgress(shards_total=20, shards_done=7)
    generation = generation.updated(status=generation.status.updated(progress=rendered))
    decision = decide_on(generation, [a_generation_pod(SECRET, 0, "render")], after=601)
    assert decision.status.jobs[-1].outcome == "Failed"
    assert decision.status.jobs[-1].shards_done == 7


def test_what_passes_by_itself_does_not_hide_what_a_person_must_mend() -> None:
    passing = a_generation_pod({"waiting_reason": "SomethingElse"}, 0, "render")
    decision = decide_on(a_live_generation("render"), [passing, a_generation_pod(IMAGE, 1, "render")], after=601)
    assert (decision.status.state, decision.status.jobs[-1].reason) == ("Failed", "ImagePullBackOff")
