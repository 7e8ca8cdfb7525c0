"""A model evaluated as it is, without training: `deepsynth evaluate` and `Trainer.evaluate`."""

from deepsynth_api.errors import DataError
from deepsynth_api.workload import TrainWorkload
from deepsynth_train.attempt.assemble import build_evaluator
from deepsynth_train.attempt.data import prepare_data
from deepsynth_train.attempt.features import cache_features
from deepsynth_train.attempt.inputs import pin_datasets, pin_model_commit
from deepsynth_train.checkpoint.pins import (
    apply_pins,
)
from deepsynth_train.coordination.progress import Progress
from deepsynth_train.coordination.world import World
from deepsynth_train.evaluation.evaluator import Findings
from deepsynth_train.models.build import open_page_model
from deepsynth_train.models.opening import fetch_any_model
from deepsynth_train.optimization.sharding import is_sharded, place_module


def run_evaluation(workload: TrainWorkload, world: World, progress: Progress) -> Findings:
    """Evaluate spec.model as it is, on the validation split. Called on every rank. Nothing is written to the folder of
    the checkpoints.

    Raises DataError when there is nothing to evaluate on, and the errors of reading model and data.
    """
    progress.phase("download")
    workload = pin_model_commit(workload, world, progress, fetch_any_model)
    model = open_page_model(workload, world.device)
    pinned, holdout = pin_datasets(workload, world, progress)
    data = prepare_data(apply_pins(workload, pinned), model, holdout, world, progress)
    progress.phase("start")
    model.module.requires_grad_(False)  # weights that are not trained take half the memory
    place_module(model.module, workload, world)
    model, _ = cache_features(model, workload, world, progress)
    size = workload.micro_batch_size
    evaluator = build_evaluator(
        workload,
        world,
        progress,
        model=model,
        data=data,
        micro_batch_size=size if isinstance(size, int) else 1,  # nothing is trained, so the size changes only the speed
        equal_batches=is_sharded(workload, world),
    )
    if evaluator is None:
        raise DataError("spec.datasets: there is nothing to evaluate on; add a validation split, or more documents")
    progress.phase("evaluate")
    return evaluator.evaluate(0, black=True)
