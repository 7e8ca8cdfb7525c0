"""What all attempts of a run read: the same commits of model and datasets, and samples in the same order."""

import hashlib
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from deepsynth_api.v1alpha1.training_run_status import PinnedDataset
from deepsynth_api.workload import TrainWorkload
from deepsynth_store import OnWait, open_dataset
from deepsynth_store.cache.files import FileCache
from deepsynth_store.core.uri import is_pinned, is_remote
from deepsynth_train.attempt.kept_samples import KeptSamples
from deepsynth_train.attempt.stream import choose_streamed
from deepsynth_train.checkpoint.opening import open_files
from deepsynth_train.checkpoint.pins import (
    pin_model,
    resolve_datasets,
    resolve_holdout,
    resolve_model,
)
from deepsynth_train.coordination.progress import Progress
from deepsynth_train.coordination.world import World
from deepsynth_train.data.dataset import TrainingData, choose_samples, is_saved, list_files, open_data, save_samples
from deepsynth_train.data.files.materialise import LocalDataset, find_cache, materialise
from deepsynth_train.data.selection.chosen import ChosenSamples
from deepsynth_train.data.selection.identity import compute_key
from deepsynth_train.data.selection.limits import Limits
from deepsynth_train.models.interface.page_model import PageModel
from deepsynth_train.models.loading import fetch_model

logger = logging.getLogger(__name__)


def pin_model_commit(
    workload: TrainWorkload,
    world: World,
    progress: Progress,
    fetch: Callable[..., object] = fetch_model,
    cache: FileCache | None = None,
) -> TrainWorkload:
    """The document with the commit or digest of spec.model that all attempts load.

    Its files are then on each node: the first process of a node calls `fetch`, with `cache` if there is one, and the
    others wait.
    """
    on_wait = build_on_wait(progress)
    open_at = partial(open_dataset, on_wait=on_wait)
    found = None
    if world.is_first:
        files = open_files(workload.checkpoint.uri, on_wait, has_answered=workload.number > 1)
        found = resolve_model(workload, files, open_at=open_at)
    world.wait_for_all(progress.beat)
    workload = pin_model(workload, world.share(found))
    model = workload.model
    if not is_remote(model.uri):
        return workload
    if model.revision and is_pinned(model.revision):
        progress.model(model.uri, model.revision)
    if world.is_first_on_node:
        shared = {"cache": cache} if cache else {}
        fetch(model, on_wait=on_wait, on_progress=progress.beat, **shared)
    world.wait_for_all(progress.beat)
    return workload


def build_on_wait(progress: Progress) -> OnWait:
    """Reports a store that is waited for, which also shows that this process is alive."""
    return lambda waiting: progress.wait(waiting.reason, waiting.seconds)


def pin_datasets(workload: TrainWorkload, world: World, progress: Progress) -> tuple[list[PinnedDataset], int]:
    """The revisions, and the percentage to hold out for evaluation.

    Rank 0 resolves them for all ranks, so that all nodes read the same commit of a branch.
    """
    found: tuple[list[PinnedDataset], int] = ([], 0)
    if world.is_first:
        on_wait = build_on_wait(progress)
        files = open_files(workload.checkpoint.uri, on_wait, has_answered=workload.number > 1)
        open_at = partial(open_dataset, on_wait=on_wait)
        found = resolve_datasets(workload, files, open_at=open_at), resolve_holdout(workload, files)
    world.wait_for_all(progress.beat)
    pinned, holdout = world.share(found)
    progress.datasets(pinned)
    return pinned, holdout


def open_kept_samples(workload: TrainWorkload, progress: Progress, shared: FileCache | None) -> KeptSamples:
    """For rank 0. shared: of `open_cache`."""
    files = open_files(workload.checkpoint.uri, build_on_wait(progress), has_answered=workload.number > 1)
    return KeptSamples(files, shared)


def prepare_data(
    workload: TrainWorkload,
    model: PageModel,
    holdout: int,
    world: World,
    progress: Progress,
    *,
    shared: FileCache | None = None,
    kept: KeptSamples | None = None,
) -> TrainingData:
    """The first process of each node writes Arrow files, and that of the run chooses the samples for all nodes.

    Workers that were started again in the same pods find those of the workers before them. shared: of `open_cache`.
    kept: on rank 0, where samples of earlier attempts and other runs are.
    """
    cache = find_cache()
    on_wait = build_on_wait(progress)
    folder = cache / f"index-{workload.uid}-{workload.attempt}-{_digest_index(workload, holdout)}"
    is_missing = world.is_first_on_node and not (workload.restart and is_saved(folder))
    if world.sum([is_missing]) == [0]:
        if shared:
            shared.hold(list_files(folder))
    else:
        shares = {dataset.name: holdout for dataset in workload.datasets if dataset.validation_split is None}
        local: list[LocalDataset] = []
        if world.is_first_on_node:
            local = materialise(
                workload.datasets,
                cache,
                progress.download,
                workload.cache_bytes,
                on_wait,
                shared=shared,
                may_stream=choose_streamed(workload, model, shares, progress),
            )
            for old in cache.glob(f"index-{workload.uid}-*"):
                shutil.rmtree(old)
        content = b""
        if world.is_first:
            content = _find_samples(workload, model, shares, local, progress, kept=kept)
        world.wait_for_all(progress.beat)
        content = world.share(content)
        if world.is_first_on_node:
            save_samples(ChosenSamples.decode(content), local, folder)
    world.wait_for_all(progress.beat)
    data = open_data(folder, workload.task, on_wait)
    for note in data.notes:
        progress.note(note)
    return data


def _find_samples(
    workload: TrainWorkload,
    model: PageModel,
    shares: Mapping[str, int],
    local: Sequence[LocalDataset],
    progress: Progress,
    *,
    kept: KeptSamples | None,
) -> bytes:
    """Those that were chosen before of the same data with the same settings; else they are chosen now."""
    limits = Limits(workload.max_label_tokens, workload.max_sequence_tokens, workload.max_dropped_percent)
    percent = workload.max_similarity_percent
    settings = workload.model_dump(mode="json", by_alias=True, include={"prompt", "image_processor"})
    key = compute_key(
        local, workload.task, model, limits, holdout=shares, max_similarity_percent=percent, settings=settings
    )
    chosen = kept.find(key, local) if kept else None
    if chosen is None:
        chosen = choose_samples(
            local,
            workload.task,
            model,
            limits,
            holdout=shares,
            max_similarity_percent=percent,
            on_rows=progress.beat,
        )
        if kept:
            kept.keep(key, chosen)
    for line in chosen.log:
        logger.info("%s", line)
    return chosen.encode(key)


def _digest_index(workload: TrainWorkload, holdout: int) -> str:
    """Of what differs between two starts in a pod: until the revisions are stored, a branch may move."""
    text = workload.model_dump_json(by_alias=True, include={"datasets", "model"})
    return hashlib.sha256(f"{holdout} {text}".encode()).hexdigest()[:16]
