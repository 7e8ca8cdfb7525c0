"""Implements `core.cluster.Cluster` on a real API server.

`get` and `list_*` answer from the cache, `read` and `read_*` ask the API server. Where it refuses, that becomes one of
the errors in `core.errors`. Only create and apply raise Refused, because only there the resource may be at fault.
"""

import logging
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from deepsynth_api.kinds import KINDS, ResourceKind
from deepsynth_api.labels import MANAGED_BY, OPERATOR_NAME, OWNER_UID, QUEUE_JOB_UID
from deepsynth_api.report import Report
from deepsynth_api.v1alpha1 import DatasetGenerationStatus, Resource, TrainingRunStatus
from deepsynth_operator.core.cluster import (
    AppliedKind,
    ChildKind,
    CompanionKind,
    EventType,
    JobSubresource,
    get_kind,
)
from deepsynth_operator.core.errors import (
    ClusterError,
    Conflict,
    ControllerError,
    ForeignChild,
    KindMissing,
    NamespaceGoing,
    NotPermitted,
    Refused,
)
from deepsynth_operator.core.observed import Manifest, find_true_condition, is_owned_by
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.kubernetes.api.api_paths import Kind
from deepsynth_operator.kubernetes.api.api_server import ApiRefusal, ApiServer
from deepsynth_operator.kubernetes.event_recorder import EventRecorder
from deepsynth_operator.kubernetes.reports.report_poller import ReadsReports
from deepsynth_operator.kubernetes.watches.resource_cache import ResourceCache

Status = DatasetGenerationStatus | TrainingRunStatus
REFUSED_SECONDS: Final = 600.0
KEEP_SECONDS: Final = 600.0
"""How often `keep` looks at a child: one request each time, for every unfinished resource."""
NODE_SECONDS: Final = 5.0
"""How long the state of a node is cached: many pods may wait for the same node."""
_logger = logging.getLogger(__name__)
_MAY_NOT: Final = re.compile(r"forbidden: User .+ cannot \w+ resource")
"""The message when the operator lacks a right. A quota or an admission policy answers 403 as well."""
_FIELD_MANAGER: Final = {"fieldManager": OPERATOR_NAME}


