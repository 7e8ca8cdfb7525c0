"""Types of the extension module. Buffers are C-contiguous arrays of the type that is named."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

SOURCES: Final[str]
"""sha256 of the C files that it was built from, as build.compute_digest computes it."""

def break_lines(
    pieces: NDArray[np.int64], is_feed: NDArray[np.bool_], width: int, glued: NDArray[np.int64] | None, /
) -> bytes:
    """As lines.break_in_python: (lines, 3) int64, the first piece, the piece after the last, and 1 if it is closing."""

def draw_glyph(
    library: str, face: int, glyph: int, flags: int, slant: int, levels: int, /
) -> tuple[int, bytearray, bytes]:
    """As glyphs.draw_in_python: FreeType's error or 0, the ink of all phases, and (phases, 4) int32 boxes.

    library: path of FreeType. face: address of an FT_Face, which must be one of this library. slant: in 1/65536. Raises
    OSError if the library does not export FreeType's functions.
    """

def draw_page(
    rows: NDArray[np.uint8], stride: int, atlas: NDArray[np.uint8], bitmaps: NDArray[np.int64], depth: int, /
) -> None:
    """As raster.draw_with_numpy. rows: (height, stride), overwritten. Raises ValueError for a bitmap outside."""

def list_characters(text: str, /) -> str:
    """As properties.list_in_python. Raises UnicodeEncodeError for a lone surrogate."""

def measure_text(text: str, /) -> tuple[int, int]:
    """As density.measure_in_python. Raises UnicodeEncodeError for a lone surrogate."""

def place_bitmaps(
    on_lines: NDArray[np.int64],
    x: NDArray[np.int64],
    page: NDArray[np.int64],
    row: NDArray[np.int64],
    rows: NDArray[np.int64],
    pieces: NDArray[np.int32],
    glyphs: NDArray[np.int32],
    boxes: NDArray[np.int32],
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

class Shaper:
    """Shapes words in one font, without the objects that uharfbuzz makes of each glyph."""

    def __init__(
        self, library: str, data: bytes, face: int, scale: int, variations: list[str], kerns_neighbours: bool, /
    ) -> None:
        """library: path of a shared object with HarfBuzz. data: the font file. scale: units per em of the results.

        variations: the axes of a variable font, as in "wght=400". kerns_neighbours: see fonts.KERNS_NEIGHBOURS. Raises
        OSError if the library does not export HarfBuzz's functions.
        """

    def shape(self, words: list[str], script: str, right_to_left: bool, /) -> tuple[bytes, bytes]:
        """(glyphs of all words, 3) and (words, 2) int64.

        Of a glyph, from left to right: its index in the font, x and y of its origin from the left end of the word. Of a
        word: the number of its glyphs, 0 if the font lacks one of them or the word is empty, and its advance.
        """

    def find_usual(
        self,
        table: WordTable,
        text: str,
        script: str,
        kinds: bytes,
        slots: NDArray[np.int32],
        draw: Callable[[int], int],
        space: int,
        max_advance: int,
        first_piece: int,
        first_glyph: int,
        /,
    ) -> tuple[tuple[bytes, list[str]], bytes, bytes]:
        """What table.find says after new words of usual characters were set and added to the table; and their pieces,
        (pieces, 7) int32, and glyphs, (glyphs, 3) int32, as WordCache has them. A space follows each word.

        kinds: what each code point is, see word_batches. slots: (glyphs of the font,), see word_batches; it is filled
        from what draw returns. first_piece, first_glyph: rows of the first ones. Raises what draw raises, and
        ValueError for a glyph that slots has no place for: then the table has words without pieces.
        """

class WordTable:
    """From words to the rows of their pieces, in a third of the memory of a dict. Texts must be encodable as UTF-8."""

    def add(self, word: str, first: int, count: int, /) -> None:
        """Remember that a word consists of the pieces first to first + count - 1; at least one."""

    def add_all(self, words: list[str], first: int, counts: NDArray[np.int64], /) -> None:
        """The same for words whose pieces follow each other. counts: (words,) pieces of each."""

    def find(self, text: str, /) -> tuple[bytes, list[str]]:
        r"""(pieces of the text,) int64, and its words that are unknown, once for each time; their pieces are missing.

        Words are what text.replace("\n", " \n ").split(" ") gives.
        """

    def find_words(self, words: list[str], /) -> tuple[bytes, bytes, list[str]]:
        """(pieces of the words,) int64; (words,) int64, how many each has, 0 if unknown; and the unknown words."""

    def measure(self) -> int:
        """Size in bytes."""

    def __len__(self) -> int: ...
