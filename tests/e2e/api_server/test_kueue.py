"""Resources in the queues of a real Kueue, on a control plane alone: what they lose, and what they show."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deepsynth_api.labels import QUEUE_NAME, QUEUE_PRIORITY_CLASS
from deepsynth_api.workload import TrainWorkload
from deepsynth_cluster.clusters.bare import BareCluster
from deepsynth_cluster.clusters.kueue import Kueue
from deepsynth_cluster.clusters.selection import temporary_cluster
from deepsynth_demo.chart import create_restricted_namespace
from e2e.support.api import Api, wait_until
from e2e.support.fake_pods import SHARDS, add_node, hold_pods
from e2e.support.installation import USER_NAMESPACE
from e2e.support.operator_process import run_operator
from e2e.support.queues import CPUS, RACK, QueuedGeneration, QueuedRun, Queues, build_queue, build_racks

CRDS = Path(__file__).parents[3] / "crds"
HOSTNAME = "kubernetes.io/hostname"


@pytest.fixture(scope="module")
def kueue_cluster() -> Iterator[BareCluster]:
    with temporary_cluster("kueue", nodes=0) as cluster:
        cluster.control_plane.machine.kill("kube-controller-manager")
        # No kubelet keeps a node Ready here, so nobody may miss it.
        cluster.control_plane.start_controller_manager("--controllers=*,-node-lifecycle-controller")
        Kueue(cluster).install()
        cluster.kubectl("apply", "--server-side", "-f", str(CRDS))
        create_restricted_namespace(cluster, USER_NAMESPACE)
        yield cluster


@pytest.fixture(scope="module")
def queues(kueue_cluster: BareCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Queues]:
    log = tmp_path_factory.mktemp("operator") / "operator.log"
    with run_operator(kueue_cluster.kubeconfig, log):
        yield Queues(kueue_cluster, Api(kueue_cluster.kubeconfig, USER_NAMESPACE))


def test_a_lost_pod_costs_a_run_neither_its_quota_nor_its_place(queues: Queues) -> None:
    with queues.run("first") as first:
        first.start()
        with queues.run("second") as second:
            second.wait_for("Queued")
            queues.api.delete_pod(first.list_pods()[1]["metadata"]["name"])
            first.wait_for_attempt(2)
            first.start()
            old, new = first.get().status.attempts
            assert (old.job, old.outcome, new.outcome) == (new.job, "Disrupted", None)
            assert len(queues.list_workloads(first)) == 1
            assert second.get().status.attempts[0].held_time is None
            assert second.list_pods() == []
            first.end()
            first.wait_for("Complete")
            second.start()
            second.end()
            second.wait_for("Complete")


def test_nobody_gets_the_quota_between_the_steps_of_a_generation(queues: Queues) -> None:
    with queues.generation("first") as first:
        first.start("plan", 1)
        with queues.generation("second") as second:
            second.wait_for("Queued", "QuotaExceeded")
            first.end("plan", 1)
            first.start("render", 2)
            assert len(queues.list_workloads(first)) == 1
            first.end("render", SHARDS)
            first.end("publish", 1)
            first.wait_for("Complete")
            second.start("plan", 1)
            steps = {job["metadata"]["name"]: job for job in queues.api.list_jobs(second.get().metadata.uid)}
            place = steps["second-plan-1"]["spec"]["template"]["spec"]
            assert place["nodeSelector"] == {"kubernetes.io/os": "linux"}, "that of the flavor"
            assert place["tolerations"] == steps["second-queue"]["spec"]["template"]["spec"]["tolerations"]


@pytest.mark.slow
def test_a_drained_generation_keeps_its_quota_until_its_pods_are_gone_and_continues(queues: Queues) -> None:
    with queues.generation("drained") as drained:
        drained.end("plan", 1)
        drained.start("render", 2)
        with queues.stopped("HoldAndDrain"):
            drained.wait_for("Queued")
            wait_until("its pods to be gone", lambda: not drained.list_pods(), 60)
            (workload,) = queues.list_workloads(drained)
            wait_until("its quota to be free", lambda: "admission" not in read_status(queues, drained), 60)
        drained.end("render", SHARDS)
        drained.end("publish", 1)
        status = drained.wait_for("Complete").status
        outcomes = [(job.name, job.outcome) for job in status.jobs]
        assert ("drained-render-1", "Suspended") in outcomes
        assert ("drained-render-2", "Succeeded") in outcomes
        assert workload["metadata"]["name"].startswith("job-drained-queue-")


@pytest.mark.slow
def test_a_generation_that_publishes_holds_the_quota_of_one_pod(queues: Queues) -> None:
    with queues.generation("publishing") as publishing:
        publishing.end("plan", 1)
        publishing.end("render", SHARDS)
        publishing.start("publish", 1)
        half = {"resources": {"requests": {"cpu": str(CPUS // 2), "memory": "128Mi"}}}
        with queues.generation("small", parallelism=1, template=half) as small:
            small.start("plan", 1)
            assert publishing.get().status.state == "Publishing"


@pytest.mark.slow
def test_a_changed_parallelism_stops_no_pod_of_a_queued_generation(queues: Queues) -> None:
    with queues.generation("wide") as wide:
        wide.end("plan", 1)
        wide.start("render", 2)
        before = {pod["metadata"]["uid"] for pod in wide.list_pods("render")}
        queues.api.patch_spec("DatasetGeneration", "wide", parallelism=4)
        with queues.generation("waiting") as waiting:
            waiting.wait_for("Queued")
            queues.api.patch_spec("DatasetGeneration", "waiting", parallelism=1)
            wait_until("its Workload to follow", lambda: count_pods(queues, waiting) == 1, 60)
            assert {pod["metadata"]["uid"] for pod in wide.list_pods("render")} == before
            assert wide.get().status.state == "Rendering"


@pytest.fixture
def racks(queues: Queues) -> Iterator[Queues]:
    """Two nodes in each of two racks, with room for one pod each: four pods fit, but not into one rack."""
    names = [rack + number for rack, number in itertools.product("ab", "12")]
    for name in names:
        add_node(queues.api, name, CPUS // 2, {"pool": "racks", RACK: name[0], HOSTNAME: name})
    queues.create(*build_racks())
    yield queues
    for name in names:
        queues.delete("Node", name)


@pytest.mark.slow
def test_all_pods_of_a_generation_go_to_the_rack_that_kueue_has_chosen(racks: Queues) -> None:
    resources = {"requests": {"cpu": str(CPUS // 2), "memory": "128Mi"}}
    template = {"resources": resources, "annotations": {"kueue.x-k8s.io/podset-required-topology": RACK}}
    with racks.generation("placed", queue="racks", template=template) as placed:
        placed.end("plan", 1)
        places = [wait_for_places(placed, "render")]
        placed.end("render", SHARDS // 2)
        places.append(wait_for_places(placed, "render"))
        placed.end("render", SHARDS // 2)
        placed.end("publish", 1)
        placed.wait_for("Complete")
    with racks.generation("too-wide", queue="racks", parallelism=3, template=template) as wide:
        assert "topology" in wide.wait_for("Queued").status.conditions[0].message
    assert all(len(found) == 2 and len({name[0] for name in found}) == 1 for found in places), places


def wait_for_places(generation: QueuedGeneration, step: str) -> set[str]:
    """The nodes of its two pods of this step, once Kueue has placed both."""

    def find() -> set[str]:
        specs = [pod["spec"] for pod in generation.list_pods(step) if "schedulingGates" not in pod["spec"]]
        return {spec["nodeSelector"][HOSTNAME] for spec in specs}

    wait_until("Kueue to place both pods", lambda: len(find()) == 2, 60, find)
    return find()


def read_status(queues: Queues, generation: QueuedGeneration) -> dict[str, Any]:
    (workload,) = queues.list_workloads(generation)
    status: dict[str, Any] = workload.get("status", {})
    return status


def count_pods(queues: Queues, generation: QueuedGeneration) -> int:
    (workload,) = queues.list_workloads(generation)
    count: int = workload["spec"]["podSets"][0]["count"]
    return count


@pytest.mark.slow
def test_a_namespace_with_a_default_queue_queues_runs_without_the_label(queues: Queues) -> None:
    queues.create(build_queue("default"))
    try:
        with queues.run("holder") as holder:
            holder.start()
            with queues.run("unlabelled", queue="") as unlabelled:
                unlabelled.wait_for("Queued", "QuotaExceeded")
                holder.end()
                holder.wait_for("Complete")
                unlabelled.start()
                unlabelled.end()
                unlabelled.wait_for("Complete")
    finally:
        queues.delete("LocalQueue", "default")


@pytest.mark.slow
def test_a_failed_pod_counts_as_a_failure_and_keeps_the_quota(queues: Queues) -> None:
    with queues.run("failing") as failing:
        failing.start()
        with queues.run("behind") as behind:
            behind.wait_for("Queued")
            failing.end(1, index=1)
            failing.wait_for_attempt(2)
            failing.start()
            status = failing.get().status
            assert (status.failures, status.restarts) == (1, 1)
            assert behind.list_pods() == []


@pytest.mark.slow
def test_a_preempted_run_waits_in_its_place_and_continues(queues: Queues) -> None:
    with queues.run("cheap", priority="low") as cheap:
        cheap.start()
        with queues.run("urgent", priority="high") as urgent:
            urgent.start()
            cheap.wait_for("Queued")
            urgent.end()
            urgent.wait_for("Complete")
        cheap.start()
        first, second = cheap.get().status.attempts
        assert (first.job, first.outcome, first.reason) == (second.job, "Suspended", "RequeuedByQueue")
        assert (cheap.get().status.failures, cheap.get().status.restarts) == (0, 0)
        cheap.end()
        cheap.wait_for("Complete")


@pytest.mark.slow
def test_a_drained_queue_stops_its_runs_and_resumes_them(queues: Queues) -> None:
    with queues.run("drained") as drained:
        drained.start()
        with queues.stopped("HoldAndDrain"):
            drained.wait_for("Queued")
            wait_until("its pods to be gone", lambda: not drained.list_pods(), 60)
        drained.start()
        drained.end()
        drained.wait_for("Complete")


@pytest.mark.slow
def test_a_waiting_run_moves_to_another_queue_and_priority(queues: Queues) -> None:
    with queues.run("running", priority="low") as running:
        running.start()
        with queues.run("moved", priority="low") as moved:
            moved.wait_for("Queued")
            labels = {QUEUE_NAME: "other", QUEUE_PRIORITY_CLASS: "high"}
            queues.change("TrainingRun", "moved", {"metadata": {"labels": labels}})
            moved.start()
            running.wait_for("Queued")
            (workload,) = queues.list_workloads(moved)
            assert (workload["spec"]["queueName"], workload["spec"]["priority"]) == ("other", 1000)


@pytest.mark.slow
def test_a_waiting_run_shows_why(queues: Queues) -> None:
    with queues.run("holder") as holder:
        holder.start()
        with queues.run("waiting") as waiting:
            run = waiting.wait_for("Queued", "QuotaExceeded")
            assert "insufficient unused quota for nvidia.com/gpu" in run.status.conditions[0].message
            assert "2 more needed" in run.status.conditions[0].message
        with queues.run("lost", queue="nowhere") as lost:
            lost.wait_for("Queued", "QueueNotFound")
        with queues.run("classless", priority="unknown") as classless:
            classless.wait_for("Queued", "WorkloadMissing")


@pytest.fixture
def impatient(kueue_cluster: BareCluster, queues: Queues) -> Iterator[Queues]:
    """Kueue that takes the quota of Jobs whose pods do not start back, and gives up on them at the second time."""
    kueue = Kueue(kueue_cluster)
    kueue.stop()
    strategy = {"backoffLimitCount": 1, "backoffBaseSeconds": 1, "backoffMaxSeconds": 2}
    kueue.install(waitForPodsReady={"timeout": "8s", "recoveryTimeout": "8s", "requeuingStrategy": strategy})
    yield queues
    kueue.stop()
    kueue.install()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["TrainingRun", "DatasetGeneration"])
def test_after_kueue_has_given_up_the_message_says_what_kept_the_pods_from_starting(
    impatient: Queues, kind: str
) -> None:
    resource = impatient.run if kind == "TrainingRun" else impatient.generation
    with resource("typo") as typo, hold_pods(impatient.api, "ErrImagePull", "example/gpu:2: not found"):
        status = typo.wait_for("Queued", "DeactivatedByQueue").status
        assert "ErrImagePull: example/gpu:2: not found" in status.conditions[0].message


@pytest.mark.slow
def test_a_generation_whose_pods_have_started_is_ready_for_kueue(impatient: Queues) -> None:
    """Its pods come and go with its shards, and plan and publish have one, so none of them is missed."""
    with impatient.generation("ready") as ready:
        ready.start("plan", 1)
        time.sleep(12)
        ready.end("plan", 1)
        ready.start("render", 2)
        time.sleep(12)
        ready.end("render", SHARDS)
        ready.end("publish", 1)
        assert {job.outcome for job in ready.wait_for("Complete").status.jobs} == {"Succeeded"}


@pytest.mark.slow
def test_an_elastic_run_is_admitted_with_fewer_pods_and_later_with_all(queues: Queues) -> None:
    with queues.run("holder", numNodes=1) as holder:
        holder.start(1)
        with queues.run("elastic", elastic={"minNodes": 1}) as elastic:
            elastic.start(1)
            assert (count_nodes(elastic), elastic.get().status.summary.nodes) == (1, "1/2")
            queues.api.delete_pod(elastic.list_pods()[0]["metadata"]["name"])
            elastic.wait_for_attempt(2)
            elastic.start(1)
            assert count_nodes(elastic) == 1
            holder.end()
            holder.wait_for("Complete")
            queues.change("ClusterQueue", "gpus", {"spec": {"stopPolicy": "HoldAndDrain"}})
            try:
                elastic.wait_for("Queued")
                wait_until("its pods to be gone", lambda: not elastic.list_pods(), 60)
            finally:
                queues.change("ClusterQueue", "gpus", {"spec": {"stopPolicy": "None"}})
            elastic.start(2)
            assert (count_nodes(elastic), elastic.get().status.summary.nodes) == (2, "2")
            first, second, third = elastic.get().status.attempts
            assert [first.outcome, second.outcome, third.outcome] == ["Disrupted", "Suspended", None]
            assert [first.nodes, second.nodes, third.nodes] == [1, 1, 2]
            assert first.job == second.job == third.job
            assert len(queues.list_workloads(elastic)) == 1
            elastic.end()
            elastic.wait_for("Complete")


def count_nodes(run: QueuedRun) -> int:
    """The number of nodes in the workload document of the last attempt."""
    document = run.api.core.read_namespaced_config_map(run.get().status.attempts[-1].job, run.api.namespace)
    assert document.data is not None
    return TrainWorkload.parse(document.data["workload.json"]).num_nodes
