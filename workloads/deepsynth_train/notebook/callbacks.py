"""Callbacks: a user's code that is called during training."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.report import Phase
from deepsynth_api.v1alpha1.training_run_status import PinnedDataset
from deepsynth_train.checkpoint.manifest import CheckpointRecord
from deepsynth_train.coordination.progress import NoProgress, Progress, StartReport, StepReport, WrittenSample
from deepsynth_train.notebook.place import Place


class Callback:
    """Override the methods that you need. They are called on the first process only, in the thread of `train`.

    An exception ends the training. To end it in good order, with a checkpoint, call `trainer.stop()`.
    """

    def on_start(self, report: StartReport) -> None:
        """Model and data are loaded; training starts or continues."""

    def on_step(self, report: StepReport) -> None:
        """After each optimizer step."""

    def on_evaluation(self, step: int, metrics: Mapping[str, float]) -> None:
        """After each evaluation."""

    def on_samples(self, step: int, samples: Sequence[WrittenSample]) -> None:
        """After each evaluation: what the model wrote for evaluation.samples pages, next to their text."""

    def on_save(self, step: int, folder: Any) -> None:
        """A checkpoint is complete. Saving runs in the background, so this comes some steps later.

        folder: a Path, or a URI in an object store.
        """


AnyCallback = Callback | Callable[[StepReport], Any]


class CallbackReports(NoProgress):
    """Passes an attempt's reports to callbacks; a function is called as on_step."""

    def __init__(self, callbacks: Sequence[AnyCallback]) -> None:
        self._callbacks = check_callbacks(callbacks)
        self._records: Sequence[CheckpointRecord] = ()
        self._saved: set[int] | None = None

    def start(self, report: StartReport) -> None:
        self._saved = {record.step for record in self._records}  # of earlier runs
        for callback in self._callbacks:
            callback.on_start(report)

    def phase(self, name: Phase) -> None:  # noqa: ARG002 - the protocol's
        self._report_saves()

    def step(self, report: StepReport) -> None:
        for callback in self._callbacks:
            callback.on_step(report)
        self._report_saves()

    def evaluation(self, step: int, metrics: Mapping[str, float], samples: Sequence[WrittenSample]) -> None:
        for callback in self._callbacks:
            callback.on_evaluation(step, metrics)
            if samples:
                callback.on_samples(step, samples)

    def checkpoints(self, records: Sequence[CheckpointRecord], notes: Sequence[str]) -> None:  # noqa: ARG002
        """Also called by the saving thread, so callbacks are called later, in their own thread."""
        self._records = records

    def close(self) -> None:
        """The last save is complete."""
        self._report_saves()

    def _report_saves(self) -> None:
        if self._saved is None:
            return
        for record in sorted(self._records, key=lambda record: record.step):
            if record.step not in self._saved:
                self._saved.add(record.step)
                for callback in self._callbacks:
                    callback.on_save(record.step, Place(record.uri).folder or record.uri)


class _Function(Callback):
    def __init__(self, function: Callable[[StepReport], Any]) -> None:
        self._function = function

    def on_step(self, report: StepReport) -> None:
        self._function(report)


def check_callbacks(callbacks: Sequence[AnyCallback]) -> list[Callback]:
    """Functions become callbacks. Raises ConfigurationError for anything else."""
    if not isinstance(callbacks, list | tuple):
        raise ConfigurationError(f"callbacks: must be a list, got {type(callbacks).__name__}; write callbacks=[...]")
    return [_wrap(f"callbacks[{number}]", part) for number, part in enumerate(callbacks)]


def _wrap(where: str, part: Any) -> Callback:
    if isinstance(part, Callback):
        return part
    if isinstance(part, type):
        raise ConfigurationError(f"{where}: must be an object, got the class {part.__name__}; write {part.__name__}()")
    if not callable(part):
        raise ConfigurationError(f"{where}: must be a Callback object or a function, got {type(part).__name__}")
    return _Function(part)


class ReportTo:
    """Progress that passes each call to several others, in order."""

    def __init__(self, *receivers: Progress) -> None:
        self._receivers = receivers

    def phase(self, name: Phase) -> None:
        for receiver in self._receivers:
            receiver.phase(name)

    def beat(self) -> None:
        for receiver in self._receivers:
            receiver.beat()

    def datasets(self, pinned: Sequence[PinnedDataset]) -> None:
        for receiver in self._receivers:
            receiver.datasets(pinned)

    def model(self, uri: str, revision: str) -> None:
        for receiver in self._receivers:
            receiver.model(uri, revision)

    def wait(self, reason: str, seconds: float) -> None:
        for receiver in self._receivers:
            receiver.wait(reason, seconds)

    def download(self, done: int, total: int) -> None:
        for receiver in self._receivers:
            receiver.download(done, total)

    def start(self, report: StartReport) -> None:
        for receiver in self._receivers:
            receiver.start(report)

    def step(self, report: StepReport) -> None:
        for receiver in self._receivers:
            receiver.step(report)

    def evaluation(self, step: int, metrics: Mapping[str, float], samples: Sequence[WrittenSample]) -> None:
        for receiver in self._receivers:
            receiver.evaluation(step, metrics, samples)

    def select(self, step: int, metrics: Mapping[str, float], samples: Sequence[WrittenSample]) -> None:
        for receiver in self._receivers:
            receiver.select(step, metrics, samples)

    def checkpoints(self, records: Sequence[CheckpointRecord], notes: Sequence[str]) -> None:
        for receiver in self._receivers:
            receiver.checkpoints(records, notes)

    def note(self, text: str) -> None:
        for receiver in self._receivers:
            receiver.note(text)
