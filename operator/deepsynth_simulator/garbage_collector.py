"""The garbage collector: deletes objects all of whose owners are gone, as Kubernetes does with background propagation.

A deleted Job leaves its pods behind with the job-tracking finalizer. In Kubernetes the Job controller removes it from
such orphans; here the garbage collector does so when it deletes them.
"""

from deepsynth_operator.core.observed import Manifest
from deepsynth_simulator.object_store import ObjectStore, WatchEvent, get_owner_uids, key_of
from deepsynth_simulator.pod_fields import TRACKING_FINALIZER


class GarbageCollector:
    """Notes deletions and new objects with an owner; `sync` deletes the orphans among them."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._gone: list[str] = []
        self._new: list[Manifest] = []
        store.subscribe(self._note)

    def sync(self) -> bool:
        """Collect once. Returns whether there was anything to look at."""
        if not self._gone and not self._new:
            return False
        gone, self._gone = self._gone, []
        new, self._new = self._new, []
        dependents = (item for uid in gone for item in self._store.list_dependents(uid))
        for item in filter(self._is_orphan, [*dependents, *new]):
            self._store.delete(key_of(item))
            self._store.remove_finalizer(key_of(item), TRACKING_FINALIZER)
        return True

    def _is_orphan(self, item: Manifest) -> bool:
        return not any(map(self._store.has_uid, get_owner_uids(item)))

    def _note(self, event: WatchEvent) -> None:
        if event.type == "DELETED":
            self._gone.append(event.manifest["metadata"]["uid"])
        elif event.type == "ADDED" and get_owner_uids(event.manifest):
            self._new.append(event.manifest)
