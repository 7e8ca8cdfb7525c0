"""One attempt of a training run, seen from one worker process."""

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from deepsynth_api.errors import DataError
from deepsynth_api.v1alpha1.training_run_status import ModelOutput, PinnedDataset
from deepsynth_api.workload import CACHE_VARIABLE, TrainWorkload
from deepsynth_train.cadence import Cadence, compute_total_steps
from deepsynth_train.checkpoint import (
    CheckpointFolder,
    Loaded,
    apply_tensors,
    gather_tensors,
    open_checkpoint_folder,
)
from deepsynth_train.checkpoint.layout import resolve_folder
from deepsynth_train.data.dataset import TrainingData, index_data, open_data
from deepsynth_train.data.loader import BatchMaker
from deepsynth_train.data.materialise import materialise
from deepsynth_train.data.samples import Limits
from deepsynth_train.evaluation.evaluate import Evaluator
from deepsynth_train.export import export_model, write_model
from deepsynth_train.loop import Loop
from deepsynth_train.models import PageModel, build_page_model
from deepsynth_train.optimization.optimizer import build_optimizer
from deepsynth_train.optimization.precision import LossScale, build_autocast
from deepsynth_train.optimization.reduction import Reduction
from deepsynth_train.optimization.schedule import compute_warmup_steps
from deepsynth_train.optimization.sharding import build_reduction, gather_full_state, is_sharded, place_module
from deepsynth_train.optimization.step import Stepper
from deepsynth_train.pins import apply_pins, resolve_datasets, write_pins
from deepsynth_train.progress import Progress, StartReport
from deepsynth_train.sampler import Part, Sampler
from deepsynth_train.tracking.tracking import Tracking
from deepsynth_train.world import World


@dataclass(frozen=True)
class TrainResult:
    """step: steps done. saved_step: newest step in a complete checkpoint. stopped: should_stop ended the run early.

    output: the final model, None when it stopped early; known on every rank, its revision on rank 0.
    """

    step: int
    saved_step: int | None
    stopped: bool
    output: ModelOutput | None


def train_workload(
    workload: TrainWorkload, world: World, progress: Progress, should_stop: Callable[[], bool]
) -> TrainResult:
    """Materialise the data, build the model, resume, train, evaluate, save, export. Called on every rank.

    should_stop: polled once per step, for example a flag that SIGTERM sets; one rank's yes stops all after a save.
    Raises the errors of deepsynth_api.errors.
    """
    progress.phase("download")
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # the library has no types here
    tracking = Tracking(workload, progress.note, is_first=world.is_first)
    model = build_page_model(workload)
    pinned = _pin_datasets(workload, world, progress)
    data = _prepare_data(apply_pins(workload, pinned), model, world, progress)
    progress.phase("start")
    place_module(model.module, workload, world)
    checkpoints = open_checkpoint_folder(
        workload, on_change=lambda folder: progress.checkpoints(folder.records, folder.notes)
    )
    loop = _build_loop(
        workload, world, progress, should_stop, model=model, data=data, checkpoints=checkpoints, tracking=tracking
    )
    if world.is_first:
        write_pins(checkpoints.path, checkpoints.target.owner, pinned)
    loop.run()
    if loop.stopped:
        return TrainResult(loop.step, loop.step or None, stopped=True, output=None)
    progress.phase("publish")
    return TrainResult(loop.step, loop.step, stopped=False, output=_export(workload, model, world, progress))


def find_cache() -> Path:
    """Folder for datasets in Arrow form, on the node's own disk."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path(tempfile.gettempdir()) / "deepsynth-cache")


def _pin_datasets(workload: TrainWorkload, world: World, progress: Progress) -> list[PinnedDataset]:
    """Rank 0 looks, so that no two nodes see a branch at different commits."""
    folder = resolve_folder(workload.checkpoint.uri)
    found = resolve_datasets(workload, folder) if world.is_first else []
    world.wait_for_all(progress.beat)
    pinned = world.share(found)
    progress.datasets(pinned)
    return pinned


def _prepare_data(workload: TrainWorkload, model: PageModel, world: World, progress: Progress) -> TrainingData:
    """The node's first process materialises and indexes; the others wait and open what it made."""
    cache = find_cache()
    folder = cache / f"index-{workload.uid}-{workload.attempt}"
    limits = Limits(workload.max_label_tokens, workload.max_sequence_tokens, workload.max_dropped_percent)
    if world.is_first_on_node:
        local = materialise(workload.datasets, cache, progress.download, workload.cache_bytes)
        for old in cache.glob(f"index-{workload.uid}-*"):
            shutil.rmtree(old)
        index_data(local, workload.task, model, limits, folder=folder, on_rows=progress.beat)
    world.wait_for_all(progress.beat)
    data = open_data(folder, workload.task)
    if world.sum([data.compute_digest()]) != [data.compute_digest() * world.size]:
        raise DataError("spec.datasets: the nodes see different data; they must share one volume")
    return data


def _build_cadence(workload: TrainWorkload, total_steps: int, epoch_length: int) -> Cadence:
    return Cadence(
        total_steps=total_steps,
        epoch_length=epoch_length,
        global_batch_size=workload.global_batch_size,
        evaluate_every=workload.evaluation.every_steps,
        checkpoint=workload.checkpoint,
    )


def _build_evaluator(
    workload: TrainWorkload,
    world: World,
    progress: Progress,
    *,
    model: PageModel,
    data: TrainingData,
    reduction: Reduction,
) -> Evaluator | None:
    """None without a validation split."""
    if data.validation is None:
        return None
    return Evaluator(
        maker=BatchMaker(data.validation, model),
        world=world,
        autocast=build_autocast(workload.precision, world.device),
        progress=progress,
        settings=workload.evaluation,
        micro_batch_size=workload.micro_batch_size,
        equal_batches=reduction.needs_equal_batches,
        threads=world.threads,
    )


def _build_loop(
    workload: TrainWorkload,
    world: World,
    progress: Progress,
    should_stop: Callable[[], bool],
    *,
    model: PageModel,
    data: TrainingData,
    checkpoints: CheckpointFolder,
    tracking: Tracking,
) -> Loop:
    optimizer = build_optimizer(model.module, workload.optimizer)
    loaded = _resume(model, optimizer, checkpoints)
    loss_scale = LossScale.build(workload.precision)
    if loaded:
        loss_scale = LossScale(**loaded.state["loss_scale"], dynamic=loss_scale.dynamic)
    weights = [float(dataset.weight) for dataset in workload.datasets]
    parts = [Part(int(size), weight) for size, weight in zip(data.train.index.sizes, weights, strict=True)]
    epochs = None if workload.max_steps else workload.epochs or 1
    sampler = Sampler(parts, workload.global_batch_size, workload.seed, epochs)
    total_steps = compute_total_steps(workload, sampler.epoch_length)
    compute_warmup_steps(workload.optimizer, total_steps)  # a field that is wrong ends the run before the first step
    reduction = build_reduction(model.module, workload, world)
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
        stepper=Stepper(
            model=model,
            optimizer=optimizer,
            reduction=reduction,
            world=world,
            autocast=build_autocast(workload.precision, world.device),
            loss_scale=loss_scale,
            max_grad_norm=float(workload.optimizer.max_grad_norm),
        ),
        sampler=sampler,
        maker=BatchMaker(data.train, model),
        cadence=_build_cadence(workload, total_steps, sampler.epoch_length),
        checkpoints=checkpoints,
        evaluator=_build_evaluator(workload, world, progress, model=model, data=data, reduction=reduction),
        progress=progress,
        should_stop=should_stop,
        write_model=None if is_sharded(workload, world) else _build_writer(model),
        threads=world.threads,
        tracking=tracking,
        step=loaded.step if loaded else 0,
        metrics=loaded.metrics if loaded else [],
    )


def _build_writer(model: PageModel) -> Callable[[Path, dict[str, Any]], None]:
    return lambda folder, tensors: write_model(model, folder, tensors)


def _resume(model: PageModel, optimizer: torch.optim.Optimizer, checkpoints: CheckpointFolder) -> Loaded | None:
    """Fill model and optimizer from the newest good checkpoint, if there is one."""
    tensors = gather_tensors(model.module, optimizer)
    loaded = checkpoints.load_latest(tensors)
    if loaded:
        apply_tensors(model.module, optimizer, tensors)
        return loaded
    for state in optimizer.state.values():
        state["step"].zero_()  # gathering made a step without gradients, which must not count
    return None


def _export(workload: TrainWorkload, model: PageModel, world: World, progress: Progress) -> ModelOutput:
    """Rank 0 writes; the others wait, so that the attempt ends when the model is there."""
    tensors = gather_full_state(model.module)
    output = ModelOutput(uri=workload.publish.uri if workload.publish else workload.output_uri)
    if world.is_first:
        output = export_model(model, tensors, workload, workload.output_uri)
    world.wait_for_all(progress.beat)
    return output
