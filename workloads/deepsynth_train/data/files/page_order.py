"""The order of the pages of a document: that of their numbers, in column `page`, and not that of their rows.

row          0    1    2    3    4    5    6
document_id  a    b    a    a    -    -    b      a row without an id is a document of its own
page         2    0    0    1    0    0    1
order        2    3    0    1    6    4    5

All rows of an id are a document if they have consecutive numbers. Otherwise the id was probably given twice, or a page
is missing, and each run of rows is a document.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from deepsynth_train.data.files.page_table import is_number, is_text

ORDER_COLUMNS: Final = frozenset({"document_id", "page"})


def find_page_order(table: Any) -> NDArray[np.int64] | None:
    """(rows,) the row that belongs in each place; None if all rows are in their places, or nothing says where.

    table: a pyarrow.Table with ORDER_COLUMNS. A run with two pages of the same number stays as it is.
    """
    if not set(table.schema.names) >= ORDER_COLUMNS or not len(table):
        return None
    pages = read_page_numbers(table.column("page"))
    if pages is None:
        return None
    documents = _number_documents(table.column("document_id"), pages)  # (rows,)
    order = np.lexsort((pages, documents))  # stable
    repeated = (
        (pages[order][1:] == pages[order][:-1]) & (np.diff(documents[order]) == 0) & np.isfinite(pages[order][1:])
    )
    if repeated.any():
        pages[np.isin(documents, documents[order][1:][repeated])] = 0
        order = np.lexsort((pages, documents))
    return None if np.array_equal(order, np.arange(len(order))) else order


def read_page_numbers(column: Any) -> NDArray[np.float64] | None:
    """(rows,) infinite for null and NaN; None for a column of anything but numbers, which may be written as text."""
    import pyarrow as pa

    kind = column.type
    if not (is_number(kind) or is_text(kind) or pa.types.is_decimal(kind)):
        return None
    try:
        plain = column.cast(pa.string()) if is_text(kind) else column
        numbers = np.array(plain.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)
    except pa.ArrowInvalid:
        return None
    return np.where(np.isnan(numbers), np.inf, numbers)


def _number_documents(ids: Any, pages: NDArray[np.float64]) -> NDArray[np.int64]:
    """(rows,) number of the document that each row belongs to, in the order of their first rows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ids = ids.cast(pa.string()) if pa.types.is_string_view(ids.type) else ids
    found = pa.chunked_array(ids.chunks).combine_chunks().dictionary_encode().indices
    codes = np.asarray(pc.fill_null(found, -1), dtype=np.int64)
    runs = np.concatenate([[0], np.cumsum((codes[1:] != codes[:-1]) | (codes[1:] == -1))])
    known, first, place = np.unique(codes, return_index=True, return_inverse=True)
    is_whole = (known != -1) & _are_consecutive(place, pages, len(known))
    return np.where(is_whole[place], runs[first][place], runs)


def _are_consecutive(place: NDArray[np.int64], pages: NDArray[np.float64], count: int) -> NDArray[np.bool_]:
    """(count,) whether the pages of an id are consecutive numbers, each once. place: number of the id, (rows,)."""
    order = np.lexsort((pages, place))
    same = np.diff(place[order]) == 0
    steps = np.diff(np.where(np.isfinite(pages), pages, -1e9)[order])
    wrong = np.bincount(place[order][1:][same & (steps != 1)], minlength=count)
    return np.asarray(wrong == 0)
