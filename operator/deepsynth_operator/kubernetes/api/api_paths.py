"""Paths in the Kubernetes API of the kinds that the controller uses: kind -> group, version and plural."""

from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote

from deepsynth_api.kinds import GROUP, KINDS, VERSION
from deepsynth_api.labels import MANAGED_BY, OPERATOR_NAME
from deepsynth_operator.core.cluster import PodGroupKind

PlainKind = Literal[
    "ConfigMap",
    "DatasetGeneration",
    "Event",
    "Job",
    "Lease",
    "NetworkPolicy",
    "Node",
    "Pod",
    "Service",
    "TrainingRun",
    "Workload",
]
Kind = PlainKind | PodGroupKind
WatchedKind = Literal["DatasetGeneration", "Job", "Pod", "TrainingRun"]

WATCHED_KINDS: Final[tuple[WatchedKind, ...]] = ("DatasetGeneration", "TrainingRun", "Job", "Pod")
CHILDREN_SELECTOR: Final = f"{MANAGED_BY}={OPERATOR_NAME}"
"""Applied by the API server, so Jobs and pods of others never reach this process."""


@dataclass(frozen=True, slots=True)
class ApiResource:
    """One kind of the API. label_selector: limits lists and watches to our children."""

    group: str
    version: str
    plural: str
    label_selector: str = ""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


RESOURCES: Final[dict[Kind, ApiResource]] = {
    "ConfigMap": ApiResource("", "v1", "configmaps"),
    "DatasetGeneration": ApiResource(GROUP, VERSION, KINDS["DatasetGeneration"].plural),
    "Event": ApiResource("", "v1", "events"),
    "Job": ApiResource("batch", "v1", "jobs", CHILDREN_SELECTOR),
    "Lease": ApiResource("coordination.k8s.io", "v1", "leases"),
    "NetworkPolicy": ApiResource("networking.k8s.io", "v1", "networkpolicies"),
    "Node": ApiResource("", "v1", "nodes"),
    "Pod": ApiResource("", "v1", "pods", CHILDREN_SELECTOR),
    "PodGroup.v1beta1.scheduling.volcano.sh": ApiResource("scheduling.volcano.sh", "v1beta1", "podgroups"),
    "PodGroup.v1alpha1.scheduling.x-k8s.io": ApiResource("scheduling.x-k8s.io", "v1alpha1", "podgroups"),
    "PodGroup.v1alpha2.scheduling.k8s.io": ApiResource("scheduling.k8s.io", "v1alpha2", "podgroups"),
    "PodGroup.v1beta1.scheduling.k8s.io": ApiResource("scheduling.k8s.io", "v1beta1", "podgroups"),
    "Service": ApiResource("", "v1", "services"),
    "TrainingRun": ApiResource(GROUP, VERSION, KINDS["TrainingRun"].plural),
    "Workload": ApiResource("kueue.x-k8s.io", "v1beta2", "workloads"),
}


def build_path(kind: Kind, namespace: str | None = None, name: str | None = None, subresource: str = "") -> str:
    """Path of a collection, an object or a subresource; without a namespace that of the whole cluster.

    build_path("Job", "ns", "x", "status") -> /apis/batch/v1/namespaces/ns/jobs/x/status
    """
    resource = RESOURCES[kind]
    parts = ["apis", resource.group, resource.version] if resource.group else ["api", resource.version]
    if namespace is not None:
        parts += ["namespaces", quote(namespace, safe="")]
    parts.append(resource.plural)
    if name is not None:
        parts.append(quote(name, safe=":"))
    return "/" + "/".join([*parts, *([subresource] if subresource else [])])
