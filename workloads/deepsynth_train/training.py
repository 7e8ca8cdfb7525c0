"""One attempt of a training run, seen from one worker process."""

from collections.abc import Callable
from dataclasses import dataclass

from deepsynth_api.workload import TrainWorkload
from deepsynth_train.progress import Progress
from deepsynth_train.world import World


@dataclass(frozen=True)
class TrainResult:
    """step: steps done. saved_step: newest step in a complete checkpoint. stopped: should_stop ended the run early.

    output: folder of the final model, None when it stopped early.
    """

    step: int
    saved_step: int | None
    stopped: bool
    output: str | None


def train_workload(
    workload: TrainWorkload, world: World, progress: Progress, should_stop: Callable[[], bool]
) -> TrainResult:
    """Materialise the data, build the model, resume, train, evaluate, save, publish. Called on every rank.

    should_stop: polled once per step, for example a flag that SIGTERM sets; one rank's yes stops all after a save.
    """
    raise NotImplementedError