class KubernetesCluster:
    """on_status: called after each write of a status, with the resource as it was before and the new status.

    deliver: sends a CloudEvent about a resource in the background; see `process/webhook.py`.
    """

    def __init__(
        self,
        api: ApiServer,
        cache: ResourceCache,
        reports: ReadsReports,
        events: EventRecorder,
        on_status: Callable[[Resource, Status], None] = lambda _resource, _status: None,
        *,
        deliver: Callable[[ResourceKey, Manifest | None], bool] = lambda _key, _event: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._deliver = deliver
        self._api, self._cache, self._reports, self._events = api, cache, reports, events
        self._on_status, self._clock = on_status, clock
        self._nodes: dict[str, tuple[float, bool | None]] = {}
        self._no_workloads: dict[str, float] = {}
        """Until when Workloads of a namespace are not asked for, because the API server refused it."""
        self._kept: dict[tuple[AppliedKind, str, str], float] = {}
        """When to look again whether a child is still there."""

    async def get(self, kind: ResourceKind, namespace: str, name: str) -> Any:
        found = self._cache.get(kind, namespace, name)
        return None if found is None else parse_resource(kind, found)

    async def read(self, kind: ResourceKind, namespace: str, name: str) -> Any:
        found = await self._read(kind, namespace, name)
        if found is None:
            return None
        self._cache.put(kind, found)
        return parse_resource(kind, found)

    async def list_jobs(self, namespace: str, owner_uid: str) -> list[Manifest]:
        return self._cache.list_children("Job", namespace, owner_uid)

    async def list_pods(self, namespace: str, owner_uid: str) -> list[Manifest]:
        return self._cache.list_children("Pod", namespace, owner_uid)

    async def list_deleted_pods(self, namespace: str, owner_uid: str) -> list[Manifest]:
        return self._cache.list_deleted_pods(namespace, owner_uid)

    async def read_job(self, namespace: str, name: str) -> Manifest | None:
        found = await self._read("Job", namespace, name)
        if found is not None and _has_our_label(found):
            self._cache.put("Job", found)
        return found

    async def is_node_ready(self, name: str) -> bool | None:
        oldest = self._clock() - NODE_SECONDS
        self._nodes = {node: known for node, known in self._nodes.items() if known[0] > oldest}
        if name not in self._nodes:
            ready = await self._read_node_readiness(name)
            self._nodes[name] = (self._clock(), ready)
        return self._nodes[name][1]

    async def read_workload(self, namespace: str, job_uid: str) -> Manifest | None:
        if self._clock() < self._no_workloads.get(namespace, 0.0):
            return None
        query = {"labelSelector": f"{QUEUE_JOB_UID}={job_uid}"}
        try:
            listed = await self._api.request("list", "Workload", namespace, query=query)
        except ApiRefusal:  # the right is optional, and so is Kueue
            self._no_workloads[namespace] = self._clock() + REFUSED_SECONDS
            return None
        items: list[Manifest] = listed.get("items") or []
        return next((item for item in items if find_true_condition(item, "Finished") is None), {})

    async def read_reports(self, pods: Sequence[Manifest]) -> dict[str, Report]:
        return await self._reports.read_all(pods)

    async def create(self, manifest: Manifest) -> None:
        kind, namespace, name = _get_key(manifest)
        try:
            if await self._create_new(manifest):
                return
        except ApiRefusal as error:
            raise _explain_refused(error, kind, namespace, name) from error
        found = await self._read(kind, namespace, name)
        if found is None:
            raise Conflict(f"{kind} {namespace}/{name} was deleted while it was created")
        _require_ours(found, manifest)

    async def apply(self, manifest: Manifest) -> None:
        kind, namespace, name = _get_key(manifest)
        query = {**_FIELD_MANAGER, "force": True}
        try:
            if await self._create_new(manifest):
                return
            # A forced apply would take over any object of this name.
            if (found := await self._read(kind, namespace, name)) is not None:
                _require_ours(found, manifest)
            await self._api.request(
                "patch", kind, namespace, name, query=query, body=manifest, content_type="application/apply-patch+yaml"
            )
        except ApiRefusal as error:
            raise _explain_refused(error, kind, namespace, name) from error

    async def _create_new(self, manifest: Manifest) -> bool:
        """Whether it did not exist and was created. Raises ApiRefusal."""
        kind, namespace, _ = _get_key(manifest)
        try:
            created = await self._api.request("create", kind, namespace, query=_FIELD_MANAGER, body=manifest)
        except ApiRefusal as error:
            if error.reason == "AlreadyExists":
                return False
            raise
        if kind == "Job":
            self._cache.put(kind, created)
        return True

    async def keep(self, kind: AppliedKind, namespace: str, name: str, build: Callable[[], Manifest]) -> None:
        key, now = (kind, namespace, name), self._clock()
        if key not in self._kept:
            # It was just created, or this process has just started: then thousands are looked at, spread over time.
            self._kept[key] = now + KEEP_SECONDS * random.random()  # noqa: S311 - not for secrets
            return
        if now < self._kept[key]:
            return
        self._kept = {other: due for other, due in self._kept.items() if due > now - KEEP_SECONDS}
        if await self._read(kind, namespace, name) is None:
            await self.apply(build())
        self._kept[key] = now + KEEP_SECONDS

    async def patch_job(
        self, namespace: str, name: str, *, uid: str, change: Mapping[str, Any], subresource: JobSubresource = ""
    ) -> None:
        # With the uid, the API server refuses to patch any other Job: a uid is immutable.
        body = {**change, "metadata": {**change.get("metadata", {}), "uid": uid}}
        try:
            await self._api.request(
                "patch",
                "Job",
                namespace,
                name,
                subresource,
                query=_FIELD_MANAGER,
                body=body,
                content_type="application/merge-patch+json",
            )
        except ApiRefusal as error:
            if "metadata.uid" in error.fields:
                raise Conflict(f"Job {namespace}/{name} has another uid") from error
            if error.status != 404:
                raise _explain(error, "Job", namespace, name) from error

    async def delete_job(self, namespace: str, name: str, *, uid: str) -> None:
        await self._delete("Job", namespace, name, uid)

    async def delete_companion(self, kind: CompanionKind, namespace: str, name: str, owner: str) -> None:
        found = await self._read(kind, namespace, name)
        if found is not None and is_owned_by(found, owner):
            await self._delete(kind, namespace, name, found["metadata"]["uid"])

    async def _delete(self, kind: ChildKind, namespace: str, name: str, uid: str) -> None:
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": uid},
        }
        try:
            await self._api.request("delete", kind, namespace, name, body=options)
        except ApiRefusal as error:
            if error.status != 404:
                raise _explain(error, kind, namespace, name) from error

    async def write_status(self, resource: Resource, status: Status) -> Any:
        kind, metadata = resource.kind, resource.metadata
        body = {
            "apiVersion": resource.api_version,
            "kind": kind,
            "metadata": {
                "name": metadata.name,
                "namespace": metadata.namespace,
                "uid": metadata.uid,
                "resourceVersion": metadata.resource_version,
            },
            "status": status.to_dict(),
        }
        try:
            written = await self._api.request(
                "update", kind, metadata.namespace, metadata.name, "status", query=_FIELD_MANAGER, body=body
            )
        except ApiRefusal as error:
            if error.status == 404:
                raise Conflict(f"{kind} {metadata.namespace}/{metadata.name} is gone") from error
            raise _explain(error, kind, metadata.namespace, metadata.name) from error
        self._cache.put_own(kind, written)
        self._on_status(resource, status)
        return parse_resource(kind, written)

    def deliver(self, key: ResourceKey, event: Manifest | None) -> bool:
        return self._deliver(key, event)

    async def emit_event(self, resource: Resource, kind: EventType, reason: str, message: str) -> None:
        if self._events.record(resource, kind, reason, message):
            _logger.log(logging.WARNING if kind == "Warning" else logging.INFO, "%s: %s", reason, message)

    async def _read(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        try:
            return await self._api.request("get", kind, namespace, name)
        except ApiRefusal as error:
            if error.status == 404:
                return None
            raise _explain(error, kind, namespace, name) from error

    async def _read_node_readiness(self, name: str) -> bool | None:
        try:
            node = await self._api.request("get", "Node", None, name)
        except ApiRefusal as error:
            return False if error.status == 404 else None
        return find_true_condition(node, "Ready") is not None


def parse_resource(kind: ResourceKind, manifest: Manifest) -> Resource:
    """Raises ControllerError, naming the field, if the CRD accepted something that this version cannot read."""
    try:
        return KINDS[kind].resource.model_validate(manifest)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ControllerError(f"{where}: {first['msg']}; install the CRDs of this operator's version") from error


def _has_our_label(manifest: Manifest) -> bool:
    """Whether the watches of children select it."""
    return bool(manifest["metadata"].get("labels", {}).get(MANAGED_BY) == OPERATOR_NAME)


def _require_ours(found: Manifest, manifest: Manifest) -> None:
    """Raise ForeignChild if the object that has the name of `manifest` belongs to another owner."""
    if not is_owned_by(found, manifest["metadata"]["labels"][OWNER_UID]):
        kind, namespace, name = _get_key(manifest)
        raise ForeignChild(f"{kind} {namespace}/{name} exists and belongs to another owner")


def _get_key(manifest: Manifest) -> tuple[ChildKind, str, str]:
    return get_kind(manifest), manifest["metadata"]["namespace"], manifest["metadata"]["name"]


def _explain(error: ApiRefusal, kind: Kind, namespace: str | None, name: str) -> ControllerError:
    """Conflict if the object was replaced or has changed, otherwise NotPermitted or ClusterError."""
    text = f"{kind} {namespace}/{name}: {error}"
    if error.status == 409:
        return Conflict(text)
    return NotPermitted(text) if error.status == 403 else ClusterError(text)


def _explain_refused(error: ApiRefusal, kind: Kind, namespace: str, name: str) -> ControllerError:
    """Why the API server did not create or apply an object."""
    if error.status == 404 and kind.startswith("PodGroup") and "namespaces" not in str(error):
        return KindMissing(
            f"{kind} {name}: the API server does not have this kind; install the CRD of the gang scheduler"
        )
    if error.status == 404 or "NamespaceTerminating" in error.causes:
        return NamespaceGoing(f"{kind} {namespace}/{name}: {error}")
    if error.status == 409:
        return Conflict(f"{kind} {namespace}/{name}: {error}")
    if _MAY_NOT.search(str(error)):
        return NotPermitted(f"{kind} {namespace}/{name}: {error}; grant the operator the rights in its chart")
    return Refused(f"{kind} {name}: {error}")
