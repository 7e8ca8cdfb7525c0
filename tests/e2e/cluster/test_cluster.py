"""The development cluster does what the other tests rely on."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deepsynth_cluster.clusters.interface import Cluster, Faults
from deepsynth_cluster.commands import wait_until
from deepsynth_cluster.errors import ClusterError
from deepsynth_cluster.images.archives import write_archive
from deepsynth_cluster.kubernetes.control_plane import API_PORT
from deepsynth_cluster.machine.network import CONTROL_PLANE
from deepsynth_cluster.programs.build import program
from deepsynth_cluster.programs.pins import KUBERNETES, kubernetes
from e2e.support.installation import restore_nodes

IMAGE = "localhost/deepsynth-probe:1"
NAMESPACE = "probe"
CONNECT = f"import socket; socket.create_connection(('{CONTROL_PLANE}', {API_PORT}), 5)"
VOLUME = "probe-shared"
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@pytest.fixture(scope="module")
def probes(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A namespace that enforces the restricted level, and the probe's image on all nodes."""
    archive = tmp_path_factory.mktemp("images") / "probe.tar"
    layers = [{"probe": program("probe").read_bytes(), "deleted": b"below"}, {".wh.deleted": b""}]
    write_archive(archive, IMAGE, layers, ["/probe"])
    try:
        cluster.load_image(archive)
    except ClusterError as error:
        if cluster.faults is None:
            pytest.skip(str(error))
        raise
    remove(cluster)  # what a killed run has left
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
    cluster.kubectl("apply", "-f", "-", input=json.dumps(namespace))
    # Pods need it to be admitted, and a controller creates it.
    wait_until(lambda: get(cluster, "serviceaccount", "default"), "the namespace has a ServiceAccount")
    yield cluster
    remove(cluster, "--wait=false")


@pytest.fixture
def faults(probes: Cluster) -> Iterator[Faults]:
    if probes.faults is None:
        pytest.skip("this cluster is not ours to break")
    yield probes.faults
    restore_nodes(probes)


def remove(cluster: Cluster, wait: str = "--timeout=120s") -> None:
    cluster.kubectl("delete", "--ignore-not-found", wait, f"namespace/{NAMESPACE}", f"persistentvolume/{VOLUME}")


def get(cluster: Cluster, kind: str, name: str) -> Any:
    """The object, or {} where it does not exist or the API server does not answer."""
    found = cluster.kubectl("get", kind, name, "-n", NAMESPACE, "-o", "json", check=False)
    return json.loads(found.stdout) if found.returncode == 0 else {}


def ready(cluster: Cluster, *nodes: str) -> bool:
    found = [get(cluster, "node", node) for node in nodes]
    conditions = [each for node in found if node for each in node["status"]["conditions"] if each["type"] == "Ready"]
    return [each["status"] for each in conditions] == ["True"] * len(nodes)


def build_pod(name: str, *arguments: str, node: str = "", limits: dict[str, str] | None = None) -> dict[str, Any]:
    container = {
        "name": "probe",
        "image": IMAGE,
        "args": list(arguments),
        "resources": {"limits": limits or {}},
        "securityContext": RESTRICTED,
    }
    spec: dict[str, Any] = {"containers": [container], "restartPolicy": "Never", "terminationGracePeriodSeconds": 1}
    if node:
        spec["nodeSelector"] = {"kubernetes.io/hostname": node}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


def create(cluster: Cluster, *manifests: dict[str, Any]) -> None:
    content = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
    cluster.kubectl("create", "-f", "-", input=json.dumps(content))


def wait_for_phase(cluster: Cluster, pod: str, phase: str) -> dict[str, Any]:
    wait_until(lambda: get(cluster, "pod", pod).get("status", {}).get("phase") == phase, f"pod {pod} is {phase}")
    found: dict[str, Any] = get(cluster, "pod", pod)
    return found


def get_termination(pod: dict[str, Any]) -> dict[str, Any]:
    ended: dict[str, Any] = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    return ended


