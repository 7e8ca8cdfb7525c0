"""All datasets of a run as one numbered set of samples per split: train and validation.

A dataset without a validation split gives a part of its train split to validation.
"""

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from deepsynth_store import OnWait
from deepsynth_store.core.atomic import write_file_atomically
from deepsynth_train.data.files.columns import Task
from deepsynth_train.data.files.materialise import LocalDataset, LocalSplit
from deepsynth_train.data.files.page_table import PageTable, RowNames
from deepsynth_train.data.files.streamed import Stream, StreamedTable
from deepsynth_train.data.samples import SampleSet
from deepsynth_train.data.selection.build import build_index
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

    def compute_digest(self) -> int:
        """CRC-32 over the rows of all training samples; the same on all nodes that hold the same data."""
        index = self.train.index
        return zlib.crc32(index.first.tobytes(), zlib.crc32(index.tokens.tobytes()))


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

    def save(self, folder: Path) -> None:
        rows = {part.name: len(part.open()) for part in self.parts}
        concatenate(self.indexes, list(rows.values())).save(folder)
        files = [str(path) for part in self.parts for path in part.files]
        streams = [stream for part in self.parts for stream in part.streams or [None] * len(part.files)]
        document = {
            "files": files,
            "streams": [stream and asdict(stream) for stream in streams],
            "rows": rows,
            "splits": {part.name: part.split for part in self.parts},
        }
        (folder / _TABLE).write_text(json.dumps(document))


def index_data(
    datasets: Sequence[LocalDataset],
    task: Task,
    model: PageModel,
    limits: Limits,
    *,
    holdout: Mapping[str, int],
    max_similarity_percent: int | None = None,
    folder: Path,
    on_rows: Callable[[], None],
) -> None:
    """Select the usable samples and write their index to the new folder `folder`, for all processes of the node.

    holdout: percentage of the documents to hold out for evaluation, by the names of the datasets that lack a validation
    split. max_similarity_percent: see `drop_similar`; None compares nothing. on_rows: called now and then, as a
    heartbeat. Raises DataError for a dataset that cannot be used.
    """

    def build(part: LocalSplit) -> SampleIndex:
        where = f"spec.datasets[{part.name}] ({part.split} split)"
        return build_index(part.open(), task, model, limits, where=where, on_rows=on_rows)

    train, validation, notes = _Split(), _Split(), list[str]()
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
        kept, similar = drop_similar(train.list_parts(), validation.list_parts(), task, max_similarity_percent, on_rows)
        train.indexes[:] = kept
        notes += similar
    train.save(folder / "train")
    if validation.parts:
        validation.save(folder / "validation")
    write_file_atomically(folder / _NOTES, json.dumps(notes).encode())  # the last file: see `is_indexed`


def is_indexed(folder: Path) -> bool:
    """Whether `index_data` has written all of this folder."""
    return (folder / _NOTES).exists()


def list_files(folder: Path) -> list[Path]:
    """The Arrow files that the index in this folder is about."""
    documents = [json.loads(path.read_text()) for path in folder.glob(f"*/{_TABLE}")]
    return [Path(path) for document in documents for path in document["files"]]


def _describe_holdout(name: str, train: SampleIndex, held: SampleIndex, table: PageTable, task: Task) -> str:
    field = f"spec.datasets[{name}]: there is no validation split"
    left, taken = (count_documents(index, table, task) for index in (train, held))
    if taken:
        return (
            f"{field}, so {taken:,} of {left + taken:,} documents are used for evaluation and not for training; "
            "spec.evaluation.holdoutPercent changes that"
        )
    why = f"fewer than {MIN_DOCUMENTS}" if left < MIN_DOCUMENTS else "with too many copies of each other"
    return f"{field}, and its {left:,} documents are {why}, so none is used for evaluation"


def open_data(folder: Path, task: Task, on_wait: OnWait | None = None) -> TrainingData:
    """Open what `index_data` wrote. Pages stay in memory-mapped files, or in their store. on_wait: of the store."""
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
