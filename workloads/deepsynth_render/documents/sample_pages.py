"""A few pages of a dataset, for a user who looks at it: the first rows of its first file, read by ranges.

    fetch_sample_pages("s3://pages/letters", 6_000_000)     [("data/sample.parquet", b"...")]

Credentials come from the environment, as for everything else here. A user waits for the answer, so a store that does
not answer is given up after seconds.
"""

import io
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Final

from deepsynth_api.errors import DataError, TemporaryError
from deepsynth_api.reasons import Reason
from deepsynth_store.core.calls import give_up_long_waits
from deepsynth_store.core.file_listing import DATA_FOLDER
from deepsynth_store.entry import open_dataset

_FILE: Final = f"{DATA_FOLDER}sample.parquet"
_COLUMNS: Final = ("image", "text", "summary", "page", "num_pages")
_PAGES: Final = 8
_READ_ROWS: Final = 64
"""Of these, the pages with most text are shown: a document's last page is often nearly empty."""
_REQUEST_BYTES: Final = 4 * 2**20
_MAX_GROUP_BYTES: Final = 256 * 2**20
_MAX_SECONDS: Final = 60.0
_DAMAGE: Final = (OSError, ValueError, TypeError, AttributeError, StopIteration)
"""What damaged files, and columns of other types, raise besides errors of pyarrow."""


def fetch_sample_pages(uri: str, max_bytes: int, max_seconds: float = _MAX_SECONDS) -> list[tuple[str, bytes]]:
    """The name and content of a parquet file with at most 8 rows and `max_bytes` of images, of different stretches of
    the first rows.

    Raises DataError for a dataset without pages, TemporaryError if the store does not answer in time, and
    ConfigurationError for a refusal.
    """
    import pyarrow.parquet  # noqa: F401 - on a busy machine it takes seconds, which are not the store's

    done: Future[bytes] = Future()
    threading.Thread(target=_settle, args=(done, uri, max_bytes), name="sample-pages", daemon=True).start()
    try:
        return [(_FILE, done.result(max_seconds))]
    except TimeoutError as error:
        raise TemporaryError(
            f"{uri} has not answered within {max_seconds:.0f} s; try again later", reason=Reason.STORE_UNAVAILABLE
        ) from error


def _settle(done: "Future[bytes]", uri: str, max_bytes: int) -> None:
    try:
        done.set_result(_read(uri, max_bytes))
    except BaseException as error:  # noqa: BLE001 - for the thread that waits
        done.set_exception(error)


def _read(uri: str, max_bytes: int) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    dataset = open_dataset(uri, on_wait=give_up_long_waits)
    name = next((file.path for file in dataset.list_files(DATA_FOLDER) if file.path.endswith(".parquet")), None)
    if name is None:
        raise DataError(f"{uri} holds no pages: there is no {DATA_FOLDER}*.parquet")
    try:
        with (
            dataset.open(name) as file,
            pq.ParquetFile(file, buffer_size=_REQUEST_BYTES, pre_buffer=False) as opened,
        ):
            _require_pages(opened)
            batches = opened.iter_batches(_READ_ROWS, row_groups=[0], columns=list(_COLUMNS))
            rows = pa.Table.from_batches([next(batches)])
            table = rows.take(_choose(rows.to_pylist(), max_bytes))
    except (pa.ArrowException, DataError, *_DAMAGE) as error:
        raise DataError(f"{name} of {uri} cannot be shown: {error}") from error
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="none")
    return sink.getvalue()


def _require_pages(opened: Any) -> None:
    if missing := [name for name in _COLUMNS if name not in opened.schema_arrow.names]:
        raise DataError(f"it has no column {missing[0]}")
    if not opened.metadata.num_rows:
        raise DataError("it has no rows")
    group = opened.metadata.row_group(0)
    if not group.num_rows:
        raise DataError("its first row group has no rows")
    if group.total_byte_size > _MAX_GROUP_BYTES:
        raise DataError(f"its first row group has {group.total_byte_size:,} bytes, more than {_MAX_GROUP_BYTES:,}")


def _choose(rows: Sequence[dict[str, Any]], max_bytes: int) -> list[int]:
    """The indices of the pages to show: of each stretch of rows the one with most text, if it still fits."""
    stride = max(1, len(rows) // _PAGES)
    chosen: list[int] = []
    left = max_bytes
    for start in list(range(0, len(rows), stride))[:_PAGES]:
        stretch = range(start, min(start + stride, len(rows)))
        index = max(stretch, key=lambda number: len(rows[number]["text"] or ""))
        size = len((rows[index]["image"] or {}).get("bytes") or b"")
        if size <= left:
            left -= size
            chosen.append(index)
    if not chosen:
        raise DataError(f"each of its first pages has more than {max_bytes:,} bytes")
    return chosen
