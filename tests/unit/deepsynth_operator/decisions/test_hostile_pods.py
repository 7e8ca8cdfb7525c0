"""Reports of pods are untrusted input: they never stop a decision, never keep a status changing, never loop."""

from dataclasses import replace
from datetime import timedelta

import pytest

from deepsynth_api.labels import (
    DOCUMENT_ANNOTATION,
    DOCUMENT_TIME_ANNOTATION,
    MIN_PARALLELISM,
    QUEUE_NAME,
    RESTART_ANNOTATION,
    STEP,
    STOPPING_ANNOTATION,
)
from deepsynth_api.report import Failure, RenderReport, Report, parse_report
from deepsynth_api.v1alpha1 import DatasetGenerationStatus
from deepsynth_api.v1alpha1.dataset_generation_status import ChildJob, PlannedSplit, PlanStatus
from deepsynth_operator.core.observed import COMPLETION_INDEX_ANNOTATION, Children, ObservedJob, ObservedPod
from deepsynth_operator.decisions.dataset_generation.failures import find_last_failure
from deepsynth_operator.decisions.dataset_generation.progress import compute_rendering
from deepsynth_operator.decisions.shared.decision import CreateJob, DeleteJob
from deepsynth_operator.decisions.shared.numbers import estimate_end
from deepsynth_operator.decisions.training_run.attempts import replace_last
from deepsynth_operator.decisions.training_run.progress import MAX_KEPT_METRICS
from support.clocks.manual_clock import START
from support.control.seen import (
    FAILED_JOB,
    JOB,
    RUNNING_JOB,
    a_live_run,
    a_pod,
    a_report,
    an_ended_pod,
    decide,
    follow,
    get_attempt,
)


def test_an_absurd_estimate_of_a_pod_is_ignored() -> None:
    pods = [a_pod(0, report=a_report(3, remaining_seconds=1e12)), a_pod(1)]
    status = decide(a_live_run(), RUNNING_JOB, pods).status
    assert status.progress is not None
    assert (status.progress.step, status.progress.estimated_completion_time) == (3, None)


def test_a_shard_with_a_vanishing_rate_has_no_estimate() -> None:
    shard = RenderReport(shard=0, documents_total=10, documents=1, pages=1, pages_per_second=1e-300)
    pod = replace(a_pod(0), report=Report(step="render", time=START, render=shard))
    job = ObservedJob(name="j", uid="u", step="render", completions=2)
    planned = PlanStatus(revision="r", digest="d", splits=[PlannedSplit(name="train", rows=100)], shards=2)
    entry = ChildJob(step="render", name=pod.job, start_time=START)
    status = DatasetGenerationStatus(plan=planned, jobs=[entry])
    assert compute_rendering(status, entry, job, Children((job,), (pod,)), START).estimated_completion_time is None


@pytest.mark.parametrize(("seconds", "known"), [(0, True), (3600, True), (1e12, False), (-1, False)])
def test_an_estimate_is_within_ten_years(seconds: float, known: bool) -> None:
    assert (estimate_end(seconds, START) is not None) == known


def test_a_failure_without_a_time_is_reported_once() -> None:
    """After a reboot the kubelet says ContainerStatusUnknown, and no finishedAt."""
    pod = a_pod(0, phase="Failed", exit_code=137, exit_reason="ContainerStatusUnknown")
    first = find_last_failure(None, "render", [pod], START + timedelta(seconds=60))
    assert first is not None
    assert find_last_failure(first, "render", [pod], START + timedelta(seconds=600)) is first


def test_a_sidecar_of_a_service_mesh_is_not_mistaken_for_the_container() -> None:
    statuses = [
        {"name": "istio-proxy", "state": {"running": {"startedAt": "2026-01-02T03:00:00Z"}}},
        {"name": "train", "state": {"terminated": {"exitCode": 65, "reason": "Error"}}},
    ]
    metadata = {"name": "p", "uid": "u", "labels": {STEP: "train"}}
    pod = ObservedPod.parse({"metadata": metadata, "status": {"phase": "Running", "containerStatuses": statuses}})
    assert pod.exit_code == 65


def test_a_time_that_no_clock_shows_is_ignored() -> None:
    metadata = {"name": "p", "uid": "u", "deletionTimestamp": "11532-01-02T03:00:00Z"}
    assert ObservedPod.parse({"metadata": metadata}).deletion is None


