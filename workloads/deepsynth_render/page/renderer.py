"""Text to pages: all stages in order, from a document to its PNG files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import PageSettings
from deepsynth_render.page.boxes import Box, find_boxes, rotate_boxes
from deepsynth_render.page.characters import collapse_blanks, is_aligned, normalise
from deepsynth_render.page.faces import Faces
from deepsynth_render.page.fallback import check_drawable
from deepsynth_render.page.fonts import load_font
from deepsynth_render.page.geometry import build_geometry
from deepsynth_render.page.growing import Ints
from deepsynth_render.page.layout import Layout, lay_out
from deepsynth_render.page.png import Compression, build_paper, encode_png, read_levels
from deepsynth_render.page.raster import Rows, draw_page, place_bitmaps
from deepsynth_render.page.structured import PageBars, lay_out_markdown
from deepsynth_render.page.words import INKED, LINE_FEED, Shapes, WordCache
from deepsynth_render.reporting.dropped import RefusedDocument

if TYPE_CHECKING:
    from deepsynth_render.page.augmentation import Augmenter

MONOSPACE = "DejaVu Sans Mono"
"""Family of texts that align words by blanks, with spec.page.whitespace: monospace."""

MAX_GLYPHS = 2_000_000
"""Upper limit for the words that a renderer remembers: 60 MB of prose, at most 100 MB of very short words."""


@dataclass(frozen=True)
class PageStyle:
    """How a document is set. index: of the style among those of spec.page. seed: spec.page.seed, which chose it."""

    index: int
    font_family: str
    font_size_px: int
    columns: int
    seed: int


@dataclass(frozen=True)
class Page:
    """One page. text is normalised_text[char_start:char_end]; the texts of all pages, joined, are the whole text.

    png: the image; a JPEG with spec.page.augmentation.jpegQuality. width, height: in pixels. augmented: whether it was
    changed to look like a scan. boxes: of its lines or words, as spec.page.boxes says.
    """

    png: bytes
    width: int
    height: int
    text: str
    char_start: int
    char_end: int
    style: PageStyle
    augmented: bool = False
    boxes: Sequence[Box] = ()


class PageRenderer:
    """Draws documents as spec.page says. Build one per process and keep it, because it remembers shaped words.

    Raises ConfigurationError when no text fits the page.
    """

    def __init__(self, page: PageSettings, compression: Compression, *, max_glyphs: int = MAX_GLYPHS) -> None:
        self._seed = page.seed
        self._whitespace = page.whitespace
        aligned = [MONOSPACE] if page.whitespace == "monospace" else []
        per_style = max_glyphs // (len(page.font_sizes_px) * len([*page.font_families, *aligned]))

        def build(families: Sequence[str], first: int) -> list[_Style]:
            styles = [(family, size) for family in families for size in page.font_sizes_px]
            return [
                _Style(page, PageStyle(index, *style, page.columns, page.seed), compression, max_glyphs=per_style)
                for index, style in enumerate(styles, start=first)
            ]

        self._styles = build(page.font_families, 0)
        self._aligned_styles = build(aligned, len(self._styles))

    def render(self, text: str, seed_key: str, *, is_normalised: bool = False) -> list[Page]:
        """The pages of one document: at least one, and none of them blank.

        text: as the source has it. is_normalised: whether `normalise` returned it, which is then not called again.
        seed_key: decides, with spec.page.seed, which of several fonts and sizes is used; for example the document's id.
        Raises RefusedDocument when a character cannot be drawn or the text does not fit.
        """
        if not is_normalised:
            text = normalise(text)
        if self._whitespace == "collapse":
            text = collapse_blanks(text)
        check_drawable(text)
        styles = self._aligned_styles if self._aligned_styles and is_aligned(text) else self._styles
        return self._choose_style(styles, seed_key).render(text, seed_key)

    def _choose_style(self, styles: Sequence["_Style"], seed_key: str) -> "_Style":
        digest = blake2b(f"{self._seed} {seed_key}".encode(errors="surrogatepass"), digest_size=8).digest()
        return styles[int.from_bytes(digest) % len(styles)]


class _Style:
    """One font at one size, with its own cache of words."""

    def __init__(self, page: PageSettings, style: PageStyle, compression: Compression, *, max_glyphs: int) -> None:
        self._style = style
        self._format = page.format
        self._justify = page.align == "justify"
        self._max_pages = page.max_pages
        self._font = load_font(style.font_family)
        self._depth = page.bit_depth
        self._augmentation = page.augmentation
        self._boxes = page.boxes
        self._compression = compression
        self._max_glyphs = max_glyphs
        self._geometry = build_geometry(page, self._font, style.font_size_px)

    @cached_property
    def _words(self) -> WordCache:
        shapes = Shapes(self._max_glyphs, self._depth)
        return WordCache(self._font, self._style.font_size_px, self._geometry.column_width, shapes=shapes)

    @cached_property
    def _faces(self) -> Faces:
        return Faces(self._font, self._style.font_size_px, self._geometry, Shapes(self._max_glyphs, self._depth))

    @cached_property
    def _augmenter(self) -> "Augmenter | None":
        if self._augmentation is None:
            return None
        from deepsynth_render.page.augmentation import Augmenter  # Pillow takes a while to import

        return Augmenter(self._augmentation, self._style.seed, self._compression)

    def render(self, text: str, key: str) -> list[Page]:
        """key: of the document, for what is random."""
        laid = self._lay_out_markdown(text) if self._format == "markdown" else self._lay_out(text)
        starts = laid.layout.page_starts.tolist()
        if len(starts) > self._max_pages:
            raise RefusedDocument(
                Reason.TOO_MANY_PAGES, f"the text needs {len(starts)} pages, spec.page.maxPages is {self._max_pages}"
            )
        ends = [*starts[1:], len(text)]
        bitmaps = place_bitmaps(laid.layout, laid.rows, laid.words, laid.layout.geometry)
        boxes = self._find_boxes(text, laid, bitmaps)
        files = self._draw_pages(laid, bitmaps, key)
        size = laid.layout.geometry.width, laid.layout.geometry.height
        return [
            Page(
                file.image,
                *size,
                text[start:end],
                start,
                end,
                self._style,
                augmented=file.angle is not None,
                boxes=rotate_boxes(found, file.angle or 0, *size),
            )
            for file, found, start, end in zip(files, boxes, starts, ends, strict=True)
        ]

    def _find_boxes(self, text: str, laid: "_LaidOut", bitmaps: Sequence[Ints]) -> Sequence[Sequence[Box]]:
        if self._boxes == "none":
            return [()] * len(bitmaps)
        return find_boxes(self._boxes, text, laid.words.pieces.take(laid.rows), laid.layout, bitmaps)

    def _lay_out(self, text: str) -> "_LaidOut":
        words = self._words
        rows, directions = words.find_pieces(text)  # rows: (pieces,)
        pieces = words.pieces.take(rows)  # (pieces, 7)
        if not pieces[:, INKED].any():
            raise RefusedDocument(Reason.EMPTY_DOCUMENT, "the text has no visible character")
        layout = lay_out(
            pieces,
            rows == LINE_FEED,
            self._geometry,
            justify=self._justify,
            directions=directions,
            extents=words.find_extents(rows),
        )
        return _LaidOut(layout, rows, words)

    def _lay_out_markdown(self, text: str) -> "_LaidOut":
        pages = lay_out_markdown(text, self._faces, self._geometry, justify=self._justify, max_pages=self._max_pages)
        return _LaidOut(pages.layout, pages.rows, self._faces.body, pages.bars)

    @cached_property
    def _paper(self) -> Rows:
        """Used for all pages, because memory that the system has just given to the process is slow."""
        return build_paper(self._geometry.width, self._geometry.height, self._depth)

    def _draw_pages(self, laid: "_LaidOut", placed: Sequence[Ints], key: str) -> Iterator["_File"]:
        atlas = laid.words.atlas.read_ink()
        for number, glyphs in enumerate(placed):
            bitmaps = np.concatenate([laid.bars[number], glyphs]) if laid.bars else glyphs
            draw_page(self._paper, atlas, bitmaps, self._depth)
            yield self._encode(f"{key} {number}")

    def _encode(self, key: str) -> "_File":
        width = self._geometry.width
        if self._augmenter and (page := self._augmenter.augment(read_levels(self._paper, width, self._depth), key)):
            return _File(page.image, page.angle)
        return _File(encode_png(self._paper, width, self._depth, self._compression), None)


class _File(NamedTuple):
    """angle: by which a page is rotated that was changed to look like a scan."""

    image: bytes
    angle: float | None


class _LaidOut(NamedTuple):
    """rows: (pieces,) rows of words.pieces. bars: for each page bitmaps that belong to no glyph."""

    layout: Layout
    rows: Ints
    words: WordCache
    bars: PageBars | None = None
