"""A DatasetGeneration from its creation to its end, reconciled against the in-memory cluster."""

from collections.abc import Iterator
from typing import Any

import pytest

from deepsynth_api.conditions import ConditionType, find_condition
from deepsynth_api.report import Failure, PlanReport, PublishReport, RenderReport, Report
from deepsynth_api.v1alpha1.dataset_generation_status import DroppedRows, GenerationProgress, PlannedSplit
from deepsynth_operator.core.settings import PROGRESS_POLLS
from deepsynth_simulator.object_store import key_of
from deepsynth_simulator.pod_runner import ContainerExit
from support.cluster.cluster_faults import (
    QueueingCluster,
    disrupt,
    find_pod,
    lose_node,
    restore_node,
    taint_node,
)
from support.control.controller import SETTINGS, Controller
from support.resources.builders import a_dataset_generation

SHARDS = 3


@pytest.fixture
def control() -> Iterator[Controller]:
    controller = Controller(QueueingCluster, nodes=("node-a", "node-b"))
    yield controller
    controller.close()


def plan(control: Controller, number: int = 1, shards: int = SHARDS) -> None:
    report = PlanReport(
        revision="r1",
        digest="d1",
        splits=[PlannedSplit(name="train", rows=10 * shards)],
        shards=shards,
        rows_read=40,
        dropped=[DroppedRows(reason="TextTooShort", rows=10)],
    )
    control.end(f"xsum-plan-{number}-0", 0, Report(step="plan", time=control.clock.now(), plan=report))
    control.settle()


def build_shard(control: Controller, index: int, documents: int = 10, **fields: Any) -> Report:
    shard = RenderReport(shard=index, documents_total=10, documents=documents, pages=2 * documents, **fields)
    return Report(step="render", time=control.clock.now(), render=shard)


def render(control: Controller, *indexes: int, number: int = 1) -> None:
    for index in indexes:
        control.end(f"xsum-render-{number}-{index}", 0, build_shard(control, index))
    control.settle()


TWO_POLLS = PROGRESS_POLLS * SETTINGS.poll_seconds
"""So often progress is written."""


def publish(control: Controller, uri: str = "pvc://data/xsum") -> None:
    report = PublishReport(uri=uri, revision="v1", rows=30, pages=60, bytes=9, manifest_sha256="m")
    control.end("xsum-publish-1-0", 0, Report(step="publish", time=control.clock.now(), publish=report))
    control.settle()


def get_progress(control: Controller) -> GenerationProgress:
    progress = control.get_generation().status.progress
    assert progress is not None
    return progress


def get_failed(control: Controller) -> tuple[str, str, str]:
    condition = find_condition(control.get_generation().status.conditions, ConditionType.FAILED)
    assert condition is not None
    return condition.status, condition.reason, condition.message


def test_a_generation_plans_renders_and_publishes(control: Controller) -> None:
    control.apply(a_dataset_generation().to_manifest())
    assert control.get_generation().status.state == "Planning"
    plan(control)
    status = control.get_generation().status
    assert status.plan is not None
    assert (status.state, status.plan.revision, status.plan.shards) == ("Rendering", "r1", SHARDS)
    render(control, 0)
    control.advance(TWO_POLLS)
    assert control.get_generation().status.summary.shards == "1/3"
    render(control, 1, 2)
    assert control.get_generation().status.state == "Publishing"
    publish(control)
    status = control.get_generation().status
    assert status.output is not None
    assert (status.state, status.output.revision, status.summary.progress) == ("Complete", "v1", "100%")
    assert status.completion_time == control.clock.now()
    published = find_condition(status.conditions, ConditionType.PUBLISHED)
    assert published is not None
    assert published.status == "True"


def test_progress_adds_up_the_shards_and_the_dropped_rows_of_plan_and_render(control: Controller) -> None:
    control.apply(a_dataset_generation().to_manifest())
    plan(control)
    dropped = [DroppedRows(reason="TooManyPages", rows=2), DroppedRows(reason="TextTooShort", rows=1)]
    control.report("xsum-render-1-0", build_shard(control, 0, 7, pages_per_second=2.0, dropped=dropped))
    control.report("xsum-render-1-1", build_shard(control, 1, 5, pages_per_second=1.0, waiting="429 of the Hub"))
    control.advance(TWO_POLLS)
    progress = control.get_generation().status.progress
    assert progress is not None
    assert (progress.rows, progress.pages, progress.percentage) == (12, 24, 50)
    assert (progress.pages_per_second, progress.waiting) == ("3", "429 of the Hub")
    assert [(item.reason, item.rows) for item in progress.dropped] == [("TextTooShort", 11), ("TooManyPages", 2)]
    assert control.get_generation().status.summary.eta == "10s"


