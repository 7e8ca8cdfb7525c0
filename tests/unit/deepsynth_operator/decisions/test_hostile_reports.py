"""Any report of any pods, drawn from the schema: decisions do not fail, statuses fit, and the user stays in control."""

import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepsynth_api.crd.schema import build_schema
from deepsynth_api.reasons import Reason
from deepsynth_api.report import REPORT_BYTES, Failure, Report, TrainReport, parse_report
from deepsynth_api.report_bounds import bound_report
from deepsynth_api.report_fit import fit_report
from deepsynth_api.v1alpha1 import DatasetGeneration, Resource, TrainingRun
from deepsynth_client.report.page import build_report
from deepsynth_local.admission.schema_check import find_schema_errors
from deepsynth_operator.core.observed import Children, ObservedGeneration, ObservedJob, ObservedPod, ObservedRun
from deepsynth_operator.decisions.dataset_generation.decide import decide_generation
from deepsynth_operator.decisions.shared.decision import Decision, DeleteJob
from deepsynth_operator.decisions.shared.status_budget import MAX_STATUS_BYTES, measure_status
from deepsynth_operator.decisions.training_run.decide import decide_run
from support.clocks.manual_clock import START
from support.control.seen import SETTINGS, a_live_run, a_pod
from support.resources.builders import a_dataset_generation
from support.tenants.hostile_reports import build_hostile_reports
from support.tenants.largest_reports import build_largest_part

EXIT_CODES = [None, 0, 1, 64, 65, 70, 75, 137, 143]
STEPS = ["train", "plan", "render", "publish"]
DEADLINE = 3600
SCHEMAS = {kind: build_schema(kind)["properties"]["status"] for kind in ("DatasetGeneration", "TrainingRun")}


def a_live_generation(step: str, **spec: Any) -> DatasetGeneration:
    job = {"step": step, "name": f"xsum-{step}-1", "uid": "job-1", "startTime": START, "runningTime": START}
    plan = {"revision": "r", "digest": "d", "splits": [{"name": "train", "rows": 100}], "shards": 50}
    status = {"startTime": START, "jobs": [job], **({} if step == "plan" else {"plan": plan})}
    return a_dataset_generation().with_spec(**spec).with_status(**status).build()


def a_job(resource: Resource, finished: str) -> ObservedJob:
    live = resource.status.attempts[-1].job if isinstance(resource, TrainingRun) else resource.status.jobs[-1].name
    job = ObservedJob(name=live, uid="job-1", step="x", started=START, completions=2, parallelism=2)
    if not finished:
        return job
    end = replace(job, finished=START + timedelta(seconds=50))
    return replace(end, is_complete=True) if finished == "Complete" else replace(end, is_failed=True, is_failing=True)


def decide(resource: Resource, job: ObservedJob, pods: Sequence[ObservedPod], after: float) -> Decision[Any]:
    children, now = Children(jobs=(job,), pods=tuple(pods)), START + timedelta(seconds=after)
    if isinstance(resource, TrainingRun):
        return decide_run(ObservedRun(resource, children), SETTINGS, now)
    return decide_generation(ObservedGeneration(resource, children), SETTINGS, now)


def build_pods() -> st.SearchStrategy[list[ObservedPod]]:
    """Pods with hostile reports, some of them over: the report is then their termination message."""

    def build(index: int, text: str, exit_code: int | None) -> ObservedPod:
        report = parse_report(text)
        pod = replace(a_pod(index), report=report, message="" if report else text[:4096])
        ended = START + timedelta(seconds=40)
        return pod if exit_code is None else replace(pod, phase="Failed", exit_code=exit_code, finished=ended)

    pod = st.builds(build, st.integers(0, 1), build_hostile_reports(), st.sampled_from(EXIT_CODES))
    return st.lists(pod, min_size=1, max_size=3)


@settings(max_examples=60, deadline=None)
@given(build_pods(), st.sampled_from(["", "Complete", "Failed"]), st.sampled_from(STEPS))
def test_no_report_stops_a_decision(pods: list[ObservedPod], finished: str, step: str) -> None:
    resource: Resource = a_live_run() if step == "train" else a_live_generation(step)
    job = a_job(resource, finished)
    pods = [replace(pod, job=job.name) for pod in pods]
    for after in (60, 61, 62, 90):
        decision = decide(resource, job, pods, after)
        assert measure_status(decision.status) <= MAX_STATUS_BYTES
        assert list(find_schema_errors(decision.status.to_dict(), SCHEMAS[resource.kind])) == []
        resource = resource.updated(status=decision.status)
    assert decide(resource, job, pods, 91).status == resource.status or finished


@settings(max_examples=40, deadline=None)
@given(build_pods(), st.sampled_from(STEPS))
def test_no_report_hides_the_deadline(pods: list[ObservedPod], step: str) -> None:
    limit = {"activeDeadlineSeconds": DEADLINE}
    resource: Resource = a_live_run(**limit) if step == "train" else a_live_generation(step, **limit)
    job = a_job(resource, "")
    decision = decide(resource, job, [replace(pod, job=job.name) for pod in pods], DEADLINE + 1)
    assert (decision.status.state, decision.status.conditions[0].reason) == ("Failed", Reason.DEADLINE_EXCEEDED)
    assert decision.actions == (DeleteJob(job.name, job.uid),)