def test_two_nodes_are_ready(cluster: Cluster) -> None:
    assert len(cluster.nodes) == 2
    assert ready(cluster, *cluster.nodes)


def test_the_nodes_run_the_kubernetes_that_was_asked_for(faults: Faults, cluster: Cluster) -> None:
    wanted = os.environ.get(KUBERNETES, "1.36")
    versions = {get(cluster, "node", node)["status"]["nodeInfo"]["kubeletVersion"] for node in cluster.nodes}
    served = json.loads(cluster.kubectl("version", "--output", "json").stdout)["serverVersion"]["gitVersion"]
    assert {version.removeprefix("v").rpartition(".")[0] for version in {served, *versions}} == {wanted}


def test_a_kubernetes_that_is_not_pinned_is_an_error_with_the_pinned_ones() -> None:
    with pytest.raises(ClusterError, match=r"DEEPSYNTH_KUBERNETES: must be one of 1.34, 1.35"):
        kubernetes({KUBERNETES: "1.2"})


def test_an_indexed_job_runs_a_pod_per_node_and_its_pods_meet_by_name(probes: Cluster) -> None:
    peers = [f"meet-{index}.meet.{NAMESPACE}.svc" for index in range(2)]
    template = {"metadata": {"labels": {"job": "meet"}}, "spec": build_pod("", "meet", *peers)["spec"]}
    template["spec"] |= {
        "subdomain": "meet",
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": {"job": "meet"}},
            }
        ],
    }
    metadata = {"name": "meet", "namespace": NAMESPACE}
    spec = {"completions": 2, "parallelism": 2, "completionMode": "Indexed", "activeDeadlineSeconds": 90}
    service = {"clusterIP": "None", "selector": {"job": "meet"}, "publishNotReadyAddresses": True}
    create(
        probes,
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec | {"template": template}},
    )
    probes.kubectl("wait", "--for=condition=Complete", "job/meet", "-n", NAMESPACE, "--timeout=100s")
    pods = json.loads(probes.kubectl("get", "pods", "-n", NAMESPACE, "-l", "job=meet", "-o", "json").stdout)["items"]
    assert {pod["spec"]["nodeName"] for pod in pods} == set(probes.nodes)


def test_a_container_beyond_its_memory_limit_is_killed_by_the_kernel(probes: Cluster) -> None:
    create(probes, build_pod("hungry", "eat", limits={"memory": "64Mi"}))
    ended = get_termination(wait_for_phase(probes, "hungry", "Failed"))
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)


def test_a_restricted_namespace_refuses_a_pod_that_may_be_root(probes: Cluster) -> None:
    pod = build_pod("root", "wait")
    del pod["spec"]["containers"][0]["securityContext"]
    refused = probes.kubectl("create", "-f", "-", input=json.dumps(pod), check=False)
    assert refused.returncode != 0
    assert "violates PodSecurity" in refused.stderr


def test_a_gpu_is_held_by_one_pod_at_a_time(probes: Cluster) -> None:
    node = probes.nodes[0]
    probes.set_gpus(1)
    one = {"nvidia.com/gpu": "1"}
    create(probes, build_pod("holder", "wait", node=node, limits=one))
    wait_for_phase(probes, "holder", "Running")
    create(probes, build_pod("waiter", "say", "mine", node=node, limits=one))
    wait_until(lambda: "Insufficient nvidia.com/gpu" in json.dumps(get(probes, "pod", "waiter")), "the other waits")
    probes.kubectl("delete", "pod", "holder", "-n", NAMESPACE)
    wait_for_phase(probes, "waiter", "Succeeded")


def test_logs_and_commands_reach_a_pod(probes: Cluster) -> None:
    create(probes, build_pod("speaker", "say", "good morning"), build_pod("listener", "wait"))
    wait_for_phase(probes, "speaker", "Succeeded")
    assert probes.kubectl("logs", "speaker", "-n", NAMESPACE).stdout == "good morning\n"
    wait_for_phase(probes, "listener", "Running")
    assert probes.kubectl("exec", "listener", "-n", NAMESPACE, "--", "/probe", "say", "hello").stdout == "hello\n"


