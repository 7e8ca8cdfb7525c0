"""Events of a TrainingRun."""

import pytest

from deepsynth_api.v1alpha1 import TrainingRunStatus
from deepsynth_operator.core.observed import ObservedRun
from deepsynth_operator.decisions.training_run.decide import decide_run
from deepsynth_operator.decisions.training_run.events import compute_run_events
from support.clocks.manual_clock import START
from support.control.seen import SETTINGS, follow
from support.resources.builders import a_dataset_generation, a_training_run


def test_a_wait_is_one_event() -> None:
    datasets = [{"name": "pages", "datasetGenerationRef": {"name": "misspelt"}}]
    run = a_training_run().with_spec(datasets=datasets).build()
    first = decide_run(ObservedRun(run), SETTINGS, START)
    assert [(event.type, event.reason) for event in first.events] == [("Normal", "DatasetNotFound")]
    assert "misspelt" in first.events[0].message
    assert decide_run(ObservedRun(follow(run, first)), SETTINGS, START).events == ()
    condition = {"type": "Failed", "status": "True", "reason": "BadData", "lastTransitionTime": START}
    failed = a_dataset_generation().named("misspelt").with_status(conditions=[condition]).build()
    second = decide_run(ObservedRun(follow(run, first), generations={"misspelt": failed}), SETTINGS, START)
    assert [(event.type, event.reason) for event in second.events] == [("Warning", "DatasetFailed")]


def test_a_note_is_a_warning_only_where_the_trainer_says_so() -> None:
    notes = ["2 of 60 documents are used for evaluation", "warning: skipped the damaged checkpoint step-2: a"]
    status = a_training_run().with_status(notes=notes).build().status
    events = compute_run_events(TrainingRunStatus(), status)
    assert [(event.type, event.reason, event.message) for event in events] == [
        ("Normal", "Note", notes[0]),
        ("Warning", "Note", notes[1]),
    ]


@pytest.mark.parametrize(
    ("outcome", "reason", "kind"),
    [
        ("Disrupted", "Evicted", "Normal"),
        ("Disrupted", "ScaleUp", "Normal"),
        ("Suspended", "RequeuedByQueue", "Normal"),
        ("Disrupted", "NodeLost", "Warning"),
        ("Disrupted", "SomebodysWord", "Warning"),
        ("Failed", "NonZeroExit", "Warning"),
        ("Failed", "WorkerNotStopped", "Warning"),
    ],
)
def test_the_end_of_an_attempt_is_a_warning_only_where_there_is_something_to_do(
    outcome: str, reason: str, kind: str
) -> None:
    attempt = {"number": 1, "startTime": START, "endTime": START, "job": "j", "outcome": outcome, "reason": reason}
    status = a_training_run().with_status(attempts=[attempt]).build().status
    events = compute_run_events(TrainingRunStatus(), status)
    assert [(event.type, event.reason) for event in events] == [(kind, f"Attempt{outcome}")]
