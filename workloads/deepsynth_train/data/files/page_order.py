"""The order of the pages of a document: that of their numbers, in column `page`, and not that of their rows.

row          0    1    2    3    4    5    6
document_id  a    a    a    b    -    -    b      a document is a run of rows; a row without an id is one of its own
page         2    0    1    0    0    0    1
order        1    2    0    3    4    5    6
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from deepsynth_train.data.files.page_table import is_number

ORDER_COLUMNS: Final = frozenset({"document_id", "page"})


def find_page_order(table: Any) -> NDArray[np.int64] | None:
    """(rows,) the row that belongs in each place; None if all rows are in their places, or nothing says where.

    table: a pyarrow.Table with ORDER_COLUMNS. A document with two pages of the same number stays as it is: its id was
    probably given twice.
    """
    if not set(table.schema.names) >= ORDER_COLUMNS or not is_number(table.schema.field("page").type):
        return None
    documents = _number_documents(table.column("document_id"))  # (rows,)
    pages = np.asarray(table.column("page").to_numpy(), dtype=np.float64)  # (rows,), NaN for null
    pages = np.where(np.isnan(pages), np.inf, pages)
    order = np.lexsort((pages, documents))  # stable
    repeated = (np.diff(pages[order]) == 0) & (np.diff(documents[order]) == 0)
    if repeated.any():
        pages[np.isin(documents, documents[order][1:][repeated])] = 0
        order = np.lexsort((pages, documents))
    return None if np.array_equal(order, np.arange(len(order))) else order


def _number_documents(ids: Any) -> NDArray[np.int64]:
    """(rows,) number of the run that each row belongs to."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not len(ids):
        return np.zeros(0, dtype=np.int64)
    codes = pa.chunked_array(ids.chunks).combine_chunks().dictionary_encode().indices
    numbers = np.asarray(pc.fill_null(codes, -1), dtype=np.int64)
    starts = (numbers[1:] != numbers[:-1]) | (numbers[1:] == -1)
    return np.concatenate([[0], np.cumsum(starts)])
