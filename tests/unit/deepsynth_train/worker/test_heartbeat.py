import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deepsynth_api.report import Phase, TrainReport
from deepsynth_api.v1alpha1.training_run_status import ModelOutput, PinnedDataset
from deepsynth_train.checkpoint.manifest import CheckpointRecord
from deepsynth_train.coordination.progress import DroppedSamples, StartReport, StepReport, WrittenSample
from deepsynth_train.coordination.run_folder import RunFolder
from deepsynth_train.worker.heartbeat import Heartbeat

if TYPE_CHECKING:
    from collections.abc import Callable

STEP = StepReport(
    step=3,
    total_steps=10,
    epoch=0.5,
    loss=1.25,
    grad_norm=2.0,
    learning_rate=1e-4,
    samples_per_second=8.0,
    pages_per_second=16.0,
    label_tokens_per_second=99.0,
    data_wait_share=0.1,
    peak_memory_bytes=123,
    remaining_seconds=7.0,
)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def read_report(folder: RunFolder) -> TrainReport:
    return TrainReport.model_validate_json(folder.report.read_text())


def record(step: int, loss: float | None = None) -> CheckpointRecord:
    return CheckpointRecord(step, f"file:///c/step-{step}", datetime.now(UTC), 100, "a" * 64, loss)


def test_every_call_is_a_beat_with_phase_and_step(folder: RunFolder) -> None:
    heartbeat = Heartbeat(folder, attempt=1, rank=5, local_rank=1)
    beats = [folder.read_beat(1)]
    calls: list[Callable[[], None]] = [
        lambda: heartbeat.phase("download"),
        lambda: heartbeat.download(1, 2),
        lambda: heartbeat.phase("step"),
        lambda: heartbeat.step(STEP),
        heartbeat.beat,
    ]
    for call in calls:
        call()
        beats.append(folder.read_beat(1))
    times = [beat.at for beat in beats if beat]
    assert times == sorted(set(times))
    assert len(times) == 6
    last = beats[-1]
    assert last is not None
    assert (last.rank, last.phase, last.step) == (5, "step", 3)


def test_only_the_first_worker_of_a_node_keeps_the_report(folder: RunFolder) -> None:
    Heartbeat(folder, attempt=1, rank=1, local_rank=1).step(STEP)
    assert not folder.report.exists()


def test_the_report_holds_what_the_loop_reported(folder: RunFolder) -> None:
    heartbeat = Heartbeat(folder, attempt=4, rank=0, local_rank=0, clock=count().__next__)
    heartbeat.datasets([PinnedDataset(name="pages", uri="hf://datasets/a/b", revision="c0ffee")])
    heartbeat.download(7, 9)
    heartbeat.start(StartReport(10, 100, 145, resumed_from_step=2, dropped=[DroppedSamples("LabelTooLong", 3)]))
    heartbeat.phase("step")
    heartbeat.step(STEP)
    report = read_report(folder)
    assert (report.attempt, report.phase, report.step, report.resumed_from_step) == (4, "step", 3, 2)
    assert (report.download_bytes, report.download_bytes_total, report.image_tokens_per_page) == (7, 9, 145)
    assert [(dropped.reason, dropped.rows) for dropped in report.dropped] == [("LabelTooLong", 3)]
    assert (report.loss, report.remaining_seconds) == (1.25, 7.0)
    assert [pin.revision for pin in report.datasets] == ["c0ffee"]


def test_time_in_steps_and_evaluations_is_counted_apart(folder: RunFolder) -> None:
    clock = [0.0]
    heartbeat = Heartbeat(folder, attempt=1, rank=0, local_rank=0, clock=lambda: clock[0])
    phases: list[tuple[Phase, int]] = [("evaluate", 5), ("step", 30), ("save", 2), ("step", 10), ("evaluate", 4)]
    for phase, seconds in phases:
        heartbeat.phase(phase)
        clock[0] += seconds
    heartbeat.finish(None)
    report = read_report(folder)
    assert (report.step_seconds, report.evaluation_seconds) == (40, 9)


def test_notes_of_other_threads_and_beats_do_not_conflict(folder: RunFolder) -> None:
    heartbeat = Heartbeat(folder, attempt=1, rank=0, local_rank=0)
    heartbeat.phase("step")
    with ThreadPoolExecutor(4) as threads:
        beats = [threads.submit(heartbeat.beat) for _ in range(300)]
        notes = [threads.submit(heartbeat.note, f"note {number}") for number in range(100)]
    for future in [*beats, *notes]:
        future.result()
    assert sorted(read_report(folder).notes) == sorted(f"note {number}" for number in range(100))


def test_steps_in_quick_succession_are_reported_once_except_the_last_one(folder: RunFolder) -> None:
    heartbeat = Heartbeat(folder, attempt=1, rank=0, local_rank=0, clock=lambda: 3.0)
    for step in range(1, 10):
        heartbeat.step(replace(STEP, step=step))
    assert read_report(folder).step < 9
    heartbeat.step(replace(STEP, step=10))
    assert read_report(folder).step == 10


def test_checkpoints_appear_newest_first_with_the_best_and_the_notes(folder: RunFolder) -> None:
    heartbeat = Heartbeat(folder, attempt=1, rank=0, local_rank=0)
    heartbeat.note("the Hub is slow")
    heartbeat.checkpoints([record(4), record(2, 0.5)], ["step-6 is damaged"])
    report = read_report(folder)
    assert [checkpoint.step for checkpoint in report.checkpoints] == [4, 2]
    assert report.best_checkpoint is not None
    assert (report.best_checkpoint.step, report.best_checkpoint.loss, report.saved_step) == (2, "0.5", 4)
    assert report.notes == ["step-6 is damaged", "the Hub is slow"]


