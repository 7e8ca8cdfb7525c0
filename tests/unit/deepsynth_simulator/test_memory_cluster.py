"""The cluster keeps resources as an API server does, and answers as the Cluster protocol says."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from deepsynth_api.labels import OWNER_UID
from deepsynth_api.report import Report
from deepsynth_operator.core.errors import Conflict, ForeignChild
from deepsynth_simulator.memory_cluster import MemoryCluster
from deepsynth_simulator.object_store import AlreadyExists
from support.clocks.manual_clock import ManualClock
from support.cluster.cluster_faults import (
    QueueingCluster,
    find_pod,
    lose_node,
    set_suspended,
)
from support.cluster.scripted_runner import ScriptedRunner
from support.resources.builders import a_dataset_generation, a_training_run
from unit.deepsynth_simulator.job_manifests import Fixture, a_config_map, a_training_job

if TYPE_CHECKING:
    from deepsynth_operator.core.cluster import Cluster


@pytest.fixture
def fixture() -> Fixture:
    return Fixture()


def test_it_implements_the_cluster_protocol() -> None:
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


def test_an_apply_that_changes_nothing_gives_no_event(fixture: Fixture) -> None:
    first = fixture.cluster.apply_resource(a_training_run().to_manifest())
    again = fixture.cluster.apply_resource(a_training_run().to_manifest())
    assert again.metadata.resource_version == first.metadata.resource_version


def test_a_status_computed_from_an_old_version_is_a_conflict(fixture: Fixture) -> None:
    cluster = fixture.cluster
    old = cluster.apply_resource(a_training_run().to_manifest())
    new = asyncio.run(cluster.write_status(old, old.status.model_copy(update={"state": "Running"})))
    with pytest.raises(Conflict):
        asyncio.run(cluster.write_status(old, old.status))
    assert asyncio.run(cluster.write_status(new, new.status)) == new
    cluster.delete_object("TrainingRun", "default", "read-xsum")
    with pytest.raises(Conflict):
        asyncio.run(cluster.write_status(new, new.status))


def test_a_restored_resource_keeps_uid_and_status(fixture: Fixture) -> None:
    manifest = a_dataset_generation().with_status(state="Rendering").to_manifest()
    restored = fixture.cluster.restore_resource(manifest)
    assert (restored.metadata.uid, restored.status.state) == (manifest["metadata"]["uid"], "Rendering")
    with pytest.raises(AlreadyExists):
        fixture.cluster.restore_resource(manifest)


def test_creating_a_child_twice_changes_nothing_but_a_child_of_another_owner_is_refused(fixture: Fixture) -> None:
    asyncio.run(fixture.cluster.create(a_config_map()))
    asyncio.run(fixture.cluster.create({**a_config_map(), "data": {"workload.json": "other"}}))
    found = fixture.cluster.store.get("ConfigMap", "default", "job")
    assert found is not None
    assert found["data"] == {"workload.json": "{}"}
    with pytest.raises(ForeignChild):
        asyncio.run(fixture.cluster.create(a_config_map(uid="other-owner")))


def test_an_applied_service_is_created_and_then_changed(fixture: Fixture) -> None:
    service = {"kind": "Service", "metadata": a_config_map()["metadata"], "spec": {"a": 1}}
    asyncio.run(fixture.cluster.apply(service))
    asyncio.run(fixture.cluster.apply({**service, "spec": {"a": 2}}))
    found = fixture.cluster.store.get("Service", "default", "job")
    assert found is not None
    assert (found["spec"], found["metadata"]["generation"]) == ({"a": 2}, 2)
    with pytest.raises(ForeignChild):
        asyncio.run(fixture.cluster.apply({**service, "metadata": a_config_map(uid="other-owner")["metadata"]}))


def test_a_companion_is_only_deleted_for_its_owner(fixture: Fixture) -> None:
    asyncio.run(fixture.cluster.create(a_config_map()))
    owner = a_config_map()["metadata"]["labels"][OWNER_UID]
    asyncio.run(fixture.cluster.delete_companion("ConfigMap", "default", "job", "other-owner"))
    assert fixture.cluster.store.get("ConfigMap", "default", "job") is not None
    asyncio.run(fixture.cluster.delete_companion("ConfigMap", "default", "job", owner))
    assert fixture.cluster.store.get("ConfigMap", "default", "job") is None


def test_parallelism_is_patched_only_on_the_job_with_this_uid(fixture: Fixture) -> None:
    fixture.create(a_training_job(1))
    uid = fixture.get_job()["metadata"]["uid"]
    asyncio.run(fixture.cluster.patch_job("default", "job", uid=uid, change={"spec": {"parallelism": 0}}))
    assert fixture.get_job()["spec"]["parallelism"] == 0
    with pytest.raises(Conflict):
        asyncio.run(fixture.cluster.patch_job("default", "job", uid="another", change={"spec": {"parallelism": 2}}))
    asyncio.run(fixture.cluster.patch_job("default", "none", uid=uid, change={"spec": {"parallelism": 2}}))


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


def test_events_are_recorded_with_their_time(fixture: Fixture) -> None:
    run = a_training_run().build()
    asyncio.run(fixture.cluster.emit_event(run, "Warning", "AttemptFailed", "rank 3 ran out of memory"))
    (event,) = fixture.cluster.events
    assert (event.resource, event.kind, event.time) == (
        ("TrainingRun", "default", "read-xsum"),
        "Warning",
        fixture.clock.now(),
    )


def test_close_kills_every_pod(fixture: Fixture) -> None:
    fixture.create(a_training_job(2))
    asyncio.run(fixture.cluster.close())
    assert fixture.runner.get_living() == []


def test_with_kueue_a_job_in_a_queue_starts_when_it_is_admitted() -> None:
    clock, runner = ManualClock(), ScriptedRunner()
    cluster = QueueingCluster(runner, clock)
    job = a_training_job(1)
    job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = "research"
    asyncio.run(cluster.create(job))
    assert runner.get_living() == []
    set_suspended(cluster, "job", False)
    assert len(runner.get_living()) == 1
