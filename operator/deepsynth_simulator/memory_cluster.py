"""The cluster as its users see it: what kubectl does, and the Cluster protocol of the operator's controller.

After every call, and after everything a PodRunner reports, the controllers run until nothing is left to do, so what a
caller reads next is settled. `hold` delays that, for tests of the time in between.

    cluster = MemoryCluster(runner, LoopClock())
    cluster.view.subscribe(note_key)                     every watch event
    cluster.apply_resource(manifest)                     what kubectl apply does, after admission
    await reconcile(cluster, settings, kind, ...)        the operator, on the Cluster protocol
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from deepsynth_api.crd.schema import NEW_STATUS
from deepsynth_api.kinds import KINDS, ResourceKind
from deepsynth_api.labels import MANAGED_BY, OPERATOR_NAME, OWNER_UID, owner_selector
from deepsynth_api.report import Report
from deepsynth_api.v1alpha1 import DatasetGenerationStatus, Resource, TrainingRunStatus
from deepsynth_operator.core.cluster import AppliedKind, CompanionKind, EventType, JobSubresource
from deepsynth_operator.core.errors import Conflict, ForeignChild
from deepsynth_operator.core.observed import Manifest, is_owned_by
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_simulator.clock import Clock
from deepsynth_simulator.cluster_view import ClusterView
from deepsynth_simulator.garbage_collector import GarbageCollector
from deepsynth_simulator.job_controller import RETRY_DELAY, JobController
from deepsynth_simulator.kubelet import Kubelet
from deepsynth_simulator.object_store import AlreadyExists, ObjectKey, ObjectStore, key_of
from deepsynth_simulator.pod_runner import PodRunner

_MAX_ROUNDS: Final = 10_000


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An Event that the controller emitted about a resource. kind: Normal or Warning."""

    time: datetime
    resource: ObjectKey
    kind: EventType
    reason: str
    message: str


