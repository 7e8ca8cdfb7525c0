"""All datasets of a run as one numbered set of samples per split: train and validation.

A dataset without a validation split gives a part of its train split to validation.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from deepsynth_api.counted import counted
from deepsynth_api.errors import DataError
from deepsynth_store import OnWait
from deepsynth_store.core.atomic import write_file_atomically
from deepsynth_train.data.files.columns import Task
from deepsynth_train.data.files.materialise import LocalDataset, LocalSplit
from deepsynth_train.data.files.page_table import PageTable, RowNames
from deepsynth_train.data.files.streamed import Stream, StreamedTable
from deepsynth_train.data.samples import SampleSet
from deepsynth_train.data.selection.build import build_index
from deepsynth_train.data.selection.chosen import ChosenSamples, ChosenSplit
from deepsynth_train.data.selection.holdout import MIN_DOCUMENTS, count_documents, hold_out
from deepsynth_train.data.selection.index import SampleIndex, concatenate
from deepsynth_train.data.selection.limits import Limits
from deepsynth_train.data.selection.similar import Part, drop_similar
from deepsynth_train.models.interface.page_model import PageModel

_TABLE = "table.json"
"""Which Arrow files a split has, how many rows each dataset has in them, and of which of its splits they are."""
_NOTES = "notes.json"


@dataclass(frozen=True)
class TrainingData:
    """validation: None if there is nothing to evaluate on. notes: what was held out of which dataset, for users.
    streams: the files to train on that are read from their store until they have arrived.
    """

    train: SampleSet
    validation: SampleSet | None
    notes: Sequence[str] = ()
    streams: Sequence[Stream] = ()


@dataclass
class _Split:
    """What is trained on, or what is evaluated: parts, one per dataset, of the splits that the datasets name."""

    parts: list[LocalSplit] = field(default_factory=list)
    indexes: list[SampleIndex] = field(default_factory=list)

    def add(self, part: LocalSplit, index: SampleIndex) -> None:
        self.parts.append(part)
        self.indexes.append(index)

    def list_parts(self) -> list[Part]:
        pairs = zip(self.parts, self.indexes, strict=True)
        return [Part(part.name, part.split, part.open(), index) for part, index in pairs]

    def build(self) -> ChosenSplit:
        rows = _count_rows(self.parts)
        splits = {part.name: part.split for part in self.parts}
        return ChosenSplit(concatenate(self.indexes, list(rows.values())), rows, splits)


def choose_samples(
    datasets: Sequence[LocalDataset],
    task: Task,
    model: PageModel,
    limits: Limits,
    *,
    holdout: Mapping[str, int],
    max_similarity_percent: int | None = None,
    on_rows: Callable[[], None],
) -> ChosenSamples:
    """The usable samples of all datasets.

    holdout: percentage of the documents to hold out for evaluation, by the names of the datasets that lack a validation
    split. max_similarity_percent: see `drop_similar`; None compares nothing. on_rows: called now and then, as a
    heartbeat. Raises DataError for a dataset that cannot be used.
    """

    def build(part: LocalSplit) -> SampleIndex:
        where = f"spec.datasets[{part.name}] ({part.split} split)"
        return build_index(part.open(), task, model, limits, where=where, on_rows=on_rows)

    train, validation, notes, log = _Split(), _Split(), list[str](), list[str]()
    for dataset in datasets:
        index = build(dataset.train)
        percent = holdout.get(dataset.train.name, 0)
        if dataset.validation:
            validation.add(dataset.validation, build(dataset.validation))
        elif percent:
            table = dataset.train.open()
            index, held = hold_out(index, table, task, percent, on_rows)
            notes.append(_describe_holdout(dataset.train.name, index, held, table, task))
            if len(held):
                validation.add(dataset.train, held)
        train.add(dataset.train, index)
    if max_similarity_percent is not None:
        parts = train.list_parts(), validation.list_parts()
        train.indexes[:], similar, log = drop_similar(*parts, task, max_similarity_percent, on_rows)
        notes += similar
    return ChosenSamples(train.build(), validation.build() if validation.parts else None, notes, log)


def save_samples(chosen: ChosenSamples, datasets: Sequence[LocalDataset], folder: Path) -> None:
    """Write the samples, and where their pages are, to the new folder `folder`, for all processes of the node.

    Raises DataError when they are of other files.
    """
    for name, split, parts in _list_splits(chosen, datasets):
        if split.rows != _count_rows(parts):
            raise DataError(
                "spec.datasets: on this node are other rows than those that samples were chosen of, at the same "
                "revision; all nodes must read one volume, and its files must not change"
            )
        split.index.save(folder / name)
        streams = [stream for part in parts for stream in part.streams or [None] * len(part.files)]
        document = {
            "files": [str(path) for part in parts for path in part.files],
            "streams": [stream and asdict(stream) for stream in streams],
            "rows": split.rows,
            "splits": split.splits,
        }
        (folder / name / _TABLE).write_text(json.dumps(document))
    write_file_atomically(folder / _NOTES, json.dumps(chosen.notes).encode())  # the last file: see `is_saved`


def is_saved(folder: Path) -> bool:
    """Whether `save_samples` has written all of this folder."""
    return (folder / _NOTES).exists()


def list_files(folder: Path) -> list[Path]:
    """The Arrow files that the samples in this folder are in."""
    documents = [json.loads(path.read_text()) for path in folder.glob(f"*/{_TABLE}")]
    return [Path(path) for document in documents for path in document["files"]]


def _list_splits(
    chosen: ChosenSamples, datasets: Sequence[LocalDataset]
) -> list[tuple[str, ChosenSplit, list[LocalSplit]]]:
    """Name, samples, and the splits of the datasets that they are in, in order."""
    found = [("train", chosen.train, [dataset.train for dataset in datasets])]
    if chosen.validation:
        parts = [dataset.validation or dataset.train for dataset in datasets]
        used = [part for part in parts if part.name in chosen.validation.rows]
        found.append(("validation", chosen.validation, used))
    return found


def _count_rows(parts: Sequence[LocalSplit]) -> dict[str, int]:
    return {part.name: len(part.open()) for part in parts}


def _describe_holdout(name: str, train: SampleIndex, held: SampleIndex, table: PageTable, task: Task) -> str:
    field = f"spec.datasets[{name}]: there is no validation split"
    left, taken = (count_documents(index, table, task) for index in (train, held))
    if taken:
        return (
            f"{field}, so {taken:,} of {left + taken:,} documents are used for evaluation and not for training; "
            "spec.evaluation.holdoutPercent changes that"
        )
    why = f"fewer than {MIN_DOCUMENTS}" if left < MIN_DOCUMENTS else "too many are copies of each other"
    return f"{field}, and of its {counted(left, 'document')} ({why}) none is used for evaluation"


def open_data(folder: Path, task: Task, on_wait: OnWait | None = None) -> TrainingData:
    """Open what `save_samples` wrote. Pages stay in memory-mapped files, or in their store. on_wait: of the store."""
    return TrainingData(
        _open_split(folder, "train", task, on_wait),
        _open_split(folder, "validation", task, on_wait) if (folder / "validation").exists() else None,
        json.loads((folder / _NOTES).read_text()),
        [stream for stream in _list_streams(_read_table(folder, "train")) if stream],
    )


def _read_table(folder: Path, split: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / split / _TABLE).read_text())
    return document


def _list_streams(document: Mapping[str, Any]) -> list[Stream | None]:
    return [Stream(**stream) if stream else None for stream in document["streams"]]


def _open_split(folder: Path, split: str, task: Task, on_wait: OnWait | None) -> SampleSet:
    document = _read_table(folder, split)
    files, streams = [Path(path) for path in document["files"]], _list_streams(document)
    table = StreamedTable(files, streams, on_wait) if any(streams) else PageTable(files)
    names = RowNames(document["rows"], document["splits"])
    return SampleSet(table, task, SampleIndex.load(folder / split), names)
