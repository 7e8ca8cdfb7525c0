"""The in-memory Cluster keeps objects as an API server does and answers as the Cluster Protocol says."""

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from deepsynth_api.labels import OWNER_UID, owner_selector
from deepsynth_api.report import Report
from deepsynth_operator.core.errors import Conflict, ForeignChild
from deepsynth_operator.core.observed import ObservedPod
from deepsynth_simulator.memory_cluster import MemoryCluster
from deepsynth_simulator.object_store import AlreadyExists
from deepsynth_simulator.pod_runner import ContainerExit
from support.builders import a_dataset_generation, a_training_run
from support.cluster_faults import (
    LaggingView,
    QueueingCluster,
    delete_pod,
    find_pod,
    find_pods,
    lose_node,
    resume_scheduling,
    set_suspended,
    stop_scheduling,
)
from support.manual_clock import ManualClock
from support.scripted_runner import ScriptedRunner
from unit.deepsynth_simulator.job_manifests import Fixture, a_training_job

if TYPE_CHECKING:
    from deepsynth_operator.core.cluster import Cluster


@pytest.fixture
def fixture() -> Fixture:
    return Fixture()


def own(manifest: dict[str, Any], uid: str) -> dict[str, Any]:
    """Make `manifest` a child of the resource with this uid."""
    metadata = {
        **manifest["metadata"],
        "labels": owner_selector(uid),
        "ownerReferences": [{"kind": "TrainingRun", "name": "read-xsum", "uid": uid}],
    }
    template = {**manifest["spec"]["template"], "metadata": {"labels": owner_selector(uid)}}
    return {**manifest, "metadata": metadata, "spec": {**manifest["spec"], "template": template}}


def a_config_map(name: str = "job", uid: str = "owner") -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "labels": owner_selector(uid)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"workload.json": "{}"}}


def test_it_is_a_cluster() -> None:
    cluster: Cluster = MemoryCluster(ScriptedRunner(), ManualClock())
    assert asyncio.run(cluster.get("TrainingRun", "default", "none")) is None


def test_a_resource_keeps_uid_and_status_when_it_is_applied_again(fixture: Fixture) -> None:
    cluster = fixture.cluster
    first = cluster.apply_resource(a_training_run().to_manifest())
    assert (first.metadata.generation, first.status.observed_generation) == (1, -1)
    written = asyncio.run(cluster.write_status(first, first.status.model_copy(update={"state": "Running"})))
    assert written.metadata.generation == 1
    again = cluster.apply_resource(a_training_run().with_spec(suspend=True).to_manifest())
    assert (again.metadata.uid, again.metadata.generation, again.status.state) == (first.metadata.uid, 2, "Running")


def test_an_apply_that_changes_nothing_is_no_event(fixture: Fixture) -> None:
    first = fixture.cluster.apply_resource(a_training_run().to_manifest())
    again = fixture.cluster.apply_resource(a_training_run().to_manifest())
    assert again.metadata.resource_version == first.metadata.resource_version


def test_a_status_computed_from_an_old_version_is_refused(fixture: Fixture) -> None:
    cluster = fixture.cluster
    old = cluster.apply_resource(a_training_run().to_manifest())
    new = asyncio.run(cluster.write_status(old, old.status.model_copy(update={"state": "Running"})))
    with pytest.raises(Conflict):
        asyncio.run(cluster.write_status(old, old.status))
    assert asyncio.run(cluster.write_status(new, new.status)) == new
    cluster.delete_object("TrainingRun", "default", "read-xsum")
    with pytest.raises(Conflict):
        asyncio.run(cluster.write_status(new, new.status))


def test_a_restored_resource_is_as_it_was(fixture: Fixture) -> None:
    manifest = a_dataset_generation().with_status(state="Rendering").to_manifest()
    restored = fixture.cluster.restore_resource(manifest)
    assert (restored.metadata.uid, restored.status.state) == (manifest["metadata"]["uid"], "Rendering")
    with pytest.raises(AlreadyExists):
        fixture.cluster.restore_resource(manifest)


