"""Runs in the queues of a real Kueue, on a control plane alone: what they lose, and what they show."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deepsynth_api.labels import QUEUE_NAME, QUEUE_PRIORITY_CLASS
from deepsynth_cluster.clusters.bare import BareCluster
from deepsynth_cluster.clusters.kueue import Kueue
from deepsynth_cluster.clusters.selection import temporary_cluster
from deepsynth_demo.chart import create_restricted_namespace
from e2e.support.api import Api, wait_until
from e2e.support.installation import USER_NAMESPACE
from e2e.support.operator_process import run_operator
from e2e.support.queues import Queues

CRDS = Path(__file__).parents[3] / "crds"


@pytest.fixture(scope="module")
def kueue_cluster() -> Iterator[BareCluster]:
    with temporary_cluster("kueue", nodes=0) as cluster:
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
        queues.change("ClusterQueue", "gpus", {"spec": {"stopPolicy": "HoldAndDrain"}})
        try:
            drained.wait_for("Queued")
            wait_until("its pods to be gone", lambda: not drained.list_pods(), 60)
        finally:
            queues.change("ClusterQueue", "gpus", {"spec": {"stopPolicy": "None"}})
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
