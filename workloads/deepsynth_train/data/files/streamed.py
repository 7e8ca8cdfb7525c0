"""Pages of parquet files that are not on this node yet: texts are copied first, images are read as they are needed.

    00000.text.arrow    all page columns but the image, in the order of the rows
    00000.footer        the parquet footer: where the row groups are
    00000.arrow         the whole file, once it has arrived: from then on it is read

A page costs a read of its row group, 6 MB in datasets that DeepSynth has rendered. Row groups stay in memory until
others need the room, so the pages of a document are read at once.
"""

import io
import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from deepsynth_api.errors import DataError
from deepsynth_store import DatasetFolder, OnWait, open_dataset
from deepsynth_train.coordination.container import read_memory_limit
from deepsynth_train.data.files.convert import build_schema, explain_unreadable, find_columns, write_arrow
from deepsynth_train.data.files.page_order import find_page_order
from deepsynth_train.data.files.page_table import PageTable

_MAX_GROUP_BYTES: Final = 64 * 2**20
"""A file with larger row groups is fetched as a whole before the first step."""
_MAX_KEPT_BYTES: Final = 512 * 2**20
_KEPT_SHARE: Final = 8
"""At most this part of the container's memory, in all of its workers together, is for row groups."""
_COPIES: Final = 3
"""Of a row group while it is read: as the store has sent it, as pyarrow gets it, and its images."""
_BATCH_ROWS: Final = 1024


@dataclass(frozen=True)
class Stream:
    """A parquet file in a store. text, footer: its parts on this node. arrow: where the whole file will be."""

    uri: str
    revision: str
    path: str
    text: str
    footer: str
    arrow: str

    @property
    def name(self) -> str:
        return f"{self.path} of {self.uri}"


def copy_text(folder: DatasetFolder, path: str, arrow: Path) -> Stream | None:
    """Copy the texts of a parquet file and its footer next to `arrow`. None if it cannot be streamed: its row groups
    are large, or the pages of its documents are not in order.

    Raises DataError as `convert_parquet` does.
    """
    stream = Stream(
        folder.uri,
        folder.revision,
        path,
        text=str(arrow.with_suffix(".text.arrow")),
        footer=str(arrow.with_suffix(".footer")),
        arrow=str(arrow),
    )
    with explain_unreadable(stream.name), folder.open(path) as source:
        file = pq.ParquetFile(_Requests(source), pre_buffer=True)
        columns = [name for name in find_columns(file.schema_arrow, stream.name) if name != "image"]
        if not columns or _find_largest_group(file.metadata) > _MAX_GROUP_BYTES:
            return None
        arrow.parent.mkdir(parents=True, exist_ok=True)
        # By row group: pyarrow cannot read a batch of two row groups whose dictionaries differ.
        batches = (
            batch
            for number in range(file.metadata.num_row_groups)
            for batch in file.iter_batches(_BATCH_ROWS, row_groups=[number], columns=columns, use_threads=False)
        )
        schema = build_schema(file.schema_arrow, columns)
        write_arrow(_join_small(batches, schema), schema, Path(stream.text))
        file.metadata.write_metadata_file(stream.footer)
    return stream if find_page_order(_read_table(stream.text)) is None else None


def check_arrival(stream: Stream) -> None:
    """Compare the whole file, whose hash was right, with the texts that were copied before. Raises DataError."""
    text = _read_table(stream.text)
    if not _read_table(stream.arrow).select(text.column_names).equals(text):
        raise DataError(f"{stream.name} is damaged, or was changed while it was read; publish it again and start again")


class StreamedTable(PageTable):
    """As PageTable, with images from the store for files that have not arrived. Threads may read at the same time.

    files, streams: one each per file; None for a file that is there. `iter_column` and `find_types` know no images.
    """

    def __init__(self, files: Sequence[Path], streams: Sequence[Stream | None], on_wait: OnWait | None = None) -> None:
        pairs = zip(files, streams, strict=True)
        super().__init__([Path(stream.text) if stream else file for file, stream in pairs])
        self.columns.add("image")
        self._streams = streams
        self._arrived: dict[int, PageTable] = {}
        self._groups = _RowGroups(on_wait)

    def read(self, row: int, column: str) -> Any:
        number = int(np.searchsorted(self.file_starts, row, side="right")) - 1
        stream = self._streams[number]
        if column != "image" or stream is None:
            return super().read(row, column)
        place = row - int(self.file_starts[number])
        if number not in self._arrived and Path(stream.arrow).exists():
            self._arrived[number] = PageTable([Path(stream.arrow)])
        arrived = self._arrived.get(number)
        return arrived.read(place, column) if arrived else self._groups.read(stream, place)


