"""The controller of `deepsynth local`: the operator's reconcile for the command's resources, until all are at rest.

    watch event (a resource or one of its children changed)
      -> runs folder: a changed resource is saved at once
      -> work queue -> reconcile on the simulator -> further events

Every quarter of a second the display is redrawn, and requests of other commands are carried out: resources are added,
changed or deleted. The command ends when all resources are finished, suspended, or wait
for one that has failed, and no pod runs.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from deepsynth_api.errors import TemporaryError
from deepsynth_api.kinds import KINDS
from deepsynth_local.admission.prepare import collect_active
from deepsynth_local.display import Display
from deepsynth_local.runs.event_log import write_event
from deepsynth_local.runs.requests import take_requests
from deepsynth_local.runs.resource_store import ResourceStore, get_key
from deepsynth_operator.controller.reconcile import reconcile
from deepsynth_operator.controller.references import find_references
from deepsynth_operator.controller.work_queue import WorkQueue
from deepsynth_operator.core.errors import ControllerError
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.core.settings import Settings
from deepsynth_operator.decisions.training_run.inputs import FAILED_WAITS
from deepsynth_operator.kubernetes.watches.watch_events import find_owner
from deepsynth_simulator.memory_cluster import MemoryCluster
from deepsynth_simulator.object_store import ObjectKey, WatchEvent

LOCAL_SETTINGS: Final = Settings(render_image="local", train_image="local", poll_seconds=2, gang_schedulers=None)
_REDRAW_SECONDS: Final = 0.25
_RETRY_SECONDS: Final = 0.5
_WORKERS: Final = 4


class LocalController:
    """Reconciles the resources `keys`, saves every change of them, and shows their progress."""

    def __init__(
        self,
        cluster: MemoryCluster,
        store: ResourceStore,
        display: Display,
        keys: Sequence[ResourceKey],
        *,
        settings: Settings = LOCAL_SETTINGS,
        reconcile: Callable[..., Awaitable[float | None]] = reconcile,
    ) -> None:
        """Raises TemporaryError when the resources cannot be saved. reconcile: called as the operator's."""
        self._cluster, self._store, self._display, self._keys = cluster, store, display, [*keys]
        self._settings, self._reconcile_once = settings, reconcile
        self._queue: WorkQueue[ResourceKey] = WorkQueue(self._reconcile)
        self._error: Exception | None = None
        """Raised by `run`, so that it ends the command."""
        self._shown_events = 0
        self.is_interrupted = False
        self._killing: asyncio.Task[None] | None = None
        for resource in self.list_resources():
            store.save(resource)
        cluster.view.subscribe(self._note)

    async def run(self) -> None:
        """Return when every resource is at rest and no pod runs."""
        for key in self._keys:
            self._queue.add(key)
        workers = asyncio.create_task(self._queue.run(_WORKERS))
        try:
            while self._take_requests() or not self._is_at_rest():
                await asyncio.sleep(_REDRAW_SECONDS)
                self._flush()
                if self._error is not None:
                    raise self._error
        finally:
            workers.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await workers
            await self._cluster.close()
            self._flush()

    def interrupt(self) -> None:
        """Ctrl-C: suspend everything, so that pods save and stop. Again: kill them."""
        if self.is_interrupted:
            self._killing = asyncio.get_running_loop().create_task(self._cluster.close())
            return
        self.is_interrupted = True
        self._display.show_message("stopping: pods save their progress; press Ctrl-C again to kill them")
        for key in self._keys:
            self._cluster.store.update(ObjectKey(*key), lambda item: item["spec"].update(suspend=True))

    def _take_requests(self) -> bool:
        """Carry out what other commands asked for; returns whether there was anything."""
        is_asked = False
        for request in take_requests(self._store.runs):
            is_asked = True
            for resource in request.resources:
                self._apply(resource)
            for key in request.delete:
                self._delete(key)
        return is_asked

    def _apply(self, resource: Manifest) -> None:
        """Create or change a resource, and work on it and on those it refers to."""
        self._cluster.apply_resource(resource)
        known = {get_key(item): item for kind in KINDS for item in self._cluster.store.select(kind)}
        added = [key for key in collect_active([get_key(resource)], known) if key not in self._keys]
        self._keys += added
        for key in added:
            self._store.save(known[key])
            self._queue.add(key)

    def _delete(self, key: ResourceKey) -> None:
        """The children follow; the data stays."""
        self._keys = [other for other in self._keys if other != key]
        if self._cluster.store.get(*key) is not None:
            self._cluster.delete_object(*key)
        self._store.delete(*key)

    def list_resources(self) -> list[Manifest]:
        """The command's resources as they are now."""
        found = (self._cluster.store.get(*key) for key in self._keys)
        return [resource for resource in found if resource is not None]

    async def _reconcile(self, key: ResourceKey) -> float | None:
        """Retry after conflicts and the like. Any other error is a bug: retrying would only hide it."""
        kind, namespace, name = key
        now = datetime.now(UTC)
        try:
            return await self._reconcile_once(self._cluster, self._settings, KINDS[kind].name, namespace, name, now=now)
        except ControllerError:
            return _RETRY_SECONDS
        except Exception as error:  # noqa: BLE001 - raised by `run`
            self._error = error
            return None

    def _note(self, event: WatchEvent) -> None:
        """Queue the resource and the runs that may wait for it, or the owner of a child."""
        if event.manifest["kind"] in KINDS:
            self._note_resource(event.manifest)
            return
        owner = find_owner(event.manifest)
        if owner is not None and owner in self._keys:
            self._queue.add(owner)

    def _note_resource(self, resource: Manifest) -> None:
        key = get_key(resource)
        if key in self._keys:
            self._save(resource)
            for other in self._keys:
                if other == key or other.kind == "TrainingRun":
                    self._queue.add(other)

    def _is_at_rest(self) -> bool:
        states = {get_key(item): item.get("status", {}).get("state") for item in self.list_resources()}
        return all(_is_at_rest(item, states) for item in self.list_resources()) and not self._has_living_pods()

    def _has_living_pods(self) -> bool:
        return any(pod["status"].get("phase") in {"Pending", "Running"} for pod in self._cluster.store.select("Pod"))

    def _save(self, resource: Manifest) -> None:
        """Save before anything follows from the change: if this process is killed, the next must find every attempt."""
        try:
            self._store.save(resource)
        except TemporaryError as error:
            self._error = error

    def _flush(self) -> None:
        """Show new events and the present state."""
        for event in self._cluster.events[self._shown_events :]:
            self._display.show_event(event)
            write_event(self._store.runs, event)
        self._shown_events = len(self._cluster.events)
        self._display.show(self.list_resources(), datetime.now(UTC))


def _is_at_rest(resource: Manifest, states: Mapping[ResourceKey, str | None]) -> bool:
    """Finished, suspended, or waiting for a resource that has failed; with a status that is up to date."""
    if resource.get("status", {}).get("observedGeneration") != resource["metadata"]["generation"]:
        return False
    if states[get_key(resource)] in {"Complete", "Failed", "Suspended"}:
        return True
    waits = states[get_key(resource)] in {"Pending", "WaitingForDataset"}
    if waits and resource["status"].get("summary", {}).get("reason") in FAILED_WAITS:
        return True
    return waits and any(states.get(key) in {"Failed", "Suspended"} for _, key in find_references(resource))
