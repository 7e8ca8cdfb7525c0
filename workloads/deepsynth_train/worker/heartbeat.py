"""Heartbeat: the Progress of a worker process as files in the run folder, for its launcher, and as log lines."""

import logging
import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from deepsynth_api.report import Phase, TrainReport
from deepsynth_api.v1alpha1.dataset_generation_status import DroppedRows
from deepsynth_api.v1alpha1.training_run_status import (
    CheckpointStatus,
    MetricValue,
    ModelOutput,
    PinnedDataset,
    SampleText,
)
from deepsynth_train.checkpoint.manifest import CheckpointRecord
from deepsynth_train.checkpoint.retention import find_best
from deepsynth_train.coordination.progress import StartReport, StepReport, WrittenSample
from deepsynth_train.coordination.run_folder import Beat, RunFolder, replace_text

REPORT_PERIOD = 0.5
"""Seconds between two reports while only the step changes."""
LOG_PERIOD = 10.0
"""Seconds between two log lines about steps."""
MAX_REPORTED_SAMPLES = 3
MAX_REPORTED_CHARACTERS = 200
"""Of a sample's texts. All of them are in the run's folder."""

logger = logging.getLogger("deepsynth_train")


class Heartbeat:
    """Implements Progress. Every rank writes its beat; the first worker of a node also writes the node's TrainReport.

    Saves and tracking report from their own threads, so both files are written under one lock.
    """

    def __init__(
        self,
        folder: RunFolder,
        attempt: int,
        rank: int,
        local_rank: int,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._rank = rank
        self._local_rank = local_rank
        self._clock = clock
        self._phase: Phase = "start"
        self._seconds: defaultdict[Phase, float] = defaultdict(float)
        self._counted = clock()
        self._step = 0
        self._report = TrainReport(attempt=attempt)
        self._own_notes: list[str] = []
        self._folder_notes: list[str] = []
        self._reported = self._logged = -math.inf
        self._lock = threading.Lock()
        self._update(phase="start")

    @property
    def step_done(self) -> int:
        """Steps done."""
        return self._step

    def phase(self, name: Phase) -> None:
        self._enter(name)
        self._update(phase=name)

    def beat(self) -> None:
        with self._lock:
            self._folder.write_beat(self._local_rank, Beat(self._rank, self._phase, self._step, self._clock()))

    def datasets(self, pinned: Sequence[PinnedDataset]) -> None:
        self._update(datasets=list(pinned))

    def model(self, uri: str, revision: str) -> None:
        self._update(model=ModelOutput(uri=uri, revision=revision))

    def wait(self, reason: str, seconds: float) -> None:
        self.beat()
        logger.info("waiting %.0f s: %s", seconds, reason)

    def download(self, done: int, total: int) -> None:
        self._update(soon=done < total, download_bytes=done, download_bytes_total=total)

    def start(self, report: StartReport) -> None:
        self._step = report.resumed_from_step or 0
        self._update(
            step=self._step,
            total_steps=report.total_steps,
            image_tokens_per_page=report.image_tokens_per_page,
            resumed_from_step=report.resumed_from_step,
            dropped=[DroppedRows(reason=dropped.reason, rows=dropped.samples) for dropped in report.dropped],
        )

    def step(self, report: StepReport) -> None:
        self._step = report.step
        fields = {name: getattr(report, name) for name in STEP_FIELDS}
        self._update(soon=report.step < report.total_steps, **fields)
        self._log_step(report)

    def evaluation(self, step: int, metrics: Mapping[str, float], samples: Sequence[WrittenSample]) -> None:
        values = _build_values(step, metrics)
        kept = [metric for metric in self._report.metrics if metric.name not in metrics]
        texts = [_build_text(sample, step) for sample in samples[:MAX_REPORTED_SAMPLES]]
        self._update(metrics=[*values, *kept], samples=texts)
        self._log(f"step {step}: " + ", ".join(f"{name} {value:.4g}" for name, value in metrics.items()))

    def select(self, step: int, metrics: Mapping[str, float], samples: Sequence[WrittenSample]) -> None:
        texts = [_build_text(sample, step) for sample in samples[:MAX_REPORTED_SAMPLES]]
        self._update(metrics=_build_values(step, metrics), samples=texts)

    def checkpoints(self, records: Sequence[CheckpointRecord], notes: Sequence[str]) -> None:
        for note in notes[len(self._folder_notes) :]:
            self._log(note)
        self._folder_notes = list(notes)
        best = find_best(records)
        self._update(
            checkpoints=[build_status(record) for record in records],
            best_checkpoint=build_status(best) if best else None,
            saved_step=records[0].step if records else None,
        )

    def note(self, text: str) -> None:
        self._own_notes.append(text)
        self._log(text)
        self._update()

    def finish(self, output: ModelOutput | None) -> None:
        """Write the last report. output: the final model."""
        self._enter("done")
        self._update(phase="done", output=output)

    def _enter(self, phase: Phase) -> None:
        with self._lock:
            self._count_seconds()
            self._phase = phase

    def _count_seconds(self) -> None:
        now = self._clock()
        self._seconds[self._phase] += now - self._counted
        self._counted = now

    def _update(self, *, soon: bool = False, **fields: object) -> None:
        """Beat and write the report. soon: another call follows soon, so skip the report within REPORT_PERIOD."""
        self.beat()
        if self._local_rank != 0:
            return
        with self._lock:
            notes = [*self._folder_notes, *self._own_notes]
            self._count_seconds()
            spent = {"step_seconds": self._seconds["step"], "evaluation_seconds": self._seconds["evaluate"]}
            self._report = self._report.model_copy(update={**fields, **spent, "notes": notes})
            now = self._clock()
            if soon and now - self._reported < REPORT_PERIOD:
                return
            self._reported = now
            replace_text(self._folder.report, self._report.model_dump_json(by_alias=True))

    def _log_step(self, report: StepReport) -> None:
        now = self._clock()
        if now - self._logged < LOG_PERIOD and report.step < report.total_steps:
            return
        self._logged = now
        self._log(
            f"step {report.step}/{report.total_steps}: loss {report.loss:.4g}, "
            f"{report.samples_per_second:.3g} samples/s, {report.remaining_seconds:.0f} s to go"
        )

    def _log(self, text: str) -> None:
        if self._rank == 0:
            logger.info(text)


STEP_FIELDS = (
    "step",
    "total_steps",
    "epoch",
    "loss",
    "grad_norm",
    "learning_rate",
    "samples_per_second",
    "pages_per_second",
    "label_tokens_per_second",
    "data_wait_share",
    "peak_memory_bytes",
    "remaining_seconds",
)
"""Fields of StepReport that TrainReport has too."""


def _build_values(step: int, metrics: Mapping[str, float]) -> list[MetricValue]:
    return [MetricValue(name=name, value=_format(value), step=step) for name, value in metrics.items()]


def _build_text(sample: WrittenSample, step: int) -> SampleText:
    reference, written = (text[:MAX_REPORTED_CHARACTERS] for text in (sample.reference, sample.written))
    return SampleText(name=sample.name, step=step, reference=reference, written=written)


def build_status(record: CheckpointRecord) -> CheckpointStatus:
    return CheckpointStatus(
        step=record.step,
        uri=record.uri,
        time=record.time,
        bytes=record.bytes,
        sha256=record.sha256,
        loss=_format(record.loss),
        metric=record.metric or ("" if record.loss is None else "loss"),
        value=_format(record.value if record.metric else record.loss),
    )


def _format(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
