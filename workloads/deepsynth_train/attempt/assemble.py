"""From the workload document to the loop and the evaluator."""

from collections.abc import Callable

import torch

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.reasons import Reason
from deepsynth_api.workload import TrainWorkload
from deepsynth_train.attempt.publish import build_writer
from deepsynth_train.checkpoint.folder import CheckpointFolder
from deepsynth_train.checkpoint.layout import SAMPLES
from deepsynth_train.checkpoint.load import Loaded
from deepsynth_train.checkpoint.state.trained import Trained
from deepsynth_train.coordination.progress import Progress, StartReport
from deepsynth_train.coordination.world import World
from deepsynth_train.data.dataset import TrainingData
from deepsynth_train.data.loader import BatchMaker
from deepsynth_train.data.sampler import Sampler, build_parts, count_missing
from deepsynth_train.evaluation.evaluator import Evaluator, KeepFiles
from deepsynth_train.evaluation.ranking import (
    check_ranking,
)
from deepsynth_train.loop.cadence import Cadence, compute_total_steps
from deepsynth_train.loop.loop import Loop
from deepsynth_train.models.interface.page_model import PageModel
from deepsynth_train.optimization.optimizer import build_optimizer
from deepsynth_train.optimization.precision import LossScale, build_autocast
from deepsynth_train.optimization.schedule import compute_warmup_steps
from deepsynth_train.optimization.sharding import build_reduction
from deepsynth_train.optimization.step import Stepper
from deepsynth_train.tracking.tracking import Tracking


def build_loop(
    workload: TrainWorkload,
    world: World,
    progress: Progress,
    should_stop: Callable[[], bool],
    *,
    model: PageModel,
    data: TrainingData,
    checkpoints: CheckpointFolder,
    tracking: Tracking,
    micro_batch_size: int,
) -> Loop:
    optimizer = build_optimizer(model.module, workload.optimizer)
    loaded = _load_latest(workload, world, Trained(model.module, optimizer), checkpoints)
    missing = count_missing(loaded.state if loaded else {}, workload.global_batch_size)
    sampler = _build_sampler(workload, data, missing)
    total_steps = compute_total_steps(workload, sampler.epoch_length, missing)
    compute_warmup_steps(workload.optimizer, total_steps)  # fail before the first step if a field is wrong
    stepper = _build_stepper(workload, world, model, optimizer, loaded)
    model.module.train()
    progress.start(
        StartReport(
            total_steps=total_steps,
            samples=len(data.train),
            image_tokens_per_page=model.family.image_tokens,
            resumed_from_step=loaded.step if loaded else None,
            dropped=data.train.index.dropped,
        )
    )
    return Loop(
        settings=workload,
        micro_batch_size=micro_batch_size,
        stepper=stepper,
        sampler=sampler,
        maker=BatchMaker(data.train, model, pin=world.device.type == "cuda"),
        cadence=_build_cadence(workload, total_steps, sampler),
        checkpoints=checkpoints,
        evaluator=build_evaluator(
            workload,
            world,
            progress,
            model=model,
            data=data,
            micro_batch_size=micro_batch_size,
            equal_batches=stepper.reduction.needs_equal_batches,
            keep_files=checkpoints.keep_files,
        ),
        progress=progress,
        should_stop=should_stop,
        write_model=build_writer(workload, model, world),
        threads=world.threads,
        tracking=tracking,
        step=loaded.step if loaded else 0,
        metrics=loaded.metrics if loaded else [],
    )


def _load_latest(
    workload: TrainWorkload, world: World, trained: Trained, checkpoints: CheckpointFolder
) -> Loaded | None:
    """Fill `trained` from the newest checkpoint. Raises ConfigurationError if the run needs one and there is none."""
    loaded = checkpoints.load_latest(trained, base_uri=workload.model.uri, base_revision=workload.model.revision)
    if loaded is None and workload.needs_checkpoint:
        raise ConfigurationError(
            f"spec.checkpoint.uri: {checkpoints.files.place} holds no checkpoint anymore, so the finished run cannot "
            "continue; restore the folder, or create a new TrainingRun that starts from the final model",
            reason=Reason.CHECKPOINT_MISSING,
        )
    if loaded is None and world.is_first:  # samples of a run that was deleted before its first checkpoint
        checkpoints.files.delete(SAMPLES)
    return loaded


def _build_stepper(
    workload: TrainWorkload, world: World, model: PageModel, optimizer: torch.optim.Optimizer, loaded: Loaded | None
) -> Stepper:
    loss_scale = LossScale.build(workload.precision)
    if loaded:
        loss_scale = LossScale(**loaded.state["loss_scale"], dynamic=loss_scale.dynamic)
    return Stepper(
        model=model,
        optimizer=optimizer,
        reduction=build_reduction(model.module, workload, world),
        world=world,
        autocast=build_autocast(workload.precision, world.device),
        loss_scale=loss_scale,
        max_grad_norm=float(workload.optimizer.max_grad_norm),
    )


def _build_sampler(workload: TrainWorkload, data: TrainingData, missing: int) -> Sampler:
    """missing: see `count_missing`."""
    weights = {dataset.name: float(dataset.weight) for dataset in workload.datasets}
    parts = build_parts(weights, data.train.index.sizes.tolist())
    epochs = None if workload.max_steps else workload.epochs or 1
    return Sampler(parts, workload.global_batch_size, workload.seed, epochs, missing=missing)


def build_evaluator(
    workload: TrainWorkload,
    world: World,
    progress: Progress,
    *,
    model: PageModel,
    data: TrainingData,
    micro_batch_size: int,
    equal_batches: bool,
    keep_files: KeepFiles | None = None,
) -> Evaluator | None:
    """None without a validation split. keep_files: see Evaluator.

    Raises ConfigurationError when spec.evaluation asks for what it cannot give.
    """
    keep_best = workload.checkpoint.keep_best
    check_ranking(workload.evaluation, keep_best=keep_best, has_samples=data.validation is not None)
    if data.validation is None:
        return None
    context = model.family.context_tokens
    return Evaluator(
        maker=BatchMaker(data.validation, model, pin=world.device.type == "cuda"),
        world=world,
        autocast=build_autocast(workload.precision, world.device),
        progress=progress,
        settings=workload.evaluation,
        micro_batch_size=micro_batch_size,
        equal_batches=equal_batches,
        threads=world.threads,
        context_tokens=min(workload.max_sequence_tokens or context, context),
        keep_files=keep_files,
    )


def _build_cadence(workload: TrainWorkload, total_steps: int, sampler: Sampler) -> Cadence:
    return Cadence(
        total_steps=total_steps,
        epoch_length=sampler.epoch_length,
        missing=sampler.missing,
        global_batch_size=workload.global_batch_size,
        evaluate_every=workload.evaluation.every_steps,
        checkpoint=workload.checkpoint,
    )
