"""Attempts of a run on devices with as much memory as a test says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from deepsynth_api.workload import TrainWorkload
from support.training.tiny_training import Recorder

if TYPE_CHECKING:
    from pathlib import Path

GIB = 2**30
LARGE = 64 * GIB


def attempt(workload: TrainWorkload, memory: int, stop_after: int = 99) -> Recorder:
    """memory: bytes of the device of the last rank; others have more."""
    from deepsynth_train.attempt import micro_batch
    from deepsynth_train.attempt.run import run_attempt
    from deepsynth_train.coordination.world import join_world

    recorder = Recorder()
    world = join_world()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(micro_batch, "read_memory", lambda world: memory * (world.size - world.rank))
        run_attempt(workload, world, recorder, lambda: len(recorder.steps) >= stop_after)
    return recorder


def list_choices(recorder: Recorder) -> list[str]:
    return [note for note in recorder.notes if note.startswith("spec.microBatchSize")]


def train_on_rank(document: dict[str, Any], folder: Path) -> int:
    from deepsynth_train.coordination.world import join_world

    recorder = attempt(TrainWorkload.model_validate(document), LARGE)
    (folder / f"notes-{join_world().rank}.json").write_text(json.dumps(list_choices(recorder)))
    return 0