@pytest.mark.parametrize("step", ["plan", "publish"])
def test_what_plan_and_publish_wait_for_is_shown_until_they_go_on(control: Controller, step: Any) -> None:
    control.apply(a_dataset_generation().to_manifest())
    if step == "publish":
        plan(control)
        render(control, *range(SHARDS))
    report = Report(step=step, time=control.clock.now())
    part = {"plan": PlanReport(), "publish": PublishReport(uri="")}[step].updated(waiting="429 of the Hub")
    control.report(f"xsum-{step}-1-0", report.updated(**{step: part}))
    control.advance(TWO_POLLS)
    assert get_progress(control).waiting == "429 of the Hub"
    control.report(f"xsum-{step}-1-0", report)
    control.advance(TWO_POLLS)
    assert get_progress(control).waiting == ""


def test_a_plan_that_ends_without_its_result_is_made_again(control: Controller) -> None:
    control.apply(a_dataset_generation().to_manifest())
    report = Report(step="plan", time=control.clock.now(), plan=PlanReport(waiting="429 of the Hub"))
    control.end("xsum-plan-1-0", 0, report)
    control.settle()
    status = control.get_generation().status
    assert (status.plan, status.jobs[0].reason) == (None, "ReportLost")


def test_the_last_rate_that_was_seen_stays(control: Controller) -> None:
    control.apply(a_dataset_generation().to_manifest())
    plan(control)
    control.report("xsum-render-1-0", build_shard(control, 0, 7, pages_per_second=2.5))
    control.advance(TWO_POLLS)
    render(control, *range(SHARDS))  # pods that report no rate
    publish(control)
    status = control.get_generation().status
    assert (status.state, status.summary.rate) == ("Complete", "2.5/s")


def test_a_rate_that_no_poll_has_seen_is_pages_by_render_time(control: Controller) -> None:
    control.apply(a_dataset_generation().to_manifest())
    plan(control)
    control.clock.advance(4)
    for index, rate in enumerate([90.0, 80.0, 0.0]):  # the last one found its shard rendered
        control.end(f"xsum-render-1-{index}", 0, build_shard(control, index, pages_per_second=rate))
    control.settle()
    publish(control)
    status = control.get_generation().status
    assert (status.state, status.summary.rate) == ("Complete", "10/s")


def test_a_failed_shard_fails_the_generation_and_nothing_is_published(control: Controller) -> None:
    control.apply(a_dataset_generation().to_manifest())
    plan(control)
    failure = Failure(reason="DamagedFile", message="train.parquet, row group 3: bad page; repair it", exit_code=65)
    control.end("xsum-render-1-1", 65, build_shard(control, 1).updated(failure=failure))
    render(control, 0, 2)
    status, reason, message = get_failed(control)
    assert (control.get_generation().status.state, status, reason) == ("Failed", "True", "ShardsFailed")
    assert message == "shards 1 failed, nothing is published; last: DamagedFile: " + failure.message
    assert not any("publish" in job for job in control.list_jobs())


def test_a_failure_that_is_retried_is_kept_in_the_status(control: Controller) -> None:
    control.apply(a_dataset_generation().to_manifest())
    plan(control)
    control.end("xsum-render-1-1", 75, message="the Hub did not answer")
    control.settle()
    last = control.get_generation().status.last_failure
    assert last is not None
    assert (last.step, last.index, last.reason, last.exit_code) == ("render", 1, "TemporaryFailure", 75)
    assert control.get_generation().status.state == "Rendering"


