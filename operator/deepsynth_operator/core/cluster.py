"""What the controller needs of a cluster. The Kubernetes client and the in-memory one both implement this Protocol.

Reads named `get_` and `list_` may answer from a cache, which may be stale in any way: late, without an object that
exists, with one that is gone. Reads named `read_` go to the source. Every method raises ClusterError when the
cluster does not answer.
"""

from collections.abc import Sequence
from typing import Literal, Protocol, overload

from deepsynth_api.report import Report
from deepsynth_api.v1alpha1 import DatasetGeneration, DatasetGenerationStatus, TrainingRun, TrainingRunStatus
from deepsynth_operator.core.observed import Manifest

ResourceKind = Literal["DatasetGeneration", "TrainingRun"]
CompanionKind = Literal["Service", "ConfigMap"]
"""What a Job needs beside it, under its name."""
ChildKind = Literal["Job"] | CompanionKind
Resource = DatasetGeneration | TrainingRun
EventType = Literal["Normal", "Warning"]


class Cluster(Protocol):
    """Names are namespaced; manifests are dicts as they come over the wire."""

    @overload
    async def get(self, kind: Literal["DatasetGeneration"], namespace: str, name: str) -> DatasetGeneration | None: ...
    @overload
    async def get(self, kind: Literal["TrainingRun"], namespace: str, name: str) -> TrainingRun | None: ...
    async def get(self, kind: ResourceKind, namespace: str, name: str) -> Resource | None:
        """The resource, maybe from a cache."""

    @overload
    async def read(self, kind: Literal["DatasetGeneration"], namespace: str, name: str) -> DatasetGeneration | None: ...
    @overload
    async def read(self, kind: Literal["TrainingRun"], namespace: str, name: str) -> TrainingRun | None: ...
    async def read(self, kind: ResourceKind, namespace: str, name: str) -> Resource | None:
        """The resource as it is now."""

    async def list_jobs(self, namespace: str, owner_uid: str) -> list[Manifest]:
        """Jobs labelled with this owner, maybe from a cache."""

    async def list_pods(self, namespace: str, owner_uid: str) -> list[Manifest]:
        """Pods labelled with this owner, maybe from a cache."""

    async def list_deleted_pods(self, namespace: str, owner_uid: str) -> list[Manifest]:
        """Last bodies of such pods that were seen being deleted in the last ten minutes: exit codes live there."""

    async def read_job(self, namespace: str, name: str) -> Manifest | None:
        """The Job as it is now."""

    async def is_node_ready(self, name: str) -> bool | None:
        """Whether the node exists and is Ready; None where the controller may not know."""

    async def read_reports(self, pods: Sequence[Manifest]) -> dict[str, Report]:
        """The answers of pods of one resource to GET /report, by uid: of those that answer in a bounded time."""

    async def create(self, manifest: Manifest) -> None:
        """Create a child. It exists already with the same owner uid label: that is success.

        Raises ForeignChild when another owner's object has the name, Refused when the API server never will,
        NamespaceGoing when the namespace is being deleted.
        """

    async def apply(self, manifest: Manifest) -> None:
        """Server-side apply with the controller's field manager: for Services. Raises what `create` raises."""

    async def patch_job(self, namespace: str, name: str, *, uid: str, parallelism: int) -> None:
        """Set spec.parallelism. Raises Conflict when the Job has another uid; a Job that is gone is success."""

    async def delete_job(self, namespace: str, name: str, *, uid: str) -> None:
        """Delete the Job with this uid in the background (propagationPolicy Background); gone is success.

        Raises Conflict when the Job has another uid.
        """

    async def delete_companion(self, kind: CompanionKind, namespace: str, name: str, owner: str) -> None:
        """Delete what a Job's name names, if it is labelled with this owner's uid; a stranger's is left alone."""

    @overload
    async def write_status(self, resource: DatasetGeneration, status: DatasetGenerationStatus) -> DatasetGeneration: ...
    @overload
    async def write_status(self, resource: TrainingRun, status: TrainingRunStatus) -> TrainingRun: ...
    async def write_status(self, resource: Resource, status: DatasetGenerationStatus | TrainingRunStatus) -> Resource:
        """Replace the whole status if the resource still has resource.metadata.resource_version.

        Returns the resource as written, with its new resourceVersion. Raises Conflict when it changed since (409)
        or is gone (404).
        """

    async def emit_event(self, resource: Resource, kind: EventType, reason: str, message: str) -> None:
        """An Event that `kubectl describe` shows. It may get lost."""
