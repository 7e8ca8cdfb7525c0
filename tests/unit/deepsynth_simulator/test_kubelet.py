"""Pods are scheduled, started and ended as by a kubelet."""

import asyncio

import pytest

from deepsynth_operator.core.observed import ObservedPod
from deepsynth_simulator.pod_runner import ContainerExit
from support.cluster.cluster_faults import (
    delete_pod,
    find_pod,
    find_pods,
    resume_scheduling,
    stop_scheduling,
)
from support.cluster.scripted_runner import ScriptedRunner
from unit.deepsynth_simulator.job_manifests import Fixture, a_config_map, a_training_job


@pytest.fixture
def fixture() -> Fixture:
    return Fixture()


def test_a_pod_gets_its_index_its_node_and_its_config_map() -> None:
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


def test_a_pod_waits_for_its_config_map(fixture: Fixture) -> None:
    job = a_training_job(1)
    job["spec"]["template"]["spec"]["volumes"] = [{"name": "document", "configMap": {"name": "document"}}]
    fixture.create(job)
    waiting = ObservedPod.parse(find_pod(fixture.cluster, "job-0"))
    assert (waiting.phase, waiting.waiting_reason) == ("Pending", "ContainerCreating")
    asyncio.run(fixture.cluster.create(a_config_map("document")))
    assert ObservedPod.parse(find_pod(fixture.cluster, "job-0")).phase == "Running"


def test_a_container_that_cannot_start_leaves_its_pod_pending_with_the_reason() -> None:
    fixture = Fixture(ScriptedRunner(starts=False))
    fixture.create(a_training_job(1))
    fixture.runner.find("job-0").listener.waiting("ImagePullBackOff", "no such image")
    pod = ObservedPod.parse(find_pod(fixture.cluster, "job-0"))
    assert (pod.phase, pod.waiting_reason, pod.waiting_message) == ("Pending", "ImagePullBackOff", "no such image")


def test_pods_that_cannot_be_scheduled_have_the_reason_and_start_later(fixture: Fixture) -> None:
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


def test_a_long_termination_message_keeps_its_end(fixture: Fixture) -> None:
    fixture.create(a_training_job(1))
    fixture.runner.end("job-0", 1, message="a" * 6000 + "b" * 4000)
    message = ObservedPod.parse(fixture.get_pod(0)).message
    assert (len(message), message[:96], message[96:]) == (4096, "a" * 96, "b" * 4000)


def test_reports_after_the_end_of_a_container_are_ignored(fixture: Fixture) -> None:
    fixture.create(a_training_job(1))
    listener = fixture.runner.find("job-0").listener
    fixture.runner.end("job-0", 0)
    listener.started()
    listener.ended(ContainerExit(1))
    assert fixture.get_end() == ("Complete", "CompletionsReached")


def test_a_pod_waits_until_a_node_has_room() -> None:
    fixture = Fixture(ScriptedRunner())
    (node,) = fixture.cluster.kubelet.nodes.values()
    node.room = 1
    fixture.create(a_training_job(2))
    waiting = ObservedPod.parse(find_pod(fixture.cluster, "job-1"))
    assert (waiting.node, waiting.unschedulable) == (None, "0/1 nodes are available")
    fixture.runner.end("job-0", 0)
    assert ObservedPod.parse(find_pod(fixture.cluster, "job-1")).node == node.name
