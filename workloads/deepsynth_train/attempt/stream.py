"""spec.cache.stream in an attempt: which datasets may be streamed, and the rest of their files in the background."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final

from deepsynth_api.counted import counted
from deepsynth_api.report import WARNING
from deepsynth_api.workload import TrainWorkload
from deepsynth_store import Waiting
from deepsynth_store.cache.files import FileCache
from deepsynth_train.coordination.progress import Progress
from deepsynth_train.coordination.world import World
from deepsynth_train.data.dataset import TrainingData
from deepsynth_train.data.files.filling import Filling
from deepsynth_train.data.files.materialise import MayStream, find_cache
from deepsynth_train.models.interface.page_model import PageModel

FIELD: Final = "spec.cache.stream"


def choose_streamed(
    workload: TrainWorkload, model: PageModel, shares: Mapping[str, int], progress: Progress, *, is_chosen: bool
) -> MayStream | None:
    """None if nothing is streamed, with a note if the settings ask for it.

    shares: see `holdout` of `choose_samples`. is_chosen: the samples are known from before, so no page is needed for
    that.
    """
    if not workload.stream:
        return None
    if is_chosen:
        return lambda *_: True
    if model.family.reads_sizes:
        progress.note(
            f"{WARNING}{FIELD} has no effect: this model needs the size of all pages before the first step; with "
            "DeepSeek-OCR-2, set spec.imageProcessor.maxTiles to 0; with others, only the first attempt waits, and "
            "with spec.cache.uri only the first run"
        )
        return None
    return partial(_may_stream, {dataset.name: dataset.train_split for dataset in workload.datasets}, shares, progress)


def _may_stream(
    train: Mapping[str, str], shares: Mapping[str, int], progress: Progress, dataset: str, validation: str
) -> bool:
    if validation and validation != train[dataset]:
        return True
    if not validation and not shares.get(dataset):
        return True
    progress.note(
        f"{WARNING}{FIELD} has no effect on spec.datasets[{dataset}]: what to evaluate on is chosen by its pages; "
        "give it a validation split, or set spec.evaluation.holdoutPercent to 0"
    )
    return False


@contextmanager
def fill_in_background(
    data: TrainingData,
    workload: TrainWorkload,
    world: World,
    progress: Progress,
    should_stop: Callable[[], bool],
    *,
    shared: FileCache | None,
) -> Iterator[Callable[[], bool]]:
    """Fetch the files that are streamed, as far as there is room. Gives `should_stop`, which also raises what is wrong
    with a file that has arrived.
    """
    if not data.streams:
        yield should_stop
        return
    progress.note(f"{FIELD}: reading {counted(len(data.streams), 'file')} from the store until all have arrived")
    if not world.is_first_on_node:
        yield should_stop
        return

    def on_wait(waiting: Waiting) -> None:
        progress.wait(waiting.reason, waiting.seconds)

    filling = Filling(
        data.streams,
        find_cache(),
        progress.note,
        cache_bytes=workload.cache_bytes,
        shared=shared,
        on_wait=on_wait,
    )

    def check_and_ask() -> bool:
        filling.check()
        return should_stop()

    filling.start()
    try:
        yield check_and_ask
    finally:
        filling.stop()
