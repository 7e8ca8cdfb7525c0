"""Sends the values of metrics.jsonl to the services of spec.tracking.

Each service has a thread of its own: a slow or unreachable service costs the training only a note on the resource.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue
from typing import Final

from deepsynth_api.report import WARNING
from deepsynth_api.workload import TrainWorkload
from deepsynth_train.coordination.progress import WrittenSample
from deepsynth_train.tracking.trackers import Tracker, build_tracker

CLOSE_SECONDS: Final = 30.0
"""How long to wait at the end for values that are still queued."""


class TrackingThread(threading.Thread):
    """Writes values to one service, in order, until the service fails. field: such as spec.tracking[0]."""

    def __init__(
        self, tracker: Tracker, field: str, note: Callable[[str], None], *, close_seconds: float = CLOSE_SECONDS
    ) -> None:
        super().__init__(name=field, daemon=True)
        self._tracker = tracker
        self._note = note
        self._close_seconds = close_seconds
        self._first_step = 0
        self._step = 0
        self._calls: SimpleQueue[tuple[int, Callable[[], None]] | None] = SimpleQueue()

    def begin(self, first_step: int) -> None:
        self._first_step = self._step = first_step
        self.start()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        self._put(step, lambda: self._tracker.write(step, values))

    def show(self, step: int, samples: Sequence[WrittenSample]) -> None:
        self._put(step, lambda: self._tracker.show(step, samples))

    def save(self) -> None:
        self._put(self._step, self._tracker.save)

    def _put(self, step: int, call: Callable[[], None]) -> None:
        if self.is_alive():
            self._calls.put((step, call))

    def finish(self) -> None:
        self._calls.put(None)
        self.join(self._close_seconds)
        if self.is_alive():
            self._report(f"it did not accept all values within {self._close_seconds:.0f} s")

    def run(self) -> None:
        try:
            self._tracker.start(self._first_step)
            while (item := self._calls.get()) is not None:
                self._step, call = item
                call()
            self._tracker.finish()
        except Exception as error:  # noqa: BLE001 - a service's client can raise anything, and training continues
            self._report(f"{type(error).__name__}: {error}")

    def _report(self, why: str) -> None:
        self._note(f"{WARNING}{self.name} failed: {why}; from step {self._step} on, values are only in metrics.jsonl")


class Tracking:
    """All services of one attempt. Other ranks than 0 have none."""

    def __init__(
        self,
        workload: TrainWorkload,
        note: Callable[[str], None],
        *,
        is_first: bool,
        close_seconds: float = CLOSE_SECONDS,
    ) -> None:
        """note: called, from another thread, when a service fails. close_seconds: how long `finish` waits per service.

        Raises ConfigurationError for a service whose package is not in the image.
        """
        settings = {f"spec.tracking[{index}]": item for index, item in enumerate(workload.tracking)} if is_first else {}
        self._threads = [
            TrackingThread(build_tracker(item, workload, field), field, note, close_seconds=close_seconds)
            for field, item in settings.items()
        ]

    def begin(self, first_step: int) -> None:
        """Connect, in the background. first_step: values that earlier attempts wrote from this step on are replaced."""
        for thread in self._threads:
            thread.begin(first_step)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        for thread in self._threads:
            thread.write(step, values)

    def show(self, step: int, samples: Sequence[WrittenSample]) -> None:
        """What the model wrote at an evaluation."""
        if samples:
            for thread in self._threads:
                thread.show(step, samples)

    def save(self) -> None:
        """A checkpoint is saved."""
        for thread in self._threads:
            thread.save()

    def finish(self) -> None:
        """Wait for queued values, at most `close_seconds` per service."""
        for thread in self._threads:
            thread.finish()
