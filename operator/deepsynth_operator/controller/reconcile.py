"""One reconcile of a resource, the same for both kinds.

    get      the resource, from the cache
    gather   its Jobs, pods, reports, and what it refers to     -> Observed     gather.py
    decide   pure: (observed, settings, now)                    -> Decision     decisions/
    confirm  gather from the API server and decide again, if the decision has consequences that a stale cache must not
             have: an end, pinned inputs, an action
    write    the status, once, if it changed                       (a crash before: nothing happened)
    emit     Events                                                (a crash before: these Events are lost)
    act      create, delete or resize Jobs                         (a crash before: the next reconcile acts)

The status always says what is about to be done before it is done, so the process may die anywhere. The next reconcile
then gets the same decision, minus what is written already. Acting twice is harmless: names of children are
deterministic, and deletes and patches name the uid.

A stale cache does no harm either. Every write names the resourceVersion that the decision was made from. When there is
nothing to write, the resource is read from the API server before acting. In both cases a difference is a Conflict, and
the reconcile starts again from `gather` with the resource as it is now.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Generic, Protocol, TypeVar

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.kinds import ResourceKind
from deepsynth_api.labels import (
    DEADLINE_ANNOTATION,
    DOCUMENT_ANNOTATION,
    DOCUMENT_TIME_ANNOTATION,
    RESTART_ANNOTATION,
    STOPPING_ANNOTATION,
)
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import DatasetGenerationStatus, Resource, TrainingRunStatus
from deepsynth_operator.controller.gather import Gathered, gather_generation, gather_run
from deepsynth_operator.controller.safe_decision import decide_safely
from deepsynth_operator.core.cluster import APPLIED_KINDS, Cluster
from deepsynth_operator.core.errors import Conflict, ForeignChild, KindMissing, NamespaceGoing, Refused
from deepsynth_operator.core.observed import Manifest, ObservedGeneration, ObservedRun, Refusal, is_owned_by
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.core.settings import Settings
from deepsynth_operator.decisions.dataset_generation import jobs
from deepsynth_operator.decisions.dataset_generation.decide import decide_generation
from deepsynth_operator.decisions.shared.conditions import is_finished
from deepsynth_operator.decisions.shared.decision import (
    Action,
    CreateJob,
    Decision,
    DeleteJob,
    DropDocument,
    HoldJob,
    ReleaseJob,
    SetDeadline,
    SetParallelism,
    SetPodCounts,
    SetQueue,
    WriteDocument,
)
from deepsynth_operator.decisions.shared.notifications import build_cloud_event, follow_delivery
from deepsynth_operator.decisions.training_run import attempts
from deepsynth_operator.decisions.training_run.decide import decide_run
from deepsynth_operator.manifests.children import build_children, build_document, build_policy, list_companion_kinds
from deepsynth_operator.manifests.names import build_policy_name

Observed = TypeVar("Observed", ObservedRun, ObservedGeneration)
Found = TypeVar("Found")

_TRIES: Final = 3
_BLOCKED_SECONDS: Final = 10.0
"""How long to wait for a name that is taken, or for a namespace that is being deleted."""


class Gather(Protocol[Found]):
    def __call__(
        self, cluster: Cluster, resource: Any, now: datetime, /, *, confirm: bool
    ) -> Awaitable[Gathered[Found]]: ...


@dataclass(frozen=True, slots=True)
class _Functions(Generic[Observed]):
    """What differs between the kinds."""

    gather: Gather[Observed]
    decide: Callable[[Observed, Settings, datetime], Decision[Any]]
    get_milestone: Callable[[Any], object]
    """The part of a status that must not change because of a stale cache: the live Job, the start."""


async def reconcile(
    cluster: Cluster, settings: Settings, kind: ResourceKind, namespace: str, name: str, *, now: datetime
) -> float | None:
    """Bring one resource a step forward. May be repeated, and may be cancelled anywhere.

    Returns after how many seconds to look again if no event comes before; None means never. Raises Conflict when the
    resource keeps changing, ClusterError when the API server does not answer; retry later in both cases.
    """
    # Whole seconds, as the API stores them: a status that was written and read back must be equal to itself.
    now = now.replace(microsecond=0)
    resource: Resource | None = await cluster.get(kind, namespace, name)
    for _ in range(_TRIES):
        if resource is None:
            cluster.deliver(ResourceKey(kind, namespace, name), None)
            return None
        try:
            return await _reconcile_once(cluster, settings, now, resource, _FUNCTIONS[kind])
        except Conflict:
            resource = await cluster.read(kind, namespace, name)
    raise Conflict(f"{kind} {namespace}/{name} changes faster than it can be reconciled")


async def _reconcile_once(
    cluster: Cluster, settings: Settings, now: datetime, resource: Resource, functions: _Functions[Observed]
) -> float | None:
    """One pass. If a child cannot be created, a second pass, whose decision writes the reason to the status."""
    try:
        return await _pass(cluster, settings, now, resource, functions)
    except (Refused, KindMissing, ConfigurationError) as error:
        refusal = _parse_refusal(error)
    fresh = await cluster.read(resource.kind, resource.metadata.namespace, resource.metadata.name)
    return None if fresh is None else await _pass(cluster, settings, now, fresh, functions, refusal=refusal)


async def _pass(
    cluster: Cluster,
    settings: Settings,
    now: datetime,
    resource: Resource,
    functions: _Functions[Observed],
    *,
    refusal: Refusal | None = None,
) -> float | None:
    """Gather, decide, confirm, write, emit, act. News of an end are sent meanwhile: see `decisions.notifications`."""
    key = ResourceKey(resource.kind, resource.metadata.namespace, resource.metadata.name)
    is_delivered = cluster.deliver(key, build_cloud_event(resource) if settings.notifies else None)

    async def decide(*, confirm: bool) -> tuple[Decision[Any], bool]:
        gathered = await functions.gather(cluster, resource, now, confirm=confirm)
        observed = replace(gathered.found, refusal=refusal)
        decided = decide_safely(functions.decide, observed, settings, now)
        return follow_delivery(
            resource, decided, is_delivered=is_delivered, notifies=settings.notifies, now=now
        ), gathered.is_confirmed

    decision, is_confirmed = await decide(confirm=False)
    milestones = {functions.get_milestone(status) for status in (resource.status, decision.status)}
    if not is_confirmed and (decision.actions or len(milestones) > 1):
        decision, _ = await decide(confirm=True)
    resource = await _write(cluster, resource, decision)
    for event in decision.events:
        await cluster.emit_event(resource, event.type, event.reason, event.message)
    is_blocked = await _act(cluster, settings, resource, decision.actions)
    if not is_blocked:
        await _keep_policy(cluster, settings, resource)
    return _BLOCKED_SECONDS if is_blocked else decision.requeue_after


async def _write(cluster: Cluster, resource: Any, decision: Decision[Any]) -> Any:
    """Write the status if it changed; the resource as it is then.

    Raises Conflict if the decision was not made from the current resource, which matters only if something follows.
    """
    is_same = decision.status == resource.status  # most looks change nothing, and to_dict takes its time
    if not is_same and decision.status.to_dict() != resource.status.to_dict():
        return await cluster.write_status(resource, decision.status)
    return await _confirm(cluster, resource) if decision.actions else resource


async def _confirm(cluster: Cluster, resource: Resource) -> Resource:
    """The resource as the API server has it, with all of its spec. Raises Conflict unless it has this version."""
    metadata = resource.metadata
    fresh = await cluster.read(resource.kind, metadata.namespace, metadata.name)
    if fresh is None or fresh.metadata.resource_version != metadata.resource_version:
        raise Conflict(f"{resource.kind} {metadata.namespace}/{metadata.name} changed since it was read")
    return fresh


async def _act(cluster: Cluster, settings: Settings, resource: Resource, actions: Sequence[Action]) -> bool:
    """Carry out the actions in order. Whether something blocks them that goes away by itself."""
    try:
        for action in actions:
            await _act_once(cluster, settings, resource, action)
    except ForeignChild as error:
        await cluster.emit_event(resource, "Warning", Reason.NAME_TAKEN, f"{error}; delete it or rename the resource")
        return True
    except NamespaceGoing:
        return True
    return False


async def _keep_policy(cluster: Cluster, settings: Settings, resource: Resource) -> None:
    """Restore the NetworkPolicy of an unfinished resource that has a Job: CreateJob has made it."""
    peers, status = settings.report_peers, resource.status
    entries = status.attempts if isinstance(status, TrainingRunStatus) else status.jobs
    is_going = resource.metadata.deletion_timestamp is not None
    if peers is None or not entries or is_going or is_finished(status.conditions):
        return
    name = build_policy_name(resource)
    await cluster.keep(
        "NetworkPolicy", resource.metadata.namespace, name, lambda: build_policy(resource, peers, settings)
    )


async def _act_once(cluster: Cluster, settings: Settings, resource: Resource, action: Action) -> None:
    namespace = resource.metadata.namespace
    match action:
        case CreateJob(name, queue_job):
            admitted = None if queue_job is None else await _read_admitted(cluster, resource, queue_job)
            for manifest in build_children(resource, name, settings, admitted):
                await (cluster.apply if manifest["kind"] in APPLIED_KINDS else cluster.create)(manifest)
        case DeleteJob(name, uid):
            # The Job is deleted last: while it exists, a reconcile after a crash deletes the rest again.
            for kind in list_companion_kinds(resource, settings):
                await cluster.delete_companion(kind, namespace, name, resource.metadata.uid)
            await cluster.delete_job(namespace, name, uid=uid)
        case SetParallelism(name, uid, parallelism):
            await cluster.patch_job(namespace, name, uid=uid, change={"spec": {"parallelism": parallelism}})
        case SetDeadline(name, uid, seconds):
            annotations = {DEADLINE_ANNOTATION: None if seconds is None else str(seconds)}
            deadline = {"metadata": {"annotations": annotations}, "spec": {"activeDeadlineSeconds": seconds}}
            await cluster.patch_job(namespace, name, uid=uid, change=deadline)
        case SetPodCounts(name, uid, active, ready, succeeded):
            counts = {"active": active, "ready": ready, "succeeded": succeeded}
            await cluster.patch_job(namespace, name, uid=uid, change={"status": counts}, subresource="status")
        case SetQueue(name, uid, labels):
            await cluster.patch_job(namespace, name, uid=uid, change={"metadata": {"labels": dict(labels)}})
        case WriteDocument(name, uid, nodes, time):
            # Deleted first: one of an earlier admission may be there, if a process died before it noted that.
            await cluster.delete_companion("ConfigMap", namespace, name, resource.metadata.uid)
            await cluster.create(build_document(resource))
            annotations = {DOCUMENT_ANNOTATION: str(nodes), DOCUMENT_TIME_ANNOTATION: time.isoformat()}
            await _annotate(cluster, namespace, name, uid, annotations)
        case DropDocument(name, uid):
            await cluster.delete_companion("ConfigMap", namespace, name, resource.metadata.uid)
            await _annotate(cluster, namespace, name, uid, {DOCUMENT_ANNOTATION: None, DOCUMENT_TIME_ANNOTATION: None})
        case HoldJob(name, uid, attempt):
            marks = {STOPPING_ANNOTATION: "true", RESTART_ANNOTATION: str(attempt)}
            change: dict[str, Any] = {"metadata": {"annotations": marks}, "spec": {"suspend": True}}
            await cluster.patch_job(namespace, name, uid=uid, change=change)
        case ReleaseJob(name, uid):
            await _annotate(cluster, namespace, name, uid, {STOPPING_ANNOTATION: None})


async def _annotate(
    cluster: Cluster, namespace: str, job: str, uid: str, annotations: Mapping[str, str | None]
) -> None:
    await cluster.patch_job(namespace, job, uid=uid, change={"metadata": {"annotations": annotations}})


async def _read_admitted(cluster: Cluster, resource: Resource, name: str) -> Manifest:
    """The queue Job as it is now: its place may differ from that of its last admission. Raises Conflict if it waits."""
    job = await cluster.read_job(resource.metadata.namespace, name)
    if job is None or not is_owned_by(job, resource.metadata.uid) or job["spec"].get("suspend"):
        raise Conflict(f"Job {resource.metadata.namespace}/{name} is not admitted")
    return job


def _parse_refusal(error: Refused | KindMissing | ConfigurationError) -> Refusal:
    if isinstance(error, ConfigurationError):
        return Refusal(error.reason, error.message, error.exit_code)
    if isinstance(error, KindMissing):
        return Refusal(Reason.POD_GROUPS_MISSING, str(error), is_temporary=True)
    return Refusal(Reason.CREATION_REFUSED, str(error))


def _get_run_milestone(status: TrainingRunStatus) -> object:
    live = attempts.get_live(status)
    return live and live.number, status.start_time


def _get_generation_milestone(status: DatasetGenerationStatus) -> object:
    return tuple(job.name for job in jobs.list_live(status))


_FUNCTIONS: Final[Mapping[ResourceKind, _Functions[Any]]] = {
    "TrainingRun": _Functions(gather_run, decide_run, _get_run_milestone),
    "DatasetGeneration": _Functions(gather_generation, decide_generation, _get_generation_milestone),
}
