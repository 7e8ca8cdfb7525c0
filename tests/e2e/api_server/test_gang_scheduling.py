"""The pods of a run with scheduling.gang get their nodes together or not at all, on a control plane without kubelets.

Two nodes are needed and one is there: a scheduler that does not know of gangs would place one pod, which then holds its
node and waits for the other. Kubernetes' own scheduler has its alpha feature GangScheduling here. For Volcano and
coscheduling a small scheduler of this file reads what they read.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from deepsynth_api.kinds import API_VERSION
from deepsynth_cluster.clusters.bare import BareCluster
from deepsynth_cluster.clusters.selection import temporary_cluster
from e2e.support.api import Api, Manifest, wait_until
from e2e.support.fake_pods import add_node, play_pods
from e2e.support.operator_process import run_operator

pytestmark = pytest.mark.slow
CRDS = Path(__file__).parents[3] / "crds"
GATES = "--feature-gates=GenericWorkload=true,GangScheduling=true"
STAND_IN = "stand-in"
GROUPS = {"volcano": ("scheduling.volcano.sh", "v1beta1"), "coscheduling": ("scheduling.x-k8s.io", "v1alpha1")}
ALONE_SECONDS = 8
"""How long a single node is there: the scheduler places a pod within a second."""


@pytest.fixture(scope="module")
def control_plane() -> Iterator[BareCluster]:
    with temporary_cluster("gang", nodes=0) as cluster:
        machine = cluster.control_plane.machine
        machine.kill("kube-apiserver")
        cluster.control_plane.start_api_server(GATES, "--runtime-config=scheduling.k8s.io/v1alpha2=true")
        cluster.wait_for_api_server()
        for program in ("kube-scheduler", "kube-controller-manager"):
            machine.kill(program)
        cluster.control_plane.start_scheduler(GATES)
        cluster.control_plane.start_controller_manager(GATES)
        cluster.kubectl("apply", "--server-side", "-f", str(CRDS))
        yield cluster


@pytest.fixture
def api(control_plane: BareCluster, request: pytest.FixtureRequest) -> Iterator[Api]:
    """A namespace of the test's own, with the first of the two nodes."""
    namespace = f"gang-{abs(hash(request.node.name)) % 10**6}"
    control_plane.kubectl("create", "namespace", namespace)
    api = Api(control_plane.kubeconfig, namespace)
    add_node(api, "node-1")
    yield api
    # No kubelet ends its pods, so nobody waits for them: their nodes go, too.
    control_plane.kubectl("delete", "namespace", namespace, "--wait=false")
    for node in list_nodes(api):
        api.core.delete_node(node)


def list_nodes(api: Api) -> list[str]:
    return [node.metadata.name or "" for node in api.core.list_node().items if node.metadata]


def build_gang(scheduler: str | None, *, gang: bool = True) -> Manifest:
    """Two pods, each of which fills a node, and which ignore that no kubelet keeps the nodes ready."""
    template = {"tolerations": [{"operator": "Exists"}], **({"schedulerName": scheduler} if scheduler else {})}
    spec = {
        "model": {"uri": "config://vit-gpt2-tiny"},
        "datasets": [{"name": "pages", "uri": "file:///pages"}],
        "checkpoint": {"uri": "file:///run"},
        "numNodes": 2,
        "resourcesPerNode": {"requests": {"cpu": "600m", "memory": "128Mi"}},
        "template": template,
        "scheduling": {"gang": gang},
    }
    return {"apiVersion": API_VERSION, "kind": "TrainingRun", "metadata": {"name": "pair"}, "spec": spec}


def list_pods(api: Api) -> list[Manifest]:
    return api.list_pods(api.get("TrainingRun", "pair")["metadata"]["uid"])


def count_placed(api: Api) -> int:
    return len([pod for pod in list_pods(api) if "nodeName" in pod["spec"]])


def explain(api: Api) -> list[Any]:
    return [pod["status"] for pod in list_pods(api)]


def get_state(api: Api) -> str | None:
    state: str | None = api.get("TrainingRun", "pair").get("status", {}).get("state")
    return state


@contextmanager
def operator_that_knows(control_plane: BareCluster, log: Path, schedulers: str) -> Iterator[None]:
    with run_operator(control_plane.kubeconfig, log, {"DEEPSYNTH_GANG_SCHEDULERS": schedulers}):
        yield


def check_that_pods_get_their_nodes_together(api: Api) -> None:
    wait_until("both pods", lambda: len(list_pods(api)) == 2, 60)
    end = time.monotonic() + ALONE_SECONDS
    while time.monotonic() < end:
        assert count_placed(api) == 0
        time.sleep(0.2)
    with play_pods(api, on_nodes=True):
        add_node(api, "node-2")
        wait_until("the run to be Complete", lambda: get_state(api) == "Complete", 60, lambda: explain(api))
    assert {pod["spec"]["nodeName"] for pod in list_pods(api)} == {"node-1", "node-2"}


def test_kubernetes_starts_the_pods_of_a_gang_together(control_plane: BareCluster, api: Api, tmp_path: Path) -> None:
    with operator_that_knows(control_plane, tmp_path / "log", "default-scheduler=kubernetes-v1alpha2"):
        api.create(build_gang(None))
        check_that_pods_get_their_nodes_together(api)
        group = ("scheduling.k8s.io", "v1alpha2", api.namespace, "podgroups", "pair-train-1")
        found: Any = api.custom.get_namespaced_custom_object(*group)
        assert found["spec"]["schedulingPolicy"] == {"gang": {"minCount": 2}}
        api.delete("TrainingRun", "pair")
        wait_until("the group to be deleted with the run", lambda: is_gone(api, group), 60)