def test_creating_a_child_twice_is_harmless_and_a_strangers_child_is_not(fixture: Fixture) -> None:
    asyncio.run(fixture.cluster.create(a_config_map()))
    asyncio.run(fixture.cluster.create({**a_config_map(), "data": {"workload.json": "other"}}))
    found = fixture.cluster.store.get("ConfigMap", "default", "job")
    assert found is not None
    assert found["data"] == {"workload.json": "{}"}
    with pytest.raises(ForeignChild):
        asyncio.run(fixture.cluster.create(a_config_map(uid="stranger")))


def test_an_applied_service_is_created_and_then_changed(fixture: Fixture) -> None:
    service = {"kind": "Service", "metadata": a_config_map()["metadata"], "spec": {"a": 1}}
    asyncio.run(fixture.cluster.apply(service))
    asyncio.run(fixture.cluster.apply({**service, "spec": {"a": 2}}))
    found = fixture.cluster.store.get("Service", "default", "job")
    assert found is not None
    assert (found["spec"], found["metadata"]["generation"]) == ({"a": 2}, 2)
    with pytest.raises(ForeignChild):
        asyncio.run(fixture.cluster.apply({**service, "metadata": a_config_map(uid="stranger")["metadata"]}))


def test_what_goes_with_a_job_is_deleted_unless_it_is_a_strangers(fixture: Fixture) -> None:
    asyncio.run(fixture.cluster.create(a_config_map()))
    own = a_config_map()["metadata"]["labels"][OWNER_UID]
    asyncio.run(fixture.cluster.delete_companion("ConfigMap", "default", "job", "stranger"))
    assert fixture.cluster.store.get("ConfigMap", "default", "job") is not None
    asyncio.run(fixture.cluster.delete_companion("ConfigMap", "default", "job", own))
    assert fixture.cluster.store.get("ConfigMap", "default", "job") is None


def test_deleting_a_job_takes_its_pods_along_and_is_refused_for_another_uid(fixture: Fixture) -> None:
    fixture.create(a_training_job(2))
    cluster, uid = fixture.cluster, fixture.get_job()["metadata"]["uid"]
    with pytest.raises(Conflict):
        asyncio.run(cluster.delete_job("default", "job", uid="another"))
    asyncio.run(cluster.delete_job("default", "job", uid=uid))
    assert fixture.get_job() is None
    assert [pod["metadata"]["deletionGracePeriodSeconds"] for pod in find_pods(cluster)] == [30, 30]
    assert fixture.runner.find("job-0").grace_seconds == 30
    fixture.runner.end("job-0", 143)
    fixture.runner.end("job-1", 143)
    assert find_pods(cluster) == []
    asyncio.run(cluster.delete_job("default", "job", uid=uid))


def test_deleting_a_resource_takes_everything_along(fixture: Fixture) -> None:
    cluster = fixture.cluster
    uid = cluster.apply_resource(a_training_run().to_manifest()).metadata.uid
    asyncio.run(cluster.create(own(a_training_job(1), uid)))
    fixture.runner.obeys = ContainerExit(143)
    cluster.delete_object("TrainingRun", "default", "read-xsum")
    assert (fixture.get_job(), find_pods(cluster)) == (None, [])


def test_a_child_of_an_owner_that_is_gone_is_collected(fixture: Fixture) -> None:
    asyncio.run(fixture.cluster.create(own(a_training_job(1), "gone")))
    assert fixture.get_job() is None


def test_parallelism_is_patched_only_on_the_job_that_was_meant(fixture: Fixture) -> None:
    fixture.create(a_training_job(1))
    uid = fixture.get_job()["metadata"]["uid"]
    asyncio.run(fixture.cluster.patch_job("default", "job", uid=uid, parallelism=0))
    assert fixture.get_job()["spec"]["parallelism"] == 0
    with pytest.raises(Conflict):
        asyncio.run(fixture.cluster.patch_job("default", "job", uid="another", parallelism=2))
    asyncio.run(fixture.cluster.patch_job("default", "none", uid=uid, parallelism=2))


