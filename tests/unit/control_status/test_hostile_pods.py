"""What a pod says is a stranger's: it never stops a decision, never moves a status on and on, never loops for ever."""

from dataclasses import replace
from datetime import timedelta

import pytest

from deepsynth_api.labels import STEP
from deepsynth_api.report import RenderReport, Report
from deepsynth_api.v1alpha1 import DatasetGenerationStatus
from deepsynth_api.v1alpha1.dataset_generation_status import PlannedSplit, PlanStatus
from deepsynth_operator.observed import ObservedJob, ObservedPod
from deepsynth_operator.status.last_failure import find_last_failure
from deepsynth_operator.status.numbers import estimate_end
from deepsynth_operator.status.rendering import compute_rendering
from manual_clock import START
from seen import RUNNING_JOB, a_live_run, a_pod, a_report, decide


def test_a_run_whose_pod_estimates_ages_goes_on_without_an_estimate() -> None:
    pods = [a_pod(0, report=a_report(3, remaining_seconds=1e12)), a_pod(1)]
    status = decide(a_live_run(), RUNNING_JOB, pods).status
    assert status.progress is not None
    assert (status.progress.step, status.progress.estimated_completion_time) == (3, None)


def test_a_shard_that_is_drawn_at_a_vanishing_rate_has_no_estimate() -> None:
    shard = RenderReport(shard=0, documents_total=10, documents=1, pages=1, pages_per_second=1e-300)
    pod = replace(a_pod(0), report=Report(step="render", time=START, render=shard))
    job = ObservedJob(name="j", uid="u", step="render", completions=2)
    planned = PlanStatus(revision="r", digest="d", splits=[PlannedSplit(name="train", rows=100)], shards=2)
    status = DatasetGenerationStatus(plan=planned)
    assert compute_rendering(status, job, [pod], START).estimated_completion_time is None


@pytest.mark.parametrize(("seconds", "known"), [(0, True), (3600, True), (1e12, False), (-1, False)])
def test_an_estimate_is_within_ten_years(seconds: float, known: bool) -> None:
    assert (estimate_end(seconds, START) is not None) == known


def test_a_failure_without_a_time_is_told_once() -> None:
    """After a reboot the kubelet says ContainerStatusUnknown, and no finishedAt."""
    pod = a_pod(0, phase="Failed", exit_code=137, exit_reason="ContainerStatusUnknown")
    first = find_last_failure(None, "render", [pod], START + timedelta(seconds=60))
    assert first is not None
    assert find_last_failure(first, "render", [pod], START + timedelta(seconds=600)) is first


def test_a_container_that_a_service_mesh_added_is_not_taken_for_ours() -> None:
    statuses = [
        {"name": "istio-proxy", "state": {"running": {"startedAt": "2026-01-02T03:00:00Z"}}},
        {"name": "train", "state": {"terminated": {"exitCode": 65, "reason": "Error"}}},
    ]
    metadata = {"name": "p", "uid": "u", "labels": {STEP: "train"}}
    pod = ObservedPod.parse({"metadata": metadata, "status": {"phase": "Running", "containerStatuses": statuses}})
    assert pod.exit_code == 65
