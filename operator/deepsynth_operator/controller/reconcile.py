"""The shell around the decisions, the same for both kinds: gather, decide, write the status once, tell, act.

What must not be forgotten is in the status before it is acted on, and every write names the resourceVersion it was
computed from. When nothing has to be written, a read past the cache confirms that the status is still the one that
was decided from: a stale cache never creates or deletes anything.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import DatasetGeneration, TrainingRun
from deepsynth_operator.controller.gather import gather_generation, gather_run
from deepsynth_operator.core.cluster import Cluster, Resource, ResourceKind
from deepsynth_operator.core.errors import Conflict, ForeignChild, NamespaceGoing, Refused
from deepsynth_operator.core.observed import ObservedGeneration, ObservedRun, Refusal
from deepsynth_operator.core.settings import Settings
from deepsynth_operator.decisions.dataset_generation.decide import decide_generation
from deepsynth_operator.decisions.shared.decision import Action, CreateJob, Decision, DeleteJob, SetParallelism
from deepsynth_operator.decisions.training_run.decide import decide_run
from deepsynth_operator.manifests.render_job import build_render_children
from deepsynth_operator.manifests.train_job import build_train_children

Manifests = list[dict[str, Any]]
Observed = TypeVar("Observed", ObservedRun, ObservedGeneration)

_TRIES: Final = 3
_WAIT_SECONDS: Final = 10.0
"""Between looks at what stands in the way of a child and will go by itself."""


@dataclass(frozen=True, slots=True)
class _Kind(Generic[Observed]):
    """What differs between the kinds. `build` makes the children of the Job that the status names so."""

    gather: Callable[[Cluster, Any, datetime], Awaitable[Observed]]
    decide: Callable[[Observed, Settings, datetime], Decision[Any]]
    build: Callable[[Any, str], Manifests]


async def reconcile(
    cluster: Cluster, settings: Settings, kind: ResourceKind, namespace: str, name: str, *, now: datetime
) -> float | None:
    """Bring one resource a step further. Safe to repeat, and to break off anywhere.

    Returns seconds until it should be looked at again if nothing happens; None: never. Raises Conflict when the
    resource goes on changing meanwhile, ClusterError when the API server does not answer: try again later.
    """
    # Whole seconds, as the API keeps them: a status that was written and read again is equal to itself.
    now = now.replace(microsecond=0)
    resource: Resource | None = await cluster.get(kind, namespace, name)
    for _ in range(_TRIES):
        if resource is None:
            return None
        try:
            return await _step(cluster, settings, now, resource, _KINDS[kind])
        except Conflict:
            resource = await cluster.read(kind, namespace, name)
    raise Conflict(f"{kind} {namespace}/{name} changes faster than it can be reconciled")


async def _step(
    cluster: Cluster, settings: Settings, now: datetime, resource: Resource, kind: _Kind[Observed]
) -> float | None:
    """One pass; a second one when the API server refuses a child, because the status has to say so."""
    observed = await kind.gather(cluster, resource, now)
    try:
        return await _carry_out(cluster, resource, kind.decide(observed, settings, now), kind.build)
    except (Refused, ConfigurationError) as error:
        refusal = _parse_refusal(error)
    fresh = await cluster.read(resource.kind, resource.metadata.namespace, resource.metadata.name)
    if fresh is None:
        return None
    observed = replace(await kind.gather(cluster, fresh, now), refusal=refusal)
    return await _carry_out(cluster, fresh, kind.decide(observed, settings, now), kind.build)


async def _carry_out(
    cluster: Cluster, resource: Any, decision: Decision[Any], build: Callable[[Any, str], Manifests]
) -> float | None:
    """Write, tell, act. Returns when to look again."""
    if decision.status.to_dict() != resource.status.to_dict():
        resource = await cluster.write_status(resource, decision.status)
    elif decision.actions:
        await _confirm(cluster, resource)
    for event in decision.events:
        await cluster.emit_event(resource, event.type, event.reason, event.message)
    try:
        for action in decision.actions:
            await _act(cluster, resource, action, build)
    except ForeignChild as error:
        await cluster.emit_event(resource, "Warning", "NameTaken", f"{error}; delete it or rename the resource")
        return _WAIT_SECONDS
    except NamespaceGoing:
        return _WAIT_SECONDS
    return decision.requeue_after


async def _confirm(cluster: Cluster, resource: Resource) -> None:
    """Raise Conflict unless `resource` is what the API server has now."""
    metadata = resource.metadata
    fresh = await cluster.read(resource.kind, metadata.namespace, metadata.name)
    if fresh is None or fresh.metadata.resource_version != metadata.resource_version:
        raise Conflict(f"{resource.kind} {metadata.namespace}/{metadata.name} changed since it was read")


async def _act(cluster: Cluster, resource: Resource, action: Action, build: Callable[[Any, str], Manifests]) -> None:
    namespace = resource.metadata.namespace
    match action:
        case CreateJob(name):
            for manifest in build(resource, name):
                await (cluster.apply if manifest["kind"] == "Service" else cluster.create)(manifest)
        case DeleteJob(name, uid):
            # The Job goes last: as long as it is there, what was not deleted is deleted again.
            await cluster.delete_companion("Service", namespace, name, resource.metadata.uid)
            await cluster.delete_companion("ConfigMap", namespace, name, resource.metadata.uid)
            await cluster.delete_job(namespace, name, uid=uid)
        case SetParallelism(name, uid, parallelism):
            await cluster.patch_job(namespace, name, uid=uid, parallelism=parallelism)


def _parse_refusal(error: Refused | ConfigurationError) -> Refusal:
    if isinstance(error, ConfigurationError):
        return Refusal(error.reason, error.message, error.exit_code)
    return Refusal("CreationRefused", str(error))


def _build_run_children(run: TrainingRun, name: str) -> Manifests:
    return build_train_children(run, next(attempt for attempt in run.status.attempts if attempt.job == name))


def _build_generation_children(generation: DatasetGeneration, name: str) -> Manifests:
    return build_render_children(generation, next(job for job in generation.status.jobs if job.name == name))


_KINDS: Final[Mapping[ResourceKind, _Kind[Any]]] = {
    "TrainingRun": _Kind(gather_run, decide_run, _build_run_children),
    "DatasetGeneration": _Kind(gather_generation, decide_generation, _build_generation_children),
}
