"""Runs with attempts behind them."""

from typing import Any

from deepsynth_api.v1alpha1 import TrainingRun
from deepsynth_operator.decisions.training_run.attempts import end_attempt, replace_last
from support.clocks.manual_clock import START
from support.resources.builders import a_training_run

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
