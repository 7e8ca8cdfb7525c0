"""The NetworkPolicy of a resource: created before its Jobs, kept between attempts, deleted with the resource."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from deepsynth_operator.core.errors import ForeignChild
from deepsynth_operator.core.observed import Manifest
from deepsynth_simulator.memory_cluster import MemoryCluster
from deepsynth_simulator.object_store import WatchEvent
from support.control.controller import SETTINGS, Controller
from support.resources.builders import a_dataset_generation, a_training_run

PEER = {"podSelector": {"matchLabels": {"app": "operator"}}}
NAME = "read-xsum-trainingrun"


@pytest.fixture
def control() -> Iterator[Controller]:
    controller = Controller(settings=replace(SETTINGS, report_peers=(PEER,)))
    yield controller
    controller.close()


def get_policy(control: Controller, name: str = NAME) -> Manifest | None:
    return control.cluster.store.get("NetworkPolicy", "default", name)


def find_peers(policy: Manifest | None) -> Any:
    assert policy is not None
    return policy["spec"]["ingress"][1]["from"]


def test_the_policy_exists_before_the_first_job(control: Controller) -> None:
    created: list[str] = []

    def note(event: WatchEvent) -> None:
        if event.type == "ADDED":
            created.append(event.manifest["kind"])

    control.cluster.store.subscribe(note)
    control.apply(a_training_run().to_manifest())
    assert created.index("NetworkPolicy") < created.index("Job")


def test_the_policy_stays_between_attempts_and_gets_the_peers_of_today(control: Controller) -> None:
    control.apply(a_training_run().to_manifest())
    before = get_policy(control)
    control.settings = replace(control.settings, report_peers=(PEER, {"ipBlock": {"cidr": "192.0.2.0/24"}}))
    control.end("read-xsum-train-1-0", 75)
    control.advance(60)
    assert control.list_living_jobs() == ["read-xsum-train-2"]
    after = get_policy(control)
    assert before is not None
    assert after is not None
    assert before["metadata"]["uid"] == after["metadata"]["uid"]
    assert (len(find_peers(before)), len(find_peers(after))) == (1, 2)


@pytest.mark.parametrize(
    ("builder", "name"), [(a_training_run(), NAME), (a_dataset_generation(), "xsum-datasetgeneration")]
)
def test_a_policy_that_somebody_deletes_comes_back_while_the_job_runs(
    control: Controller, builder: Any, name: str
) -> None:
    control.apply(builder.to_manifest())
    jobs, before = control.list_jobs(), get_policy(control, name)
    control.cluster.delete_object("NetworkPolicy", "default", name)
    control.advance(10)
    after = get_policy(control, name)
    assert before is not None
    assert after is not None
    assert after["spec"] == before["spec"]
    assert control.list_jobs() == jobs


@pytest.mark.parametrize(
    ("builder", "name"), [(a_training_run(), NAME), (a_dataset_generation(), "xsum-datasetgeneration")]
)
def test_the_policy_is_deleted_with_its_resource(control: Controller, builder: Any, name: str) -> None:
    control.apply(builder.to_manifest())
    assert get_policy(control, name) is not None
    resource = builder.build()
    control.cluster.delete_object(resource.kind, "default", resource.metadata.name)
    assert get_policy(control, name) is None


def test_a_policy_of_another_owner_blocks_the_job_until_it_is_gone(control: Controller) -> None:
    other = {"kind": "NetworkPolicy", "metadata": {"name": NAME, "namespace": "default", "labels": {}}, "spec": {}}
    control.cluster.store.create(other)
    control.apply(a_training_run().to_manifest())
    assert control.list_jobs() == []
    assert [event.reason for event in control.cluster.events].count("NameTaken") >= 1
    control.cluster.delete_object("NetworkPolicy", "default", NAME)
    control.settle()
    assert control.list_jobs() == ["read-xsum-train-1"]


class PolicylessCluster(MemoryCluster):
    """Fails at the policy, as a process that dies there."""

    fails = True

    async def apply(self, manifest: Manifest) -> None:
        if manifest["kind"] == "NetworkPolicy" and self.fails:
            raise ForeignChild("not now")
        await super().apply(manifest)


def test_no_job_starts_without_its_policy() -> None:
    control = Controller(PolicylessCluster, replace(SETTINGS, report_peers=()))
    control.apply(a_training_run().to_manifest())
    assert control.list_jobs() == []
    control.close()
