"""What a run reports about its feature cache."""

from pathlib import Path

import torch

from deepsynth_train.attempt.features import report_features
from deepsynth_train.coordination.progress import NoProgress
from deepsynth_train.coordination.world import World
from deepsynth_train.features.store import FeatureStore


class Notes(NoProgress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


def report(store: FeatureStore) -> str:
    notes = Notes()
    report_features(store, World(0, 1, 0, 1, torch.device("cpu")), notes)
    return notes.texts[-1]


def fill(folder: Path, limit: int) -> FeatureStore:
    """A store after two pages were looked up, computed and written."""
    store = FeatureStore(folder, "model", limit, lambda _: None)
    for key in ("first", "second"):
        store.read(key)
        store.write(key, {"features": torch.zeros(4)})
    return store


def test_features_that_a_disk_refuses_do_not_count_as_a_full_cache(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert report(fill(blocked / "inside", 2**20)) == (
        "spec.cache.features: features were read 0 times and computed 2 times, 0 were stored, "
        "2 were not kept (they could not be written)"
    )


def test_features_that_do_not_fit_are_reported_as_not_kept(tmp_path: Path) -> None:
    assert report(fill(tmp_path, 1)).endswith("0 were stored, 2 were not kept (the cache is full or the disk too slow)")
