"""A DatasetGeneration whose plan step stages shards while it reads: a second Job renders them meanwhile."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from deepsynth_api.conditions import ConditionType, find_condition
from deepsynth_api.labels import QUEUE_NAME
from deepsynth_api.report import Failure, PlanReport, PublishReport, RenderReport, Report
from deepsynth_api.v1alpha1.dataset_generation_status import (
    ChildJob,
    DatasetGenerationStatus,
    DroppedRows,
    PlannedSplit,
)
from deepsynth_api.v1alpha1.shared.usage import Cost
from deepsynth_api.workload import PlanReference, RenderWorkload
from deepsynth_operator.core.errors import Refused
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.core.prices import parse_prices
from integration.control.crashing_cluster import Crash, CrashingCluster
from support.cluster.cluster_faults import (
    LaggingView,
    QueueingCluster,
    delete_pod,
    disrupt,
    set_suspended,
)
from support.control.controller import SETTINGS, Controller
from support.resources.builders import a_dataset_generation

PLAN_POD = "xsum-plan-1-0"
SHARDS = 6
PRICES = parse_prices("{currency: USD, entries: [{perHour: {cpu: 3.60}}]}", "prices")


class StrictCluster(QueueingCluster):
    """refused: names of Jobs that the API server refuses."""

    refused: frozenset[str] = frozenset()

    async def create(self, manifest: Manifest) -> None:
        if manifest["kind"] == "Job" and manifest["metadata"]["name"] in self.refused:
            raise Refused("exceeded quota: count/jobs.batch=1")
        await super().create(manifest)


@pytest.fixture
def control() -> Iterator[Controller]:
    controller = Controller(StrictCluster, nodes=("node-a", "node-b"))
    yield controller
    controller.close()


def apply(control: Controller, labels: dict[str, str] | None = None, **spec: Any) -> None:
    generation = a_dataset_generation().labelled(labels or {})
    control.apply(generation.with_spec(**{"parallelism": 3, **spec}).to_manifest())


def stage(control: Controller, shards: int, pod: str = PLAN_POD, staging: str = "draft") -> None:
    """What the plan step reports while it reads."""
    plan = PlanReport(revision="r1", staging=staging, staged_shards=shards)
    control.report(pod, Report(step="plan", time=control.clock.now(), plan=plan))
    control.advance(20)


def end_plan(control: Controller, pod: str = PLAN_POD, staging: str = "draft", shards: int = SHARDS) -> None:
    plan = PlanReport(
        revision="r1",
        digest="d1",
        staging=staging,
        splits=[PlannedSplit(name="train", rows=10 * shards)],
        shards=shards,
        dropped=[DroppedRows(reason="TextTooShort", rows=4)],
    )
    control.end(pod, 0, Report(step="plan", time=control.clock.now(), plan=plan))
    control.settle()


def render(control: Controller, number: int, *indexes: int, first: int = 0, **fields: Any) -> None:
    """End the pods of a render Job. first: the shard of index 0."""
    for index in indexes:
        shard = RenderReport(shard=first + index, documents_total=10, documents=10, pages=20, bytes=30, **fields)
        report = Report(step="render", time=control.clock.now(), render=shard)
        control.end(f"xsum-render-{number}-{index}", 0, report)
    control.settle()


def publish(control: Controller) -> None:
    report = PublishReport(uri="pvc://data/xsum", revision="v1", rows=60, pages=120, bytes=9, manifest_sha256="m")
    control.end("xsum-publish-1-0", 0, Report(step="publish", time=control.clock.now(), publish=report))
    control.settle()


def get_status(control: Controller) -> DatasetGenerationStatus:
    return control.get_generation().status


def get_ahead(control: Controller) -> ChildJob | None:
    ahead = get_status(control).ahead
    return ahead.job if ahead is not None else None


def list_ends(control: Controller) -> list[tuple[str, str | None]]:
    return [(job.name.removeprefix("xsum-"), job.outcome) for job in get_status(control).jobs]


def list_ranges(control: Controller) -> list[tuple[int, int | None]]:
    """First shard and number of shards of each render Job."""
    return [(job.first_shard, job.shards) for job in get_status(control).jobs if job.step == "render"]


def read_spec(control: Controller, job: str) -> tuple[int, int]:
    """Completions and parallelism."""
    manifest = control.cluster.store.get("Job", "default", job)
    assert manifest is not None
    return manifest["spec"]["completions"], manifest["spec"]["parallelism"]


def read_plan(control: Controller, job: str) -> PlanReference | None:
    document = control.cluster.store.get("ConfigMap", "default", job)
    assert document is not None
    return RenderWorkload.parse(document["data"]["workload.json"]).plan


def list_living_pods(control: Controller) -> list[str]:
    pods = control.cluster.store.select("Pod")
    return sorted(pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] in {"Pending", "Running"})


def get_verdict(control: Controller) -> tuple[str, str]:
    condition = find_condition(get_status(control).conditions, ConditionType.FAILED)
    assert condition is not None
    return condition.reason, condition.message


def complete(control: Controller) -> DatasetGenerationStatus:
    """Let everything that follows the plan succeed."""
    for _ in range(10):
        control.advance(10)
        status = get_status(control)
        if status.completion_time is not None:
            break
        job = status.jobs[-1]
        if job.step == "publish":
            publish(control)
        elif job.step == "render":
            shards = job.shards or SHARDS
            for index in range(shards):
                if any(pod.startswith(f"{job.name}-{index}-") for pod in list_living_pods(control)):
                    render(control, job.number, index, first=job.first_shard)
    return get_status(control)


# How it goes.


def test_shards_are_rendered_while_the_plan_reads_and_the_rest_after_it(control: Controller) -> None:
    apply(control)
    stage(control, 2)
    status = get_status(control)
    assert (status.state, list_ends(control)) == ("Planning", [("plan-1", None)])
    assert read_spec(control, "xsum-render-1") == (2, 2)
    expected = PlanReference(digest="", revision="r1", shards=2, staging="draft")
    assert read_plan(control, "xsum-render-1") == expected
    stage(control, 4)
    render(control, 1, 0, 1)
    assert list_ends(control) == [("render-1", "Succeeded"), ("plan-1", None)]
    assert read_plan(control, "xsum-render-2") == expected.updated(shards=4, first_shard=2)
    end_plan(control)
    status = get_status(control)
    assert (status.state, status.ahead) == ("Rendering", None)
    assert list_ends(control) == [("render-1", "Succeeded"), ("plan-1", "Succeeded"), ("render-2", None)]
    render(control, 2, 0, 1, first=2)
    assert list_ranges(control) == [(0, 2), (2, 2), (4, 2)]
    planned = PlanReference(digest="d1", revision="r1", shards=SHARDS, staging="draft", first_shard=4)
    assert read_plan(control, "xsum-render-3") == planned
    render(control, 3, 0, 1, first=4)
    assert get_status(control).state == "Publishing"
    assert read_plan(control, "xsum-publish-1") == planned.updated(first_shard=None)
    publish(control)
    assert get_status(control).state == "Complete"
    assert not control.list_living_jobs()


def test_publish_follows_the_plan_if_all_shards_are_rendered_by_then(control: Controller) -> None:
    apply(control)
    stage(control, SHARDS)
    for _ in range(3):
        for pod in [pod for pod in list_living_pods(control) if "render" in pod]:
            render(control, 1, int(pod.split("-")[3]))
    end_plan(control)
    assert (get_status(control).state, list_ranges(control)) == ("Publishing", [(0, SHARDS)])
    assert complete(control).state == "Complete"


def test_a_generation_never_has_more_pods_than_its_parallelism(control: Controller) -> None:
    apply(control)
    stage(control, 5)
    assert len(list_living_pods(control)) == 3
    assert read_spec(control, "xsum-render-1") == (5, 2)
    end_plan(control)
    assert read_spec(control, "xsum-render-1") == (5, 3)
    assert len(list_living_pods(control)) == 3


def test_without_a_second_pod_nothing_is_rendered_ahead(control: Controller) -> None:
    apply(control, parallelism=1)
    stage(control, 2)
    assert control.list_jobs() == ["xsum-plan-1"]
    control.change_spec("DatasetGeneration", "xsum", parallelism=2)
    control.advance(20)
    assert len(list_living_pods(control)) == 2
    control.change_spec("DatasetGeneration", "xsum", parallelism=1)
    control.advance(90)
    assert list_living_pods(control) == [name for name in list_living_pods(control) if "plan" in name]
    end_plan(control)
    assert complete(control).state == "Complete"


def test_a_plan_that_stages_nothing_early_is_followed_by_one_render_job(control: Controller) -> None:
    apply(control)
    stage(control, 0)
    end_plan(control)
    assert list_ranges(control) == [(0, None)]
    assert complete(control).state == "Complete"


def test_progress_adds_up_all_render_jobs_and_never_falls(control: Controller) -> None:
    apply(control)
    stage(control, 2)
    dropped = [DroppedRows(reason="TooManyPages", rows=1)]
    render(control, 1, 0, dropped=dropped)
    control.advance(20)
    progress = get_status(control).progress
    assert progress is not None
    assert (progress.shards_done, progress.shards_total, progress.rows, progress.percentage) == (1, 2, 10, 0)
    assert progress.estimated_completion_time is None
    stage(control, 4)
    render(control, 1, 1)
    control.advance(20)
    end_plan(control)
    progress = get_status(control).progress
    assert progress is not None
    assert (progress.shards_done, progress.shards_total, progress.rows, progress.percentage) == (2, 6, 20, 35)
    assert [(item.reason, item.rows) for item in progress.dropped] == [("TextTooShort", 4), ("TooManyPages", 1)]
    render(control, 2, 0, 1, first=2)
    control.advance(20)
    progress = get_status(control).progress
    assert progress is not None
    assert (progress.shards_done, progress.rows, progress.pages, progress.bytes) == (4, 40, 80, 120)
    assert get_status(control).summary.shards == "4/6"


def test_what_is_rendered_ahead_is_said_in_the_condition_and_in_an_event(control: Controller) -> None:
    apply(control)
    stage(control, 2)
    control.advance(20)
    condition = find_condition(get_status(control).conditions, ConditionType.COMPLETE)
    assert condition is not None
    assert condition.message == "running pods: 1; renders shards 0-1 while the plan is made, running pods: 2"
    events = [event.message for event in control.cluster.events if event.reason == "StepStarted"]
    assert events == ["plan: Job xsum-plan-1", "render: Job xsum-render-1; renders shards 0-1 while the plan is made"]


def test_pods_of_both_jobs_are_paid_once(control: Controller) -> None:
    control.settings = replace(SETTINGS, prices=PRICES)
    apply(control, template={"resources": {"requests": {"cpu": 1}}})
    stage(control, 2)
    control.advance(100)
    render(control, 1, 0, 1)
    stage(control, 4)
    control.advance(100)
    end_plan(control)
    render(control, 2, 0, 1, first=2)
    complete(control)
    status = get_status(control)
    paid = sum(job.pod_seconds for job in status.jobs)
    assert status.usage.cpu_seconds == sum(job.cpu_seconds for job in status.jobs) == paid
    assert status.usage.cost == Cost(currency="USD", amount=f"{paid / 1000:g}", lost="0")
    seconds = {job.name: job.pod_seconds for job in status.jobs}
    assert seconds["xsum-render-1"] == 230
    assert all(seconds.values())


# What may happen to the Job that renders ahead.


def test_a_deleted_job_is_not_repeated_while_the_plan_reads(control: Controller) -> None:
    apply(control)
    stage(control, 2)
    render(control, 1, 0, 1)
    stage(control, 4)
    control.cluster.delete_object("Job", "default", "xsum-render-2")
    stage(control, 6)
    ahead = get_ahead(control)
    assert ahead is not None
    assert (ahead.outcome, ahead.reason) == ("Disrupted", "JobDeleted")
    assert control.list_living_jobs() == ["xsum-plan-1"]
    end_plan(control)
    control.settle()
    assert list_ends(control)[:3] == [("render-1", "Succeeded"), ("render-2", "Disrupted"), ("plan-1", "Succeeded")]
    assert list_ranges(control) == [(0, 2), (2, 2), (2, 4)]
    assert complete(control).state == "Complete"


def test_an_evicted_pod_is_replaced_by_its_job(control: Controller) -> None:
    apply(control)
    stage(control, 2)
    disrupt(control.cluster, "xsum-render-1-0")
    control.advance(120)
    assert sum("render-1-0" in pod for pod in list_living_pods(control)) == 1
    assert get_status(control).last_failure is None


def test_a_shard_that_fails_is_named_by_its_number_and_tried_once_more_after_the_plan(control: Controller) -> None:
    apply(control, backoffLimitPerIndex=0)
    stage(control, 2)
    render(control, 1, 0, 1)
    stage(control, 4)
    failure = Failure(reason="BadData", message="a damaged file", exit_code=65)
    control.end("xsum-render-2-1", 65, Report(step="render", time=control.clock.now(), failure=failure))
    render(control, 2, 0, first=2)
    status = get_status(control)
    assert (status.state, status.last_failure and status.last_failure.index) == ("Planning", 3)
    assert status.progress is not None
    assert status.progress.failed_indexes == "3"
    end_plan(control)
    assert list_ranges(control) == [(0, 2), (2, 2), (2, 4)]
    for index in range(4):
        if index == 1:
            control.end("xsum-render-3-1", 65, Report(step="render", time=control.clock.now(), failure=failure))
            control.settle()
        else:
            render(control, 3, index, first=2)
    assert get_status(control).state == "Failed"
    message = "shards 3 failed, nothing is published; last: BadData: a damaged file"
    assert get_verdict(control) == ("ShardsFailed", message)


def test_a_job_that_is_refused_does_not_fail_the_generation(control: Controller) -> None:
    apply(control)
    cluster: Any = control.cluster
    cluster.refused = frozenset({"xsum-render-1"})
    stage(control, 2)
    ahead = get_ahead(control)
    assert ahead is not None
    assert (ahead.outcome, ahead.reason) == ("Failed", "CreationRefused")
    stage(control, 4)
    end_plan(control)
    assert list_ranges(control) == [(0, 2), (0, None)]
    assert complete(control).state == "Complete"


# What may happen to the plan.


def test_a_plan_that_fails_stops_the_other_job(control: Controller) -> None:
    apply(control, backoffLimitPerIndex=0)
    stage(control, 2)
    control.end(PLAN_POD, 65)
    control.settle()
    control.advance(90)
    assert get_status(control).state == "Failed"
    assert get_status(control).ahead is None
    assert list_ends(control) == [("render-1", "Disrupted"), ("plan-1", "Failed")]
    assert get_status(control).jobs[0].reason == "PlanEnded"
    assert not control.list_living_jobs()
    assert not list_living_pods(control)


def test_after_a_plan_that_was_deleted_its_pods_go_first_and_what_is_rendered_counts(control: Controller) -> None:
    apply(control)
    stage(control, 2)
    render(control, 1, 0, 1)
    stage(control, 4)
    control.cluster.delete_object("Job", "default", "xsum-plan-1")
    control.settle()
    assert list_ends(control) == [("render-1", "Succeeded"), ("render-2", "Disrupted"), ("plan-1", "Disrupted")]
    control.advance(120)
    assert control.list_living_jobs() == ["xsum-plan-2"]
    stage(control, 3, "xsum-plan-2-0")
    assert control.list_living_jobs() == ["xsum-plan-2", "xsum-render-3"]
    render(control, 3, 0, first=2)
    end_plan(control, "xsum-plan-2-0")
    assert list_ranges(control) == [(0, 2), (2, 2), (2, 1), (3, 3)]
    assert complete(control).state == "Complete"


def test_a_pod_of_the_plan_that_starts_again_stages_on(control: Controller) -> None:
    apply(control)
    stage(control, 4)
    delete_pod(control.cluster, PLAN_POD)
    control.advance(120)
    stage(control, 1)
    assert control.list_living_jobs() == ["xsum-plan-1", "xsum-render-1"]
    status = get_status(control)
    assert status.ahead is not None
    assert status.ahead.staged_shards == 4


def test_a_source_that_changes_makes_what_was_rendered_void(control: Controller) -> None:
    apply(control)
    stage(control, 2)
    render(control, 1, 0, 1)
    stage(control, 4)
    stage(control, 1, staging="other")
    control.advance(120)
    assert [end for end in list_ends(control) if end[0] == "render-2"] == [("render-2", "Disrupted")]
    assert read_plan(control, "xsum-render-3") == PlanReference(digest="", revision="r1", shards=1, staging="other")
    render(control, 3, 0)
    end_plan(control, staging="other")
    assert list_ranges(control)[-1] == (1, 5)
    assert complete(control).state == "Complete"


def test_a_plan_of_another_source_than_was_rendered_begins_at_the_first_shard(control: Controller) -> None:
    apply(control)
    stage(control, 2)
    render(control, 1, 0)
    control.advance(20)
    end_plan(control, staging="other")
    control.advance(120)
    progress = get_status(control).progress
    assert progress is not None
    assert (progress.rows, progress.shards_done, progress.shards_total) == (0, 0, SHARDS)
    assert list_ends(control)[0] == ("render-1", "Disrupted")
    assert list_ranges(control)[-1] == (0, None)
    assert complete(control).state == "Complete"


def test_a_plan_whose_report_is_lost_is_made_again(control: Controller) -> None:
    apply(control)
    stage(control, 2)
    control.end(PLAN_POD, 0)
    control.settle()
    control.advance(120)
    assert list_ends(control)[:2] == [("render-1", "Disrupted"), ("plan-1", "Disrupted")]
    end_plan(control, "xsum-plan-2-0")
    assert complete(control).state == "Complete"


def test_a_plan_that_is_disrupted_again_and_again_ends_although_it_renders_ahead(control: Controller) -> None:
    apply(control)
    for number in range(1, 11):
        stage(control, 1, f"xsum-plan-{number}-0")
        control.cluster.delete_object("Job", "default", f"xsum-plan-{number}")
        control.advance(1300, step=100)
    assert get_verdict(control)[0] == "NoProgress"


# What a user, a queue and a deadline do.


def test_suspending_stops_both_jobs_and_resuming_plans_again(control: Controller) -> None:
    apply(control)
    stage(control, 2)
    control.change_spec("DatasetGeneration", "xsum", suspend=True)
    control.advance(90)
    assert list_ends(control) == [("render-1", "Suspended"), ("plan-1", "Suspended")]
    assert (get_status(control).ahead, control.list_living_jobs(), list_living_pods(control)) == (None, [], [])
    control.change_spec("DatasetGeneration", "xsum", suspend=False)
    stage(control, 2, "xsum-plan-2-0")
    assert control.list_living_jobs() == ["xsum-plan-2", "xsum-render-2"]
    end_plan(control, "xsum-plan-2-0")
    assert complete(control).state == "Complete"


def test_the_deadline_stops_both_jobs(control: Controller) -> None:
    apply(control, activeDeadlineSeconds=300)
    stage(control, 2)
    control.advance(400)
    assert get_status(control).state == "Failed"
    assert get_verdict(control)[0] == "DeadlineExceeded"
    assert not control.list_living_jobs()


def test_deadlines_of_both_jobs_follow_the_spec(control: Controller) -> None:
    apply(control, activeDeadlineSeconds=3000)
    stage(control, 2)
    control.change_spec("DatasetGeneration", "xsum", activeDeadlineSeconds=None)
    for name in ("xsum-plan-1", "xsum-render-1"):
        job = control.cluster.store.get("Job", "default", name)
        assert job is not None
        assert job["spec"].get("activeDeadlineSeconds") is None


def test_in_a_queue_both_jobs_share_the_quota_and_go_with_it(control: Controller) -> None:
    apply(control, {QUEUE_NAME: "team"})
    set_suspended(control.cluster, "xsum-queue", suspended=False)
    control.advance(10)
    stage(control, 5)
    assert read_spec(control, "xsum-render-1") == (5, 2)
    job = control.cluster.store.get("Job", "default", "xsum-render-1")
    assert job is not None
    assert job["metadata"]["ownerReferences"][0]["name"] == "xsum-queue"
    queue_job = control.cluster.store.get("Job", "default", "xsum-queue")
    assert queue_job is not None
    assert (queue_job["status"]["active"], queue_job["status"].get("succeeded", 0)) == (3, 0)
    set_suspended(control.cluster, "xsum-queue", suspended=True)
    control.advance(120)
    assert list_ends(control) == [("render-1", "Suspended"), ("plan-1", "Suspended")]
    assert list_living_pods(control) == []
    set_suspended(control.cluster, "xsum-queue", suspended=False)
    control.advance(10)
    stage(control, 5, "xsum-plan-2-0")
    end_plan(control, "xsum-plan-2-0")
    assert read_spec(control, "xsum-render-2") == (5, 3)
    assert complete(control).state == "Complete"


# A controller that dies, and one that knows nothing of this.


@pytest.mark.parametrize("crash", range(8))
@pytest.mark.parametrize("when", ["start", "next", "plan ends"])
def test_a_controller_that_dies_anywhere_goes_on_where_it_was(when: str, crash: int) -> None:
    control = Controller(CrashingCluster, view=LaggingView)
    try:
        apply(control)
        stage(control, 2) if when != "start" else None
        _change(control, when)
        cluster: Any = control.cluster
        control.clock.advance(timedelta(seconds=15).total_seconds())
        cluster.crash_before = crash
        with contextlib.suppress(Crash):
            control.reconcile("DatasetGeneration", "xsum")
        cluster.crash_before = None
        control.settle()
        if when == "plan ends":
            assert list_ends(control)[-1] == ("render-1", None)
        else:
            name = "xsum-render-1" if when == "start" else "xsum-render-2"
            assert control.list_living_jobs() == ["xsum-plan-1", name]
            end_plan(control)
        assert complete(control).state == "Complete"
        names = [job["metadata"]["name"] for job in control.cluster.store.select("Job")]
        assert len(names) == len(set(names))
    finally:
        control.close()


def _change(control: Controller, when: str) -> None:
    """What the controller then finds, without a look of it."""
    report = PlanReport(revision="r1", staging="draft", staged_shards=4)
    if when == "plan ends":
        plan = report.updated(digest="d1", shards=SHARDS, splits=[PlannedSplit(name="train", rows=10 * SHARDS)])
        control.end(PLAN_POD, 0, Report(step="plan", time=control.clock.now(), plan=plan))
        return
    control.report(PLAN_POD, Report(step="plan", time=control.clock.now(), plan=report))
    for index in range(2 if when == "next" else 0):
        shard = RenderReport(shard=index, documents_total=10, documents=10, pages=20)
        control.end(f"xsum-render-1-{index}", 0, Report(step="render", time=control.clock.now(), render=shard))


def test_a_generation_of_an_earlier_version_goes_on_in_the_middle_of_rendering(control: Controller) -> None:
    """Its entries have no shards and its plan has no folder of its own."""
    apply(control)
    end_plan(control, staging="")
    render(control, 1, 0, 1, 2)
    control.cluster.delete_object("Job", "default", "xsum-render-1")
    control.advance(30)
    assert list_ranges(control) == [(0, None), (0, None)]
    assert read_plan(control, "xsum-render-2") == PlanReference(digest="d1", revision="r1", shards=SHARDS)
    assert complete(control).state == "Complete"
