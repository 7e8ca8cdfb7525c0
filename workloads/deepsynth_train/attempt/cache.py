"""spec.cache.uri in an attempt: the folder that keeps datasets and models, and what it saved."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from deepsynth_api.errors import ConfigurationError, TemporaryError
from deepsynth_api.report import WARNING
from deepsynth_api.workload import TrainWorkload
from deepsynth_store.cache.files import FileCache
from deepsynth_store.core.uri import FolderLocation, parse_uri
from deepsynth_train.coordination.progress import Progress
from deepsynth_train.coordination.world import World

FIELD: Final = "spec.cache.uri"


@contextmanager
def open_cache(workload: TrainWorkload, world: World, progress: Progress) -> Iterator[FileCache | None]:
    """For the first process of each node, as long as the attempt needs the files. None for others, without
    spec.cache.uri, and where the folder cannot be written, which is noted.
    """
    settings = workload.input_cache
    if settings is None or not world.is_first_on_node:
        yield None
        return
    location = parse_uri(settings.uri, FIELD)
    if not isinstance(location, FolderLocation):
        raise ConfigurationError(f"{FIELD}: must be pvc://CLAIM/PATH or file:///PATH, got {settings.uri}")
    try:
        cache = FileCache(location.path, settings.size_bytes, progress.note)
    except (OSError, TemporaryError) as error:
        progress.note(
            f"{WARNING}{FIELD}: {settings.uri} cannot be used ({error}), so this attempt fetches everything to its "
            "nodes"
        )
        yield None
        return
    try:
        yield cache
    finally:
        cache.close()


def report_cache(cache: FileCache | None, workload: TrainWorkload, world: World, progress: Progress) -> None:
    """Note how much of the datasets and the model was there already, on all nodes together. Called by all ranks."""
    if workload.input_cache is None:
        return
    counts = (cache.reused, cache.fetched) if cache else (0, 0)
    reused, fetched = (int(count) for count in world.sum(counts))
    if reused + fetched:
        progress.note(
            f"{FIELD}: {_format(reused)} of {_format(reused + fetched)} of datasets and model were there already"
        )


def _format(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e8 else f"{size / 1e6:,.1f} MB"
