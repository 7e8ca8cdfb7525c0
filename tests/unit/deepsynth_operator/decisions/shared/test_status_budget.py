"""A status with as many Jobs as are kept, each with the longest texts, fits into its budget."""

import pytest

from deepsynth_api.report_bounds import MAX_NUMBER
from deepsynth_api.v1alpha1 import Condition, DatasetGenerationStatus
from deepsynth_api.v1alpha1.dataset_generation_status import (
    ChildJob,
    DroppedRows,
    GenerationProgress,
    LastFailure,
    PlannedSplit,
    PlanStatus,
    RenderAhead,
    SettledPods,
)
from deepsynth_operator.decisions.dataset_generation.jobs import MAX_KEPT_JOBS, StepName
from deepsynth_operator.decisions.shared.status_budget import MAX_STATUS_BYTES, fit_generation_status, measure_status
from support.clocks.manual_clock import START

STEPS: tuple[StepName, ...] = ("plan", "render", "publish")


def a_long_entry(step: StepName, number: int, character: str) -> ChildJob:
    return ChildJob(
        step=step,
        name="n" * 57,
        number=number,
        uid="u" * 36,
        start_time=START,
        running_time=START,
        end_time=START,
        outcome="Disrupted",
        reason="R" * 64,
        message=character * 1024,
        obstacle=character * 85,
        image="i" * 400,
        first_shard=99_999,
        shards=99_999,
        staging="s" * 64,
        cpu_seconds=MAX_NUMBER,
        pod_seconds=MAX_NUMBER,
        settled=SettledPods(time=START, pod_seconds=MAX_NUMBER),
    )


@pytest.mark.parametrize("character", ["x", "<"])
def test_all_jobs_that_are_kept_fit_with_the_longest_texts(character: str) -> None:
    jobs = [a_long_entry(step, number, character) for step in STEPS for number in range(1, MAX_KEPT_JOBS + 1)]
    dropped = [DroppedRows(reason=f"Reason{number}" * 6, rows=MAX_NUMBER) for number in range(64)]
    splits = [PlannedSplit(name=f"{character * 20}{number}", rows=MAX_NUMBER) for number in range(64)]
    condition = Condition(
        type="Complete", status="False", reason="R" * 64, message=character * 2048, last_transition_time=START
    )
    failure = LastFailure(time=START, step="render", reason="R" * 64, message=character * 1024)
    status = DatasetGenerationStatus(
        jobs=jobs,
        ahead=RenderAhead(revision=character * 85, staging="s" * 64, staged_shards=9, job=jobs[0]),
        plan=PlanStatus(revision="r" * 512, digest="d" * 64, splits=splits, shards=9, dropped=dropped),
        progress=GenerationProgress(dropped=dropped, failed_indexes="1," * 250),
        conditions=[condition] * 6,
        last_failure=failure,
    )
    fitted = fit_generation_status(status)
    assert measure_status(status) > MAX_STATUS_BYTES >= measure_status(fitted)
    assert [(job.name, job.number, job.first_shard) for job in fitted.jobs] == [
        (job.name, job.number, job.first_shard) for job in jobs
    ]
    assert fitted.jobs[-1].message
