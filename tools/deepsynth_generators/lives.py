"""Walk through every life that a resource can have, with the controller's own decisions and a made-up cluster.

A life is a walk: in each node, one of the situations that a cluster can be in is observed, and the decision gives the
next status. Nodes that differ only in names, numbers and times are the same, so the walk ends.

    Starting --(all pods run)--> Running --(pod evicted)--> Restarting --(delay is over)--> Starting ...
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from deepsynth_api.conditions import ConditionType, find_condition
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import DatasetGeneration, TrainingRun
from deepsynth_operator.core.observed import Children, ObservedJob, ObservedPod
from deepsynth_operator.core.queue_wait import QueueWait
from deepsynth_operator.core.settings import Settings
from deepsynth_operator.decisions.shared.decision import Decision

R = TypeVar("R", TrainingRun, DatasetGeneration)

BEGIN: Final = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)
SETTINGS: Final = Settings()


_QUEUE_REASONS: Final = frozenset(
    {
        Reason.QUOTA_EXCEEDED,
        Reason.QUEUE_NOT_FOUND,
        Reason.QUEUE_STOPPED,
        Reason.DEACTIVATED_BY_QUEUE,
        Reason.WORKLOAD_MISSING,
    }
)


@dataclass(frozen=True, slots=True)
class Arrow:
    """One change of status.state. An unset state is "". reason: of the new state."""

    before: str
    after: str
    reason: str


@dataclass(frozen=True, slots=True)
class Sight(Generic[R]):
    """What may be seen next, some seconds later. resource: as before, but its spec may have changed."""

    resource: R
    observed: Any
    seconds: float = 1


@dataclass(frozen=True, slots=True)
class World(Generic[R]):
    """first: resources as applied. look: everything that may be seen of one. key: equal for nodes that count as one.

    continues: a finished resource may go back to work, so it is looked at too.
    """

    first: tuple[R, ...]
    look: Callable[[R, datetime], Iterable[Sight[R]]]
    decide: Callable[[Any, Settings, datetime], Decision[Any]]
    key: Callable[[R], object]
    continues: bool = False


def walk(world: World[R]) -> set[Arrow]:
    """Every change of state that any life has."""
    arrows: set[Arrow] = set()
    nodes = [(resource, BEGIN) for resource in world.first]
    seen = {world.key(resource) for resource in world.first}
    while nodes:
        resource, now = nodes.pop()
        for sight in world.look(resource, now):
            later = now + timedelta(seconds=sight.seconds)
            status = world.decide(sight.observed, SETTINGS, later).status
            if status.state != resource.status.state:
                arrows.add(Arrow(resource.status.state or "", status.state or "", get_reason(status)))
            following = sight.resource.updated(status=status)
            is_looked_at = status.completion_time is None or world.continues
            if is_looked_at and (key := world.key(following)) not in seen:
                seen.add(key)
                nodes.append((following, later))
    return arrows


def get_reason(status: Any) -> str:
    """The reason of its state, which the Complete condition carries."""
    condition = find_condition(status.conditions, ConditionType.COMPLETE)
    return condition.reason if condition is not None else ""


def group_reason(status: Any) -> str:
    """The same, but one word for all that a queue may say: what follows does not depend on it."""
    reason = get_reason(status)
    return Reason.QUEUED if reason in _QUEUE_REASONS else reason


def build_job(name: str, step: str, size: int, now: datetime, **fields: Any) -> ObservedJob:
    """A Job at work, started 100 seconds ago."""
    started = now - timedelta(seconds=100)
    job = ObservedJob(name, f"uid-{name}", step, created=started, started=started, completions=size, parallelism=size)
    return replace(job, **fields)


def build_pod(job: str, index: int, now: datetime, **fields: Any) -> ObservedPod:
    """A running pod of the Job."""
    started = now - timedelta(seconds=90)
    pod = ObservedPod(f"{job}-{index}", f"uid-{job}-{index}", job, index, "Running", created=started, started=started)
    return replace(pod, **{"node": "node-a", "scheduled": started, **fields})


def build_pending_pod(job: str, index: int, now: datetime, **fields: Any) -> ObservedPod:
    """A pod without a running container."""
    return build_pod(job, index, now, phase="Pending", started=None, **fields)


def build_ended_pod(job: str, index: int, now: datetime, exit_code: int, **fields: Any) -> ObservedPod:
    phase = "Failed" if exit_code else "Succeeded"
    ended = {"phase": phase, "exit_code": exit_code, "exit_reason": "Error", "finished": now, **fields}
    return build_pod(job, index, now, **ended)


OBSTACLES: Final[tuple[dict[str, Any], ...]] = (
    {"waiting_reason": "CreateContainerConfigError"},
    {"waiting_reason": "ImagePullBackOff"},
    {"unschedulable": "no GPU is free", "scheduled": None, "node": None},
)

DISRUPTIONS: Final = (
    "EvictionByEvictionAPI",
    "PreemptionByScheduler",
    "DeletionByTaintManager",
    "TerminationByKubelet",
)


def see_common_ends(
    name: str, step: str, size: int, now: datetime
) -> Iterator[tuple[ObservedJob | None, tuple[ObservedPod, ...]]]:
    """Jobs that somebody deletes or whose node is lost, and Jobs that their queue holds."""
    yield None, ()
    for wait in see_waits():
        yield build_job(name, step, size, now, suspended=True, started=None, wait=wait), ()
    lost = build_pod(name, 0, now, deletion=now - timedelta(seconds=60), node_ready=False)
    yield build_job(name, step, size, now), (lost,)


def see_waits() -> Iterator[QueueWait | None]:
    """What a queue says about a Job that it holds, if anything."""
    yield None
    for reason in sorted(_QUEUE_REASONS):
        yield QueueWait(reason, "as Kueue says")


def see_children(job: ObservedJob | None, pods: Iterable[ObservedPod] = ()) -> Children:
    return Children(jobs=(job,) if job is not None else (), pods=tuple(pods))
