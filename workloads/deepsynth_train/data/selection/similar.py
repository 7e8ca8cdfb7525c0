"""Documents that are not trained on because they are almost the same as others: spec.maxSimilarityPercent.

Compared are the texts of whole documents, also with the task ocr. A document is dropped if it is too similar to one
that is evaluated on, of any dataset, or to one that is trained on, of an earlier dataset:

    dataset        a       b       c
    evaluated      1 2     3               stay as they are
    trained        4 5 6   7 8     9       each is compared with 1 2 3; 7 8 also with 4 5 6; 9 also with 4 5 6 7 8

Within a dataset nothing is compared: spec.filters of a DatasetGeneration does that. The choice depends on the texts
alone, so it is the same on every node and in every attempt.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from deepsynth_api.errors import DataError
from deepsynth_api.reasons import Reason
from deepsynth_text.near_duplicates import SimilarTexts, sign
from deepsynth_train.coordination.progress import DroppedSamples
from deepsynth_train.data.files.columns import LABEL_COLUMNS, Task
from deepsynth_train.data.files.page_table import PageTable, RowNames, is_text
from deepsynth_train.data.selection.holdout import find_documents
from deepsynth_train.data.selection.index import SampleIndex

FIELD: Final = "spec.maxSimilarityPercent"
_MAX_LOGGED: Final = 1000
"""Dropped documents of each dataset that the log names."""


@dataclass(frozen=True)
class Part:
    """Samples of one split of a dataset."""

    name: str
    split: str
    table: PageTable
    index: SampleIndex

    def name_row(self, row: int) -> str:
        return RowNames({self.name: len(self.table)}, {self.name: self.split}).name(row)


@dataclass(frozen=True)
class _Document:
    """samples: their numbers in the index. row: of the first page. text: of all pages."""

    samples: Sequence[int]
    row: int
    text: str


@dataclass
class _Found:
    """What is dropped of a dataset. documents: how many it has. samples: the dropped ones, by reason. pairs: the row of
    each dropped document, and the name of the row that it is similar to.
    """

    documents: int = 0
    samples: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    pairs: list[tuple[int, str]] = field(default_factory=list)


class _Seen:
    """The documents of one part, to be found again by their texts. The number of a text is its row."""

    def __init__(self, part: Part, percent: int, reason: Reason) -> None:
        self.part = part
        self.reason = reason
        self.texts = SimilarTexts(percent)


def drop_similar(
    train: Sequence[Part], evaluated: Sequence[Part], task: Task, percent: int, on_rows: Callable[[], None]
) -> tuple[list[SampleIndex], list[str], list[str]]:
    """The samples of each part of `train` that remain, with the dropped ones counted; notes for users; and lines that
    name dropped documents, for the log.

    on_rows: called now and then, as a heartbeat. Raises DataError when nothing remains of a dataset.
    """
    column = _choose_column([*train, *evaluated], task)
    known: list[_Seen] = []
    for part in evaluated:
        seen = _Seen(part, percent, Reason.SIMILAR_TO_EVALUATION)
        for document in _read_documents(part, task, column, on_rows):
            seen.texts.add(sign(document.text), document.row)
        known.append(seen)
    kept, notes, log = list[SampleIndex](), list[str](), list[str]()
    for part in train:
        own = _Seen(part, percent, Reason.NEAR_DUPLICATE)
        found = _compare(_read_documents(part, task, column, on_rows), known, own)
        known.append(own)
        if found.pairs:
            notes.append(_describe(part, found, column))
            log += _list_dropped(part, found)
        kept.append(_drop(part, found))
    return kept, notes, log


def _choose_column(parts: Sequence[Part], task: Task) -> str:
    """The texts of pages, or what is learned if a dataset has summaries only."""
    return "text" if all(_has_texts(part.table) for part in parts) else LABEL_COLUMNS[task]


def _has_texts(table: PageTable) -> bool:
    kinds = table.find_types("text")
    return bool(kinds) and all(map(is_text, kinds))


def _read_documents(part: Part, task: Task, column: str, on_rows: Callable[[], None]) -> Iterator[_Document]:
    """In the order of their first pages, without those that have no text."""
    samples: dict[int, list[int]] = defaultdict(list)
    for sample, document in enumerate(find_documents(part.index, part.table, task).tolist()):
        samples[document].append(sample)
    for mine in samples.values():
        firsts = [int(part.index.first[sample]) for sample in mine]
        rows = [
            row + page for sample, row in zip(mine, firsts, strict=True) for page in range(part.index.pages[sample])
        ]
        texts = [_read_text(part, row, column) for row in (rows if column == "text" else rows[:1])]
        if text := "\n".join(texts).strip():
            yield _Document(mine, firsts[0], text)
        on_rows()


def _read_text(part: Part, row: int, column: str) -> str:
    """Empty for null."""
    try:
        return part.table.read(row, column) or ""
    except UnicodeDecodeError as error:
        raise DataError(f"{part.name_row(row)}: column {column!r} is not UTF-8 ({error}); upload it again") from error


def _compare(documents: Iterator[_Document], known: Sequence[_Seen], own: _Seen) -> _Found:
    """What is dropped of these documents; the others are added to `own`."""
    found = _Found()
    for document in documents:
        found.documents += 1
        signature = sign(document.text)
        for seen in known:
            row = seen.texts.find(signature)
            if row is not None:
                found.samples[seen.reason] += document.samples
                found.pairs.append((document.row, seen.part.name_row(row)))
                break
        else:
            own.texts.add(signature, document.row)
    return found


def _drop(part: Part, found: _Found) -> SampleIndex:
    kept = np.ones(len(part.index), dtype=bool)
    for samples in found.samples.values():
        kept[samples] = False
    if not kept.any():
        raise DataError(
            f"{FIELD}: all documents of spec.datasets[{part.name}] are too similar to others "
            f"({part.name_row(found.pairs[0][0])} to {found.pairs[0][1]}); remove the dataset, raise {FIELD}, or leave "
            "it unset to train on all of them"
        )
    dropped = [DroppedSamples(reason, len(samples)) for reason, samples in found.samples.items()]
    return part.index.select(kept, dropped=(*part.index.dropped, *dropped), seen=part.index.seen)


def _describe(part: Part, found: _Found, column: str) -> str:
    row, other = found.pairs[0]
    texts = "" if column == "text" else f" (of their {column}, as a dataset has no texts in the column 'text')"
    return (
        f"{FIELD}: {len(found.pairs):,} of {found.documents:,} documents of spec.datasets[{part.name}] are too similar "
        f"to others{texts} and not trained on; the log of the first process lists them. The first is "
        f"{part.name_row(row)}, similar to {other}"
    )


def _list_dropped(part: Part, found: _Found) -> list[str]:
    rows = found.pairs[:_MAX_LOGGED]
    lines = [f"not trained on: {part.name_row(row)}, similar to {other}" for row, other in rows]
    if more := len(found.pairs) - len(rows):
        lines.append(f"and {more} more documents of spec.datasets[{part.name}]")
    return lines
