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
from itertools import chain
from pathlib import Path
from typing import Any

from deepsynth_api.errors import ConfigurationError, DataError
from deepsynth_api.reasons import Reason
from deepsynth_api.workload import CACHE_VARIABLE, WorkloadDataset
from deepsynth_store import DatasetFolder, open_dataset
from deepsynth_train.data.files.columns import PAGE_COLUMNS
from deepsynth_train.data.files.splits import choose_validation_split, list_split_files

_COMPLETE = "complete.json"
_BATCH_ROWS = 64
"""Few enough that the images of a batch stay below the 2 GiB of an Arrow array."""
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
) -> list[LocalDataset]:
    """Copy all datasets to this node, except files that are there already. One process per node calls it.

    cache_bytes: size of the cache volume; None if only the free disk space limits it. Raises ConfigurationError (not
    enough space, unknown URI), DataError (unknown split, damaged file, missing column), TemporaryError.
    """
    jobs = [_plan(dataset, cache) for dataset in datasets]
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
    identity = [dataset.uri, revision, dataset.train_split, dataset.validation_split]
    return cache / f"{dataset.name}-{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]}"


def _plan(dataset: WorkloadDataset, cache: Path) -> _Job:
    field = f"spec.datasets[{dataset.name}]"
    folder = open_dataset(dataset.uri, dataset.revision, field=f"{field}.uri")
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


def convert_parquet(parquet: Path, target: Path, where: str) -> None:
    """Parquet -> an uncompressed Arrow file with the page columns. Raises DataError, naming `where`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(parquet)
        columns = [name for name in PAGE_COLUMNS if name in file.schema_arrow.names]
        if "image" not in columns:
            raise DataError(f"{where}: no column 'image'; the columns are {', '.join(file.schema_arrow.names)}")
        _check_image_type(file.schema_arrow.field("image").type, where)
        schema = pa.schema([_decode_field(file.schema_arrow.field(name)) for name in columns])
        # By row group: pyarrow cannot read a batch of two row groups whose dictionaries differ.
        groups = (
            file.iter_batches(_BATCH_ROWS, row_groups=[n], columns=columns) for n in range(file.metadata.num_row_groups)
        )
        write_arrow(chain.from_iterable(groups), schema, target)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DataError(f"{where}: not a readable parquet file ({error}); render or upload it again") from error


def _check_image_type(kind: Any, where: str) -> None:
    import pyarrow as pa

    inner = kind.field("bytes").type if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0 else kind
    if not (pa.types.is_binary(inner) or pa.types.is_large_binary(inner) or pa.types.is_binary_view(inner)):
        raise DataError(f"{where}: column 'image' must hold the bytes of an image, got {kind}; upload the pages again")


def _decode_field(field: Any) -> Any:
    """Without dictionary encoding: an Arrow file allows one dictionary per column, each row group has its own."""
    import pyarrow as pa

    return field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field


def write_arrow(batches: Any, schema: Any, target: Path) -> None:
    """Write record batches to a temporary file and rename it: the file is complete or absent."""
    import pyarrow as pa

    partial = target.with_suffix(".partial")
    with pa.OSFile(str(partial), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch.select(schema.names).cast(schema))
    partial.rename(target)
