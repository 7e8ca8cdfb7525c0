"""spec.cache.features in an attempt: where features of pages are kept, whether they can be, and what it saved."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from deepsynth_api.counted import counted
from deepsynth_api.errors import ConfigurationError
from deepsynth_api.report import WARNING
from deepsynth_api.workload import FeatureCache, TrainWorkload
from deepsynth_store.core.uri import FolderLocation, parse_uri
from deepsynth_train.coordination.progress import Progress
from deepsynth_train.coordination.world import World
from deepsynth_train.data.files.materialise import find_cache
from deepsynth_train.features.store import FeatureStore
from deepsynth_train.features.vision import StoredVision, cut_constant_vision, name_vision
from deepsynth_train.models.interface.page_model import PageModel
from deepsynth_train.optimization.precision import build_autocast
from deepsynth_train.optimization.sharding import is_sharded

FIELD: Final = "spec.cache.features"
_FOLDER: Final = "features"
"""In the cache of the node."""


def cache_features(
    model: PageModel, workload: TrainWorkload, world: World, progress: Progress
) -> tuple[PageModel, FeatureStore | None]:
    """The placed model, with cached features if the settings ask for them and its vision part is constant.

    All ranks find the same, as it depends on the model and the settings. With shards each forward pass is a collective,
    and ranks would miss different pages.
    """
    settings = workload.feature_cache
    if settings is None:
        return model, None
    if is_sharded(workload, world):
        progress.note(f"{WARNING}{FIELD} has no effect with spec.sharding full")
        return model, None
    autocast = build_autocast(workload.precision, world.device)
    cut, why = cut_constant_vision(model, workload, autocast)
    if cut is None:
        progress.note(f"{WARNING}{FIELD} has no effect: {why}")
        return model, None
    folder = _find_folder(settings)
    store = FeatureStore(folder, name_vision(model, cut, workload), settings.size_bytes, progress.note)
    return replace(model, vision=StoredVision(model, cut, store, workload.precision, autocast)), store


def report_features(store: FeatureStore | None, world: World, progress: Progress) -> None:
    """Note what the cache did in this attempt. Called by all ranks."""
    if store is None:
        return
    store.finish()
    names = ("hits", "misses", "damaged", "stored", "dropped", "failed")
    counts = world.sum([store.counts[name] for name in names])
    hits, misses, damaged, stored, dropped, failed = (int(count) for count in counts)
    rest = [f"{damaged:,} were damaged"] * bool(damaged)
    rest += [f"{dropped:,} were not kept (the cache is full or the disk too slow)"] * bool(dropped)
    rest += [f"{failed:,} were not kept (they could not be written)"] * bool(failed)
    progress.note(
        f"{FIELD}: features were read {counted(hits, 'time')} and computed {counted(misses, 'time')}, "
        f"{stored:,} were stored" + "".join(f", {text}" for text in rest)
    )


def _find_folder(settings: FeatureCache) -> Path:
    if settings.uri is None:
        return find_cache() / _FOLDER
    location = parse_uri(settings.uri, f"{FIELD}.uri")
    if isinstance(location, FolderLocation):
        return location.path
    raise ConfigurationError(f"{FIELD}.uri: must be pvc://CLAIM/PATH or file:///PATH, got {settings.uri}")
