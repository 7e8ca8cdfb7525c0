"""A control plane for the benchmark: only the controllers that Jobs need, and an audit log of what is measured.

etcd, API server          as in the development cluster; the operator and a peer have accounts of their own, whose
                          requests are logged and which priority and fairness treats as any account
controller manager        Jobs, garbage collection, namespaces and accounts, with as many requests as it wants: the
                          default of 20 a second would be what is measured
scheduler, nodes          none; see fake_kubelet
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.scale.subjects import NAMESPACE

from deepsynth_cluster.clusters.bare import BareCluster
from deepsynth_cluster.clusters.selection import temporary_cluster
from deepsynth_cluster.clusters.trainer import GROUP
from deepsynth_cluster.kubernetes.credentials import write_kubeconfig
from deepsynth_demo.chart import create_restricted_namespace
from deepsynth_images.recipe import ROOT

ACCOUNT: Final = "deepsynth-operator"
CONTROLLERS: Final = (
    "job-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "root-ca-certificate-publisher-controller",
    "ttl-after-finished-controller",
)
POLICY: Final = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [
        {"level": "Metadata", "users": [ACCOUNT]},
        {"level": "Metadata", "userGroups": [GROUP]},
        {"level": "None"},
    ],
}


@dataclass(frozen=True)
class ControlPlane:
    cluster: BareCluster
    kubeconfig: Path
    """Of the operator's account."""
    audit_log: Path


@contextmanager
def run_control_plane(name: str) -> Iterator[ControlPlane]:
    """A new control plane with the CRDs and the namespace NAMESPACE, until the block ends."""
    with temporary_cluster(name, nodes=0) as cluster:
        audit_log = cluster.folder / "audit.jsonl"
        _restart(cluster, audit_log)
        cluster.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=120s", "-f", str(ROOT / "crds"))
        create_restricted_namespace(cluster, NAMESPACE)
        cluster.kubectl("create", "clusterrolebinding", ACCOUNT, "--clusterrole=cluster-admin", f"--user={ACCOUNT}")
        yield ControlPlane(cluster, _write_kubeconfig(cluster), audit_log)


def _restart(cluster: BareCluster, audit_log: Path) -> None:
    """Start the API server and the controller manager again, with other flags, and stop the scheduler."""
    policy = cluster.folder / "audit-policy.json"
    policy.write_text(json.dumps(POLICY))
    control_plane = cluster.control_plane
    for program in ("kube-scheduler", "kube-controller-manager", "kube-apiserver"):
        control_plane.machine.kill(program)
    control_plane.start_api_server(f"--audit-policy-file={policy}", f"--audit-log-path={audit_log}")
    cluster.wait_for_api_server()
    control_plane.start_controller_manager(
        f"--controllers={','.join(CONTROLLERS)}",
        "--kube-api-qps=1000",
        "--kube-api-burst=2000",
        "--concurrent-job-syncs=20",
    )


def _write_kubeconfig(cluster: BareCluster) -> Path:
    """The administrator's kubeconfig with the operator's account."""
    path = cluster.folder / "operator.kubeconfig"
    server = json.loads(cluster.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    authority = cluster.control_plane.authority
    write_kubeconfig(path, "operator", server, authority.own.certificate, authority.issue(ACCOUNT, ACCOUNT))
    return path
