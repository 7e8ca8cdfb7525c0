"""The vocabulary of decisions: what a decision is made of, and the words for how things stand and how they ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic, TypeVar

from deepsynth_api.v1alpha1 import DatasetGenerationStatus, TrainingRunStatus
from deepsynth_api.v1alpha1.dataset_generation_status import GenerationState
from deepsynth_api.v1alpha1.training_run_status import AttemptOutcome, RunState
from deepsynth_operator.core.cluster import EventType

Status = TypeVar("Status", DatasetGenerationStatus, TrainingRunStatus)
State = TypeVar("State", RunState, GenerationState)

RESYNC_SECONDS: Final = 300.0
"""An unfinished resource is looked at this often even when no event comes: events get lost."""
AT_ONCE: Final = 0.0
"""The next look follows the write of this one: there is more to say than one status can."""
MAX_CONDITION_MESSAGE: Final = 2048
MAX_ENTRY_MESSAGE: Final = 1024
"""Characters of a message in status.attempts, status.jobs and status.lastFailure: several of them are kept."""


@dataclass(frozen=True, slots=True)
class CreateJob:
    """Create the Job of this name, with its ConfigMap and Service. The status names it already.

    queue_job: the Job whose quota its pods use, which must be admitted.
    """

    name: str
    queue_job: str | None = None


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


@dataclass(frozen=True, slots=True)
class SetDeadline:
    """Let the Job run for this many seconds since it started or was resumed. None: without a limit."""

    name: str
    uid: str
    seconds: int | None


@dataclass(frozen=True, slots=True)
class SetQueue:
    """Give the waiting Job these labels of its resource: its queue, its priority class. None removes a label."""

    name: str
    uid: str
    labels: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class WriteDocument:
    """Create the workload document of the last attempt, whose Job its queue has admitted with this many pods."""

    name: str
    uid: str
    nodes: int
    time: datetime


@dataclass(frozen=True, slots=True)
class DropDocument:
    """Delete the workload document of a suspended Job, which may be admitted with another number of pods."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class SetPodCounts:
    """Report how many pods use the quota of a queue Job, as the Job controller does for Jobs with pods."""

    name: str
    uid: str
    active: int
    ready: int
    succeeded: int


@dataclass(frozen=True, slots=True)
class HoldJob:
    """Suspend the Job after this attempt, until `ReleaseJob`: its pods end, and it keeps its quota in its queue."""

    name: str
    uid: str
    attempt: int


@dataclass(frozen=True, slots=True)
class ReleaseJob:
    """Let the queue resume the Job that was held: all its pods start."""

    name: str
    uid: str


Action = (
    CreateJob
    | DeleteJob
    | SetDeadline
    | SetParallelism
    | SetPodCounts
    | SetQueue
    | WriteDocument
    | DropDocument
    | HoldJob
    | ReleaseJob
)


@dataclass(frozen=True, slots=True)
class Event:
    """What `kubectl describe` shows once."""

    type: EventType
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Decision(Generic[Status]):
    """In this order: the status is written, then Events are emitted, then actions are taken.

    requeue_after: seconds until the resource should be reconciled again if nothing happens; None: never.
    """

    status: Status
    actions: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
    requeue_after: float | None = None


@dataclass(frozen=True, slots=True)
class Situation(Generic[State]):
    """Where an unfinished or just finished resource stands: status.state, and the reason and message of its conditions.

    accepted: its first child or its wait exists, so GitOps tools need not wait any longer. Stays true once it was.
    check_after: seconds until the resource should be reconciled again if no event comes.
    """

    state: State
    reason: str
    message: str
    accepted: bool = True
    check_after: float = RESYNC_SECONDS


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a resource has failed for good."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Cause:
    """Why an attempt or a Job is over.

    rank, node, step, exit_code: where it failed, if known. time: when the container ended, in UTC.
    last_heartbeat, is_stopped: of a rank that hangs, as in its `Failure`. compared_ranks: all that nodes named, one of
    which is `rank`, or the cause is unknown.
    next_nodes: how many pods the next attempt has, if not as many as the spec asks for.
    """

    outcome: AttemptOutcome
    reason: str
    message: str
    exit_code: int | None = None
    rank: int | None = None
    node: str | None = None
    step: int | None = None
    time: datetime | None = None
    last_heartbeat: datetime | None = None
    is_stopped: bool = False
    compared_ranks: frozenset[int] = frozenset()
    next_nodes: int | None = None
