from typing import Any

import pytest

from deepsynth.verbs.waiting import parse_duration, parse_goal
from deepsynth_client.errors import InvalidError
from deepsynth_client.progress import has_ended
from support.resources.builders import a_training_run


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("5m", 300), ("2h30m", 9000), ("1d", 86400), ("0s", 0)]
)
def test_a_duration_has_the_units_of_kubectl(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "5x", "-5m", "1.5h", "5m 3s", "3s5"])
def test_other_text_is_not_a_duration(text: str) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        parse_duration(text)


def a_run(**status: Any) -> dict[str, Any]:
    return a_training_run().with_status(**{"observedGeneration": 1, **status}).to_manifest()


def test_a_run_has_ended_only_as_of_the_spec_that_it_has_now() -> None:
    ended = a_run(completionTime="2026-01-02T04:00:00Z")
    assert has_ended(ended)
    ended["metadata"]["generation"] = 2  # it continues with more steps
    assert not has_ended(ended)
    assert not has_ended(a_run())


def test_a_goal_is_a_state_or_a_condition() -> None:
    condition = {"type": "DatasetReady", "status": "False", "reason": "X", "message": ""}
    run = a_run(state="Suspended", conditions=[condition])
    assert parse_goal("state=suspended")(run)
    assert not parse_goal("state=Running")(run)
    assert not parse_goal("condition=DatasetReady")(run)
    assert parse_goal("condition=datasetready=false")(run)
    assert not parse_goal("condition=Other")(run)


@pytest.mark.parametrize("text", ["", "complete", "state=", "condition", "jsonpath={.x}=1"])
def test_an_unknown_goal_is_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="--for: must be end, delete, state=STATE"):
        parse_goal(text)