def test_a_wait_for_the_hub_is_logged_and_counts_as_a_sign_of_life(
    folder: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    clock = iter([1.0, 2.0, 3.0, 70.0, 71.0])
    heartbeat = Heartbeat(folder, attempt=1, rank=3, local_rank=1, clock=lambda: next(clock))
    before = folder.read_beat(1)
    with caplog.at_level("INFO", logger="deepsynth_train"):
        heartbeat.wait("the Hub's rate limit is reached", 55.4)
    after = folder.read_beat(1)
    assert before is not None
    assert after is not None
    assert after.at > before.at
    assert caplog.messages == ["waiting 55 s: the Hub's rate limit is reached"]


def test_the_commit_of_the_model_is_reported(folder: RunFolder) -> None:
    Heartbeat(folder, attempt=1, rank=0, local_rank=0).model("hf://acme/reader", "c0ffee")
    model = read_report(folder).model
    assert model is not None
    assert (model.uri, model.revision) == ("hf://acme/reader", "c0ffee")


def test_the_best_checkpoint_is_reported_with_the_metric_that_decided(folder: RunFolder) -> None:
    heartbeat = Heartbeat(folder, attempt=1, rank=0, local_rank=0)
    by_text = replace(record(2, 0.5), score=-0.25, metric="exactMatch", value=0.25)
    heartbeat.checkpoints([record(4), by_text, record(1, 0.125)], [])
    report = read_report(folder)
    assert report.best_checkpoint is not None
    assert [(kept.step, kept.metric, kept.value, kept.loss) for kept in report.checkpoints] == [
        (4, "", "", ""),
        (2, "exactMatch", "0.25", "0.5"),
        (1, "loss", "0.125", "0.125"),
    ]
    assert (report.best_checkpoint.step, report.best_checkpoint.value) == (2, "0.25")


def test_metrics_and_samples_become_those_of_the_step_that_is_published(folder: RunFolder) -> None:
    heartbeat = Heartbeat(folder, attempt=1, rank=0, local_rank=0)
    heartbeat.evaluation(5, {"validation_loss": 2.0}, [WrittenSample(0, "row 0", "a", "b")])
    heartbeat.evaluation(9, {"validation_loss": 1.0, "validation_loss_black": 8.0}, [])
    heartbeat.select(5, {"validation_loss": 2.0}, [WrittenSample(0, "row 0", "a", "b")])
    report = read_report(folder)
    assert [(metric.name, metric.value, metric.step) for metric in report.metrics] == [("validation_loss", "2", 5)]
    assert [(sample.step, sample.written) for sample in report.samples] == [(5, "b")]


def test_an_evaluation_replaces_the_values_of_the_previous_one(folder: RunFolder) -> None:
    heartbeat = Heartbeat(folder, attempt=1, rank=0, local_rank=0)
    heartbeat.evaluation(5, {"validation_loss": 2.0, "rouge1": 0.1}, [])
    heartbeat.evaluation(9, {"validation_loss": 1.0}, [])
    metrics = {metric.name: (metric.value, metric.step) for metric in read_report(folder).metrics}
    assert metrics == {"validation_loss": ("1", 9), "rouge1": ("0.1", 5)}


def test_the_first_samples_of_the_last_evaluation_are_reported_cut(folder: RunFolder) -> None:
    heartbeat = Heartbeat(folder, attempt=1, rank=0, local_rank=0)
    samples = [WrittenSample(n, f"row {n}", "r" * 500, f"{n}" * 500) for n in range(5)]
    heartbeat.evaluation(5, {"validation_loss": 2.0}, samples[3:])
    heartbeat.evaluation(9, {"validation_loss": 1.0}, samples)
    reported = read_report(folder).samples
    assert [(sample.name, sample.step) for sample in reported] == [("row 0", 9), ("row 1", 9), ("row 2", 9)]
    assert (reported[1].reference, reported[1].written) == ("r" * 200, "1" * 200)


def test_a_report_with_a_loss_of_nan_can_be_parsed(folder: RunFolder) -> None:
    heartbeat = Heartbeat(folder, attempt=1, rank=0, local_rank=0)
    heartbeat.step(replace(STEP, step=10, loss=float("nan")))
    assert read_report(folder).loss is None


def test_the_end_names_the_final_model(folder: RunFolder) -> None:
    heartbeat = Heartbeat(folder, attempt=1, rank=0, local_rank=0)
    heartbeat.finish(ModelOutput(uri="file:///out"))
    report = read_report(folder)
    assert report.phase == "done"
    assert report.output is not None
    assert report.output.uri == "file:///out"


def test_only_rank_0_logs_steps_and_notes(folder: RunFolder, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="deepsynth_train")
    for rank in (0, 1):
        heartbeat = Heartbeat(folder, attempt=1, rank=rank, local_rank=rank)
        heartbeat.step(STEP)
        heartbeat.note("something")
        heartbeat.checkpoints([], ["adopted"])
    assert caplog.messages == ["step 3/10: loss 1.25, 8 samples/s, 7 s to go", "something", "adopted"]


def test_the_first_step_is_logged_on_a_machine_that_has_just_started(
    folder: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    """Its monotonic clock is near 0."""
    caplog.set_level(logging.INFO, logger="deepsynth_train")
    Heartbeat(folder, attempt=1, rank=0, local_rank=0, clock=lambda: 3.0).step(STEP)
    assert caplog.messages == ["step 3/10: loss 1.25, 8 samples/s, 7 s to go"]
