"""A run with spec.elastic and too few nodes: Kubernetes' own scheduler and Job controller, nodes without kubelets."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deepsynth_cluster.clusters.bare import BareCluster
from deepsynth_cluster.clusters.selection import temporary_cluster
from e2e.support.api import Api, Manifest, wait_until
from e2e.support.fake_pods import add_node, end_pod, start_pod
from e2e.support.operator_process import run_operator
from e2e.support.resources import build_run

pytestmark = pytest.mark.slow
CRDS = Path(__file__).parents[3] / "crds"
SECONDS = 60


@pytest.fixture(scope="module")
def control_plane() -> Iterator[BareCluster]:
    with temporary_cluster("elastic", nodes=0) as cluster:
        cluster.kubectl("apply", "--server-side", "-f", str(CRDS))
        yield cluster


@pytest.fixture
def api(control_plane: BareCluster, tmp_path: Path) -> Iterator[Api]:
    """One node, with room for one of the two pods."""
    api = Api(control_plane.kubeconfig, "default")
    add_node(api, "node-1")
    with run_operator(control_plane.kubeconfig, tmp_path / "operator.log"):
        yield api


def find_placed(api: Api, job: str) -> list[Manifest]:
    """The pods of a Job that the scheduler has bound to a node."""
    pods = api.list_pods(api.get_run("pair").metadata.uid)
    return [pod for pod in pods if pod["metadata"]["name"].startswith(f"{job}-") and "nodeName" in pod["spec"]]


def start_placed(api: Api, job: str) -> Manifest:
    wait_until(f"a pod of {job} on a node", lambda: find_placed(api, job), SECONDS, lambda: api.get_run("pair").status)
    (pod,) = find_placed(api, job)
    start_pod(api, pod)
    return pod


def test_a_run_for_which_one_of_two_nodes_is_there_works_on_that_one(api: Api) -> None:
    spec = {
        "datasets": [{"name": "pages", "uri": "file:///pages"}],
        "checkpoint": {"uri": "file:///run"},
        "template": {"tolerations": [{"operator": "Exists"}]},  # no kubelet keeps the node ready
        "elastic": {"minNodes": 1, "scaleDownAfterSeconds": 10},
    }
    api.create(build_run("pair", **spec))
    waiting = start_placed(api, "pair-train-1")
    wait_until("its end", lambda: api.get_run("pair").status.attempts[0].end_time, SECONDS)
    assert api.get_run("pair").status.summary.reason == "FewerNodes"
    # What its kubelet would do.
    api.core.delete_namespaced_pod(waiting["metadata"]["name"], api.namespace, grace_period_seconds=0)
    working = start_placed(api, "pair-train-2")
    wait_until("its start", lambda: api.get_run("pair").status.attempts[-1].running_time, SECONDS)
    status = api.get_run("pair").status
    assert [(item.nodes, item.reason) for item in status.attempts] == [(2, "FewerNodes"), (1, "")]
    assert (status.summary.nodes, status.failures, status.restarts) == ("1/2", 0, 0)
    end_pod(api, working, 0)
    wait_until("the end", lambda: api.get_run("pair").status.state == "Complete", SECONDS)