def test_a_pod_knows_its_index_its_node_and_its_document() -> None:
    fixture = Fixture(nodes=("left", "right"))
    asyncio.run(fixture.cluster.create(a_config_map("document")))
    job = a_training_job(2)
    container = {"name": "main", "env": [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}]}
    volumes = [{"name": "document", "configMap": {"name": "document"}}]
    job["spec"]["template"]["spec"] = {"containers": [container], "volumes": volumes}
    fixture.create(job)
    pod = fixture.runner.find("job-1")
    assert pod.get_env() == {"NODE": "right", "JOB_COMPLETION_INDEX": "1"}
    assert pod.config_maps == {"document": {"workload.json": "{}"}}
    assert pod.pod["spec"]["hostname"] == "job-1"


def test_a_pod_waits_for_a_configmap_that_comes_later(fixture: Fixture) -> None:
    job = a_training_job(1)
    job["spec"]["template"]["spec"]["volumes"] = [{"name": "document", "configMap": {"name": "document"}}]
    fixture.create(job)
    waiting = ObservedPod.parse(find_pod(fixture.cluster, "job-0"))
    assert (waiting.phase, waiting.waiting_reason) == ("Pending", "CreateContainerConfigError")
    assert waiting.waiting_message == 'configmap "document" not found'
    asyncio.run(fixture.cluster.create(a_config_map("document")))
    assert ObservedPod.parse(find_pod(fixture.cluster, "job-0")).phase == "Running"


def test_a_runner_may_say_that_a_container_cannot_start() -> None:
    fixture = Fixture(ScriptedRunner(starts=False))
    fixture.create(a_training_job(1))
    fixture.runner.find("job-0").listener.waiting("ImagePullBackOff", "no such image")
    pod = ObservedPod.parse(find_pod(fixture.cluster, "job-0"))
    assert (pod.phase, pod.waiting_reason, pod.waiting_message) == ("Pending", "ImagePullBackOff", "no such image")


def test_pods_that_cannot_be_scheduled_say_why_and_start_later(fixture: Fixture) -> None:
    stop_scheduling(fixture.cluster, "0/2 nodes are available: 2 Insufficient nvidia.com/gpu")
    fixture.create(a_training_job(1))
    pod = ObservedPod.parse(find_pod(fixture.cluster, "job-0"))
    assert pod.unschedulable == "0/2 nodes are available: 2 Insufficient nvidia.com/gpu"
    resume_scheduling(fixture.cluster)
    assert ObservedPod.parse(find_pod(fixture.cluster, "job-0")).phase == "Running"


def test_a_pod_that_cannot_be_scheduled_can_be_deleted(fixture: Fixture) -> None:
    stop_scheduling(fixture.cluster)
    fixture.create(a_training_job(1))
    delete_pod(fixture.cluster, "job-0")
    assert find_pods(fixture.cluster) == []


def test_of_a_long_termination_message_the_tail_is_kept(fixture: Fixture) -> None:
    fixture.create(a_training_job(1))
    fixture.runner.end("job-0", 1, message="a" * 6000 + "b" * 4000)
    message = ObservedPod.parse(fixture.get_pod(0)).message
    assert (len(message), message[:96], message[96:]) == (4096, "a" * 96, "b" * 4000)


def test_what_a_runner_says_after_the_end_is_ignored(fixture: Fixture) -> None:
    fixture.create(a_training_job(1))
    listener = fixture.runner.find("job-0").listener
    fixture.runner.end("job-0", 0)
    listener.started()
    listener.ended(ContainerExit(1))
    assert fixture.get_end() == ("Complete", "CompletionsReached")