@pytest.mark.parametrize("text", ["", "-1", "x", "1e3", "99999999999", "\u0663"])
def test_an_invalid_completion_index_counts_as_zero(text: str) -> None:
    metadata = {"name": "p", "uid": "u", "annotations": {COMPLETION_INDEX_ANNOTATION: text}}
    assert ObservedPod.parse({"metadata": metadata}).index == 0


def test_a_failure_that_reports_requeued_by_queue_does_not_wait_for_the_queue() -> None:
    """The queue takes the Job back just when a pod has failed: a new Job follows, as after any failure."""
    failure = Failure(reason="RequeuedByQueue", message="not what it says", exit_code=1)
    pods = [an_ended_pod(0, 1, report=a_report(failure=failure)), a_pod(1)]
    run = follow(a_live_run(), decide(a_live_run(), RUNNING_JOB, pods, after=60))
    decision = decide(run, replace(RUNNING_JOB, suspended=True), after=61)
    assert (decision.status.state, decision.actions) == ("Restarting", (DeleteJob(RUNNING_JOB.name, "job-1"),))


@pytest.mark.parametrize("reason", ["RequeuedByQueue", "SuspendedByUser", "NotStarted", "InvalidImageName"])
def test_a_failure_that_reports_a_reason_of_the_controller_is_retried_like_any_other(reason: str) -> None:
    failure = Failure(reason=reason, message="not what it says", exit_code=1)
    first = decide(a_live_run(), FAILED_JOB, [an_ended_pod(0, 1, report=a_report(failure=failure))])
    assert (get_attempt(first).outcome, get_attempt(first).reason) == ("Failed", reason)
    assert (first.status.failures, first.status.attempts_without_progress) == (1, 1)
    second = decide(follow(a_live_run(), first), FAILED_JOB, after=71)
    assert [action for action in second.actions if isinstance(action, CreateJob)] == [CreateJob("read-xsum-train-2")]


def test_metrics_with_ever_new_names_do_not_grow_the_status() -> None:
    run = a_live_run()
    for number in range(60):
        metrics = [{"name": f"{number}-" + "x" * 10_000, "value": "1" * 10_000, "step": 1}]
        pods = [a_pod(0, report=a_report(number, metrics=metrics)), a_pod(1)]
        run = follow(run, decide(run, RUNNING_JOB, pods, after=60 + 30 * number))
    assert len(run.status.metrics) == MAX_KEPT_METRICS
    assert len(str(run.status.to_dict())) < 20_000


def test_the_texts_of_an_oversized_report_are_cut() -> None:
    report = a_report(3, failure=Failure(reason="x", message="y" * 20_000, exit_code=1))
    parsed = parse_report(report.model_dump_json(by_alias=True))
    assert parsed is not None
    assert parsed.failure == Failure(reason="x", message="y" * 4096, exit_code=1)


@pytest.mark.parametrize("text", ["", "x", "-1", "\u0663", "9" * 400, "2026-01-02T03:00:00", "9999-12-31T23:59:59Z"])
@pytest.mark.parametrize(
    "annotation",
    [DOCUMENT_ANNOTATION, DOCUMENT_TIME_ANNOTATION, RESTART_ANNOTATION, STOPPING_ANNOTATION, MIN_PARALLELISM],
)
def test_an_annotation_that_a_user_has_changed_on_the_job_does_not_keep_the_deadline(
    annotation: str, text: str
) -> None:
    annotations = {MIN_PARALLELISM: "1", DOCUMENT_ANNOTATION: "2", annotation: text}
    labels = {QUEUE_NAME: "team", STEP: "train"}
    time = "2026-01-02T03:00:00Z"
    metadata = {"name": JOB, "uid": "job-1", "creationTimestamp": time, "labels": labels, "annotations": annotations}
    spec = {"completions": 2, "parallelism": 2, "backoffLimitPerIndex": 0}
    run = a_live_run(activeDeadlineSeconds=3600, elastic={"minNodes": 1})
    attempt = run.status.attempts[-1].updated(running_time=None, held_time=None)
    run = run.updated(status=replace_last(run.status, attempt))
    for suspended in (False, True):
        job = ObservedJob.parse(
            {"metadata": metadata, "spec": {**spec, "suspend": suspended}, "status": {"startTime": time}}
        )
        decide(run, job, after=60)
        ended = decide(run, job, after=3601).status
        assert (ended.state, ended.summary.reason) == ("Failed", "DeadlineExceeded")
