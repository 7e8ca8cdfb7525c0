"""A pinned dataset -> Arrow files on the node's disk, once per node.

Training needs random access. Reading one page from a parquet row group costs megabytes and milliseconds, from a
memory-mapped Arrow file 0.04 ms.

    cache/NAME-DIGEST/SPLIT/00000.arrow     one per parquet file, uncompressed

With spec.cache.uri the files are in a folder that outlives this pod (deepsynth_store.cache), and here are only those
that it has no room for.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deepsynth_api.errors import ConfigurationError, DataError
from deepsynth_api.reasons import Reason
from deepsynth_api.workload import CACHE_VARIABLE, WorkloadDataset
from deepsynth_store import DatasetFolder, OnWait, StoredFile, open_dataset
from deepsynth_store.cache.files import FileCache, Item, build_key
from deepsynth_store.core.file_listing import MAX_POINTER_BYTES, is_lfs_pointer
from deepsynth_train.data.files.convert import convert_parquet
from deepsynth_train.data.files.page_table import PageTable
from deepsynth_train.data.files.splits import choose_validation_split, list_split_files
from deepsynth_train.data.files.streamed import Stream, StreamedTable, copy_text

_VERSION = 3
"""Changes with what is made of the same parquet files."""
_GROWTH = 1.1
"""Size of Arrow compared with parquet: images are compressed in both, text only in parquet."""

_TEXTS_AT_ONCE: Final = 16
"""Files whose texts are copied at the same time: each is many small requests."""

MayStream = Callable[[str, str], bool]
"""Called with the name of a dataset and of its validation split, empty for none."""
OnDownload = Callable[[int, int], None]
"""Called with (bytes done, bytes in total)."""


@dataclass(frozen=True)
class LocalSplit:
    """Arrow files of one split, in order. name: the dataset's name in the run. split: such as train. streams: one for
    each file that has not arrived, None for others; empty if all have.
    """

    name: str
    split: str
    files: tuple[Path, ...]
    streams: tuple[Stream | None, ...] = ()

    def open(self) -> PageTable:
        return StreamedTable(self.files, self.streams) if self.streams else PageTable(self.files)


@dataclass(frozen=True)
class LocalDataset:
    train: LocalSplit
    validation: LocalSplit | None


@dataclass(frozen=True)
class SourceFile:
    """A parquet file of a dataset, and where its Arrow file is if no other attempt has it."""

    folder: DatasetFolder
    stored: StoredFile
    target: Path

    @property
    def key(self) -> str:
        return build_key(f"arrow-{_VERSION}", self.stored, self.folder.uri, self.folder.revision)

    def fetch(self, target: Path) -> None:
        """Download it, check it against the manifest and convert it to Arrow."""
        target.parent.mkdir(parents=True, exist_ok=True)
        parquet = target.with_suffix(".parquet")
        self.folder.download(self.stored.path, parquet)
        where = f"{self.stored.path} of {self.folder.uri}"
        try:
            if parquet.stat().st_size <= MAX_POINTER_BYTES and is_lfs_pointer(parquet.read_bytes()):
                raise DataError(f"{where}: is a pointer of Git LFS, not the file; run `git lfs pull` there")
            convert_parquet(parquet, target, where)
        finally:
            parquet.unlink()


@dataclass(frozen=True)
class DatasetPlan:
    """A dataset and its files by split. validation: the name of that split, empty for none."""

    dataset: WorkloadDataset
    validation: str
    files: Mapping[str, Sequence[SourceFile]]

    def list_keys(self, split: str) -> list[str]:
        """Of the files of a split, in order: the same for the same content."""
        return [file.key for file in self.files[split]]

    def list_train(self) -> Sequence[SourceFile]:
        return self.files[self.dataset.train_split]

    def list_files(self) -> list[SourceFile]:
        return [file for files in self.files.values() for file in files]

    def build(self, places: Mapping[Path, Path], streams: Mapping[Path, Stream]) -> LocalDataset:
        """places, streams: where the files are, and those that have not arrived, by their targets."""

        def build(split: str) -> LocalSplit:
            targets = [file.target for file in self.files[split]]
            missing = tuple(streams.get(target) for target in targets)
            files = tuple(places.get(target, target) for target in targets)
            return LocalSplit(self.dataset.name, split, files, missing if any(missing) else ())

        train, validation = (build(split) if split else None for split in (self.dataset.train_split, self.validation))
        if train is None:
            name = self.dataset.name
            raise ConfigurationError(f"spec.datasets[{name}].trainSplit: is empty; name the split to train on")
        return LocalDataset(train, validation)


def plan_datasets(datasets: Sequence[WorkloadDataset], cache: Path, on_wait: OnWait | None = None) -> list[DatasetPlan]:
    """Which files all datasets have. on_wait: see OnWait.

    Raises ConfigurationError (unknown URI), DataError (unknown split), TemporaryError.
    """
    return [_plan(dataset, cache, on_wait) for dataset in datasets]


def materialise(
    plans: Sequence[DatasetPlan],
    cache: Path,
    on_download: OnDownload,
    cache_bytes: int | None = None,
    *,
    shared: FileCache | None = None,
    may_stream: MayStream | None = None,
) -> list[LocalDataset]:
    """Copy all datasets to this node, except files that are there already. One process per node calls it.

    cache_bytes: size of the cache volume; None if only the free disk space limits it. shared: keeps the files for other
    attempts, runs and nodes. may_stream: says of which datasets only the texts must be there now; None for none.

    Raises ConfigurationError (not enough space), DataError (damaged file, missing column), TemporaryError.
    """
    files = [file for plan in plans for file in plan.list_files()]
    places = {file.target: file.target for file in files if file.target.exists() and not file.target.is_symlink()}
    meter = _Meter(on_download, total=sum(file.stored.size for file in files))
    meter.add(sum(file.stored.size for file in files if file.target in places))
    streams: dict[Path, Stream] = {}
    if may_stream:
        wanted = [
            file for plan in plans if may_stream(plan.dataset.name, plan.validation) for file in plan.list_train()
        ]
        places |= _find_shared([file for file in wanted if file.target not in places], shared)
        streams = _copy_texts([file for file in wanted if file.target not in places], lambda: meter.add(0))
    missing = [file for file in files if file.target not in places and file.target not in streams]
    if shared:
        for file, path in share(missing, shared, lambda: meter.add(0)):
            places[file.target] = path
            meter.add(file.stored.size)
        missing = [file for file in missing if file.target not in places]
    _check_room(missing, cache, cache_bytes)
    for file in missing:
        file.fetch(file.target)
        places[file.target] = file.target
        meter.add(file.stored.size)
    return [plan.build(places, streams) for plan in plans]


def find_cache() -> Path:
    """Folder on the node's disk for datasets as Arrow files."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path(tempfile.gettempdir()) / "deepsynth-cache")


