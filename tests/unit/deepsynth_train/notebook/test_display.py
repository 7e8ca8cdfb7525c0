"""What `train` shows."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from deepsynth_train.checkpoint.manifest import CheckpointRecord
from deepsynth_train.coordination.progress import DroppedSamples, StartReport, StepReport, WrittenSample
from deepsynth_train.notebook.display import Bar, Display, Lines, build_display, describe_start

if TYPE_CHECKING:
    import pytest


SAMPLE = WrittenSample(0, "row 0", "r" * 99, "a\x1b[2J\nb")


def report(step: int, **changes: Any) -> StepReport:
    values: dict[str, Any] = {
        "total_steps": 20,
        "epoch": 0.5,
        "loss": 2.34567,
        "grad_norm": 1.0,
        "learning_rate": 0.00018,
        "samples_per_second": 31.24,
        "pages_per_second": 31.24,
        "label_tokens_per_second": 100.0,
        "data_wait_share": 0.1,
        "peak_memory_bytes": 1,
        "remaining_seconds": 190.4,
    }
    return StepReport(step=step, **{**values, **changes})


def record(step: int) -> CheckpointRecord:
    return CheckpointRecord(step, f"file:///runs/step-{step}", datetime.now(UTC), bytes=1, sha256="", loss=None)


def test_lines_show_every_phase_once_and_steps_every_few_seconds() -> None:
    lines: list[str] = []
    now = [100.0]
    shown = Lines(lines.append, lambda: now[0])
    shown.phase("download")
    shown.download(20_000, 20_000)
    shown.download(0, 3_000_000)
    shown.download(1_500_000, 3_000_000)
    shown.phase("start")
    shown.checkpoints([record(4)], ["a damaged checkpoint was skipped"])
    shown.start(StartReport(20, 1384, 49, resumed_from_step=4, dropped=[DroppedSamples("LabelTooLong", 3)]))
    shown.phase("step")
    for step in (5, 6, 7):
        shown.step(report(step))
        now[0] += 3
    shown.note("spec.datasets[pages]: too few; spec.evaluation.everySteps changes that")
    shown.phase("evaluate")
    shown.evaluation(7, {"validation_loss": 2.5, "validation_loss_swapped": 6.25}, [SAMPLE])
    shown.phase("save")
    shown.phase("evaluate")
    shown.phase("save")
    shown.checkpoints([record(8), record(4)], ["a damaged checkpoint was skipped"])
    shown.step(report(20))
    assert lines == [
        "loading the model and the pages ...",
        "read 1.5 of 3.0 MB of pages",
        "preparing the model ...",
        "note: a damaged checkpoint was skipped",
        "20 steps over 1,384 samples, continuing after step 4; dropped 3 LabelTooLong",
        "step 5/20 (epoch 0.50): loss 2.3457, learning rate 0.00018, 31.2 samples/s, 0:03:10 left",
        "step 7/20 (epoch 0.50): loss 2.3457, learning rate 0.00018, 31.2 samples/s, 0:03:10 left",
        "note: data: too few; evaluation.every_steps changes that",
        "evaluating ...",
        "step 7: validation_loss 2.5000, validation_loss_swapped 6.2500",
        f'  the model wrote "a [2J b" for "{"r" * 60}..."',
        "saving a checkpoint ...",
        "evaluating ...",
        "saved step 8: /runs/step-8",
        "step 20/20 (epoch 0.50): loss 2.3457, learning rate 0.00018, 31.2 samples/s",
    ]


def test_a_wait_is_shown_every_few_seconds() -> None:
    lines: list[str] = []
    now = [100.0]
    shown = Lines(lines.append, lambda: now[0])
    for _ in range(2):
        shown.wait("the Hub does not answer", 3.2)
    now[0] = 110
    shown.wait("the Hub does not answer", 8.0)
    assert lines == ["waiting 3 s: the Hub does not answer", "waiting 8 s: the Hub does not answer"]


def test_a_finished_run_says_how_to_train_again() -> None:
    text = describe_start(StartReport(20, 9, 49, resumed_from_step=20))
    assert (
        text
        == "20 steps over 9 samples, all done by an earlier call; to train again, change a setting or delete the folder"
    )


def test_the_bar_shows_loss_steps_and_phase(capsys: pytest.CaptureFixture[str]) -> None:
    bar = Bar()
    bar.phase("download")
    bar.start(StartReport(20, 1384, 49, resumed_from_step=4))
    bar.step(report(5))
    bar.phase("evaluate")
    bar.beat()
    bar.evaluation(5, {"validation_loss": 2.5}, [])
    bar.phase("step")
    bar.step(report(20))
    bar.close()
    shown = capsys.readouterr()
    assert "loading the model and the pages ..." in shown.out
    assert "step 5: validation_loss 2.5000" in shown.out
    assert "evaluating:" in shown.err
    assert "training: 100%" in shown.err
    assert "20/20" in shown.err
    assert "loss=2.3457, lr=0.00018" in shown.err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_a_pipe_lines_and_other_ranks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert type(build_display("auto", is_first=True)) is Lines
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert type(build_display("auto", is_first=True)) is Bar
    assert type(build_display("lines", is_first=True)) is Lines
    assert type(build_display("auto", is_first=False)) is Display
    assert type(build_display("none", is_first=True)) is Display


def test_a_notebook_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    assert type(build_display("auto", is_first=True)) is Bar
