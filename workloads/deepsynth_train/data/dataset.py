"""All datasets of a run as one numbered set of samples per split: train and validation."""

import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deepsynth_train.data.columns import Task
from deepsynth_train.data.materialise import LocalDataset, LocalSplit
from deepsynth_train.data.pages import PageTable, RowNames
from deepsynth_train.data.samples import Limits, SampleIndex, SampleSet, build_index, concatenate
from deepsynth_train.models.page_model import PageModel

_TABLE = "table.json"
"""Which Arrow files a split has, and how many rows each dataset has in them."""


@dataclass(frozen=True)
class TrainingData:
    """validation: None without a validation split."""

    train: SampleSet
    validation: SampleSet | None

    def compute_digest(self) -> int:
        """CRC-32 over the rows of all training samples; the same on all nodes that hold the same data."""
        index = self.train.index
        return zlib.crc32(index.first.tobytes(), zlib.crc32(index.tokens.tobytes()))


def index_data(
    datasets: Sequence[LocalDataset],
    task: Task,
    model: PageModel,
    limits: Limits,
    *,
    folder: Path,
    on_rows: Callable[[], None],
) -> None:
    """Select the usable samples and write their index to the new folder `folder`, for all processes of the node.

    Raises DataError for a dataset that cannot be used. on_rows: called now and then, as a heartbeat.
    """
    for split, parts in _by_split(datasets).items():
        tables = [PageTable(part.files) for part in parts]
        names = RowNames(split, {part.name: len(table) for part, table in zip(parts, tables, strict=True)})
        indexes = [
            build_index(
                table, task, model, limits, where=f"spec.datasets[{part.name}] ({split} split)", on_rows=on_rows
            )
            for part, table in zip(parts, tables, strict=True)
        ]
        concatenate(indexes, list(names.sizes.values())).save(folder / split)
        document = {"files": [str(path) for part in parts for path in part.files], "rows": names.sizes}
        (folder / split / _TABLE).write_text(json.dumps(document))


def open_data(folder: Path, task: Task) -> TrainingData:
    """Open what `index_data` wrote. Pages stay in memory-mapped files."""
    return TrainingData(
        _open_split(folder, "train", task),
        _open_split(folder, "validation", task) if (folder / "validation").exists() else None,
    )


def _open_split(folder: Path, split: str, task: Task) -> SampleSet:
    document = json.loads((folder / split / _TABLE).read_text())
    table = PageTable([Path(path) for path in document["files"]])
    return SampleSet(table, task, SampleIndex.load(folder / split), RowNames(split, document["rows"]))


def _by_split(datasets: Sequence[LocalDataset]) -> dict[str, list[LocalSplit]]:
    splits = {"train": [dataset.train for dataset in datasets]}
    if validation := [dataset.validation for dataset in datasets if dataset.validation]:
        splits["validation"] = validation
    return splits