@settings(max_examples=40, deadline=None)
@given(build_pods(), st.sampled_from(STEPS))
def test_no_report_hides_a_suspension(pods: list[ObservedPod], step: str) -> None:
    resource: Resource = a_live_run(suspend=True) if step == "train" else a_live_generation(step, suspend=True)
    job = a_job(resource, "")
    decision = decide(resource, job, [replace(pod, job=job.name) for pod in pods], 60)
    assert decision.actions == (DeleteJob(job.name, job.uid),)


@pytest.mark.parametrize("character", ["x", "<", "\x00", "\U0001f600"])
def test_a_status_of_the_longest_reports_fits_and_keeps_its_counts(character: str) -> None:
    """50 shards with the longest fields made a status of 3 MB."""
    long = character * 3000
    dropped = ", ".join(f'{{"reason": "Reason{{0}}x{number}", "rows": 1}}' for number in range(60))
    generation = a_live_generation("render")
    job = replace(a_job(generation, ""), failed_indexes=",".join(map(str, range(0, 20_000, 2))))
    pods = []
    for index in range(50):
        reasons = dropped.replace("{0}", str(index))
        escaped = long.replace("\x00", "\\u0000")
        text = (
            '{"step": "render", "time": "2026-01-02T03:04:05Z", "render": {"shard": 0, "pages": 7, "dropped": ['
            + reasons
            + f'], "waiting": "{escaped}"}}, "failure": {{"reason": "x", "message": "{escaped}", "exitCode": 1}}}}'
        )
        report = parse_report(text)
        assert report is not None
        ended: dict[str, Any] = {"exit_code": 1, "finished": START} if index % 2 else {}
        pods.append(replace(a_pod(index), job=job.name, report=report, **ended))
    decision = decide(generation, job, pods, 60)
    assert measure_status(decision.status) <= MAX_STATUS_BYTES
    assert decision.status.progress.pages == 50 * 7
    assert sum(item.rows for item in decision.status.progress.dropped) == 50 * 60


@pytest.mark.parametrize("character", ["x", "<", "\x00", "\U0001f600"])
def test_a_generation_with_the_largest_plan_and_publication_fits_and_keeps_its_counts(character: str) -> None:
    def end(generation: DatasetGeneration, step: str) -> Decision[Any]:
        report = Report.model_validate({"step": step, "time": START, step: build_largest_part(step, character * 5000)})
        text, job = fit_report(report, REPORT_BYTES), a_job(generation, "Complete")
        tracemalloc.start()
        pod = replace(a_pod(0), job=job.name, report=parse_report(text), exit_code=0, phase="Succeeded", finished=START)
        decision = decide(generation, job, [pod], 60)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        return decision

    peaks: list[int] = []
    planned = end(a_live_generation("plan"), "plan").status
    published = a_live_generation("publish")
    jobs = [*planned.jobs[:1], *published.status.jobs]
    decision = end(published.updated(status=planned.updated(jobs=jobs)), "publish")
    status = decision.status
    assert status.state == "Complete"
    assert measure_status(planned) <= MAX_STATUS_BYTES
    assert measure_status(status) <= MAX_STATUS_BYTES
    assert sum(split.rows for split in status.plan.splits) == 100 * 2**40
    assert sum(read.rows for read in status.plan.columns) == 100 * 2**40
    assert sum(item.rows for item in status.progress.dropped) == 100 * 2**40
    assert (status.output.rows, status.output.revision) == (2**40, "0" * 64)
    assert [event.reason for event in decision.events][-1] == Reason.MANY_ROWS_DROPPED
    assert len(build_report([published.updated(status=status)], lambda _: None, "here", START)) < 2**20
    assert max(peaks) < 16 * 2**20


@pytest.mark.parametrize("character", ["x", "<", "\x00", "\U0001f600"])
def test_a_run_with_the_longest_reports_in_every_attempt_fits(character: str) -> None:
    long = character * 5000
    checkpoints = [{"step": step, "uri": long, "time": START, "loss": long} for step in range(60)]
    fields: dict[str, Any] = {
        "checkpoints": checkpoints,
        "best_checkpoint": checkpoints[0],
        "metrics": [{"name": f"{n}{long}", "value": long, "step": 1} for n in range(60)],
        "samples": [{"name": long, "step": 1, "reference": long, "written": long}] * 60,
        "dropped": [{"reason": f"Reason{n}", "rows": 1} for n in range(600)],
        "notes": [f"{n}{long}" for n in range(60)],
        "output": {"uri": long, "note": long},
    }
    train = TrainReport.model_validate({"attempt": 1, "step": 9, **fields})
    failure = Failure(reason="x" * 900, message=long, exit_code=1, node=long)
    report = bound_report(Report(step="train", time=START, train=train, failure=failure))
    run = a_live_run(backoffLimit=1000)
    attempts = [
        run.status.attempts[0].updated(
            number=n,
            message=long[:1024],
            node=long[:512],
            reason="x" * 64,
            outcome="Failed",
            end_time=START,
            job=f"j{n}",
        )
        for n in range(1, 10)
    ]
    run = run.updated(status=run.status.updated(attempts=[*attempts, run.status.attempts[0].updated(number=10)]))
    job = a_job(run, "Failed")
    pods = [replace(a_pod(index), report=report, exit_code=1, phase="Failed", finished=START) for index in range(2)]
    decision = decide(run, job, pods, 60)
    assert measure_status(decision.status) <= MAX_STATUS_BYTES
    assert sum(item.rows for item in decision.status.progress.dropped) == 600
    assert (decision.status.saved_step, decision.status.failures, len(decision.status.attempts)) == (59, 1, 10)
