"""The PodGroup of an attempt: created before its Job, deleted with it, refused where no scheduler would honor it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from deepsynth_operator.core.cluster import PodGroupKind
from deepsynth_operator.core.errors import KindMissing
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.core.settings import GangApi
from deepsynth_simulator.memory_cluster import MemoryCluster
from deepsynth_simulator.object_store import ObjectKey, WatchEvent
from support.control.controller import SETTINGS, Controller
from support.resources.builders import a_training_run

KIND: PodGroupKind = "PodGroup.v1beta1.scheduling.volcano.sh"
GANGS: dict[str, GangApi] = {"volcano": "volcano"}


@pytest.fixture
def control() -> Iterator[Controller]:
    controller = Controller(settings=replace(SETTINGS, gang_schedulers=GANGS))
    yield controller
    controller.close()


def a_gang(scheduler: str = "volcano", **spec: Any) -> Any:
    run = a_training_run().with_spec(numNodes=2, scheduling={"gang": True}, **spec)
    return run.with_template(schedulerName=scheduler).to_manifest()


def note_groups(control: Controller) -> list[str]:
    """Every creation and deletion of groups and Jobs, from now on."""
    seen: list[str] = []

    def note(event: WatchEvent) -> None:
        if event.manifest["kind"] in {"PodGroup", "Job"} and event.type != "MODIFIED":
            seen.append(f"{event.type} {event.manifest['kind']} {event.manifest['metadata']['name']}")

    control.cluster.store.subscribe(note)
    return seen


def test_the_group_is_created_before_the_job_and_deleted_with_it(control: Controller) -> None:
    seen = note_groups(control)
    control.apply(a_gang())
    assert seen == ["ADDED PodGroup read-xsum-train-1", "ADDED Job read-xsum-train-1"]
    control.end("read-xsum-train-1-0", 75)
    control.advance(60)
    assert control.list_living_jobs() == ["read-xsum-train-2"]
    assert control.cluster.store.get(KIND, "default", "read-xsum-train-2") is not None
    control.change_spec("TrainingRun", "read-xsum", suspend=True)
    control.advance(600)
    assert control.list_living_jobs() == []
    assert seen.index("DELETED PodGroup read-xsum-train-2") < seen.index("DELETED Job read-xsum-train-2")


def test_groups_are_deleted_with_their_run(control: Controller) -> None:
    control.apply(a_gang())
    control.cluster.delete_object("TrainingRun", "default", "read-xsum")
    assert control.cluster.store.get(KIND, "default", "read-xsum-train-1") is None


def test_an_unknown_scheduler_fails_the_run_with_the_remedy_instead_of_starting_pods_one_by_one(
    control: Controller,
) -> None:
    control.apply(a_gang("volcan"))
    control.advance(600)
    status = control.get_run().status
    assert control.list_jobs() == []
    assert status.state == "Failed"
    assert status.conditions
    message = next(item.message for item in status.conditions if item.type == "Failed")
    assert "set spec.template.schedulerName to volcano" in message


def test_a_group_of_another_owner_blocks_the_job(control: Controller) -> None:
    key = ObjectKey(KIND, "default", "read-xsum-train-1")
    metadata = {"name": key.name, "namespace": "default", "labels": {}}
    api_version = "scheduling.volcano.sh/v1beta1"
    control.cluster.store.create({"apiVersion": api_version, "kind": "PodGroup", "metadata": metadata, "spec": {}})
    control.apply(a_gang())
    assert control.list_jobs() == []
    control.cluster.delete_object(*key)
    control.settle()
    assert control.list_jobs() == ["read-xsum-train-1"]


class GrouplessCluster(MemoryCluster):
    """The CRD of the gang scheduler is not installed, until `is_installed`."""

    is_installed = False

    async def create(self, manifest: Manifest) -> None:
        if manifest["kind"] == "PodGroup" and not self.is_installed:
            raise KindMissing("PodGroup: the API server does not have this kind; install the CRD")
        await super().create(manifest)


def test_a_run_waits_for_the_crd_of_its_scheduler_without_losing_an_attempt() -> None:
    control = Controller(GrouplessCluster, replace(SETTINGS, gang_schedulers=GANGS))
    control.apply(a_gang())
    control.advance(600)
    status = control.get_run().status
    assert (status.state, status.summary.reason, status.failures) == ("Starting", "PodGroupsMissing", 0)
    assert "install the CRD" in status.conditions[0].message
    assert [attempt.outcome for attempt in status.attempts] == [None]
    assert control.list_jobs() == []
    control.cluster.is_installed = True  # type: ignore[attr-defined]
    control.advance(60)
    assert control.list_jobs() == ["read-xsum-train-1"]
    control.close()
