"""When the next attempt may start."""

from dataclasses import replace
from datetime import timedelta

import pytest

from deepsynth_operator.decisions.training_run.starts import compute_due_time
from support.clocks.manual_clock import START
from support.control.seen import JOB, RUNNING_JOB, a_live_run, a_pod, an_ended_pod, decide, follow
from support.resources.builders import a_training_run
from unit.deepsynth_operator.decisions.attempt_histories import with_attempts


@pytest.mark.parametrize(
    ("outcomes", "seconds"),
    [
        (["Disrupted"], 10),
        (["Failed", "Disrupted"], 20),
        (["Failed"] * 4, 80),
        (["Disrupted"] * 7, 600),
        (["Disrupted"] * 9, 600),
        (["Suspended/SuspendedByUser"], 0),
    ],
)
def test_the_delay_doubles_from_10_seconds_to_10_minutes(outcomes: list[str], seconds: int) -> None:
    run = with_attempts(*outcomes)
    assert compute_due_time(run, run.status) == START + timedelta(seconds=seconds)


def test_a_new_checkpoint_resets_the_delay_and_the_count_of_attempts_without_progress() -> None:
    run = with_attempts("Failed", "Failed", "Failed", saved=True)
    assert run.status.attempts_without_progress == 0
    assert compute_due_time(run, run.status) == START + timedelta(seconds=10)


def test_two_gangs_that_block_each_other_do_not_retry_at_the_same_time() -> None:
    runs = [with_attempts("Disrupted/NotStarted", uid=uid) for uid in ("u1", "u2", "u3")]
    due = [compute_due_time(run, run.status) for run in runs]
    assert len(set(due)) == 3
    assert all(START + timedelta(seconds=10) <= time <= START + timedelta(seconds=130) for time in due)


@pytest.mark.parametrize(("waited", "next_look"), [(10, 15), (30, 15), (100, 25), (240, 60), (86_400, 60)], ids=str)
def test_the_longer_a_run_waits_for_a_node_the_less_often_it_is_looked_at(waited: int, next_look: float) -> None:
    attempt = {"number": 1, "startTime": START, "job": JOB, "image": "example/gpu:1"}
    run = a_training_run().with_spec(startTimeoutSeconds=604_800).with_status(startTime=START, attempts=[attempt])
    job = replace(RUNNING_JOB, started=START + timedelta(seconds=9))
    pod = a_pod(phase="Pending", started=None, scheduled=None, node=None, unschedulable="0/1 nodes are available")
    assert decide(run.build(), job, [pod], after=9 + waited).requeue_after == next_look
    assert decide(run.build(), job, [pod, a_pod(1)], after=9 + waited).requeue_after == 15, "one of them reports"


def test_a_suspended_run_says_whether_pods_still_save() -> None:
    run = a_live_run(suspend=True)
    saving = decide(run, RUNNING_JOB, [a_pod(0), a_pod(1)], after=100)
    assert (
        saving.status.conditions[0].message == "stopped by a user (spec.suspend is true); its pods still save and end"
    )
    ended = [an_ended_pod(index, 0, after=130) for index in (0, 1)]
    saved = decide(follow(run, saving), RUNNING_JOB, ended, after=131)
    assert saved.status.conditions[0].message == "stopped by a user (spec.suspend is true)"
