"""The in-memory Cluster: an object store, the Job controller, a garbage collector and kubelets in one process.

After every call, and after everything a PodRunner tells, the controllers run until nothing is left to do, so what a
caller reads next is settled. `hold` delays that, for tests that want to look at or interfere with the time between.

    cluster = MemoryCluster(runner, LoopClock())
    cluster.view.subscribe(note_key)                     watch events of everything
    cluster.apply_resource(manifest)                     what kubectl apply does, after admission
    await reconcile_training_run(cluster, key, now)      the controller works against the Cluster Protocol
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
from deepsynth_operator.core.cluster import CompanionKind, EventType
from deepsynth_operator.core.errors import Conflict, ForeignChild
from deepsynth_operator.core.observed import Manifest, is_owned_by
from deepsynth_simulator.clock import Clock
from deepsynth_simulator.cluster_view import ClusterView
from deepsynth_simulator.job_controller import RETRY_DELAY, GarbageCollector, JobController
from deepsynth_simulator.kubelet import Kubelet
from deepsynth_simulator.object_store import AlreadyExists, Key, Object, ObjectStore, key_of
from deepsynth_simulator.pod_runner import PodRunner

_MOST_ROUNDS: Final = 10_000


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An Event on a resource."""

    time: datetime
    resource: Key
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
        """view: what the controller's cached reads see. retry_delay: before a shard's first retry."""
        self.store = ObjectStore(clock.now)
        self.events: list[RecordedEvent] = []
        self._runner, self._clock = runner, clock
        self._jobs = JobController(self.store, clock, self.settle, retry_delay)
        self._garbage = GarbageCollector(self.store)
        self.kubelet = Kubelet(self.store, runner, clock, self.settle, list(nodes))
        self.view = view(self.store, clock)
        self._busy = False

    def settle(self) -> None:
        """Let the controllers act until nothing changes any more."""
        if self._busy:
            return
        with self._alone():
            for _ in range(_MOST_ROUNDS):
                if not any([self._garbage.sync(), self._jobs.sync(), self.kubelet.sync()]):
                    return
        raise AssertionError("the in-memory cluster's controllers do not come to rest")

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Within it nothing but the caller's own calls changes anything; afterwards the controllers catch up."""
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
        """Kill what runs."""
        with self._alone():
            await self._runner.close()

    # What a user does.

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
        self.store.delete((kind, namespace, name))
        self.settle()

    # What the controller does.

    async def get(self, kind: ResourceKind, namespace: str, name: str) -> Any:
        return self._parse(self.view.get(kind, namespace, name))

    async def read(self, kind: ResourceKind, namespace: str, name: str) -> Any:
        return self._parse(self.store.get(kind, namespace, name))

    async def list_jobs(self, namespace: str, owner_uid: str) -> list[Manifest]:
        return list(self.view.select("Job", namespace, owner_selector(owner_uid)))

    async def list_pods(self, namespace: str, owner_uid: str) -> list[Manifest]:
        return list(self.view.select("Pod", namespace, owner_selector(owner_uid)))

    async def list_deleted_pods(self, namespace: str, owner_uid: str) -> list[Manifest]:
        return list(self.view.list_deleted_pods(namespace, owner_selector(owner_uid)))

    async def read_job(self, namespace: str, name: str) -> Manifest | None:
        return self.store.get("Job", namespace, name)

    async def is_node_ready(self, name: str) -> bool | None:
        node = self.kubelet.nodes.get(name)
        return node is not None and node.ready

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
            self.store.create(manifest)
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

    async def patch_job(self, namespace: str, name: str, *, uid: str, parallelism: int) -> None:
        if self._has_uid(("Job", namespace, name), uid):
            self.store.update(("Job", namespace, name), lambda job: job["spec"].update(parallelism=parallelism))
        self.settle()

    async def delete_job(self, namespace: str, name: str, *, uid: str) -> None:
        if self._has_uid(("Job", namespace, name), uid):
            self.store.delete(("Job", namespace, name))
        self.settle()

    async def delete_companion(self, kind: CompanionKind, namespace: str, name: str, owner: str) -> None:
        found = self.store.get(kind, namespace, name)
        if found is not None and is_owned_by(found, owner):
            self.store.delete((kind, namespace, name))
        self.settle()

    async def write_status(self, resource: Resource, status: DatasetGenerationStatus | TrainingRunStatus) -> Any:
        metadata = resource.metadata
        key = (resource.kind, metadata.namespace, metadata.name)
        found = self.store.get(*key)
        if found is None or found["metadata"]["resourceVersion"] != metadata.resource_version:
            raise Conflict("{} {}/{} changed since it was read".format(*key))
        written = self.store.update(key, lambda item: item.update(status=status.to_dict()))
        self.settle()
        return self._parse(written)

    async def emit_event(self, resource: Resource, kind: EventType, reason: str, message: str) -> None:
        key = (resource.kind, resource.metadata.namespace, resource.metadata.name)
        self.events.append(RecordedEvent(self._clock.now(), key, kind, reason, message))

    def _require_ours(self, manifest: Manifest, error: AlreadyExists) -> None:
        """Raise ForeignChild unless what has the name of `manifest` has its owner too."""
        if not _has_same_owner(self.store.get(*key_of(manifest)), manifest["metadata"]["labels"]):
            raise ForeignChild(f"{error}; it belongs to another owner") from None

    def _has_uid(self, key: Key, uid: str) -> bool:
        """Whether the object exists. Raises Conflict when its uid is another one."""
        found = self.store.get(*key)
        if found is not None and found["metadata"]["uid"] != uid:
            raise Conflict("{} {}/{} has another uid".format(*key))
        return found is not None

    @staticmethod
    def _parse(manifest: Object | None) -> Resource | None:
        return None if manifest is None else KINDS[manifest["kind"]].resource.model_validate(manifest)


def _change(item: Object, manifest: Manifest) -> None:
    item["spec"] = dict(manifest["spec"])
    for field in ("labels", "annotations"):
        if field in manifest["metadata"]:
            item["metadata"][field] = dict(manifest["metadata"][field])


def _has_same_owner(found: Object | None, labels: Mapping[str, str]) -> bool:
    own = found["metadata"].get("labels", {}) if found else {}
    return bool(own.get(MANAGED_BY) == OPERATOR_NAME and own.get(OWNER_UID) == labels[OWNER_UID])