def test_a_file_that_a_higher_layer_deletes_is_not_in_the_container(probes: Cluster) -> None:
    create(probes, build_pod("looker", "exists", "/probe"), build_pod("misser", "exists", "/deleted"))
    wait_for_phase(probes, "looker", "Succeeded")
    wait_for_phase(probes, "misser", "Failed")


def test_pods_on_different_nodes_share_a_volume(probes: Cluster) -> None:
    folder = Path(probes.volumes, "shared")
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    metadata = {"name": VOLUME}
    claim = {"name": "shared", "namespace": NAMESPACE}
    space = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
    volume = space | {"capacity": {"storage": "1Gi"}, "hostPath": {"path": str(folder)}, "claimRef": claim}
    asked = space | {"volumeName": VOLUME, "resources": {"requests": {"storage": "1Gi"}}}
    create(
        probes,
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": volume},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": claim, "spec": asked},
    )
    for pod, arguments, node in (
        ("writer", ("write", "/shared/note", "text"), probes.nodes[0]),
        ("reader", ("exists", "/shared/note"), probes.nodes[1]),
    ):
        manifest = build_pod(pod, *arguments, node=node)
        manifest["spec"]["volumes"] = [{"name": "shared", "persistentVolumeClaim": {"claimName": "shared"}}]
        manifest["spec"]["containers"][0]["volumeMounts"] = [{"name": "shared", "mountPath": "/shared"}]
        create(probes, manifest)
        wait_for_phase(probes, pod, "Succeeded")


def test_a_killed_container_ends_as_if_the_kernel_had_killed_it(probes: Cluster, faults: Faults) -> None:
    create(probes, build_pod("victim", "wait"))
    wait_for_phase(probes, "victim", "Running")
    assert len(faults.container_pids(NAMESPACE, "victim")) == 1
    faults.kill_container(NAMESPACE, "victim")
    assert get_termination(wait_for_phase(probes, "victim", "Failed"))["exitCode"] == 137


def test_the_pods_of_a_lost_node_are_deleted_and_the_node_comes_back(probes: Cluster, faults: Faults) -> None:
    lost, other = probes.nodes[1], probes.nodes[0]
    probes.set_gpus(1)
    create(probes, build_pod("there", "wait", node=lost), build_pod("here", "wait", node=other))
    wait_for_phase(probes, "there", "Running")
    wait_for_phase(probes, "here", "Running")
    faults.stop_node(lost)
    faults.run_on_node(other, sys.executable, "-c", CONNECT)  # losing a node does not cut off another
    wait_until(
        lambda: "deletionTimestamp" in get(probes, "pod", "there").get("metadata", {}), "the lost pod is deleted"
    )
    assert not ready(probes, lost)
    wait_for_phase(probes, "here", "Running")
    faults.start_node(lost)
    wait_until(
        lambda: not probes.kubectl("get", "pod", "there", "-n", NAMESPACE, "--ignore-not-found").stdout,
        "the lost pod is gone",
    )
    create(probes, build_pod("again", "say", "back", node=lost, limits={"nvidia.com/gpu": "1"}))
    wait_for_phase(probes, "again", "Succeeded")


def test_the_api_server_comes_back_with_all_it_knew(probes: Cluster, faults: Faults) -> None:
    create(probes, build_pod("survivor", "wait"))
    wait_for_phase(probes, "survivor", "Running")
    faults.restart_api_server()
    faults.stop_etcd()
    try:
        asked = ("get", "pod", "survivor", "-n", NAMESPACE, "--request-timeout=3s")
        assert probes.kubectl(*asked, check=False).returncode
    finally:
        faults.start_etcd()
    faults.restart_controller_manager()
    survivor = wait_for_phase(probes, "survivor", "Running")
    assert survivor["status"]["containerStatuses"][0]["restartCount"] == 0
