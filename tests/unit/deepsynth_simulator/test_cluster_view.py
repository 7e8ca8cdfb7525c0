"""What the controller sees in its cache, also when that is late."""

import asyncio

import pytest

from deepsynth_operator.core.observed import ObservedPod
from deepsynth_simulator.memory_cluster import MemoryCluster
from support.clocks.manual_clock import ManualClock
from support.cluster.cluster_faults import (
    LaggingView,
    delete_pod,
)
from support.cluster.scripted_runner import ScriptedRunner
from support.resources.builders import a_training_run
from unit.deepsynth_simulator.job_manifests import Fixture, a_training_job, own


@pytest.fixture
def fixture() -> Fixture:
    return Fixture()


def test_the_exit_code_of_a_deleted_pod_can_be_read_for_ten_minutes(fixture: Fixture) -> None:
    uid = fixture.cluster.apply_resource(a_training_run().to_manifest()).metadata.uid
    asyncio.run(fixture.cluster.create(own(a_training_job(1), uid)))
    delete_pod(fixture.cluster, "job-0")
    fixture.runner.end("job-0", 143)
    fixture.clock.advance(600)
    (pod,) = asyncio.run(fixture.cluster.list_deleted_pods("default", uid))
    assert ObservedPod.parse(pod, gone=True).exit_code == 143
    fixture.clock.advance(1)
    assert asyncio.run(fixture.cluster.list_deleted_pods("default", uid)) == []


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


def test_after_a_lost_event_only_a_new_list_shows_the_truth() -> None:
    cluster, view, seen = a_lagging_cluster()
    cluster.apply_resource(a_training_run().to_manifest())
    view.lags = True
    cluster.delete_object("TrainingRun", "default", "read-xsum")
    view.lose_next()
    assert asyncio.run(cluster.get("TrainingRun", "default", "read-xsum")) is not None
    view.catch_up()
    assert asyncio.run(cluster.get("TrainingRun", "default", "read-xsum")) is None
    assert seen[-1] == ("DELETED", "TrainingRun")
