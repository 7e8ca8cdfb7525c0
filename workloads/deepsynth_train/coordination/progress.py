"""Progress: the calls by which an attempt reports how far it is. The worker's Heartbeat turns them into files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from deepsynth_api.report import Phase
from deepsynth_api.v1alpha1.training_run_status import PinnedDataset
from deepsynth_train.checkpoint.manifest import CheckpointRecord


@dataclass(frozen=True)
class DroppedSamples:
    """Samples dropped before training. reason: CamelCase, such as LabelTooLong."""

    reason: str
    samples: int


@dataclass(frozen=True)
class StartReport:
    """Known once model and data are ready. resumed_from_step: None for a fresh start."""

    total_steps: int
    samples: int
    image_tokens_per_page: int
    resumed_from_step: int | None = None
    dropped: Sequence[DroppedSamples] = field(default_factory=tuple)


@dataclass(frozen=True)
class StepReport:
    """One optimizer step over all ranks; the same on every rank except data_wait_share and peak_memory_bytes.

    step: steps done, counted from 1. loss: per label token. grad_norm: before clipping. Rates are averages over the
    last steps. data_wait_share: share of the time that this rank waited for pages, 0 to 1. remaining_seconds: at the
    present speed. skipped: the weights did not change, because the loss was not finite.
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


@dataclass(frozen=True)
class WrittenSample:
    """A validation sample and what the model wrote for its pages. name: for users, such as row 3 of its dataset."""

    number: int
    name: str
    reference: str
    written: str


class Progress(Protocol):
    """Called from the training thread of every rank. Every call counts as a heartbeat."""

    def phase(self, name: Phase) -> None:
        """A phase begins. Each phase has its own time limit."""

    def beat(self) -> None:
        """Work continues inside a phase: after a validation batch, a downloaded file."""

    def datasets(self, pinned: Sequence[PinnedDataset]) -> None:
        """The revisions that this attempt reads."""

    def model(self, uri: str, revision: str) -> None:
        """The commit of a model on the Hub that this attempt loads."""

    def wait(self, reason: str, seconds: float) -> None:
        """A store is waited for, such as a Hub that does not answer. Called before each pause, and every minute."""

    def download(self, done: int, total: int) -> None:
        """Bytes of the datasets that are on this node, and in total."""

    def start(self, report: StartReport) -> None: ...

    def step(self, report: StepReport) -> None: ...

    def evaluation(self, step: int, metrics: Mapping[str, float], samples: Sequence[WrittenSample]) -> None:
        """metrics: validation_loss, validation_loss_swapped and so on. samples: to show; the same at every step."""

    def select(self, step: int, metrics: Mapping[str, float], samples: Sequence[WrittenSample]) -> None:
        """The final model is that of an earlier `step`. metrics, samples: of its evaluation."""

    def checkpoints(self, records: Sequence[CheckpointRecord], notes: Sequence[str]) -> None:
        """All committed checkpoints, newest first, and all notes of the folder. Also called from the saving thread."""

    def note(self, text: str) -> None:
        """A note for the user, shown on the resource."""


class NoProgress:
    """Reports nothing; for callers that only want the result."""

    def phase(self, name: Phase) -> None: ...

    def beat(self) -> None: ...

    def datasets(self, pinned: Sequence[PinnedDataset]) -> None: ...

    def model(self, uri: str, revision: str) -> None: ...

    def wait(self, reason: str, seconds: float) -> None: ...

    def download(self, done: int, total: int) -> None: ...

    def start(self, report: StartReport) -> None: ...

    def step(self, report: StepReport) -> None: ...

    def evaluation(self, step: int, metrics: Mapping[str, float], samples: Sequence[WrittenSample]) -> None: ...

    def select(self, step: int, metrics: Mapping[str, float], samples: Sequence[WrittenSample]) -> None: ...

    def checkpoints(self, records: Sequence[CheckpointRecord], notes: Sequence[str]) -> None: ...

    def note(self, text: str) -> None: ...
