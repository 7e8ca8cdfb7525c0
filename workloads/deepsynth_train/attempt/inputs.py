"""What all attempts of a run read: the same commits of model and datasets."""

from collections.abc import Callable
from functools import partial

from deepsynth_api.v1alpha1.training_run_status import PinnedDataset
from deepsynth_api.workload import TrainWorkload
from deepsynth_store import OnWait, open_dataset
from deepsynth_store.cache.files import FileCache
from deepsynth_store.core.uri import is_pinned, is_remote
from deepsynth_train.checkpoint.opening import open_files
from deepsynth_train.checkpoint.pins import (
    pin_model,
    resolve_datasets,
    resolve_holdout,
    resolve_model,
)
from deepsynth_train.coordination.progress import Progress
from deepsynth_train.coordination.world import World
from deepsynth_train.models.loading import fetch_model


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
