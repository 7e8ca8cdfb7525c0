"""A DatasetGeneration in a queue: its steps have one place there, from plan to publish."""

from collections.abc import Iterator
from typing import Any

import pytest

from deepsynth_api.labels import QUEUE_NAME, QUEUE_PRIORITY_CLASS
from deepsynth_api.report import PlanReport, PublishReport, RenderReport, Report
from deepsynth_api.v1alpha1.dataset_generation_status import DatasetGenerationStatus, PlannedSplit
from deepsynth_operator.core.observed import Manifest
from deepsynth_simulator.memory_cluster import MemoryCluster
from deepsynth_simulator.object_store import ObjectKey
from support.cluster.cluster_faults import QueueingCluster, set_suspended
from support.control.controller import Controller
from support.resources.builders import a_dataset_generation

QUEUE_JOB = "xsum-queue"
SHARDS = 3
PLACE = {"nodeSelector": {"pool": "spot"}, "tolerations": [{"key": "spot", "operator": "Exists"}]}


@pytest.fixture
def control() -> Iterator[Controller]:
    controller = Controller(QueueingCluster)
    yield controller
    controller.close()


def apply(control: Controller, **spec: Any) -> None:
    generation = a_dataset_generation().labelled({QUEUE_NAME: "team"})
    control.apply(generation.with_spec(**{"parallelism": 2, **spec}).to_manifest())


def admit(control: Controller) -> None:
    set_suspended(control.cluster, QUEUE_JOB, suspended=False)
    control.advance(10)


def evict(control: Controller) -> None:
    set_suspended(control.cluster, QUEUE_JOB, suspended=True)
    control.advance(10)


def get_job(control: Controller, name: str) -> Manifest:
    job = control.cluster.store.get("Job", "default", name)
    assert job is not None
    return job


def get_status(control: Controller) -> DatasetGenerationStatus:
    return control.get_generation().status


def read_counts(control: Controller) -> tuple[int, ...]:
    status = get_job(control, QUEUE_JOB).get("status", {})
    return tuple(status.get(name, 0) for name in ("active", "ready", "succeeded"))


def end_plan(control: Controller, shards: int = SHARDS) -> None:
    splits = [PlannedSplit(name="train", rows=10 * shards)]
    plan = PlanReport(revision="r1", digest="d1", splits=splits, shards=shards, rows_read=40)
    control.end("xsum-plan-1-0", 0, Report(step="plan", time=control.clock.now(), plan=plan))
    control.settle()


def end_shards(control: Controller, *indexes: int, number: int = 1) -> None:
    for index in indexes:
        render = RenderReport(shard=index, documents_total=10, documents=10, pages=20)
        report = Report(step="render", time=control.clock.now(), render=render)
        control.end(f"xsum-render-{number}-{index}", 0, report)
    control.settle()


def end_publish(control: Controller) -> None:
    publish = PublishReport(uri="pvc://data/xsum", revision="v1", rows=30, pages=60, bytes=9, manifest_sha256="m")
    control.end("xsum-publish-1-0", 0, Report(step="publish", time=control.clock.now(), publish=publish))
    control.settle()


def test_plan_render_and_publish_are_admitted_once(control: Controller) -> None:
    apply(control)
    assert control.list_jobs() == [QUEUE_JOB]
    queue_job = get_job(control, QUEUE_JOB)
    assert queue_job["metadata"]["labels"][QUEUE_NAME] == "team"
    assert queue_job["spec"]["parallelism"] == 2
    assert get_status(control).state == "Queued"
    admit(control)
    end_plan(control)
    end_shards(control, *range(SHARDS))
    end_publish(control)
    status = get_status(control)
    assert status.state == "Complete"
    assert [(job.name, job.outcome) for job in status.jobs] == [
        (f"xsum-{step}-1", "Succeeded") for step in ("plan", "render", "publish")
    ]
    assert control.list_jobs() == ["xsum-plan-1", "xsum-publish-1", "xsum-render-1"], "its quota is free"


