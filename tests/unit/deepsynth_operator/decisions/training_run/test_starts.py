"""When the next attempt may start."""

from datetime import timedelta
from typing import Any

import pytest

from deepsynth_api.v1alpha1 import TrainingRun
from deepsynth_operator.decisions.training_run.attempts import end_attempt, replace_last
from deepsynth_operator.decisions.training_run.starts import compute_due_time
from support.builders import a_training_run
from support.manual_clock import START

NO_PLACE: dict[str, Any] = {"node": None, "scheduled": None, "unschedulable": "0/2 nodes: Insufficient nvidia.com/gpu"}


def with_attempts(
    *outcomes: str, saved: bool = False, name: str = "read-xsum", uid: str = "u1", **spec: Any
) -> TrainingRun:
    """A run after attempts with these outcomes, given as Outcome or Outcome/Reason, each ended at START."""
    run = a_training_run().named(name, uid=uid).with_spec(**spec).with_status(startTime=START).build()
    for number, text in enumerate(outcomes, 1):
        outcome, _, reason = text.partition("/")
        entry = {"number": number, "startTime": START, "job": f"j{number}", "outcome": outcome, "reason": reason}
        attempt = a_training_run().with_status(attempts=[entry]).build().status.attempts[0]
        status = run.status.updated(attempts=[*run.status.attempts, attempt])
        ended = attempt.updated(saved_step=number if saved else None)
        run = run.updated(status=end_attempt(replace_last(status, ended), ended, START))
    return run


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