def test_without_a_gang_one_pod_gets_a_node_alone(control_plane: BareCluster, api: Api, tmp_path: Path) -> None:
    with operator_that_knows(control_plane, tmp_path / "log", ""):
        api.create(build_gang(None, gang=False))
        wait_until("a pod to get the only node", lambda: count_placed(api) == 1, 60, lambda: explain(api))


def test_a_run_waits_for_a_group_that_the_api_server_does_not_know(
    control_plane: BareCluster, api: Api, tmp_path: Path
) -> None:
    with operator_that_knows(control_plane, tmp_path / "log", f"{STAND_IN}=kubernetes-v1beta1"):
        api.create(build_gang(STAND_IN))

        def read_reason() -> bool:
            return api.get_run("pair").status.summary.reason == "PodGroupsMissing"

        wait_until("the run to say what is missing", read_reason, 60)
        (attempt,) = api.get_run("pair").status.attempts
        assert attempt.outcome is None
        assert list_pods(api) == []


@pytest.mark.parametrize("name", GROUPS)
def test_a_gang_scheduler_finds_the_group_and_its_size(
    control_plane: BareCluster, api: Api, tmp_path: Path, name: str
) -> None:
    install_pod_groups(api, *GROUPS[name])
    knows = operator_that_knows(control_plane, tmp_path / "log", f"{STAND_IN}={name}")
    with knows, run_stand_in(api, name):
        api.create(build_gang(STAND_IN))
        check_that_pods_get_their_nodes_together(api)


def is_gone(api: Api, place: tuple[str, str, str, str, str]) -> bool:
    try:
        api.custom.get_namespaced_custom_object(*place)
    except ApiException as error:
        return bool(error.status == 404)
    return False


def install_pod_groups(api: Api, group: str, version: str) -> None:
    """A CRD with the only field that matters here."""
    spec = {"type": "object", "properties": {"minMember": {"type": "integer", "minimum": 1}}, "required": ["minMember"]}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    names = {"kind": "PodGroup", "listKind": "PodGroupList", "plural": "podgroups", "singular": "podgroup"}
    # The API server wants an approval for groups below k8s.io.
    approval = {"api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/scheduler-plugins/pull/50"}
    body: Any = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"podgroups.{group}", "annotations": approval},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": names,
            "versions": [{"name": version, "served": True, "storage": True, "schema": schema}],
        },
    }
    definitions = client.ApiextensionsV1Api(api.client)
    definitions.create_custom_resource_definition(body)

    def is_established() -> bool:
        found = definitions.read_custom_resource_definition(f"podgroups.{group}").status
        conditions = (found and found.conditions) or []
        return any(item.type == "Established" and item.status == "True" for item in conditions)

    wait_until("the CRD to be established", is_established, 30)


def find_volcano_group(pod: Manifest) -> str:
    name: str = pod["metadata"]["annotations"].get("scheduling.k8s.io/group-name", "")
    return name


def find_coscheduling_group(pod: Manifest) -> str:
    name: str = pod["metadata"]["labels"].get("scheduling.x-k8s.io/pod-group", "")
    return name


FINDERS: dict[str, Callable[[Manifest], str]] = {"volcano": find_volcano_group, "coscheduling": find_coscheduling_group}


@contextmanager
def run_stand_in(api: Api, name: str) -> Iterator[None]:
    """A scheduler that reads groups as Volcano or coscheduling does, until the block ends."""
    stopped = threading.Event()

    def run() -> None:
        while not stopped.wait(0.3):
            schedule(api, name)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(timeout=30)


def schedule(api: Api, name: str) -> None:
    """Bind the pods of each group that is complete, if there is a free node for each of its members."""
    pods: list[Manifest] = api.client.sanitize_for_serialization(
        api.core.list_namespaced_pod(api.namespace, field_selector=f"spec.schedulerName={STAND_IN}").items
    )
    taken = {pod["spec"].get("nodeName") for pod in pods}
    free = [node for node in list_nodes(api) if node not in taken]
    waiting: dict[str, list[str]] = defaultdict(list)
    for pod in pods:
        if "nodeName" not in pod["spec"]:
            waiting[FINDERS[name](pod)].append(pod["metadata"]["name"])
    for group, members in waiting.items():
        size = read_size(api, name, group) if group else 1  # a pod without a group is placed alone
        if size is not None and size <= min(len(members), len(free)):
            for member in members:
                bind(api, member, free.pop())


def read_size(api: Api, name: str, group: str) -> int | None:
    """minMember of the group; None if it does not exist: then its pods wait."""
    try:
        found: Any = api.custom.get_namespaced_custom_object(*GROUPS[name], api.namespace, "podgroups", group)
    except ApiException as error:
        if error.status == 404:
            return None
        raise
    return int(found["spec"]["minMember"])


def bind(api: Api, pod: str, node: str) -> None:
    target = client.V1ObjectReference(api_version="v1", kind="Node", name=node)
    body = client.V1Binding(metadata=client.V1ObjectMeta(name=pod), target=target)
    api.core.create_namespaced_pod_binding(pod, api.namespace, body, _preload_content=False)
