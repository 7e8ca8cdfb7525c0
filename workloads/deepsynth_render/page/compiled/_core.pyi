"""Types of the extension module. Buffers are C-contiguous arrays of the type that is named."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

SOURCES: Final[str]
"""sha256 of the C files that it was built from, as build.compute_digest computes it."""

def draw_page(rows: NDArray[np.uint8], stride: int, atlas: NDArray[np.uint8], bitmaps: NDArray[np.int64], /) -> None:
    """As raster.draw_with_numpy. rows: (height, stride), changed in place. Raises ValueError for a bitmap outside."""

def place_bitmaps(
    on_lines: NDArray[np.int64],
    x: NDArray[np.int64],
    page: NDArray[np.int64],
    row: NDArray[np.int64],
    rows: NDArray[np.int64],
    pieces: NDArray[np.int64],
    glyphs: NDArray[np.int64],
    boxes: NDArray[np.int64],
    pages: int,
    width: int,
    height: int,
    first_baseline: int,
    line_pitch: int,
    /,
) -> tuple[bytes, bytes] | None:
    """As raster.place_with_numpy: (bitmaps, 5) int64 of all pages and (pages,) int64, how many are on each.

    on_lines, x, page, row: of the Layout. rows: of the document. pieces, glyphs, boxes: of the WordCache and its atlas.
    None if a bitmap reaches beyond the page. Raises ValueError for an index that does not exist.
    """