@pytest.mark.parametrize(("code", "tries"), [(64, 1), (75, 4)])
def test_a_plan_that_fails_is_retried_within_its_limit_and_names_the_cause(
    control: Controller, code: int, tries: int
) -> None:
    control.apply(a_dataset_generation().with_spec(backoffLimitPerIndex=3).to_manifest())
    failure = Failure(reason="MissingColumn", message="no column of text; set source.columns.text", exit_code=code)
    for _ in range(tries):
        assert control.get_generation().status.state == "Planning"
        control.end("xsum-plan-1-0", code, Report(step="plan", time=control.clock.now(), failure=failure))
        control.advance(400, step=400)
    assert get_failed(control) == ("True", "MissingColumn", f"plan failed: MissingColumn: {failure.message}")


def test_an_evicted_plan_is_repeated_without_counting(control: Controller) -> None:
    control.apply(a_dataset_generation().with_spec(backoffLimitPerIndex=0).to_manifest())
    control.runner.obeys = ContainerExit(1)
    for _ in range(3):
        disrupt(control.cluster, "xsum-plan-1-0")
        control.advance(400, step=400)
    plan(control)
    status = control.get_generation().status
    assert (status.state, status.last_failure) == ("Rendering", None)


def test_a_plan_without_documents_fails_with_the_remedy(control: Controller) -> None:
    control.apply(a_dataset_generation().to_manifest())
    plan(control, shards=0)
    assert get_failed(control)[1:] == (
        "NoRows",
        "the plan has no document to render; see progress.dropped and spec.filters",
    )


def test_a_plan_whose_report_was_lost_is_made_again(control: Controller) -> None:
    control.apply(a_dataset_generation().to_manifest())
    control.end("xsum-plan-1-0", 0)
    control.settle()
    assert control.get_generation().status.jobs[0].reason == "ReportLost"
    control.advance(15)
    plan(control, number=2)
    assert control.get_generation().status.state == "Rendering"


def test_an_image_that_never_reports_ends_the_generation(control: Controller) -> None:
    control.apply(a_dataset_generation().to_manifest())
    for number in (1, 2, 3):
        control.end(f"xsum-plan-{number}-0", 0)
        control.settle()
        control.advance(60)
    status = control.get_generation().status
    assert status.state == "Failed"
    assert "use an image of the operator's own version" in status.conditions[0].message


def test_suspending_stops_the_pods_and_resuming_renders_on_in_another_job(control: Controller) -> None:
    control.apply(a_dataset_generation().to_manifest())
    plan(control)
    render(control, 0)
    control.change_spec("DatasetGeneration", "xsum", suspend=True)
    assert control.get_generation().status.state == "Suspended"
    assert control.list_living_jobs() == []
    control.change_spec("DatasetGeneration", "xsum", suspend=False)
    status = control.get_generation().status
    assert [job.name for job in status.jobs] == ["xsum-plan-1", "xsum-render-1", "xsum-render-2"]
    assert (status.summary.shards, status.summary.pages) == ("1/3", "20")
    control.report("xsum-render-2-0", build_shard(control, 0, 1))
    control.advance(20)
    summary = control.get_generation().status.summary
    assert (summary.shards, summary.pages, summary.progress) == ("1/3", "20", "33%"), "what is done stays done"


def test_a_suspended_generation_starts_nothing(control: Controller) -> None:
    control.apply(a_dataset_generation().with_spec(suspend=True).to_manifest())
    assert (control.get_generation().status.state, control.list_jobs()) == ("Suspended", [])


def test_parallelism_can_be_changed_while_it_renders(control: Controller) -> None:
    control.apply(a_dataset_generation().with_spec(parallelism=1).to_manifest())
    plan(control)
    assert len(control.runner.get_living()) == 1
    control.change_spec("DatasetGeneration", "xsum", parallelism=2)
    assert len(control.runner.get_living()) == 2
    control.change_spec("DatasetGeneration", "xsum", parallelism=100)
    job = control.cluster.store.get("Job", "default", "xsum-render-1")
    assert job is not None
    assert job["spec"]["parallelism"] == SHARDS


def test_a_lost_node_is_left_behind(control: Controller) -> None:
    control.apply(a_dataset_generation().to_manifest())
    plan(control)
    lose_node(control.cluster, "node-b")
    taint_node(control.cluster, "node-b")
    control.advance(60 + 30 + 15 + 10)
    status = control.get_generation().status
    assert (status.jobs[1].outcome, status.jobs[1].reason) == ("Disrupted", "NodeLost")
    assert status.jobs[2].name == "xsum-render-2"
    restore_node(control.cluster, "node-b")
    render(control, 0, 1, 2, number=2)
    assert control.get_generation().status.state == "Publishing"


