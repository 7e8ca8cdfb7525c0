"""What names an owner that is gone is deleted."""

import asyncio

import pytest

from deepsynth_operator.core.errors import Conflict
from deepsynth_simulator.pod_runner import ContainerExit
from support.cluster.cluster_faults import (
    find_pods,
)
from support.resources.builders import a_training_run
from unit.deepsynth_simulator.job_manifests import Fixture, a_training_job, own


@pytest.fixture
def fixture() -> Fixture:
    return Fixture()


def test_deleting_a_job_deletes_its_pods_and_is_refused_for_another_uid(fixture: Fixture) -> None:
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


def test_deleting_a_resource_deletes_its_jobs_and_their_pods(fixture: Fixture) -> None:
    cluster = fixture.cluster
    uid = cluster.apply_resource(a_training_run().to_manifest()).metadata.uid
    asyncio.run(cluster.create(own(a_training_job(1), uid)))
    fixture.runner.obeys = ContainerExit(143)
    cluster.delete_object("TrainingRun", "default", "read-xsum")
    assert (fixture.get_job(), find_pods(cluster)) == (None, [])


def test_a_child_of_an_owner_that_is_gone_is_deleted(fixture: Fixture) -> None:
    asyncio.run(fixture.cluster.create(own(a_training_job(1), "gone")))
    assert fixture.get_job() is None
