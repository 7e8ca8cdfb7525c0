"""What a decision is: the status to write, then what to do, then what to say."""

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from deepsynth_api.v1alpha1 import DatasetGenerationStatus, TrainingRunStatus

StatusT = TypeVar("StatusT", DatasetGenerationStatus, TrainingRunStatus)

RESYNC_SECONDS = 300.0
"""An unfinished resource is looked at this often even when no event comes: events get lost."""


@dataclass(frozen=True, slots=True)
class CreateJob:
    """Create the Job of this name, with its ConfigMap and Service. The status names it already."""

    name: str


@dataclass(frozen=True, slots=True)
class DeleteJob:
    """Delete this Job in the background, with its ConfigMap and Service."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class SetParallelism:
    """Let this many pods of the Job run at the same time."""

    name: str
    uid: str
    parallelism: int


Action = CreateJob | DeleteJob | SetParallelism


EventType = Literal["Normal", "Warning"]


@dataclass(frozen=True, slots=True)
class Event:
    type: EventType
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Decision(Generic[StatusT]):
    """Order matters: the status is written before any action, and events go out only after it.

    requeue_after: seconds until the resource should be looked at again if nothing happens; None: never.
    """

    status: StatusT
    actions: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
    requeue_after: float | None = None