def test_the_exit_code_of_a_deleted_pod_is_known_for_ten_minutes(fixture: Fixture) -> None:
    uid = fixture.cluster.apply_resource(a_training_run().to_manifest()).metadata.uid
    asyncio.run(fixture.cluster.create(own(a_training_job(1), uid)))
    delete_pod(fixture.cluster, "job-0")
    fixture.runner.end("job-0", 143)
    fixture.clock.advance(600)
    (pod,) = asyncio.run(fixture.cluster.list_deleted_pods("default", uid))
    assert ObservedPod.parse(pod, gone=True).exit_code == 143
    fixture.clock.advance(1)
    assert asyncio.run(fixture.cluster.list_deleted_pods("default", uid)) == []


def test_reports_come_from_running_pods_on_nodes_that_answer(fixture: Fixture) -> None:
    fixture.create(a_training_job(1))
    report = Report.model_validate({"step": "train", "time": "2026-01-02T03:04:05Z"})
    fixture.runner.find("job-0").report = report
    pod = find_pod(fixture.cluster, "job-0")
    assert asyncio.run(fixture.cluster.read_reports([pod])) == {pod["metadata"]["uid"]: report}
    assert asyncio.run(fixture.cluster.is_node_ready("localhost")) is True
    lose_node(fixture.cluster, "localhost")
    assert asyncio.run(fixture.cluster.read_reports([pod])) == {}
    assert asyncio.run(fixture.cluster.is_node_ready("localhost")) is False
    assert asyncio.run(fixture.cluster.is_node_ready("unknown")) is False


def test_events_are_kept_with_their_time(fixture: Fixture) -> None:
    run = a_training_run().build()
    asyncio.run(fixture.cluster.emit_event(run, "Warning", "AttemptFailed", "rank 3 ran out of memory"))
    (event,) = fixture.cluster.events
    assert (event.resource, event.kind, event.time) == (
        ("TrainingRun", "default", "read-xsum"),
        "Warning",
        fixture.clock.now(),
    )


def test_close_ends_every_pod(fixture: Fixture) -> None:
    fixture.create(a_training_job(2))
    asyncio.run(fixture.cluster.close())
    assert fixture.runner.get_living() == []


def test_kueue_suspends_a_queued_job_and_admits_it() -> None:
    clock, runner = ManualClock(), ScriptedRunner()
    cluster = QueueingCluster(runner, clock)
    job = a_training_job(1)
    job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = "research"
    asyncio.run(cluster.create(job))
    assert runner.get_living() == []
    set_suspended(cluster, "job", False)
    assert len(runner.get_living()) == 1


def a_lagging_cluster() -> tuple[MemoryCluster, LaggingView, list[tuple[str, str]]]:
    cluster = MemoryCluster(ScriptedRunner(), ManualClock(), view=LaggingView)
    assert isinstance(cluster.view, LaggingView)
    seen: list[tuple[str, str]] = []
    cluster.view.subscribe(lambda event: seen.append((event.type, event.manifest["kind"])))
    return cluster, cluster.view, seen


def test_a_lagging_view_hides_what_a_direct_read_shows() -> None:
    cluster, view, seen = a_lagging_cluster()
    view.lags = True
    cluster.apply_resource(a_training_run().to_manifest())
    assert asyncio.run(cluster.get("TrainingRun", "default", "read-xsum")) is None
    assert asyncio.run(cluster.read("TrainingRun", "default", "read-xsum")) is not None
    view.repeat_next()
    assert asyncio.run(cluster.get("TrainingRun", "default", "read-xsum")) is not None
    assert seen == [("ADDED", "TrainingRun"), ("ADDED", "TrainingRun")]


def test_after_a_lost_event_only_a_relist_shows_the_truth() -> None:
    cluster, view, seen = a_lagging_cluster()
    cluster.apply_resource(a_training_run().to_manifest())
    view.lags = True
    cluster.delete_object("TrainingRun", "default", "read-xsum")
    view.lose_next()
    assert asyncio.run(cluster.get("TrainingRun", "default", "read-xsum")) is not None
    view.catch_up()
    assert asyncio.run(cluster.get("TrainingRun", "default", "read-xsum")) is None
    assert seen[-1] == ("DELETED", "TrainingRun")
