"""What the controller needs from a cluster. KubernetesCluster (API server) and MemoryCluster (simulator) implement it.

    get, list_*    from a cache, which may be behind: an object may be old, missing, or already deleted
    read, read_*   from the API server or the pod itself
    the rest       writes

Every method raises ClusterError when the cluster does not answer.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, Protocol, get_args, overload

from deepsynth_api.kinds import ResourceKind
from deepsynth_api.report import Report
from deepsynth_api.v1alpha1 import DatasetGeneration, DatasetGenerationStatus, Resource, TrainingRun, TrainingRunStatus
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.core.resource_key import ResourceKey

PodGroupKind = Literal[
    "PodGroup.v1beta1.scheduling.volcano.sh",
    "PodGroup.v1alpha1.scheduling.x-k8s.io",
    "PodGroup.v1alpha2.scheduling.k8s.io",
    "PodGroup.v1beta1.scheduling.k8s.io",
]
"""Each gang scheduler has its own kind of this name: here with version and group, as kubectl writes it."""
CompanionKind = Literal["Service", "ConfigMap"] | PodGroupKind
"""What is created together with a Job, under the same name."""
AppliedKind = Literal["NetworkPolicy"]
APPLIED_KINDS: Final[frozenset[str]] = frozenset(get_args(AppliedKind))
"""Children that are applied, not created: a later attempt of the resource may change them."""
JobSubresource = Literal["", "status"]
ChildKind = Literal["Job"] | CompanionKind | AppliedKind
EventType = Literal["Normal", "Warning"]


def get_kind(manifest: Manifest) -> Any:
    """The kind of a child, as ChildKind writes it."""
    if manifest["kind"] != "PodGroup":
        return manifest["kind"]
    group, _, version = manifest["apiVersion"].partition("/")
    return f"PodGroup.{version}.{group}"


class Cluster(Protocol):
    """Every object is named by its namespace and name. Manifests are dicts, as the Kubernetes API has them."""

    @overload
    async def get(self, kind: Literal["DatasetGeneration"], namespace: str, name: str) -> DatasetGeneration | None: ...
    @overload
    async def get(self, kind: Literal["TrainingRun"], namespace: str, name: str) -> TrainingRun | None: ...
    async def get(self, kind: ResourceKind, namespace: str, name: str) -> Resource | None:
        """The resource, from the cache; None if it does not exist."""

    @overload
    async def read(self, kind: Literal["DatasetGeneration"], namespace: str, name: str) -> DatasetGeneration | None: ...
    @overload
    async def read(self, kind: Literal["TrainingRun"], namespace: str, name: str) -> TrainingRun | None: ...
    async def read(self, kind: ResourceKind, namespace: str, name: str) -> Resource | None:
        """The resource as it is now; None if it does not exist."""

    async def list_jobs(self, namespace: str, owner_uid: str) -> list[Manifest]:
        """Jobs with the label of this owner, from the cache."""

    async def list_pods(self, namespace: str, owner_uid: str) -> list[Manifest]:
        """Pods with the label of this owner, from the cache."""

    async def list_deleted_pods(self, namespace: str, owner_uid: str) -> list[Manifest]:
        """Pods with this label that were deleted in the last ten minutes, in their last state (exit codes)."""

    async def read_job(self, namespace: str, name: str) -> Manifest | None:
        """The Job as it is now; None if it does not exist."""

    async def is_node_ready(self, name: str) -> bool | None:
        """Whether the node exists and is Ready; None if the controller has no right to read nodes."""

    async def read_workload(self, namespace: str, job_uid: str) -> Manifest | None:
        """The Workload by which a queue holds this Job, {} if there is none; None if it must not be read."""

    async def read_reports(self, pods: Sequence[Manifest]) -> dict[str, Report]:
        """What the pods of one resource answered to GET /report last, by uid. Does not wait for any of them.

        Pods that have not answered yet, or not in time, are missing.
        """

    async def create(self, manifest: Manifest) -> None:
        """Create a child. If it exists already with the same owner uid label, that is a success too.

        Raises ForeignChild when another owner's object has the name, Refused when the API server rejects the manifest,
        KindMissing when it does not have the kind, NamespaceGoing when the namespace is being deleted.
        """

    async def apply(self, manifest: Manifest) -> None:
        """Server-side apply with the controller's field manager, for APPLIED_KINDS. Raises the errors of `create`."""

    async def keep(self, kind: AppliedKind, namespace: str, name: str, build: Callable[[], Manifest]) -> None:
        """Apply what `build` returns if somebody has deleted the child. Looks only every few minutes.

        Raises the errors of `create`.
        """

    async def patch_job(
        self, namespace: str, name: str, *, uid: str, change: Mapping[str, Any], subresource: JobSubresource = ""
    ) -> None:
        """Merge `change` into the Job. A Job that is gone is a success. Raises Conflict when it has another uid.

        subresource: "status" changes the status, and nothing else does.
        """

    async def delete_job(self, namespace: str, name: str, *, uid: str) -> None:
        """Delete the Job and, in the background, its pods (propagationPolicy Background).

        A Job that is gone is a success. Raises Conflict when the Job has another uid.
        """

    async def delete_companion(self, kind: CompanionKind, namespace: str, name: str, owner: str) -> None:
        """Delete the companion of this name if it has the label of this owner; another owner's object stays."""

    @overload
    async def write_status(self, resource: DatasetGeneration, status: DatasetGenerationStatus) -> DatasetGeneration: ...
    @overload
    async def write_status(self, resource: TrainingRun, status: TrainingRunStatus) -> TrainingRun: ...
    async def write_status(self, resource: Resource, status: DatasetGenerationStatus | TrainingRunStatus) -> Resource:
        """Replace the whole status, provided that the resource still has resource.metadata.resource_version.

        Returns the resource as written, with its new resourceVersion. Raises Conflict when the resource has changed
        (409) or is gone (404).
        """

    def deliver(self, key: ResourceKey, event: Manifest | None) -> bool:
        """Whether the webhook has accepted this CloudEvent. If not, it is being sent, for a day; does not wait.

        Any other event about this resource is not tried again; None: nothing is to be sent about it.
        """

    async def emit_event(self, resource: Resource, kind: EventType, reason: str, message: str) -> None:
        """Record an Event, as `kubectl describe` shows it. It may get lost."""