def test_a_node_that_is_lost_between_the_end_of_a_container_and_of_its_pod_is_left_behind(control: Controller) -> None:
    """Seen on a real cluster: exit code 0, phase Running forever, so that the Job never counts the shard."""
    control.apply(a_dataset_generation().to_manifest())
    plan(control)
    key = key_of(find_pod(control.cluster, "xsum-render-1-1"))
    node = find_pod(control.cluster, "xsum-render-1-1")["spec"]["nodeName"]
    lose_node(control.cluster, node)
    ended = {"exitCode": 0, "reason": "Completed", "finishedAt": "2026-01-02T03:00:01Z"}
    control.cluster.store.update(
        key, lambda pod: pod["status"]["containerStatuses"][0].update(state={"terminated": ended})
    )
    taint_node(control.cluster, node)
    control.advance(60 + 30 + 15 + 10)
    status = control.get_generation().status
    assert [(job.outcome, job.reason) for job in status.jobs[1:2]] == [("Disrupted", "NodeLost")]
    assert status.jobs[2].name == "xsum-render-2"


def test_a_deleted_job_is_replaced_after_a_growing_delay(control: Controller) -> None:
    control.apply(a_dataset_generation().to_manifest())
    for number, delay in ((1, 10), (2, 20)):
        control.cluster.delete_object("Job", "default", f"xsum-plan-{number}")
        control.settle()
        control.advance(delay - 1)
        assert control.list_jobs() == []
        control.advance(1)
        assert control.list_jobs() == [f"xsum-plan-{number + 1}"]


def test_the_deadline_fails_the_generation_and_stops_its_job(control: Controller) -> None:
    control.apply(a_dataset_generation().with_spec(activeDeadlineSeconds=100).to_manifest())
    control.advance(100)
    assert get_failed(control)[1] == "DeadlineExceeded"
    assert control.list_living_jobs() == []


def test_the_ttl_removes_the_jobs_and_the_generation_stays_complete(control: Controller) -> None:
    control.apply(a_dataset_generation().with_spec(ttlSecondsAfterFinished=60).to_manifest())
    plan(control)
    render(control, 0, 1, 2)
    publish(control)
    control.advance(60)
    control.advance(300, step=300)
    assert (control.list_jobs(), control.get_generation().status.state) == ([], "Complete")
    assert len(control.get_generation().status.jobs) == 3


def test_a_source_without_a_uri_or_preset_fails_at_once(control: Controller) -> None:
    control.apply(a_dataset_generation().without("source").to_manifest())
    assert (control.get_generation().status.state, get_failed(control)[0]) == ("Failed", "True")
    assert "source" in get_failed(control)[2]


def test_nothing_is_written_when_nothing_happened(control: Controller) -> None:
    control.apply(a_dataset_generation().to_manifest())
    plan(control)
    control.report("xsum-render-1-0", build_shard(control, 0, 7, pages_per_second=2.0))
    control.advance(TWO_POLLS)
    version = control.get_generation().metadata.resource_version
    control.advance(300, step=15)
    assert control.get_generation().metadata.resource_version == version


def test_a_changed_deadline_of_a_live_generation_is_that_of_its_job(control: Controller) -> None:
    control.apply(a_dataset_generation().with_spec(activeDeadlineSeconds=600).to_manifest())
    for seconds in (7200, 300):
        control.change_spec("DatasetGeneration", "xsum", activeDeadlineSeconds=seconds)
        job = control.cluster.store.get("Job", "default", "xsum-plan-1")
        assert job is not None
        assert job["spec"]["activeDeadlineSeconds"] == seconds
    assert control.list_jobs() == ["xsum-plan-1"]


def test_an_output_whose_uri_is_too_long_for_a_report_is_that_of_the_spec(control: Controller) -> None:
    control.apply(a_dataset_generation().to_manifest())
    plan(control)
    render(control, *range(SHARDS))
    publish(control, uri="")
    generation = control.get_generation()
    assert generation.status.output is not None
    assert generation.status.output.uri == generation.spec.output.uri
    condition = find_condition(generation.status.conditions, ConditionType.COMPLETE)
    assert condition is not None
    assert condition.message.endswith("; 10 rows dropped: 10 TextTooShort")
