"""What the training loop tells the world while it runs. The worker's entry turns it into heartbeats and reports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from deepsynth_api.report import Phase
from deepsynth_api.v1alpha1.training_run_status import PinnedDataset

if TYPE_CHECKING:
    from deepsynth_train.checkpoint.manifest import CheckpointRecord


@dataclass(frozen=True)
class DroppedSamples:
    """Samples left out before training. reason: CamelCase, such as LabelTooLong."""

    reason: str
    samples: int


@dataclass(frozen=True)
class StartReport:
    """Known once the model and the data are there. resumed_from_step: None for a fresh start."""

    total_steps: int
    samples: int
    image_tokens_per_page: int
    resumed_from_step: int | None = None
    dropped: Sequence[DroppedSamples] = field(default_factory=tuple)


@dataclass(frozen=True)
class StepReport:
    """One optimizer step, over all ranks; equal on every rank but for the shares and the memory.

    step: steps done, counted from 1. loss: per label token. grad_norm: before clipping. Rates are smoothed over
    the last steps. data_wait_share: part of the time this rank waited for pages, 0 to 1.
    remaining_seconds: at the present speed. skipped: the step left the weights alone (not finite).
    """

    step: int
    total_steps: int
    epoch: float
    loss: float
    grad_norm: float
    learning_rate: float
    samples_per_second: float
    pages_per_second: float
    label_tokens_per_second: float
    data_wait_share: float
    peak_memory_bytes: int
    remaining_seconds: float
    skipped: bool = False


class Progress(Protocol):
    """Called from the training thread of every rank. Each call is a heartbeat."""

    def phase(self, name: Phase) -> None:
        """What begins now; each phase has its own time limit."""

    def beat(self) -> None:
        """Work goes on inside a phase: a validation batch, a downloaded block."""

    def datasets(self, pinned: Sequence[PinnedDataset]) -> None:
        """The revisions that this attempt reads."""

    def download(self, done: int, total: int) -> None:
        """Bytes of the datasets that are on this node."""

    def start(self, report: StartReport) -> None: ...

    def step(self, report: StepReport) -> None: ...

    def evaluation(self, step: int, metrics: Mapping[str, float]) -> None:
        """metrics: validation_loss, validation_loss_swapped and so on."""

    def checkpoints(self, records: Sequence["CheckpointRecord"], notes: Sequence[str]) -> None:
        """What is committed now, newest first, and all notes of the folder. Also called from the saving thread."""

    def note(self, text: str) -> None:
        """Something a person should know."""


class NoProgress:
    """Tells nobody; for tests and for callers that only want the result."""

    def phase(self, name: Phase) -> None: ...

    def beat(self) -> None: ...

    def datasets(self, pinned: Sequence[PinnedDataset]) -> None: ...

    def download(self, done: int, total: int) -> None: ...

    def start(self, report: StartReport) -> None: ...

    def step(self, report: StepReport) -> None: ...

    def evaluation(self, step: int, metrics: Mapping[str, float]) -> None: ...

    def checkpoints(self, records: Sequence["CheckpointRecord"], notes: Sequence[str]) -> None: ...

    def note(self, text: str) -> None: ...