class _RowGroups:
    """Images of row groups, read from their stores. The least recently read ones are dropped."""

    def __init__(self, on_wait: OnWait | None) -> None:
        self._on_wait = on_wait
        self._room = _choose_room()
        self._lock = threading.Lock()
        self._reading = 0
        self._has_room = threading.Condition()
        self._folders: dict[tuple[str, str], DatasetFolder] = {}
        self._starts: dict[Stream, NDArray[np.int64]] = {}
        self._images: OrderedDict[tuple[Stream, int], Future[Any]] = OrderedDict()
        self._sizes: dict[tuple[Stream, int], int] = {}

    def read(self, stream: Stream, row: int) -> Any:
        """The image cell of a row of the file."""
        starts = self._find_starts(stream)
        number = int(np.searchsorted(starts, row, side="right")) - 1
        key = stream, number
        with self._lock:
            found = self._images.get(key)
            images = found or self._images.setdefault(key, Future())
            self._images.move_to_end(key)
        if found is None:
            try:
                images.set_result(self._load(stream, number))
            except BaseException as error:
                images.set_exception(error)  # for those who wait for it
                with self._lock:
                    self._images.pop(key, None)
                raise
            self._drop_oldest(key)
        return images.result()[row - int(starts[number])].as_py()

    def _load(self, stream: Stream, number: int) -> Any:
        footer = pq.read_metadata(stream.footer)
        size = _COPIES * footer.row_group(number).total_byte_size
        with self._reserve(size), explain_unreadable(stream.name), self._open(stream).open(stream.path) as source:
            file = pq.ParquetFile(_Requests(source), metadata=footer, pre_buffer=True)
            return file.read_row_group(number, columns=["image"], use_threads=False).column("image").combine_chunks()

    @contextmanager
    def _reserve(self, size: int) -> Iterator[None]:
        """Wait until `size` bytes are free, or nothing else is read: a node with many cores has many threads."""
        with self._has_room:
            self._has_room.wait_for(lambda: not self._reading or self._reading + size <= self._room)
            self._reading += size
        try:
            yield
        finally:
            with self._has_room:
                self._reading -= size
                self._has_room.notify_all()

    def _open(self, stream: Stream) -> DatasetFolder:
        key = stream.uri, stream.revision
        with self._lock:
            if key not in self._folders:
                self._folders[key] = open_dataset(*key, field="spec.datasets", on_wait=self._on_wait)
            return self._folders[key]

    def _find_starts(self, stream: Stream) -> NDArray[np.int64]:
        """(row groups + 1,) the row of the file at which each begins."""
        if stream not in self._starts:
            footer = pq.read_metadata(stream.footer)
            rows = [footer.row_group(number).num_rows for number in range(footer.num_row_groups)]
            self._starts[stream] = np.cumsum([0, *rows])
        return self._starts[stream]

    def _drop_oldest(self, key: tuple[Stream, int]) -> None:
        with self._lock:
            if key in self._images:
                self._sizes[key] = int(self._images[key].result().nbytes)
            while sum(self._sizes.values()) + self._reading > self._room and len(self._sizes) > 1:
                oldest = next(each for each in self._images if each in self._sizes)
                del self._images[oldest], self._sizes[oldest]


def _choose_room() -> int:
    """Bytes of row groups that this process may keep."""
    limit, workers = read_memory_limit(), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return _MAX_KEPT_BYTES if limit is None else min(_MAX_KEPT_BYTES, limit // (_KEPT_SHARE * workers))


class _Requests(io.RawIOBase):
    """A file of a store for pyarrow: each read is one request. A buffered reader makes two, for what fills its buffer
    and for the rest, and the Hub limits the number of requests.
    """

    def __init__(self, source: BinaryIO) -> None:
        self._source = cast("io.BufferedReader", source)

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return self._source.read()
        parts = []
        while size > 0 and (part := self._source.read1(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._source.seek(offset, whence)

    def tell(self) -> int:
        return self._source.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


def _join_small(batches: Iterable[Any], schema: Any) -> Iterator[Any]:
    """Row groups have about 100 pages, and an open table takes 2 KB of memory for each batch."""
    waiting: list[Any] = []
    for batch in batches:
        waiting.append(batch.select(schema.names).cast(schema))
        if sum(each.num_rows for each in waiting) >= _BATCH_ROWS:
            yield from pa.Table.from_batches(waiting).combine_chunks().to_batches()
            waiting = []
    yield from pa.Table.from_batches(waiting, schema).combine_chunks().to_batches()


def _find_largest_group(footer: Any) -> int:
    """Bytes of the largest row group."""
    return max((footer.row_group(number).total_byte_size for number in range(footer.num_row_groups)), default=0)


def _read_table(path: str) -> Any:
    return pa.ipc.open_file(pa.memory_map(path)).read_all()
