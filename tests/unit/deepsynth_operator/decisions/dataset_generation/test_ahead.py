"""When a Job may render ahead of the plan, and how long the next plan waits."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from deepsynth_operator.core.observed import Children, ObservedGeneration, ObservedJob, ObservedPod
from deepsynth_operator.decisions.dataset_generation.ahead import start_ahead
from deepsynth_operator.decisions.dataset_generation.jobs import get_ahead
from deepsynth_operator.decisions.dataset_generation.starts import compute_due_time
from support.clocks.manual_clock import START
from support.resources.builders import a_dataset_generation

PLAN = ObservedJob("xsum-plan-1", "plan", "plan", started=START)
READING = {"name": "xsum-plan-1", "step": "plan", "startTime": START}
STAGED = {"revision": "r1", "staging": "draft", "stagedShards": 2}


def is_started(*pods: ObservedPod, **plan: Any) -> bool:
    """plan: fields of its Job."""
    generation = a_dataset_generation().with_status(jobs=[READING], ahead=STAGED).build()
    observed = ObservedGeneration(generation, Children((replace(PLAN, **plan),), pods))
    return get_ahead(start_ahead(generation.status, observed, "image", START)) is not None


def test_shards_that_are_staged_are_rendered() -> None:
    assert is_started()
    assert is_started(ObservedPod("p", "p", PLAN.name, 0, phase="Running", started=START))


def test_pods_of_an_earlier_job_end_first() -> None:
    earlier = ObservedPod("p", "p", "xsum-render-1", 0, phase="Running", started=START)
    assert not is_started(earlier)
    assert is_started(replace(earlier, phase="Succeeded", exit_code=0))


def test_nothing_begins_next_to_a_plan_that_has_ended_or_waits() -> None:
    assert not is_started(is_complete=True)
    assert not is_started(is_failing=True)
    assert not is_started(suspended=True)


def test_each_plan_in_a_row_that_is_disrupted_doubles_the_delay_also_with_a_job_ahead_of_it() -> None:
    lost = {**READING, "outcome": "Disrupted", "endTime": START}
    rendered = {**READING, "step": "render", "name": "xsum-render-1", "outcome": "Succeeded", "endTime": START}
    status = a_dataset_generation().with_status(jobs=[lost, rendered, {**lost, "name": "xsum-plan-2"}]).build().status
    assert compute_due_time(status) == START + timedelta(seconds=20)
