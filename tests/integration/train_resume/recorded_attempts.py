"""Attempts that leave which samples each rank took in each step, and the losses."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from deepsynth_api.workload import TrainWorkload
from support.training.tiny_training import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def run_recorded(document: str, folder: Path, stop_after: int | None) -> int:
    """A whole attempt, which writes attempt-N-rank-R.json. stop_after: steps after which the last rank asks to stop.

    Exit code 0 when done, 1 when stopped.
    """
    from deepsynth_train.attempt.run import run_attempt
    from deepsynth_train.coordination.world import join_world

    os.environ["DEEPSYNTH_CACHE"] = str(folder / "cache")
    workload, world, recorder = TrainWorkload.parse(document), join_world(), Recorder()
    taken = _spy_on_samples()
    wants_stop = stop_after is not None and world.rank == world.size - 1
    result = run_attempt(workload, world, recorder, lambda: wants_stop and len(recorder.steps) + 1 >= (stop_after or 0))
    seen = {
        report.step: {"loss": report.loss, "samples": samples}
        for report, samples in zip(recorder.steps, taken, strict=True)
    }
    (folder / f"attempt-{workload.attempt}-rank-{world.rank}.json").write_text(json.dumps(seen))
    return int(result.stopped)


def _spy_on_samples() -> list[list[int]]:
    """The numbers of the samples of each step that this rank runs from now on."""
    from deepsynth_train.loop.loop import Loop
    from deepsynth_train.optimization.step import Stepper

    made: dict[int, tuple[Any, list[int]]] = {}
    steps: list[list[int]] = []
    make, run = Loop._make, Stepper.run

    def note_made(self: Any, numbers: list[int]) -> Any:
        batch = make(self, numbers)
        made[id(batch)] = batch, numbers  # kept, so that no other batch gets the same id
        return batch

    def note_taken(self: Any, batches: Iterator[Any], *arguments: Any) -> Any:
        taken: list[int] = []

        def take() -> Iterator[Any]:
            for batch in batches:
                taken.extend(made[id(batch)][1])
                yield batch

        outcome = run(self, take(), *arguments)
        steps.append(taken)
        return outcome

    Loop._make = note_made  # type: ignore[method-assign,assignment]
    Stepper.run = note_taken  # type: ignore[method-assign,assignment]
    return steps
