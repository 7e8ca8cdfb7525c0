"""The drawings of lives: found by walking, merged for readers, and read back by tests of random lives."""

from typing import get_args

import pytest

from deepsynth_api.v1alpha1.dataset_generation_status import GenerationState
from deepsynth_api.v1alpha1.training_run_status import RunState
from deepsynth_generators.lifecycle import ACTIVE, GUIDE, collect, merge, read_transitions, render_guide
from deepsynth_generators.lives import Arrow

STATES = {"TrainingRun": get_args(RunState), "DatasetGeneration": get_args(GenerationState)}
DEAD_ENDS: dict[str, set[str]] = {"TrainingRun": set(), "DatasetGeneration": {"Complete", "Failed"}}
"""A finished TrainingRun continues when its spec changes."""


@pytest.mark.parametrize("kind", STATES)
def test_every_state_is_drawn_and_only_a_finished_generation_is_a_dead_end(kind: str) -> None:
    drawn = read_transitions(GUIDE.read_text(), kind)
    assert {after for _, after in drawn} | {"", "Pending"} == {*STATES[kind], "", "Pending"}
    ends = {after for _, after in drawn} - {before for before, _ in drawn}
    assert ends == DEAD_ENDS[kind]


@pytest.mark.parametrize("kind", STATES)
def test_every_active_state_may_fail_after_ten_disruptions_in_a_row(kind: str) -> None:
    drawn = read_transitions(GUIDE.read_text(), kind)
    assert all("NoProgress" in drawn[state, "Failed"] for state in ACTIVE[kind])


def test_an_arrow_that_all_active_states_have_is_drawn_once() -> None:
    active = ACTIVE["TrainingRun"]
    arrows = [Arrow(state, "Failed", f"Because{state}") for state in active] + [Arrow("Running", "Queued", "Moved")]
    assert merge(collect(arrows), active) == {
        ("Active", "Failed"): ["BecauseQueued", "BecauseRestarting", "BecauseRunning", "BecauseStarting"],
        ("Running", "Queued"): ["Moved"],
    }


def test_a_guide_without_the_marks_is_refused() -> None:
    with pytest.raises(ValueError, match=r"lacks the lines .*TrainingRun"):
        render_guide("no marks", {"TrainingRun": ""})
