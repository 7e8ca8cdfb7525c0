"""spec.tracking: what metrics.jsonl holds goes to TensorBoard, Weights & Biases or MLflow as well.

Each service has a thread: one that is slow or gone costs the training nothing but a note on the resource.
"""

import threading
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Final

from deepsynth_api.workload import TrainWorkload
from deepsynth_train.tracking.trackers import Tracker, build_tracker

CLOSE_SECONDS: Final = 30.0
"""Longest wait at the end for values that are on their way."""


class TrackingThread(threading.Thread):
    """Writes what it is given to one service, in order, until that fails. field: such as spec.tracking[0]."""

    def __init__(self, tracker: Tracker, field: str, note: Callable[[str], None]) -> None:
        super().__init__(name=field, daemon=True)
        self._tracker = tracker
        self._note = note
        self._first_step = 0
        self._step = 0
        self._values: SimpleQueue[tuple[int, Mapping[str, float]] | None] = SimpleQueue()

    def begin(self, first_step: int) -> None:
        self._first_step = self._step = first_step
        self.start()

    def put(self, step: int, values: Mapping[str, float]) -> None:
        if self.is_alive():
            self._values.put((step, values))

    def finish(self) -> None:
        self._values.put(None)
        self.join(CLOSE_SECONDS)
        if self.is_alive():
            self._tell(f"it did not take all values within {CLOSE_SECONDS:.0f} s")

    def run(self) -> None:
        try:
            self._tracker.start(self._first_step)
            while (item := self._values.get()) is not None:
                self._step = item[0]
                self._tracker.write(*item)
            self._tracker.finish()
        except Exception as error:  # noqa: BLE001 - whatever a service's client raises, the training goes on
            self._tell(f"{type(error).__name__}: {error}")

    def _tell(self, why: str) -> None:
        self._note(f"{self.name} failed: {why}; from step {self._step} on its values are in metrics.jsonl alone")


class Tracking:
    """All services of one attempt. Only rank 0 has any."""

    def __init__(self, workload: TrainWorkload, note: Callable[[str], None], *, is_first: bool) -> None:
        """note: is told, from another thread, when a service fails.

        Raises ConfigurationError for a service whose package is not in the image.
        """
        settings = {f"spec.tracking[{index}]": item for index, item in enumerate(workload.tracking)} if is_first else {}
        self._threads = [
            TrackingThread(build_tracker(item, workload, field), field, note) for field, item in settings.items()
        ]

    def begin(self, first_step: int) -> None:
        """Connect, in the background. first_step: what earlier attempts wrote from here on is written again."""
        for thread in self._threads:
            thread.begin(first_step)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        for thread in self._threads:
            thread.put(step, values)

    def finish(self) -> None:
        """Wait for what is on its way, at most 30 s for each service."""
        for thread in self._threads:
            thread.finish()
