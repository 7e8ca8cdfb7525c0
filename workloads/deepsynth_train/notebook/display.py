"""What `train` shows: a progress bar in terminals and notebooks, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Literal

from deepsynth_api.counted import counted
from deepsynth_api.report import Phase
from deepsynth_train.checkpoint.manifest import CheckpointRecord
from deepsynth_train.coordination.progress import NoProgress, StartReport, StepReport, WrittenSample
from deepsynth_train.notebook.errors import rename_fields

DisplayName = Literal["auto", "bar", "lines", "none"]

_PHASES: Final[Mapping[Phase, str]] = {
    "download": "loading the model and the pages",
    "start": "preparing the model",
    "evaluate": "evaluating",
    "save": "saving a checkpoint",
    "publish": "writing the final model",
}
SECONDS_BETWEEN_LINES: Final = 5.0
MIN_BYTES_SHOWN: Final = 1_000_000
"""Fewer are read at once."""
SAMPLES_SHOWN: Final = 2
CHARACTERS_SHOWN: Final = 60


class Display(NoProgress):
    """Shows nothing. Subclasses show what `say` is given, as a line that stays."""

    def say(self, text: str) -> None: ...

    def show_findings(self, prefix: str, metrics: Mapping[str, float], samples: Sequence[WrittenSample]) -> None:
        """Of one evaluation."""
        self.say(prefix + ", ".join(f"{name} {value:.4f}" for name, value in metrics.items()))
        for sample in samples[:SAMPLES_SHOWN]:
            self.say(f"  the model wrote {_quote(sample.written)} for {_quote(sample.reference)}")

    def close(self) -> None: ...


class Lines(Display):
    """A line for each phase, evaluation and save, and for a step at most every five seconds."""

    def __init__(self, write: Callable[[str], Any] | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write or _print
        self._clock = clock
        self._shown_at = -SECONDS_BETWEEN_LINES
        self._phase: Phase | None = None
        self._step = 0
        self._save_step = -1
        self._saved: set[int] | None = None
        self._notes: set[str] = set()

    def say(self, text: str) -> None:
        self._write(text)

    def phase(self, name: Phase) -> None:
        is_repeated = name == "save" and self._step == self._save_step  # the last step is saved once
        if name in _PHASES and name != self._phase and not is_repeated:
            self.say(f"{_PHASES[name]} ...")
        if name == "save":
            self._save_step = self._step
        self._phase = name

    def wait(self, reason: str, seconds: float) -> None:
        if self._is_due():
            self.say(f"waiting {seconds:.0f} s: {reason}")

    def download(self, done: int, total: int) -> None:
        if done and total >= MIN_BYTES_SHOWN and self._is_due():
            self.say(f"read {done / 1e6:,.1f} of {total / 1e6:,.1f} MB of pages")

    def start(self, report: StartReport) -> None:
        self.say(describe_start(report))
        self._shown_at = -SECONDS_BETWEEN_LINES

    def step(self, report: StepReport) -> None:
        self._step = report.step
        if self._is_due() or report.step == report.total_steps:
            self.say(describe_step(report))

    def evaluation(self, step: int, metrics: Mapping[str, float], samples: Sequence[WrittenSample]) -> None:
        self.show_findings(f"step {step}: ", metrics, samples)

    def checkpoints(self, records: Sequence[CheckpointRecord], notes: Sequence[str]) -> None:
        steps = {record.step for record in records}
        for record in records:
            if self._saved is not None and record.step not in self._saved:
                self.say(f"saved step {record.step}: {record.uri.removeprefix('file://')}")
        self._saved = steps if self._saved is None else self._saved | steps
        for note in notes:
            self.note(note)

    def note(self, text: str) -> None:
        if text not in self._notes:
            self._notes.add(text)
            self.say(f"note: {rename_fields(text)}")

    def _is_due(self) -> bool:
        now = self._clock()
        if now - self._shown_at < SECONDS_BETWEEN_LINES:
            return False
        self._shown_at = now
        return True


class Bar(Lines):
    """tqdm's bar over the steps, with loss, speed and the time left; the phase is its title."""

    def __init__(self) -> None:
        from tqdm.auto import tqdm

        super().__init__(write=tqdm.write)
        self._tqdm: Any = tqdm
        self._bar: Any = None

    def phase(self, name: Phase) -> None:
        if self._bar is None:
            super().phase(name)
        else:
            self._bar.set_description(_PHASES.get(name, "training"))

    def beat(self) -> None:
        if self._bar is not None:
            self._bar.update(0)  # keeps the clock running during an evaluation

    def start(self, report: StartReport) -> None:
        super().start(report)
        done = report.resumed_from_step or 0
        self._bar = self._tqdm(total=report.total_steps, initial=done, desc="training", unit="step")

    def step(self, report: StepReport) -> None:
        if self._bar is not None:
            self._bar.set_postfix(loss=f"{report.loss:.4f}", lr=f"{report.learning_rate:.3g}", refresh=False)
            self._bar.update(report.step - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def build_display(name: DisplayName, *, is_first: bool) -> Display:
    """auto: a bar in a terminal or notebook, else lines. Only the first process shows anything."""
    if name == "none" or not is_first:
        return Display()
    if name == "bar" or (name == "auto" and (sys.stderr.isatty() or "ipykernel" in sys.modules)):
        return Bar()
    return Lines()


def describe_start(report: StartReport) -> str:
    """Such as `200 steps over 1,384 samples, continuing after step 40; dropped 3 LabelTooLong`."""
    text = f"{counted(report.total_steps, 'step')} over {counted(report.samples, 'sample')}"
    if report.resumed_from_step == report.total_steps:
        text += ", all done by an earlier call; to train again, change a setting or delete the folder"
    elif report.resumed_from_step is not None:
        text += f", continuing after step {report.resumed_from_step:,}"
    if report.dropped:
        text += f"; dropped {', '.join(f'{drop.samples:,} {drop.reason}' for drop in report.dropped)}"
    return text


def describe_step(report: StepReport) -> str:
    """Such as `step 12/200 (epoch 0.50): loss 2.3142, learning rate 0.00018, 31.2 samples/s, 0:03:10 left`."""
    text = (
        f"step {report.step}/{report.total_steps} (epoch {report.epoch:.2f}): loss {report.loss:.4f}, "
        f"learning rate {report.learning_rate:.3g}, {report.samples_per_second:.3g} samples/s"
    )
    is_last = report.step == report.total_steps
    return text if is_last else f"{text}, {timedelta(seconds=round(report.remaining_seconds))} left"


def _quote(text: str) -> str:
    """One line, in quotation marks, without characters that control a terminal."""
    shown = "".join(char if char.isprintable() else " " for char in text)
    return f'"{shown[:CHARACTERS_SHOWN]}{"..." if len(shown) > CHARACTERS_SHOWN else ""}"'


def _print(text: str) -> None:
    print(text, flush=True)
