"""A user's data as a dataset of the workload: where it is, or where it is written once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from deepsynth_api.workload import WorkloadDataset
from deepsynth_train.data.files.columns import Task
from deepsynth_train.data.files.in_memory import compute_name, write_pages
from deepsynth_train.data.files.materialise import find_cache
from deepsynth_train.notebook.arguments import expand_path
from deepsynth_train.notebook.datasets import Splits, check_splits, read_data
from deepsynth_train.notebook.errors import DATASET

VALIDATION: Final = "validation"


@dataclass(frozen=True)
class Source:
    """data: a URI, or pages in memory. validation: None for `validation`, or a holdout if the data lacks that split.

    origin: what the user gave, for the model card, where `data` is a copy.
    """

    data: str | Splits
    train: str
    validation: str | None
    origin: str | None = None

    @classmethod
    def for_training(cls, data: Any, task: Task, train: str, validation: str | None) -> Self:
        """Raises DataError for data that cannot be used; see `read_data` for its forms."""
        check_splits(data, train, validation or VALIDATION)
        found = read_data(data, task, (train, validation or VALIDATION))
        return cls(found, train, validation, None if isinstance(found, str) else describe_origin(data))

    @classmethod
    def for_evaluation(cls, data: Any, task: Task, split: str) -> Self:
        """All samples of one split, which is also the one to train on, because a workload needs one."""
        return cls(read_data(data, task, (split,)), split, split)

    def locate(self) -> WorkloadDataset:
        """Pages in memory get a folder in the cache, named after their content."""
        in_memory = f"memory-{compute_name(self.data)}" if isinstance(self.data, Mapping) else ""
        uri = expand_path(find_cache() / in_memory) if isinstance(self.data, Mapping) else self.data
        return WorkloadDataset(
            name=DATASET, uri=uri, train_split=self.train, validation_split=self.validation, origin=self.origin
        )

    def write(self, dataset: WorkloadDataset) -> None:
        """Write pages in memory to the folder of `dataset`, unless they are there. Once per node."""
        if isinstance(self.data, Mapping):
            for split, pages in self.data.items():
                write_pages(pages, Path(dataset.uri.removeprefix("file://")) / f"{split}.parquet")


def describe_origin(data: Any) -> str:
    """A path as it was given, or the kind of data in memory, such as `Dataset in memory`."""
    return str(data) if isinstance(data, str | Path) else f"{type(data).__name__} in memory"
