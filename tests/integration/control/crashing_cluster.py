"""An in-memory cluster on which the controller dies between two of its calls, or another client writes first."""

from collections.abc import Mapping
from typing import Any

from deepsynth_api.v1alpha1 import Resource
from deepsynth_operator.core.cluster import CompanionKind, EventType, JobSubresource
from deepsynth_operator.core.observed import Manifest
from deepsynth_simulator.object_store import ObjectKey
from support.cluster.cluster_faults import QueueingCluster


class Crash(Exception):  # noqa: N818 - not an error of the code under test
    """The controller's process is gone; another one starts with nothing but what the API server has."""


class CrashingCluster(QueueingCluster):
    """`crash_before` counts the controller's calls that change something: 0 crashes before the first one.

    interferences: how many times the resource is changed just before its status is written.
    """

    crash_before: int | None = None
    interferences: int = 0

    def _count(self) -> None:
        if self.crash_before is None:
            return
        if self.crash_before == 0:
            self.crash_before = None
            raise Crash
        self.crash_before -= 1

    async def create(self, manifest: Manifest) -> None:
        self._count()
        await super().create(manifest)

    async def apply(self, manifest: Manifest) -> None:
        self._count()
        await super().apply(manifest)

    async def patch_job(
        self, namespace: str, name: str, *, uid: str, change: Mapping[str, Any], subresource: JobSubresource = ""
    ) -> None:
        self._count()
        await super().patch_job(namespace, name, uid=uid, change=change, subresource=subresource)

    async def delete_job(self, namespace: str, name: str, *, uid: str) -> None:
        self._count()
        await super().delete_job(namespace, name, uid=uid)

    async def delete_companion(self, kind: CompanionKind, namespace: str, name: str, owner: str) -> None:
        self._count()
        await super().delete_companion(kind, namespace, name, owner)

    async def write_status(self, resource: Resource, status: Any) -> Any:
        self._count()
        if self.interferences:
            self.interferences -= 1
            key = ObjectKey(resource.kind, resource.metadata.namespace, resource.metadata.name)
            note = {"note": str(self.interferences)}
            self.store.update(key, lambda item: item["metadata"].update(annotations=note))
        return await super().write_status(resource, status)

    async def emit_event(self, resource: Resource, kind: EventType, reason: str, message: str) -> None:
        self._count()
        await super().emit_event(resource, kind, reason, message)
