"""How many positions each sample takes, without decoding its pages."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from deepsynth_api.errors import DataError
from deepsynth_train.data.files.images import read_size
from deepsynth_train.data.files.page_table import PageTable
from deepsynth_train.models.interface.page_model import Family

_ROWS_PER_BEAT = 1000


def count_tokens(
    table: PageTable,
    first: NDArray[np.int64],
    pages: NDArray[np.int64],
    labels: NDArray[np.int64],
    family: Family,
    *,
    where: str,
    on_rows: Callable[[], None],
) -> NDArray[np.int64]:
    """Length of each sample's sequence: prompt, pages, label and the token after it. int64, (samples,).

    first, pages, labels: row of the first page, number of pages, and label tokens of each sample. Raises DataError,
    naming `where` and the row, for a page that is not an image or has a shape that the model does not take.
    """
    rows = int(pages.sum())
    if not family.reads_sizes:
        counts = family.count_page_tokens(np.zeros((1, 2), dtype=np.int64))  # the same for all pages
        return np.asarray(pages * counts[0] + labels + family.fixed_tokens)
    sizes = np.zeros((rows, 2), dtype=np.int64)
    numbers = np.repeat(first, pages) + np.arange(rows) - np.repeat(np.cumsum(pages) - pages, pages)  # row of each page
    for place, row in enumerate(numbers.tolist()):
        name = f"{where}: row {row}"
        sizes[place] = read_size(table.read_image(row, name), name)
        if place % _ROWS_PER_BEAT == 0:
            on_rows()
    totals = np.cumsum([0, *_count(sizes, numbers, family, where)])
    ends = np.cumsum(pages)
    return np.asarray(totals[ends] - totals[ends - pages] + labels + family.fixed_tokens)


def _count(sizes: NDArray[np.int64], rows: NDArray[np.int64], family: Family, where: str) -> NDArray[np.int64]:
    try:
        return family.count_page_tokens(sizes)
    except ValueError:
        for size, row in zip(sizes, rows, strict=True):
            try:
                family.count_page_tokens(size[None])
            except ValueError as error:
                width, height = size
                raise DataError(
                    f"{where}: row {row}: the model's processor does not take a page of {width} x {height} px ({error})"
                    "; remove it or scale it"
                ) from error
        raise
