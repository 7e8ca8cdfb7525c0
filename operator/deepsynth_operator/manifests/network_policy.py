"""One NetworkPolicy per resource: who may open connections to its pods.

    pods of the same resource  ──▶ all ports      ranks choose ports themselves, and exchange pickled objects
    peers of the settings      ──▶ 8470           the operator reads reports, Prometheus metrics
    the node of the pod        ──▶ all ports      always allowed by Kubernetes: probes of the kubelet
    everyone else              ──▶ none

Outgoing connections are not limited: pods load models and datasets. A user who may create pods in the namespace can
give them the labels that this policy selects, so it protects a namespace from others and from chance, not from itself.
"""

from collections.abc import Sequence
from typing import Any

from deepsynth_api.labels import owner_selector
from deepsynth_api.v1alpha1 import Resource, TrainingRun
from deepsynth_api.workload import REPORT_PORT
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.manifests.child import build_metadata
from deepsynth_operator.manifests.names import build_policy_name


def build_network_policy(resource: Resource, report_peers: Sequence[Manifest]) -> dict[str, Any]:
    """The same for all Jobs of `resource`, so that it protects pods that outlive their Job.

    report_peers: who may reach the report port, as in a policy's `from`; empty means everyone.
    """
    own = {"matchLabels": owner_selector(resource.metadata.uid)}
    reports = {"ports": [{"protocol": "TCP", "port": REPORT_PORT}]}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": build_metadata(
            resource, "train" if isinstance(resource, TrainingRun) else "render", build_policy_name(resource)
        ),
        "spec": {
            "podSelector": own,
            "policyTypes": ["Ingress"],
            "ingress": [
                {"from": [{"podSelector": own}]},
                {**reports, **({"from": list(report_peers)} if report_peers else {})},
            ],
        },
    }
