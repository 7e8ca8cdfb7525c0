"""A pinned dataset -> Arrow files on the node's disk, once per node.

Training needs random access. Reading one page from a parquet row group costs megabytes and milliseconds, from a
memory-mapped Arrow file 0.04 ms.

    cache/NAME-DIGEST/SPLIT/00000.arrow     one per parquet file, uncompressed
    cache/NAME-DIGEST/complete.json         written last
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.reasons import Reason
from deepsynth_api.workload import CACHE_VARIABLE, WorkloadDataset
from deepsynth_store import DatasetFolder, OnWait, open_dataset
from deepsynth_train.data.files.convert import convert_parquet
from deepsynth_train.data.files.splits import choose_validation_split, list_split_files

_COMPLETE = "complete.json"
_VERSION = 2
"""Changes with what is made of the same parquet files."""
_GROWTH = 1.1
"""Size of Arrow compared with parquet: images are compressed in both, text only in parquet."""

OnDownload = Callable[[int, int], None]
"""Called with (bytes done, bytes in total)."""


@dataclass(frozen=True)
class LocalSplit:
    """Arrow files of one split, in order. name: the dataset's name in the run. split: such as train."""

    name: str
    split: str
    files: tuple[Path, ...]


@dataclass(frozen=True)
class LocalDataset:
    train: LocalSplit
    validation: LocalSplit | None


@dataclass(frozen=True)
class _Job:
    dataset: WorkloadDataset
    folder: DatasetFolder
    target: Path
    files: dict[str, list[str]]
    sizes: dict[str, int]


def materialise(
    datasets: Sequence[WorkloadDataset],
    cache: Path,
    on_download: OnDownload,
    cache_bytes: int | None = None,
    on_wait: OnWait | None = None,
) -> list[LocalDataset]:
    """Copy all datasets to this node, except files that are there already. One process per node calls it.

    cache_bytes: size of the cache volume; None if only the free disk space limits it. on_wait: see OnWait.

    Raises ConfigurationError (not enough space, unknown URI), DataError (unknown split, damaged file, missing column),
    TemporaryError.
    """
    jobs = [_plan(dataset, cache, on_wait) for dataset in datasets]
    missing = [job for job in jobs if not (job.target / _COMPLETE).exists()]
    _check_room(missing, cache, cache_bytes)
    total = sum(size for job in jobs for size in job.sizes.values())
    done = total - sum(size for job in missing for size in job.sizes.values())
    on_download(done, total)
    for job in missing:
        for split, paths in job.files.items():
            for number, path in enumerate(paths):
                _fetch(job, path, job.target / split / f"{number:05d}.arrow")
                done += job.sizes[path]
                on_download(done, total)
        (job.target / _COMPLETE).write_text(json.dumps({split: len(paths) for split, paths in job.files.items()}))
    return [_find_local(job.dataset, job.target) for job in jobs]


def find_cache() -> Path:
    """Folder on the node's disk for datasets as Arrow files."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path(tempfile.gettempdir()) / "deepsynth-cache")


def _find_local(dataset: WorkloadDataset, folder: Path) -> LocalDataset:
    train, validation = (
        LocalSplit(dataset.name, split, tuple(sorted((folder / split).glob("*.arrow")))) if split else None
        for split in (dataset.train_split, dataset.validation_split)
    )
    if train is None:
        raise ConfigurationError(f"spec.datasets[{dataset.name}].trainSplit: is empty; name the split to train on")
    return LocalDataset(train, validation)


def _target(dataset: WorkloadDataset, revision: str, cache: Path) -> Path:
    identity = [_VERSION, dataset.uri, revision, dataset.train_split, dataset.validation_split]
    return cache / f"{dataset.name}-{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]}"


def _plan(dataset: WorkloadDataset, cache: Path, on_wait: OnWait | None) -> _Job:
    field = f"spec.datasets[{dataset.name}]"
    folder = open_dataset(dataset.uri, dataset.revision, field=f"{field}.uri", on_wait=on_wait)
    validation = choose_validation_split(folder, dataset.validation_split)
    dataset = dataset.model_copy(update={"validation_split": validation})
    splits = {"trainSplit": dataset.train_split, "validationSplit": dataset.validation_split}
    files = {split: list_split_files(folder, split, f"{field}.{name}") for name, split in splits.items() if split}
    sizes = {file.path: file.size for file in folder.list_files()}
    wanted = {path: sizes.get(path, 0) for paths in files.values() for path in paths}
    return _Job(dataset, folder, _target(dataset, folder.revision, cache), files, wanted)


def _check_room(jobs: Sequence[_Job], cache: Path, cache_bytes: int | None) -> None:
    sizes = [size for job in jobs for size in job.sizes.values()]
    if not sizes:
        return
    cache.mkdir(parents=True, exist_ok=True)
    needed = int(sum(sizes) * _GROWTH) + max(sizes)
    free = shutil.disk_usage(cache).free
    room = free if cache_bytes is None else min(free, cache_bytes)
    if needed > room:
        raise ConfigurationError(
            f"spec.cache.sizeLimit: the datasets need {needed:,} bytes on each node, {cache} has {room:,}; raise it",
            reason=Reason.CACHE_TOO_SMALL,
        )


def _fetch(job: _Job, path: str, target: Path) -> None:
    """Download one parquet file, check it against the manifest and convert it to Arrow."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    parquet = target.with_suffix(".parquet")
    job.folder.download(path, parquet)
    try:
        convert_parquet(parquet, target, f"{path} of {job.folder.uri}")
    finally:
        parquet.unlink()