class _Meter:
    """Reports bytes done, of all."""

    def __init__(self, on_download: OnDownload, total: int) -> None:
        self._on_download = on_download
        self._total = total
        self._done = 0

    def add(self, size: int) -> None:
        self._done += size
        self._on_download(self._done, self._total)


def share(
    files: Sequence[SourceFile], shared: FileCache, on_wait: Callable[[], None]
) -> Iterator[tuple[SourceFile, Path]]:
    """The files that the shared folder has or takes, as they arrive. on_wait: see `FileCache.fetch`."""
    same = defaultdict[str, list[SourceFile]](list)
    for file in files:
        same[file.key].append(file)
    items = [Item(key, estimate_room(found[0]), found[0].fetch) for key, found in same.items()]
    for item, path in shared.fetch(items, on_wait):
        if path:
            yield from ((file, path) for file in same[item.key])


def _find_shared(files: Sequence[SourceFile], shared: FileCache | None) -> dict[Path, Path]:
    """Those files that the shared folder has, by their targets."""
    found = shared.find({file.key for file in files}) if shared else {}
    return {file.target: found[file.key] for file in files if file.key in found}


def _copy_texts(files: Sequence[SourceFile], beat: Callable[[], None]) -> dict[Path, Stream]:
    """The files that can be streamed, by their targets."""
    streams = {}
    with ThreadPoolExecutor(_TEXTS_AT_ONCE, thread_name_prefix="texts") as pool:
        copies = [pool.submit(copy_text, file.folder, file.stored.path, file.target) for file in files]
        try:
            for file, copy in zip(files, copies, strict=True):
                beat()
                if stream := copy.result():
                    streams[file.target] = stream
        finally:
            pool.shutdown(cancel_futures=True)
    return streams


def _target(dataset: WorkloadDataset, revision: str, cache: Path) -> Path:
    identity = [_VERSION, dataset.uri, revision, dataset.train_split, dataset.validation_split]
    return cache / f"{dataset.name}-{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]}"


def _plan(dataset: WorkloadDataset, cache: Path, on_wait: OnWait | None) -> DatasetPlan:
    field = f"spec.datasets[{dataset.name}]"
    folder = open_dataset(dataset.uri, dataset.revision, field=f"{field}.uri", on_wait=on_wait)
    validation = choose_validation_split(folder, dataset.validation_split)
    dataset = dataset.model_copy(update={"validation_split": validation})
    splits = {"trainSplit": dataset.train_split, "validationSplit": validation}
    paths = {split: list_split_files(folder, split, f"{field}.{name}") for name, split in splits.items() if split}
    stored = {file.path: file for file in folder.list_files()}
    target = _target(dataset, folder.revision, cache)
    files = {
        split: [
            SourceFile(folder, stored.get(path, StoredFile(path, 0, None)), target / split / f"{number:05d}.arrow")
            for number, path in enumerate(found)
        ]
        for split, found in paths.items()
    }
    return DatasetPlan(dataset, validation, files)


def estimate_room(file: SourceFile) -> int:
    """Bytes on the disk while a file is made: Arrow and parquet."""
    return int(file.stored.size * (1 + _GROWTH))


def _check_room(files: Sequence[SourceFile], cache: Path, cache_bytes: int | None) -> None:
    sizes = [file.stored.size for file in files]
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
