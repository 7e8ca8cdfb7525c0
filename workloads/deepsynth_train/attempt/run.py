"""One attempt of a training run, as every process of it runs: data, model, resume, loop, export.

The notebook and the worker process both end up here. What repeats step after step is in loop/.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from deepsynth_api.v1alpha1.shared.base import AUTO
from deepsynth_api.v1alpha1.training_run_status import ModelOutput
from deepsynth_api.workload import TrainWorkload
from deepsynth_store.cache.files import FileCache
from deepsynth_train.attempt.assemble import build_loop
from deepsynth_train.attempt.cache import open_cache, report_cache
from deepsynth_train.attempt.data import open_kept_samples, prepare_data
from deepsynth_train.attempt.features import cache_features, report_features
from deepsynth_train.attempt.inputs import pin_datasets, pin_model_commit
from deepsynth_train.attempt.micro_batch import resolve_micro_batch_size
from deepsynth_train.attempt.publish import export, find_last_evaluation, load_best
from deepsynth_train.attempt.stream import fill_in_background
from deepsynth_train.checkpoint.folder import open_checkpoint_folder
from deepsynth_train.checkpoint.pins import (
    apply_pins,
    write_pins,
)
from deepsynth_train.coordination.progress import Progress
from deepsynth_train.coordination.world import World
from deepsynth_train.evaluation.sample_files import read_samples
from deepsynth_train.memory.full_gpu import explain_full_gpu
from deepsynth_train.models.adapters import describe_adapters
from deepsynth_train.models.build import build_page_model
from deepsynth_train.models.card.build import Lineage
from deepsynth_train.models.export import check_publish_folder, check_publish_format
from deepsynth_train.optimization.optimizer import check_optimizer
from deepsynth_train.optimization.sharding import place_module
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
    with open_cache(workload, world, progress) as cache:
        return _run_attempt(workload, world, progress, should_stop, cache)


def _run_attempt(
    workload: TrainWorkload,
    world: World,
    progress: Progress,
    should_stop: Callable[[], bool],
    cache: FileCache | None,
) -> TrainResult:
    progress.phase("download")
    check_optimizer(workload, world.device)
    if world.is_first:
        check_publish_format(workload)
        check_publish_folder(workload)
    workload = pin_model_commit(workload, world, progress, cache=cache)
    tracking = Tracking(workload, progress.note, is_first=world.is_first)
    model = build_page_model(workload, world.device)
    for note in describe_adapters(model, workload.model):
        progress.note(note)
    pinned, holdout = pin_datasets(workload, world, progress)
    kept = open_kept_samples(workload, progress, cache) if world.is_first else None
    data = prepare_data(apply_pins(workload, pinned), model, holdout, world, progress, shared=cache, kept=kept)
    if not data.streams:
        report_cache(cache, workload, world, progress)
    progress.phase("start")
    size = resolve_micro_batch_size(workload, model, data, world, progress)
    place_module(model.module, workload, world)
    model, features = cache_features(model, workload, world, progress)
    checkpoints = open_checkpoint_folder(
        workload, lambda folder: progress.checkpoints(folder.records, folder.notes), progress
    )
    loop = build_loop(
        workload,
        world,
        progress,
        should_stop,
        model=model,
        data=data,
        checkpoints=checkpoints,
        tracking=tracking,
        micro_batch_size=size,
    )
    if world.is_first:
        chosen = size if workload.micro_batch_size == AUTO else None
        owner, model_revision = checkpoints.owner, workload.model.revision
        write_pins(checkpoints.files, owner, pinned, model_revision, holdout, micro_batch_size=chosen)
    if kept:
        kept.write(checkpoints.owner)
    with (
        explain_full_gpu(model.module, loop.stepper.optimizer, workload, world, micro_batch_size=size),
        fill_in_background(data, workload, world, progress, should_stop, shared=cache) as loop.should_stop,
    ):
        loop.run()
    if data.streams:
        report_cache(cache, workload, world, progress)
    report_features(features, world, progress)
    if loop.stopped:
        return TrainResult(loop.step, loop.step or None, stopped=True, output=None, history=loop.metrics)
    progress.phase("publish")
    step, note = load_best(workload, loop)
    samples = read_samples(checkpoints.files, step) if world.is_first else []
    metrics = find_last_evaluation(loop.metrics, step)
    if step != loop.step:
        progress.select(step, metrics, samples)
    lineage = Lineage(step, pinned, metrics, samples)
    output = export(workload, model, lineage, world, progress).updated(step=step, note=note or None)
    if note:
        progress.note(note)
    return TrainResult(loop.step, loop.step, stopped=False, output=output, history=loop.metrics)
