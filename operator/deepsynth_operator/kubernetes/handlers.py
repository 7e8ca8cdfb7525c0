"""All kopf handlers. They only note that something changed; the reconcile finds out what.

There are no create, update or delete handlers, no timers and no daemons, because for those kopf writes annotations and
finalizers to users' objects. The memo that kopf passes to each handler is the WatchEvents of this process.
"""

from typing import Any

import kopf

from deepsynth_api.kinds import GROUP, KINDS, VERSION
from deepsynth_operator.kubernetes.api_server import ApiServer
from deepsynth_operator.kubernetes.watch_events import WatchEvent, WatchEvents


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
