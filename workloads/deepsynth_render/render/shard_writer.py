"""Writing pages as parquet files that `datasets` opens with an Image column."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

from deepsynth_render.documents.dataset_manifest import BOX_FIELDS, PAGE_COLUMNS
from deepsynth_render.page import Page
from deepsynth_render.page.density import measure_text

_REPEATED: Final = (
    "summary",
    "document_id",
    "language",
    "source_dataset",
    "original_split",
    "original_config",
    "font_family",
)
"""Columns of which many rows have the same value."""
_GROUP_PAGES: Final = 100
"""A row group ends with the document that reaches this number: a reader of one page then fetches about 6 MB."""


@dataclass(frozen=True)
class Document:
    """What all pages of a document share. config: empty if the source has not several."""

    id: str
    summary: str
    language: str
    source_dataset: str
    split: str
    index: int
    config: str = ""


@dataclass(frozen=True)
class ShardFile:
    """A finished file. size: bytes. rows: pages."""

    path: Path
    size: int
    sha256: str
    rows: int


class ShardWriter:
    """Writes documents to one file after another, each of at most max_bytes unless a single document is larger.

    A document is never split over files or row groups:

        file 0:  row group | doc 0: 60 pages, doc 1: 60 pages |  row group | doc 2: 250 pages |
        file 1:  row group | doc 3: 90 pages ...

    name(number) is the path of the file with that number, counted from 0. on_file is called with each finished file
    and may delete it. columns: name -> type, as PAGE_COLUMNS. Use it as a context: leaving it by an exception abandons
    the file that is being written.
    """

    def __init__(
        self,
        name: Callable[[int], Path],
        max_bytes: int,
        on_file: Callable[[ShardFile], None],
        columns: Mapping[str, str] = PAGE_COLUMNS,
    ) -> None:
        self._name = name
        self._max_bytes = max_bytes
        self._on_file = on_file
        self._columns = columns
        self._count = 0
        self._file: _ParquetFile | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self._finish()
        elif self._file:
            self._file.abandon()

    def add(self, document: Document, pages: list[Page]) -> None:
        size = sum(len(page.png) + measure_text(page.text)[1] for page in pages)
        if self._file and self._file.size + size > self._max_bytes:
            self._finish()
        if self._file is None:
            self._file = _ParquetFile(self._name(self._count), self._columns)
            self._count += 1
        self._file.add([build_row(document, page, number, len(pages)) for number, page in enumerate(pages)], size)

    def _finish(self) -> None:
        if self._file:
            finished, self._file = self._file.close(), None
            self._on_file(finished)


def build_row(document: Document, page: Page, number: int, num_pages: int) -> dict[str, Any]:
    """One row, with the keys of all columns that there may be."""
    return {
        "image": {"bytes": page.png, "path": f"{document.id}-{number}.{_find_suffix(page.png)}"},
        "text": page.text,
        "summary": document.summary,
        "document_id": document.id,
        "page": number,
        "num_pages": num_pages,
        "language": document.language,
        "source_dataset": document.source_dataset,
        "original_split": document.split,
        "original_index": document.index,
        "original_config": document.config,
        "char_start": page.char_start,
        "char_end": page.char_end,
        "font_family": page.style.font_family,
        "font_size_px": page.style.font_size_px,
        "text_columns": page.style.columns,
        "style": page.style.index,
        "fit": page.style.fit,
        "seed": page.style.seed,
        "augmented": page.augmented,
        "boxes": [box._asdict() for box in page.boxes],
    }


def _find_suffix(image: bytes) -> str:
    return "jpg" if image.startswith(b"\xff\xd8") else "png"


class _ParquetFile:
    """size: bytes so far, including rows that are not written yet because their row group is not full."""

    def __init__(self, path: Path, columns: Mapping[str, str]) -> None:
        self.path = path
        self.size = 0
        self._sink = _HashingFile(path)
        self._rows: list[dict[str, Any]] = []
        self._num_rows = 0
        self._schema = build_schema(columns)
        with contextlib.ExitStack() as stack:
            stack.callback(self._sink.close)
            self._writer = _open_writer(self._sink, self._schema, columns)
            stack.pop_all()

    def add(self, rows: list[dict[str, Any]], size: int) -> None:
        """The rows of one document."""
        self.size += size
        self._rows += rows
        if len(self._rows) >= _GROUP_PAGES:
            self._flush()

    def close(self) -> ShardFile:
        if self._rows:
            self._flush()
        self._writer.close()
        self._sink.close()
        return ShardFile(self.path, self._sink.size, self._sink.digest.hexdigest(), self._num_rows)

    def abandon(self) -> None:
        self._sink.close()
        self._writer.is_open = False  # otherwise its finaliser would write a footer to the closed file

    def _flush(self) -> None:
        import pyarrow as pa

        self._writer.write_batch(pa.RecordBatch.from_pylist(self._rows, schema=self._schema))
        self._num_rows += len(self._rows)
        self._rows = []


def _open_writer(sink: "_HashingFile", schema: Any, columns: Mapping[str, str]) -> Any:
    import pyarrow.parquet as pq

    return pq.ParquetWriter(
        sink,
        schema,
        # PNG is compressed already, and pyarrow would build a dictionary of the images only to discard it.
        compression={name: "NONE" if name.startswith("image") else "ZSTD" for name in _list_leaves(columns)},
        use_dictionary=[name for name in _REPEATED if name in columns],
        write_statistics=False,
    )


class _HashingFile:
    """A file for pyarrow to write to; counts the bytes and computes their sha256 on the way."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("wb")
        self.digest = hashlib.sha256()
        self.size = 0

    @property
    def closed(self) -> bool:
        return self._file.closed

    def write(self, content: bytes) -> int:
        self.digest.update(content)
        self.size += len(content)
        return self._file.write(content)

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def build_schema(columns: Mapping[str, str]) -> Any:
    """The Arrow schema, with the metadata from which the library `datasets` learns the types of its columns."""
    import pyarrow as pa

    fields = [(name, _build_type(kind)) for name, kind in columns.items()]
    features = {name: _build_feature(kind) for name, kind in columns.items()}
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": features}})})


def _build_type(kind: str) -> Any:
    import pyarrow as pa

    if kind == "image":
        return pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    if kind == "boxes":
        return pa.list_(pa.struct([(name, pa.type_for_alias(inner)) for name, inner in BOX_FIELDS.items()]))
    return pa.type_for_alias(kind)


def _build_feature(kind: str) -> Any:
    """A list of one feature is a list of such, to all versions of `datasets`."""
    if kind == "image":
        return {"_type": "Image"}
    if kind == "boxes":
        return [{name: _build_feature(inner) for name, inner in BOX_FIELDS.items()}]
    return {"dtype": kind, "_type": "Value"}


def _list_leaves(columns: Mapping[str, str]) -> list[str]:
    """Paths of the parquet columns."""
    leaves: dict[str, list[str]] = {
        "image": ["image.bytes", "image.path"],
        "boxes": [f"boxes.list.element.{name}" for name in BOX_FIELDS],
    }
    return [leaf for name, kind in columns.items() for leaf in leaves.get(kind, [name])]
