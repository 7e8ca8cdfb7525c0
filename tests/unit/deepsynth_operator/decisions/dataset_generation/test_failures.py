"""What ends a generation for good."""

import pytest

from deepsynth_api.v1alpha1.dataset_generation_status import PlanStatus
from deepsynth_operator.core.observed import Children, ObservedGeneration
from deepsynth_operator.decisions.dataset_generation.decide import decide_generation
from support.clocks.manual_clock import START
from support.control.seen import SETTINGS
from unit.deepsynth_operator.decisions.waiting_pods import a_live_generation, get_reason


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
def test_ten_disrupted_jobs_without_progress_fail_a_generation(
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
