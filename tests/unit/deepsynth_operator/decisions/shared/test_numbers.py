"""Numbers and durations as users read them."""

from datetime import timedelta
from typing import Any

import pytest

from deepsynth_api.v1alpha1 import TrainingRun
from deepsynth_operator.decisions.shared.numbers import format_duration, format_number
from deepsynth_operator.decisions.training_run.attempts import end_attempt, replace_last
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
    ("seconds", "text"),
    [
        (-5, "0s"),
        (59, "59s"),
        (60, "1m"),
        (5999, "99m"),
        (6000, "1h40m"),
        (7200, "2h"),
        (7500, "2h5m"),
        (200000, "2d7h"),
    ],
)
def test_durations_are_written_as_kubectl_prints_ages(seconds: int, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("number", "text"), [(None, ""), (1.8342345, "1.83"), (0.00021, "0.00021"), (1260.4, "1260"), (99.94, "99.9")]
)
def test_numbers_have_three_significant_digits(number: float | None, text: str) -> None:
    assert format_number(number) == text