class MemoryCluster:
    """Implements deepsynth_operator.core.cluster.Cluster."""

    def __init__(
        self,
        runner: PodRunner,
        clock: Clock,
        *,
        nodes: tuple[str, ...] = ("localhost",),
        view: Callable[[ObjectStore, Clock], ClusterView] = ClusterView,
        retry_delay: timedelta = RETRY_DELAY,
    ) -> None:
        """view: the cache that get and list_* read. retry_delay: before an index's first retry."""
        self.store = ObjectStore(clock.now)
        self.workloads: dict[tuple[str, str], Manifest] = {}
        """Those of a queue, by the namespace and the uid of their Job. Without one, nobody may read it."""
        self.events: list[RecordedEvent] = []
        self._runner, self._clock = runner, clock
        self._jobs = JobController(self.store, clock, self.settle, retry_delay)
        self._garbage = GarbageCollector(self.store)
        self.kubelet = Kubelet(self.store, runner, clock, self.settle, list(nodes))
        self.view = view(self.store, clock)
        self._busy = False

    def settle(self) -> None:
        """Let the controllers act until nothing changes anymore."""
        if self._busy:
            return
        with self._alone():
            for _ in range(_MAX_ROUNDS):
                if not any([self._garbage.sync(), self._jobs.sync(), self.kubelet.sync()]):
                    return
        raise AssertionError(f"the simulator's controllers still change objects after {_MAX_ROUNDS} rounds")

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Stop the controllers inside the block; they catch up at its end."""
        with self._alone():
            yield
        self.settle()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        before, self._busy = self._busy, True
        try:
            yield
        finally:
            self._busy = before

    async def close(self) -> None:
        """Kill all running containers."""
        with self._alone():
            await self._runner.close()

    # What a user does with kubectl.

    def apply_resource(self, manifest: Manifest) -> Resource:
        """Create a resource or change its spec, labels and annotations; status and uid stay."""
        kind = manifest["kind"]
        try:
            stored = self.store.create({**manifest, "status": dict(NEW_STATUS)})
        except AlreadyExists:
            stored = self.store.update(key_of(manifest), lambda item: _change(item, manifest))
        self.settle()
        return KINDS[kind].resource.model_validate(stored)

    def restore_resource(self, manifest: Manifest) -> Resource:
        """Put a resource of an earlier process back with its uid and status."""
        stored = self.store.restore(manifest)
        self.settle()
        return KINDS[manifest["kind"]].resource.model_validate(stored)

    def delete_object(self, kind: str, namespace: str, name: str) -> None:
        """Delete a resource or a pod as kubectl does; dependents follow in the background."""
        self.store.delete(ObjectKey(kind, namespace, name))
        self.settle()

    # What the operator does: the Cluster protocol.

    async def get(self, kind: ResourceKind, namespace: str, name: str) -> Any:
        return self._parse(self.view.get(kind, namespace, name))

    async def read(self, kind: ResourceKind, namespace: str, name: str) -> Any:
        return self._parse(self.store.get(kind, namespace, name))

    async def list_jobs(self, namespace: str, owner_uid: str) -> list[Manifest]:
        return self.view.select("Job", namespace, owner_selector(owner_uid))

    async def list_pods(self, namespace: str, owner_uid: str) -> list[Manifest]:
        return self.view.select("Pod", namespace, owner_selector(owner_uid))

    async def list_deleted_pods(self, namespace: str, owner_uid: str) -> list[Manifest]:
        return self.view.list_deleted_pods(namespace, owner_selector(owner_uid))

    async def read_job(self, namespace: str, name: str) -> Manifest | None:
        return self.store.get("Job", namespace, name)

    async def is_node_ready(self, name: str) -> bool | None:
        node = self.kubelet.nodes.get(name)
        return node is not None and node.ready

    async def read_workload(self, namespace: str, job_uid: str) -> Manifest | None:
        return self.workloads.get((namespace, job_uid))

    async def read_reports(self, pods: Sequence[Manifest]) -> dict[str, Report]:
        read = {pod["metadata"]["uid"]: await self._read_report(pod) for pod in pods}
        return {uid: report for uid, report in read.items() if report is not None}

    async def _read_report(self, pod: Manifest) -> Report | None:
        node = self.kubelet.nodes.get(pod["spec"].get("nodeName", ""))
        if node is None or not node.ready or pod["status"]["phase"] != "Running":
            return None
        return await self._runner.read_report(pod)

    async def create(self, manifest: Manifest) -> None:
        if manifest["kind"] == "Job":
            manifest = {**manifest, "status": {}}
        try:
            self.view.note_written(self.store.create(manifest))
        except AlreadyExists as error:
            self._require_ours(manifest, error)
        self.settle()

    async def apply(self, manifest: Manifest) -> None:
        try:
            self.store.create(manifest)
        except AlreadyExists as error:
            self._require_ours(manifest, error)
            self.store.update(key_of(manifest), lambda item: _change(item, manifest))
        self.settle()

    async def keep(self, kind: AppliedKind, namespace: str, name: str, build: Callable[[], Manifest]) -> None:
        if self.store.get(kind, namespace, name) is None:
            await self.apply(build())

    async def patch_job(
        self, namespace: str, name: str, *, uid: str, change: Mapping[str, Any], subresource: JobSubresource = ""
    ) -> None:
        key = ObjectKey("Job", namespace, name)
        if self._has_uid(key, uid):
            own = {"status"} if subresource == "status" else change.keys() - {"status"}
            self.store.update(key, lambda job: _merge(job, {part: change[part] for part in change if part in own}))
        self.settle()

    async def delete_job(self, namespace: str, name: str, *, uid: str) -> None:
        if self._has_uid(ObjectKey("Job", namespace, name), uid):
            self.store.delete(ObjectKey("Job", namespace, name))
        self.settle()

    async def delete_companion(self, kind: CompanionKind, namespace: str, name: str, owner: str) -> None:
        found = self.store.get(kind, namespace, name)
        if found is not None and is_owned_by(found, owner):
            self.store.delete(ObjectKey(kind, namespace, name))
        self.settle()

    async def write_status(self, resource: Resource, status: DatasetGenerationStatus | TrainingRunStatus) -> Any:
        metadata = resource.metadata
        key = ObjectKey(resource.kind, metadata.namespace, metadata.name)
        found = self.store.get(*key)
        if found is None or found["metadata"]["resourceVersion"] != metadata.resource_version:
            raise Conflict(f"{key} changed since it was read")
        written = self.store.update(key, lambda item: item.update(status=status.to_dict()))
        self.view.note_written(written)
        self.settle()
        return self._parse(written)

    def deliver(self, key: ResourceKey, event: Manifest | None) -> bool:  # noqa: ARG002 - of the interface
        """Nobody is notified on one machine."""
        return True

    async def emit_event(self, resource: Resource, kind: EventType, reason: str, message: str) -> None:
        key = ObjectKey(resource.kind, resource.metadata.namespace, resource.metadata.name)
        self.events.append(RecordedEvent(self._clock.now(), key, kind, reason, message))

    def _require_ours(self, manifest: Manifest, error: AlreadyExists) -> None:
        """Raise ForeignChild unless the object that has this name has the same owner."""
        if not _has_same_owner(self.store.get(*key_of(manifest)), manifest["metadata"]["labels"]):
            raise ForeignChild(f"{error}; it belongs to another owner") from None

    def _has_uid(self, key: ObjectKey, uid: str) -> bool:
        """Whether the object exists. Raises Conflict if it has another uid."""
        found = self.store.get(*key)
        if found is not None and found["metadata"]["uid"] != uid:
            raise Conflict(f"{key} has another uid")
        return found is not None

    @staticmethod
    def _parse(manifest: Manifest | None) -> Resource | None:
        return None if manifest is None else KINDS[manifest["kind"]].resource.model_validate(manifest)


def _change(item: dict[str, Any], manifest: Manifest) -> None:
    item["spec"] = dict(manifest["spec"])
    for field in ("labels", "annotations"):
        if field in manifest["metadata"]:
            item["metadata"][field] = dict(manifest["metadata"][field])


def _merge(item: dict[str, Any], change: Mapping[str, Any]) -> None:
    """Apply a JSON merge patch: None removes a field."""
    for key, value in change.items():
        if isinstance(value, Mapping):
            _merge(item.setdefault(key, {}), value)
        elif value is None:
            item.pop(key, None)
        else:
            item[key] = value


def _has_same_owner(found: Manifest | None, labels: Mapping[str, str]) -> bool:
    own = found["metadata"].get("labels", {}) if found else {}
    return bool(own.get(MANAGED_BY) == OPERATOR_NAME and own.get(OWNER_UID) == labels[OWNER_UID])
