"""kopf as a pure watcher: handlers that only note what changed, and settings with which kopf writes nothing.

There are no create, update or delete handlers, no timers and no daemons, because for those kopf writes annotations and
finalizers to users' objects. The memo that kopf passes to each handler is the WatchEvents of this process; the
reconcile finds out what changed.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

import kopf
from kopf._cogs.aiokits import aiotasks

from deepsynth_api.kinds import GROUP, KINDS, VERSION
from deepsynth_operator.kubernetes.api.api_paths import CHILDREN_SELECTOR
from deepsynth_operator.kubernetes.api.api_server import PAGE_SIZE, ApiServer
from deepsynth_operator.kubernetes.watches.watch_events import WatchEvent, WatchEvents


def build_registry(api: ApiServer) -> kopf.OperatorRegistry:
    """The handlers, and a login handler that gives kopf the same credentials that we use."""
    registry = kopf.OperatorRegistry()
    kopf.on.event(GROUP, VERSION, KINDS["DatasetGeneration"].plural, registry=registry)(note_dataset_generation)
    kopf.on.event(GROUP, VERSION, KINDS["TrainingRun"].plural, registry=registry)(note_training_run)
    kopf.on.event("batch", "v1", "jobs", registry=registry)(note_job)
    kopf.on.event("", "v1", "pods", registry=registry)(note_pod)

    async def log_in(**_: Any) -> kopf.ConnectionInfo:
        return await build_connection(api)

    kopf.on.login(registry=registry, id="log_in")(log_in)
    return registry


async def note_dataset_generation(event: WatchEvent, memo: WatchEvents, **_: Any) -> None:
    memo.note_resource("DatasetGeneration", event)


async def note_training_run(event: WatchEvent, memo: WatchEvents, **_: Any) -> None:
    memo.note_resource("TrainingRun", event)


async def note_job(event: WatchEvent, memo: WatchEvents, **_: Any) -> None:
    memo.note_child("Job", event)


async def note_pod(event: WatchEvent, memo: WatchEvents, **_: Any) -> None:
    memo.note_child("Pod", event)


async def build_connection(api: ApiServer) -> kopf.ConnectionInfo:
    """Kopf calls this again when its token is no longer accepted."""
    login = await api.get_login()
    return kopf.ConnectionInfo(
        server=login.server,
        ca_path=login.ca_path,
        insecure=login.insecure,
        scheme=login.scheme,
        token=login.token,
        certificate_path=login.certificate_path,
        private_key_path=login.private_key_path,
        proxy_url=login.proxy_url,
    )


def build_kopf_settings() -> kopf.OperatorSettings:
    """Nothing is scanned, posted or stored on objects, and an outage does not end the process."""
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.watching.label_selectors["batch", "v1", "jobs"] = CHILDREN_SELECTOR
    settings.watching.label_selectors["", "v1", "pods"] = CHILDREN_SELECTOR
    settings.watching.chunk_size = PAGE_SIZE
    settings.watching.server_timeout = 600
    settings.watching.client_timeout = 660
    settings.watching.connect_timeout = 5
    # Bookmarks come every minute. A connection without any is dead; the API server still has the missed events.
    settings.watching.inactivity_timeout = 70
    settings.networking.request_timeout = 60
    settings.networking.connect_timeout = 5
    settings.networking.error_backoffs = EndlessBackoff()
    # kopf has a task for each object. A new one for each event of a pod that starts costs more than one that waits.
    settings.queueing.idle_timeout = 10.0
    settings.persistence.diffbase_storage = StoresNoDiffs()
    settings.persistence.progress_storage = StoresNoProgress()
    # kopf removes its finalizer from any object that has it. No object can have an empty one.
    settings.persistence.finalizer = ""
    return settings


def use_prompt_workers() -> None:
    """Let the watches of this process start their workers at once. Call this before kopf starts."""
    setattr(aiotasks, "Scheduler", PromptScheduler)  # noqa: B010 - to mypy, a class cannot be replaced


class PromptScheduler(aiotasks.Scheduler):
    """Starts the worker of each object while its event is read.

    kopf itself hands the worker to another task, and reads the next event some rounds of the event loop later. With 16
    reconciles in each round, a watch was 30 seconds behind after 300 new resources: a user with many new runs delayed
    those of all others.
    """

    async def spawn(self, coro: Coroutine[Any, Any, Any], *, name: str | None = None) -> None:
        if self._closed or self._limit is not None:
            await super().spawn(coro, name=name)
            return
        task = asyncio.create_task(coro, name=name)
        self._running_tasks.add(task)
        task.add_done_callback(self._task_done_callback)


class EndlessBackoff:
    """Seconds between tries, without end: with a finite list, kopf ends the process after the last try."""

    def __iter__(self) -> Iterator[float]:
        yield from (0.5, 1.0, 2.0, 4.0)
        while True:
            yield 8.0


class StoresNoDiffs(kopf.DiffBaseStorage):
    """Stores no last-seen state, so there is nothing to compare. By default kopf copies every object of every event."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> kopf.BodyEssence:
        """The same as `build`, so that there is no difference to describe."""
        return kopf.BodyEssence({})

    def store(self, **_: Any) -> None:
        """Write nothing."""


class StoresNoProgress(kopf.ProgressStorage):
    """Stores no handler progress: our handlers only note what changed."""

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        """Write nothing."""

    def purge(self, **_: Any) -> None:
        """Write nothing."""

    def touch(self, **_: Any) -> None:
        """Write nothing."""

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence
