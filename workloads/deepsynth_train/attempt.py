"""One attempt of a training run, as every process of it runs: data, model, resume, loop, export.

The notebook and the worker process both end up here. What repeats step after step is in loop.py.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from deepsynth_api.errors import DataError
from deepsynth_api.v1alpha1.training_run_status import ModelOutput, PinnedDataset
from deepsynth_api.workload import TrainWorkload
from deepsynth_train.cadence import Cadence, compute_total_steps
from deepsynth_train.checkpoint.folder import CheckpointFolder, open_checkpoint_folder
from deepsynth_train.checkpoint.layout import resolve_folder
from deepsynth_train.checkpoint.pins import (
    apply_pins,
    pin_model,
    resolve_datasets,
    resolve_holdout,
    resolve_model,
    write_pins,
)
from deepsynth_train.checkpoint.save import WriteModel
from deepsynth_train.checkpoint.state.trained import Trained
from deepsynth_train.coordination.progress import Progress, StartReport
from deepsynth_train.coordination.world import World
from deepsynth_train.data.dataset import TrainingData, index_data, open_data
from deepsynth_train.data.loader import BatchMaker
from deepsynth_train.data.materialise import find_cache, materialise
from deepsynth_train.data.sampler import Sampler, build_parts
from deepsynth_train.data.samples import Limits
from deepsynth_train.evaluation.evaluator import Evaluator, Findings
from deepsynth_train.evaluation.ranking import (
    VALUES,
    check_ranking,
    choose_best_metric,
    choose_stopping_metric,
)
from deepsynth_train.evaluation.sample_files import FOLDER as SAMPLES
from deepsynth_train.evaluation.sample_files import read_samples
from deepsynth_train.loop import Loop
from deepsynth_train.memory.full_gpu import explain_full_gpu
from deepsynth_train.models.adapters import describe_adapters
from deepsynth_train.models.build import build_page_model
from deepsynth_train.models.card.build import Lineage, build_documents
from deepsynth_train.models.export import check_publish_folder, export_model, write_model
from deepsynth_train.models.interface.page_model import PageModel
from deepsynth_train.optimization.optimizer import build_optimizer
from deepsynth_train.optimization.precision import LossScale, build_autocast
from deepsynth_train.optimization.schedule import compute_warmup_steps
from deepsynth_train.optimization.sharding import build_reduction, gather_full_state, is_sharded, place_module
from deepsynth_train.optimization.step import Stepper
from deepsynth_train.tracking.tracking import Tracking


@dataclass(frozen=True)
class TrainResult:
    """step: steps done. saved_step: newest step in a complete checkpoint. stopped: should_stop ended the run early.

    output: the final model, None when stopped early. Set on every rank, its revision only on rank 0.
    history: the lines of metrics.jsonl, from the first step of the run.
    """

    step: int
    saved_step: int | None
    stopped: bool
    output: ModelOutput | None
    history: list[dict[str, Any]] = field(default_factory=list, repr=False)


def run_attempt(
    workload: TrainWorkload, world: World, progress: Progress, should_stop: Callable[[], bool]
) -> TrainResult:
    """Materialise the data, build the model, resume, train, evaluate, save, export. Called on every rank.

    should_stop: polled once per step, such as a flag that SIGTERM sets. If it is true on any rank, all save and stop.
    Raises the errors of deepsynth_api.errors.
    """
    progress.phase("download")
    if world.is_first:
        check_publish_folder(workload)
    workload = _pin_model(workload, world, progress)
    tracking = Tracking(workload, progress.note, is_first=world.is_first)
    model = build_page_model(workload, world.device)
    for note in describe_adapters(model, workload.model):
        progress.note(note)
    pinned, holdout = _pin_datasets(workload, world, progress)
    data = _prepare_data(apply_pins(workload, pinned), model, holdout, world, progress)
    progress.phase("start")
    place_module(model.module, workload, world)
    checkpoints = open_checkpoint_folder(
        workload, on_change=lambda folder: progress.checkpoints(folder.records, folder.notes)
    )
    loop = _build_loop(
        workload, world, progress, should_stop, model=model, data=data, checkpoints=checkpoints, tracking=tracking
    )
    if world.is_first:
        write_pins(checkpoints.path, checkpoints.target.owner, pinned, workload.model.revision, holdout)
    with explain_full_gpu(model.module, loop.stepper.optimizer, workload, world):
        loop.run()
    if loop.stopped:
        return TrainResult(loop.step, loop.step or None, stopped=True, output=None, history=loop.metrics)
    progress.phase("publish")
    step, note = _load_best(workload, loop)
    samples = read_samples(checkpoints.path / SAMPLES, step)
    metrics = _find_last_evaluation(loop.metrics, step)
    if step != loop.step:
        progress.select(step, metrics, samples)
    lineage = Lineage(step, pinned, metrics, samples)
    output = _export(workload, model, lineage, world, progress).updated(step=step, note=note or None)
    if note:
        progress.note(note)
    return TrainResult(loop.step, loop.step, stopped=False, output=output, history=loop.metrics)


def run_evaluation(workload: TrainWorkload, world: World, progress: Progress) -> Findings:
    """Evaluate spec.model as it is, on the validation split. Called on every rank. Nothing is written to the folder of
    the checkpoints.

    Raises DataError when there is nothing to evaluate on, and the errors of reading model and data.
    """
    progress.phase("download")
    workload = _pin_model(workload, world, progress)
    model = build_page_model(workload, world.device)
    pinned, holdout = _pin_datasets(workload, world, progress)
    data = _prepare_data(apply_pins(workload, pinned), model, holdout, world, progress)
    progress.phase("start")
    model.module.requires_grad_(False)  # weights that are not trained take half the memory
    place_module(model.module, workload, world)
    evaluator = _build_evaluator(
        workload, world, progress, model=model, data=data, equal_batches=is_sharded(workload, world)
    )
    if evaluator is None:
        raise DataError("spec.datasets: there is nothing to evaluate on; add a validation split, or more documents")
    progress.phase("evaluate")
    return evaluator.evaluate(0, black=True)


def _pin_model(workload: TrainWorkload, world: World, progress: Progress) -> TrainWorkload:
    """The document with the commit of spec.model that all attempts load."""
    found = resolve_model(workload, resolve_folder(workload.checkpoint.uri)) if world.is_first else None
    world.wait_for_all(progress.beat)
    return pin_model(workload, world.share(found))


def _pin_datasets(workload: TrainWorkload, world: World, progress: Progress) -> tuple[list[PinnedDataset], int]:
    """The revisions, and the percentage to hold out for evaluation.

    Rank 0 resolves them for all ranks, so that all nodes read the same commit of a branch.
    """
    folder = resolve_folder(workload.checkpoint.uri)
    found = (resolve_datasets(workload, folder), resolve_holdout(workload, folder)) if world.is_first else ([], 0)
    world.wait_for_all(progress.beat)
    pinned, holdout = world.share(found)
    progress.datasets(pinned)
    return pinned, holdout


def _prepare_data(
    workload: TrainWorkload, model: PageModel, holdout: int, world: World, progress: Progress
) -> TrainingData:
    """The first process of the node writes Arrow files and indexes; the others wait and open them."""
    cache = find_cache()
    folder = cache / f"index-{workload.uid}-{workload.attempt}"
    limits = Limits(workload.max_label_tokens, workload.max_sequence_tokens, workload.max_dropped_percent)
    if world.is_first_on_node:
        local = materialise(workload.datasets, cache, progress.download, workload.cache_bytes)
        for old in cache.glob(f"index-{workload.uid}-*"):
            shutil.rmtree(old)
        shares = {dataset.name: holdout for dataset in workload.datasets if dataset.validation_split is None}
        index_data(local, workload.task, model, limits, holdout=shares, folder=folder, on_rows=progress.beat)
    world.wait_for_all(progress.beat)
    data = open_data(folder, workload.task)
    for note in data.notes:
        progress.note(note)
    if world.sum([data.compute_digest()]) != [data.compute_digest() * world.size]:
        raise DataError("spec.datasets: the nodes read different data; they must share one volume")
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
    equal_batches: bool,
    folder: Path | None = None,
) -> Evaluator | None:
    """None without a validation split. folder: where samples are written.

    Raises ConfigurationError when spec.evaluation asks for what it cannot give.
    """
    keep_best = workload.checkpoint.keep_best
    check_ranking(workload.evaluation, keep_best=keep_best, has_samples=data.validation is not None)
    if data.validation is None:
        return None
    return Evaluator(
        maker=BatchMaker(data.validation, model, pin=world.device.type == "cuda"),
        world=world,
        autocast=build_autocast(workload.precision, world.device),
        progress=progress,
        settings=workload.evaluation,
        micro_batch_size=workload.micro_batch_size,
        equal_batches=equal_batches,
        threads=world.threads,
        folder=folder,
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
    loaded = checkpoints.load_latest(
        Trained(model.module, optimizer), base_uri=workload.model.uri, base_revision=workload.model.revision
    )
    loss_scale = LossScale.build(workload.precision)
    if loaded:
        loss_scale = LossScale(**loaded.state["loss_scale"], dynamic=loss_scale.dynamic)
    weights = {dataset.name: float(dataset.weight) for dataset in workload.datasets}
    parts = build_parts(weights, data.train.index.sizes.tolist())
    epochs = None if workload.max_steps else workload.epochs or 1
    sampler = Sampler(parts, workload.global_batch_size, workload.seed, epochs)
    total_steps = compute_total_steps(workload, sampler.epoch_length)
    compute_warmup_steps(workload.optimizer, total_steps)  # fail before the first step if a field is wrong
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
        maker=BatchMaker(data.train, model, pin=world.device.type == "cuda"),
        cadence=_build_cadence(workload, total_steps, sampler.epoch_length),
        checkpoints=checkpoints,
        evaluator=_build_evaluator(
            workload,
            world,
            progress,
            model=model,
            data=data,
            equal_batches=reduction.needs_equal_batches,
            folder=checkpoints.path / SAMPLES,
        ),
        progress=progress,
        should_stop=should_stop,
        write_model=_build_writer(workload, model, world),
        threads=world.threads,
        tracking=tracking,
        step=loaded.step if loaded else 0,
        metrics=loaded.metrics if loaded else [],
    )


def _build_writer(workload: TrainWorkload, model: PageModel, world: World) -> WriteModel | None:
    """Writes the model folder of a checkpoint: the adapters, or the whole model. None if its weights are sharded."""
    if workload.model.lora:
        return lambda folder, trained: write_model(model, folder, trained)
    if is_sharded(workload, world):
        return None
    return lambda folder, trained: write_model(model, folder, _complete(model.module, trained))


def _complete(module: torch.nn.Module, trained: dict[str, torch.Tensor]) -> dict[str, Any]:
    """All weights: the trained ones as they were saved, the frozen ones, which do not change, as they are.

    Weights that share memory, such as an output layer with its embedding, share it in the result too.
    """
    live = module.state_dict(keep_vars=True)
    saved = {id(live[name]): tensor for name, tensor in trained.items()}
    return {name: saved.get(id(tensor), tensor.detach()) for name, tensor in live.items()}


def _load_best(workload: TrainWorkload, loop: Loop) -> tuple[int, str]:
    """With early stopping, fill the model from the best checkpoint. Returns its step, and a note for users."""
    early = workload.evaluation.early_stopping
    if early is None:
        return loop.step, ""
    step = loop.checkpoints.load_best(Trained(loop.stepper.model.module, loop.stepper.optimizer), loop.step)
    stopping, best = (VALUES[choose(workload.evaluation)] for choose in (choose_stopping_metric, choose_best_metric))
    end = ""
    if loop.is_stale:
        end = (
            f"training stopped early at step {loop.step} of {loop.cadence.total_steps}: {stopping} had not improved in "
            f"{early.patience} evaluations; "
        )
    chosen = f"the model is that of step {step}, the best by {best}" if end or step != loop.step else ""
    return step, end + chosen


def _find_last_evaluation(curve: Sequence[Mapping[str, Any]], step: int) -> dict[str, float]:
    """Metrics by name, of the last evaluation up to `step`; empty when there was none."""
    done = (line for line in curve[::-1] if line["step"] <= step)
    lines = ({name: value for name, value in line.items() if name.startswith("validation_")} for line in done)
    return next(filter(None, lines), {})


def _export(
    workload: TrainWorkload, model: PageModel, lineage: Lineage, world: World, progress: Progress
) -> ModelOutput:
    """Rank 0 writes the model; the others wait, so that every rank ends after it is complete."""
    tensors = gather_full_state(model.module, world)
    output = ModelOutput(uri=workload.publish.uri if workload.publish else workload.output_uri)
    if world.is_first:
        documents = build_documents(workload, model, lineage)
        output = export_model(model, tensors, workload, workload.output_uri, documents)
    world.wait_for_all(progress.beat)
    return output
