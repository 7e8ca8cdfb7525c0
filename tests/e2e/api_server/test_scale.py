"""Fifty runs and fifty generations at once on a control plane alone; and deadlines that pass without an operator."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from deepsynth_cluster.clusters.bare import BareCluster
from deepsynth_cluster.clusters.selection import temporary_cluster
from deepsynth_demo.chart import create_restricted_namespace
from deepsynth_operator.core.observed import find_true_condition
from e2e.support.api import Api, Manifest, wait_until
from e2e.support.fake_pods import play_pods
from e2e.support.installation import USER_NAMESPACE
from e2e.support.operator_process import run_operator
from e2e.support.resources import build_generation, build_run

pytestmark = pytest.mark.slow
CRDS = Path(__file__).parents[3] / "crds"
COUNT = 50
END_SECONDS = 600
MAX_REQUESTS = 25
"""Per resource, half of them generations of four shards: the children, status writes, Events."""
MAX_MEBIBYTES = 400
DEADLINE = 20


@pytest.fixture
def control_plane() -> Iterator[BareCluster]:
    with temporary_cluster("scale", nodes=0) as cluster:
        yield cluster


def test_a_hundred_resources_at_once_reach_their_end(control_plane: BareCluster, tmp_path: Path) -> None:
    control_plane.kubectl("apply", "--server-side", "-f", str(CRDS))
    create_restricted_namespace(control_plane, USER_NAMESPACE)
    api = Api(control_plane.kubeconfig, USER_NAMESPACE)
    with run_operator(control_plane.kubeconfig, tmp_path / "operator.log") as operator, play_pods(api):
        before = operator.count_requests()
        began = time.monotonic()
        for number in range(COUNT):
            api.create(build_generation(f"generation-{number}", f"pvc://c/{number}"))
            api.create(build_run(f"run-{number}"))

        def list_states() -> Counter[str]:
            items = [*api.list_resources("TrainingRun"), *api.list_resources("DatasetGeneration")]
            return Counter(item.get("status", {}).get("state", "") for item in items)

        wait_until("all to be Complete", lambda: list_states() == {"Complete": 2 * COUNT}, END_SECONDS, list_states)
        seconds, requests = time.monotonic() - began, operator.count_requests() - before
        memory = operator.get_mebibytes()
    per_resource = sum(requests.values()) / (2 * COUNT)
    print(f"\n{2 * COUNT} resources Complete in {seconds:.0f} s; {memory:.0f} MiB at most; per resource:")
    for name, count in requests.most_common():
        print(f"  {count / (2 * COUNT):6.1f}  {name}")
    assert per_resource <= MAX_REQUESTS
    assert memory <= MAX_MEBIBYTES
    for kind in ("TrainingRun", "DatasetGeneration"):
        for item in api.list_resources(kind):
            assert "finalizers" not in item["metadata"]
            assert "annotations" not in item["metadata"]


def test_jobs_keep_the_deadline_while_the_operator_is_down(control_plane: BareCluster, tmp_path: Path) -> None:
    control_plane.kubectl("apply", "--server-side", "-f", str(CRDS))
    create_restricted_namespace(control_plane, USER_NAMESPACE)
    api = Api(control_plane.kubeconfig, USER_NAMESPACE)
    names = [f"run-{number}" for number in range(10)]

    def list_reasons() -> Counter[str]:
        summaries = [item.get("status", {}).get("summary", {}) for item in api.list_resources("TrainingRun")]
        return Counter(summary.get("reason", "") for summary in summaries)

    def count_failed_jobs() -> int:
        return sum(find_true_condition(job, "Failed") is not None for job in list_jobs(api))

    with run_operator(control_plane.kubeconfig, tmp_path / "before.log"):
        for name in names:
            api.create(build_run(name, activeDeadlineSeconds=DEADLINE))
        wait_until("all to have a Job", lambda: len(list_jobs(api)) == len(names), END_SECONDS)
    wait_until("all Jobs to end", lambda: count_failed_jobs() == len(names), DEADLINE + 120)
    assert list_reasons()["DeadlineExceeded"] == 0
    with run_operator(control_plane.kubeconfig, tmp_path / "after.log"):
        wait_until("all to show it", lambda: list_reasons() == {"DeadlineExceeded": len(names)}, 60, list_reasons)
    assert len(list_jobs(api)) == len(names), "no run began another attempt"


def list_jobs(api: Api) -> list[Manifest]:
    """Of all runs."""
    return [job for run in api.list_resources("TrainingRun") for job in api.list_jobs(run["metadata"]["uid"])]
