"""The controller of one command: the operator's reconcile for the command's resources, until all are at rest."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from deepsynth_api.errors import TemporaryError
from deepsynth_api.kinds import KINDS
from deepsynth_local.admission.local_checks import Resource
from deepsynth_local.display import Display
from deepsynth_local.runs.resource_store import ResourceStore
from deepsynth_operator.controller.reconcile import reconcile
from deepsynth_operator.controller.references import find_references
from deepsynth_operator.controller.work_queue import WorkQueue
from deepsynth_operator.core.errors import ControllerError
from deepsynth_operator.core.settings import Settings
from deepsynth_operator.kubernetes.watch_events import find_owner
from deepsynth_simulator.memory_cluster import MemoryCluster
from deepsynth_simulator.object_store import ObjectKey, WatchEvent, key_of

LOCAL_SETTINGS: Final = Settings(render_image="local", train_image="local", poll_seconds=2)
_REDRAW_SECONDS: Final = 0.25
_RETRY_SECONDS: Final = 0.5
_WORKERS: Final = 4


class LocalController:
    """Reconciles `keys`; every change of theirs goes to disk and to the display."""

    def __init__(self, cluster: MemoryCluster, store: ResourceStore, display: Display, keys: Sequence[ObjectKey]) -> None:
        """Raises TemporaryError when the disk does not take the resources."""
        self._cluster, self._store, self._display, self._keys = cluster, store, display, keys
        self._queue: WorkQueue[ObjectKey] = WorkQueue(self._reconcile)
        self._defect: Exception | None = None
        """What ends the command."""
        self._told_events = 0
        self.is_interrupted = False
        self._killing: asyncio.Task[None] | None = None
        for resource in self.list_resources():
            store.save(resource)
        cluster.view.subscribe(self._note)

    async def run(self) -> None:
        """Return when every resource is finished or suspended and no pod runs."""
        for key in self._keys:
            self._queue.add(key)
        workers = asyncio.create_task(self._queue.run(_WORKERS))
        try:
            while not self._is_at_rest():
                await asyncio.sleep(_REDRAW_SECONDS)
                self._flush()
                if self._defect is not None:
                    raise self._defect
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
        self._display.say("stopping: pods save what they have; Ctrl-C again kills them")
        for key in self._keys:
            self._cluster.store.update(key, lambda item: item["spec"].update(suspend=True))

    def list_resources(self) -> list[Resource]:
        """The command's resources as they are now."""
        found = (self._cluster.store.get(*key) for key in self._keys)
        return [resource for resource in found if resource is not None]

    async def _reconcile(self, key: ObjectKey) -> float | None:
        """A cluster's trouble passes; anything else is a defect, and trying again would only hide it."""
        kind, namespace, name = key
        now = datetime.now(UTC)
        try:
            return await reconcile(self._cluster, LOCAL_SETTINGS, KINDS[kind].name, namespace, name, now=now)
        except ControllerError:
            return _RETRY_SECONDS
        except Exception as error:  # noqa: BLE001 - raised by `run`
            self._defect = error
            return None

    def _note(self, event: WatchEvent) -> None:
        """Queue the resource itself, those that may wait for it, or the owner of the child that changed."""
        key = key_of(event.manifest)
        if key in self._keys:
            self._save(event.manifest)
            for other in self._keys:
                if other == key or other[0] == "TrainingRun":
                    self._queue.add(other)
            return
        owner = find_owner(event.manifest)
        if owner is not None and owner in self._keys:
            self._queue.add(owner)

    def _is_at_rest(self) -> bool:
        states = {key_of(item): item.get("status", {}).get("state") for item in self.list_resources()}
        return all(_is_at_rest(item, states) for item in self.list_resources()) and not self._has_living_pods()

    def _has_living_pods(self) -> bool:
        return any(pod["status"].get("phase") in {"Pending", "Running"} for pod in self._cluster.store.select("Pod"))

    def _save(self, resource: Resource) -> None:
        """At once, before anything follows from it: a killed command must find the attempts it has started."""
        try:
            self._store.save(resource)
        except TemporaryError as error:
            self._defect = error

    def _flush(self) -> None:
        """Show what is new."""
        for event in self._cluster.events[self._told_events :]:
            self._display.tell(event)
        self._told_events = len(self._cluster.events)
        self._display.show(self.list_resources(), datetime.now(UTC))


def _is_at_rest(resource: Resource, states: Mapping[ObjectKey, str | None]) -> bool:
    """Finished, suspended, or waiting for something that will not come; and the status knows the present spec."""
    if resource.get("status", {}).get("observedGeneration") != resource["metadata"]["generation"]:
        return False
    if states[key_of(resource)] in {"Complete", "Failed", "Suspended"}:
        return True
    waits = states[key_of(resource)] in {"Pending", "WaitingForDataset"}
    return waits and any(states.get(key) in {"Failed", "Suspended"} for _, key in find_references(resource))
