"""Which Job comes next, and which shards it renders."""

from typing import Any

import pytest

from deepsynth_api.v1alpha1 import DatasetGenerationStatus
from deepsynth_operator.decisions.dataset_generation.jobs import compute_next_step, start_job
from support.clocks.manual_clock import START
from support.resources.builders import a_dataset_generation

DONE = {"outcome": "Succeeded"}
LOST = {"outcome": "Disrupted"}
PLANNED = {"step": "plan", **DONE}


def a_status(*jobs: dict[str, Any], shards: int = 7, staging: str = "") -> DatasetGenerationStatus:
    """A planned generation whose Jobs have these entries."""
    plan = {"revision": "r1", "digest": "d1", "splits": [], "shards": shards, "staging": staging}
    numbers = {step: iter(range(1, 99)) for step in ("plan", "render", "publish")}
    entries = [{"number": next(numbers[job["step"]]), "startTime": START, **job} for job in jobs]
    named = [{"name": f"xsum-{entry['step']}-{entry['number']}", **entry} for entry in entries]
    return DatasetGenerationStatus.model_validate({"plan": plan, "jobs": named})


def rendered(first: int, shards: int | None, **fields: Any) -> dict[str, Any]:
    return {"step": "render", "firstShard": first, "shards": shards, **DONE, **fields}


def start(status: DatasetGenerationStatus, step: Any = "render") -> DatasetGenerationStatus:
    return start_job(a_dataset_generation().build(), status, step, "image", START)


@pytest.mark.parametrize(
    ("jobs", "step"),
    [
        ([PLANNED], "render"),
        ([PLANNED, {"step": "render", **LOST}], "render"),
        ([PLANNED, {"step": "render", **DONE}], "publish"),  # without a number of shards, as earlier versions wrote it
        ([PLANNED, rendered(0, 4)], "render"),
        ([PLANNED, rendered(0, 4), rendered(4, 3)], "publish"),
        ([PLANNED, rendered(0, 4), rendered(4, 3, **LOST)], "render"),
        ([rendered(0, 3), rendered(3, 4), PLANNED], "publish"),
        ([PLANNED, rendered(0, 7), {"step": "publish", **LOST}], "publish"),
    ],
)
def test_publish_follows_when_all_shards_are_rendered(jobs: list[dict[str, Any]], step: str) -> None:
    assert compute_next_step(a_status(*jobs)) == step


def test_a_render_job_begins_where_the_last_one_that_succeeded_ended() -> None:
    entry = start(a_status(rendered(0, 2), PLANNED, rendered(2, 3), rendered(5, 2, **LOST))).jobs[-1]
    assert (entry.name, entry.first_shard, entry.shards) == ("xsum-render-4", 5, 2)


def test_the_first_render_job_has_all_shards() -> None:
    entry = start(a_status(PLANNED, {"step": "render", **LOST})).jobs[-1]
    assert (entry.name, entry.first_shard, entry.shards) == ("xsum-render-2", 0, None)


def test_shards_in_the_folder_of_another_plan_do_not_count() -> None:
    entry = start(a_status(rendered(0, 2, staging="old"), PLANNED, staging="new")).jobs[-1]
    assert (entry.staging, entry.first_shard, entry.shards) == ("new", 0, None)


def test_jobs_of_one_step_do_not_push_out_those_of_another() -> None:
    status = a_status(rendered(0, 4), *[{"step": "plan", **LOST}] * 30, PLANNED)
    entries = start(status).jobs
    assert [entry.number for entry in entries if entry.step == "plan"] == [*range(22, 32)]
    assert (entries[-1].number, entries[-1].first_shard) == (2, 4)