def test_a_step_is_not_in_the_queue_itself_and_runs_where_the_queue_job_may(control: Controller) -> None:
    apply(control)

    def place(item: dict[str, Any]) -> None:
        template = item["spec"]["template"]
        template["spec"].update(PLACE)
        template["metadata"]["labels"] |= {"flavor": "spot", "controller-uid": "of-the-queue-job"}
        template["metadata"]["annotations"] |= {"kueue.x-k8s.io/workload": "job-xsum-queue"}

    control.cluster.store.update(ObjectKey("Job", "default", QUEUE_JOB), place)
    admit(control)
    step = get_job(control, "xsum-plan-1")
    assert QUEUE_NAME not in step["metadata"]["labels"]
    owner = step["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("Job", QUEUE_JOB, True)
    assert [other["controller"] for other in step["metadata"]["ownerReferences"][1:]] == [False]
    template = step["spec"]["template"]
    assert template["spec"].items() >= PLACE.items()
    assert template["metadata"]["labels"]["flavor"] == "spot"
    assert template["metadata"]["labels"]["deepsynth.io/step"] == "plan"
    assert template["metadata"]["annotations"]["kueue.x-k8s.io/workload"] == "job-xsum-queue"
    assert "controller-uid" not in template["metadata"]["labels"]


def test_an_evicted_generation_waits_and_continues_with_another_job_of_its_step(control: Controller) -> None:
    apply(control)
    admit(control)
    end_plan(control)
    end_shards(control, 0)
    evict(control)
    status = get_status(control)
    assert (status.state, status.summary.reason, status.summary.rate) == ("Queued", "RequeuedByQueue", "")
    assert (status.jobs[-1].outcome, status.jobs[-1].reason) == ("Suspended", "RequeuedByQueue")
    assert control.list_living_jobs() == [QUEUE_JOB]
    uid = get_job(control, QUEUE_JOB)["metadata"]["uid"]
    admit(control)
    assert get_job(control, QUEUE_JOB)["metadata"]["uid"] == uid, "it has kept its place"
    end_shards(control, *range(SHARDS), number=2)
    assert get_status(control).state == "Publishing"
    assert get_status(control).progress is not None


def test_the_queue_learns_how_many_pods_there_are(control: Controller) -> None:
    """Kueue gives the quota of an evicted Job away once none is active, and that of pods which have succeeded."""
    apply(control)
    assert read_counts(control) == (0, 0, 0)
    admit(control)
    assert read_counts(control) == (2, 2, 0)
    control.runner.obeys = None
    evict(control)
    assert read_counts(control) == (2, 0, 0), "its pod is still there"
    control.end("xsum-plan-1-0", 143)
    control.advance(10)
    assert read_counts(control) == (0, 0, 0)


def test_publish_holds_the_quota_of_its_one_pod(control: Controller) -> None:
    apply(control)
    admit(control)
    end_plan(control)
    assert read_counts(control) == (2, 2, 0)
    end_shards(control, *range(SHARDS))
    assert read_counts(control) == (1, 1, 1)


def test_fewer_shards_than_pods_hold_less_quota(control: Controller) -> None:
    apply(control, parallelism=4)
    admit(control)
    end_plan(control, shards=1)
    assert read_counts(control) == (1, 1, 3)
    assert get_job(control, "xsum-render-1")["spec"]["parallelism"] == 1


def test_another_parallelism_changes_what_waits_and_never_exceeds_what_was_admitted(control: Controller) -> None:
    apply(control)
    control.change_spec("DatasetGeneration", "xsum", parallelism=3)
    assert get_job(control, QUEUE_JOB)["spec"]["parallelism"] == 3
    admit(control)
    end_plan(control)
    for wanted, allowed in ((1, 1), (3, 3), (9, 3)):
        control.change_spec("DatasetGeneration", "xsum", parallelism=wanted)
        assert get_job(control, "xsum-render-1")["spec"]["parallelism"] == allowed
    assert get_job(control, QUEUE_JOB)["spec"]["parallelism"] == 3


def test_a_waiting_generation_moves_to_another_queue_and_priority(control: Controller) -> None:
    apply(control)
    labels = {QUEUE_NAME: "other", QUEUE_PRIORITY_CLASS: "high"}
    control.apply(a_dataset_generation().labelled(labels).with_spec(parallelism=2).to_manifest())
    assert get_job(control, QUEUE_JOB)["metadata"]["labels"].items() >= labels.items()


def test_a_suspended_generation_gives_its_place_back(control: Controller) -> None:
    apply(control)
    admit(control)
    control.change_spec("DatasetGeneration", "xsum", suspend=True)
    control.advance(120)
    assert control.list_living_jobs() == []
    control.change_spec("DatasetGeneration", "xsum", suspend=False)
    assert control.list_living_jobs() == [QUEUE_JOB]
    assert get_status(control).state == "Queued"


def test_a_deleted_queue_job_stops_the_step_until_another_one_is_admitted(control: Controller) -> None:
    apply(control)
    admit(control)
    control.cluster.delete_object("Job", "default", QUEUE_JOB)
    control.advance(60)
    status = get_status(control)
    assert (status.jobs[-1].outcome, status.jobs[-1].reason) == ("Disrupted", "JobDeleted")
    assert control.list_living_jobs() == [QUEUE_JOB]
    admit(control)
    assert control.list_living_jobs() == [QUEUE_JOB, "xsum-plan-2"]


def test_without_a_queue_the_label_alone_holds_nothing() -> None:
    control = Controller(MemoryCluster)
    apply(control)
    control.advance(10)
    end_plan(control)
    end_shards(control, *range(SHARDS))
    end_publish(control)
    assert get_status(control).state == "Complete"
    control.close()


def test_a_generation_whose_steps_are_in_the_queue_themselves_ends_that_step_so(control: Controller) -> None:
    """As an earlier version made it, or Kueue by its LocalQueue `default`."""
    control.apply(a_dataset_generation().to_manifest())
    key = ObjectKey("Job", "default", "xsum-plan-1")
    control.cluster.store.update(key, lambda item: item["metadata"]["labels"].update({QUEUE_NAME: "default"}))
    set_suspended(control.cluster, "xsum-plan-1", suspended=True)
    control.settle()
    assert get_status(control).state == "Queued"
    apply(control)
    set_suspended(control.cluster, "xsum-plan-1", suspended=False)
    control.settle()
    end_plan(control)
    assert control.list_living_jobs() == [QUEUE_JOB]
    admit(control)
    assert get_status(control).state == "Rendering"
