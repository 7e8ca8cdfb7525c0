"""The datasets of an attempt: their files on each node, and the samples in them, in the same order in all attempts."""

import hashlib
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from deepsynth_api.workload import TrainWorkload
from deepsynth_store.cache.files import FileCache
from deepsynth_train.attempt.inputs import build_on_wait
from deepsynth_train.attempt.kept_samples import KeptSamples
from deepsynth_train.attempt.stream import choose_streamed
from deepsynth_train.checkpoint.opening import open_files
from deepsynth_train.coordination.progress import Progress
from deepsynth_train.coordination.world import World
from deepsynth_train.data.dataset import TrainingData, choose_samples, is_saved, list_files, open_data, save_samples
from deepsynth_train.data.files.materialise import DatasetPlan, LocalDataset, find_cache, materialise, plan_datasets
from deepsynth_train.data.selection.chosen import ChosenSamples
from deepsynth_train.data.selection.identity import compute_key
from deepsynth_train.data.selection.limits import Limits
from deepsynth_train.models.interface.page_model import PageModel

logger = logging.getLogger(__name__)


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
    if world.sum([is_missing]) != [0]:
        _prepare_nodes(workload, model, holdout, world, progress, folder=folder, shared=shared, kept=kept)
    elif shared:
        shared.hold(list_files(folder))
    world.wait_for_all(progress.beat)
    data = open_data(folder, workload.task, on_wait)
    for note in data.notes:
        progress.note(note)
    return data


def _prepare_nodes(
    workload: TrainWorkload,
    model: PageModel,
    holdout: int,
    world: World,
    progress: Progress,
    *,
    folder: Path,
    shared: FileCache | None,
    kept: KeptSamples | None,
) -> None:
    """Have all files on each node, and the samples in its `folder`."""
    cache = find_cache()
    shares = {dataset.name: holdout for dataset in workload.datasets if dataset.validation_split is None}
    plans = plan_datasets(workload.datasets, cache, build_on_wait(progress)) if world.is_first_on_node else []
    choice = _Choice(workload, model, shares, plans) if world.is_first else None
    chosen = kept.find(choice.key) if choice and kept else None
    world.wait_for_all(progress.beat)
    is_chosen = world.share(chosen is not None)
    local: list[LocalDataset] = []
    if world.is_first_on_node:
        local = materialise(
            plans,
            cache,
            progress.download,
            workload.cache_bytes,
            shared=shared,
            may_stream=choose_streamed(workload, model, shares, progress, is_chosen=is_chosen),
        )
        for old in cache.glob(f"index-{workload.uid}-*"):
            shutil.rmtree(old)
    content = b""
    if choice:
        if chosen is None:
            chosen = choice.choose(local, progress.beat)
            if kept:
                kept.keep(choice.key, chosen)
        for line in chosen.log:
            logger.info("%s", line)
        content = chosen.encode(choice.key)
    world.wait_for_all(progress.beat)
    content = world.share(content)
    if world.is_first_on_node:
        save_samples(ChosenSamples.decode(content), local, folder)


class _Choice:
    """How the samples of a run are chosen."""

    def __init__(
        self, workload: TrainWorkload, model: PageModel, holdout: Mapping[str, int], plans: Sequence[DatasetPlan]
    ) -> None:
        """holdout: see `choose_samples`."""
        self._task = workload.task
        self._model = model
        self._limits = Limits(workload.max_label_tokens, workload.max_sequence_tokens, workload.max_dropped_percent)
        self._rules: dict[str, Any] = {"holdout": holdout, "max_similarity_percent": workload.max_similarity_percent}
        settings = workload.model_dump(mode="json", by_alias=True, include={"prompt", "image_processor"})
        self.key = compute_key(plans, self._task, model, self._limits, **self._rules, settings=settings)

    def choose(self, local: Sequence[LocalDataset], beat: Callable[[], None]) -> ChosenSamples:
        return choose_samples(local, self._task, self._model, self._limits, **self._rules, on_rows=beat)


def _digest_index(workload: TrainWorkload, holdout: int) -> str:
    """Of what differs between two starts in a pod: until the revisions are stored, a branch may move."""
    text = workload.model_dump_json(by_alias=True, include={"datasets", "model"})
    return hashlib.sha256(f"{holdout} {text}".encode()).hexdigest()[:16]
