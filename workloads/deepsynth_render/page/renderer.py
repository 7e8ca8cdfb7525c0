"""Text to pages: all stages in order, from a document to its PNG files."""

import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakSet

import numpy as np

from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import PageSettings
from deepsynth_render.page.boxes import Box, find_boxes, rotate_boxes
from deepsynth_render.page.characters import collapse_blanks, is_aligned, normalise
from deepsynth_render.page.density import estimate_image_tokens, estimate_text_tokens
from deepsynth_render.page.documents import Document, LaidOut, MarkdownDocument, PlainDocument
from deepsynth_render.page.faces import Faces
from deepsynth_render.page.fallback import check_drawable
from deepsynth_render.page.fine_breaking import Settings
from deepsynth_render.page.fitting import crop, find_balanced_lines, find_compressed, find_least_shrunk
from deepsynth_render.page.fonts import load_font
from deepsynth_render.page.geometry import Geometry, build_geometry
from deepsynth_render.page.glyphs import HEIGHT, MAX_INK, TOP, TooManyGlyphsError
from deepsynth_render.page.growing import Ints
from deepsynth_render.page.hyphenation import Hyphenator, check_language
from deepsynth_render.page.png import Compression, build_paper, encode_png, read_levels
from deepsynth_render.page.raster import Rows, draw_page, place_bitmaps
from deepsynth_render.page.words import Shapes, WordCache
from deepsynth_render.reporting.dropped import RefusedDocument

if TYPE_CHECKING:
    from deepsynth_render.page.augmentation import Augmenter

MONOSPACE = "DejaVu Sans Mono"
"""Family of texts that align words by blanks, with spec.page.whitespace: monospace."""

MAX_GLYPHS = 2_000_000
"""Upper limit for the words that a renderer remembers: 60 MB of prose, at most 100 MB of very short words."""

MAX_BYTES = 2**28
"""Upper limit for words and bitmaps of glyphs of all styles before a document; it may add what it needs itself."""

MAX_SIZES = 8
"""For each style, the words of at most this number of the sizes that spec.page.fit chooses are remembered."""


@dataclass(frozen=True)
class PageStyle:
    """How a document is set. index: of the style among those of spec.page and the sizes that spec.page.fit chooses.

    seed: spec.page.seed, which chose it. fit: spec.page.fit.mode.
    """

    index: int
    font_family: str
    font_size_px: int
    columns: int
    seed: int
    fit: str = "fixed"


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

    def __init__(
        self,
        page: PageSettings,
        compression: Compression,
        *,
        max_glyphs: int = MAX_GLYPHS,
        max_bytes: int = MAX_BYTES,
        max_ink: int = MAX_INK,
    ) -> None:
        """max_ink: pixels of the glyphs of one document."""
        self._seed = page.seed
        self._fit = page.fit
        self._whitespace = page.whitespace
        self._keep_tabs = page.tab_stop_ems is not None
        aligned = [MONOSPACE] if page.whitespace == "monospace" else []
        styles = [(family, size) for family in [*page.font_families, *aligned] for size in page.font_sizes_px]
        self._all_styles = [
            PageStyle(index, *style, page.columns, page.seed, page.fit.mode) for index, style in enumerate(styles)
        ]
        count = len(styles) if page.fit.mode in {"fixed", "balance"} else MAX_SIZES * len(styles)
        self._max_bytes = max_bytes
        self._shapes: WeakSet[Shapes] = WeakSet()  # of the styles that are remembered

        def build_style(style: PageStyle) -> _Style:
            shapes = Shapes(max_glyphs // count, page.bit_depth, max_ink)
            self._shapes.add(shapes)
            return _Style(page, style, compression, shapes)

        self._setters = lru_cache(count)(build_style)
        for style in self._all_styles:
            self._setters(style)
        first_aligned = len(page.font_families) * len(page.font_sizes_px)
        self._styles, self._aligned_styles = self._all_styles[:first_aligned], self._all_styles[first_aligned:]

    @property
    def has_several_styles(self) -> bool:
        return len(self._styles) > 1

    def find_style(self, seed_key: str) -> int:
        """Which of several fonts and sizes a document is drawn in, unless its text or spec.page.fit changes that."""
        return self._choose_style(self._styles, seed_key).index

    def render(self, text: str, seed_key: str, *, is_normalised: bool = False) -> list[Page]:
        """The pages of one document: at least one, and none of them blank.

        text: as the source has it. is_normalised: whether `normalise` returned it, which is then not called again.
        seed_key: decides, with spec.page.seed, which of several fonts and sizes is used; for example the document's id.
        Raises RefusedDocument when a character cannot be drawn or the text does not fit.
        """
        if not is_normalised:
            text = normalise(text, keep_tabs=self._keep_tabs)
        if self._whitespace == "collapse":
            text = collapse_blanks(text)
        check_drawable(text)
        if sum(shapes.count_bytes() for shapes in self._shapes) > self._max_bytes:
            self._forget()
        try:
            return self._render(text, seed_key)
        except TooManyGlyphsError:  # together with those of other documents
            self._forget()
            return self._render(text, seed_key)

    def _render(self, text: str, seed_key: str) -> list[Page]:
        styles = self._aligned_styles if self._aligned_styles and is_aligned(text) else self._styles
        setter = self._setters(self._choose_style(styles, seed_key))
        return self._setters(self._reduce(setter.style, setter.find_size(text))).render(text, seed_key)

    def _forget(self) -> None:
        self._setters.cache_clear()
        gc.collect()  # styles refer to themselves

    def _reduce(self, style: PageStyle, size_px: int) -> PageStyle:
        """The same in a smaller size. It has an index of its own, which is the same in all shards."""
        index = style.index + (style.font_size_px - size_px) * len(self._all_styles)
        return replace(style, index=index, font_size_px=size_px)

    def _choose_style(self, styles: Sequence[PageStyle], seed_key: str) -> PageStyle:
        digest = blake2b(f"{self._seed} {seed_key}".encode(errors="surrogatepass"), digest_size=8).digest()
        return styles[int.from_bytes(digest) % len(styles)]


class _Style:
    """One font at one size, with its own cache of words."""

    def __init__(self, page: PageSettings, style: PageStyle, compression: Compression, shapes: Shapes) -> None:
        self.style = style
        self._page = page
        self._fit = page.fit
        self._font = load_font(style.font_family)
        self._augmentation = page.augmentation
        self._compression = compression
        self._shapes = shapes
        self._geometry = build_geometry(page, self._font, style.font_size_px)
        if page.hyphenation is not None:
            check_language(page.hyphenation)

    @cached_property
    def _words(self) -> WordCache:
        return WordCache(self._font, self.style.font_size_px, self._geometry.column_width, shapes=self._shapes)

    @cached_property
    def _fine(self) -> Settings | None:
        page = self._page
        if page.tab_stop_ems is None and page.hyphenation is None and not page.hanging_indent:
            return None
        tab_stop = (page.tab_stop_ems or 0) * self.style.font_size_px * 64
        hyphenate = None if page.hyphenation is None else Hyphenator(page.hyphenation, self._words)
        return Settings(tab_stop, page.hanging_indent, hyphenate)

    @cached_property
    def _faces(self) -> Faces:
        return Faces(self._font, self.style.font_size_px, self._geometry, self._shapes)

    def find_size(self, text: str) -> int:
        """The font size that spec.page.fit gives a text whose style is this one.

        Other sizes are tried as a larger page in this size, so that nothing is shaped for them.
        """
        own, fit = self.style.font_size_px, self._fit
        if fit.mode == "shrink" and fit.max_shrink_percent is not None:
            return find_least_shrunk(own, fit.max_shrink_percent, lambda size: self._try(text, size).pages)
        if fit.mode == "compression" and fit.text_tokens_per_image_token is not None:
            return find_compressed(
                own,
                float(fit.text_tokens_per_image_token),
                lambda size: estimate_text_tokens(text) / self._count_image_tokens(self._try(text, size), size),
            )
        return own

    @cached_property
    def _augmenter(self) -> "Augmenter | None":
        if self._augmentation is None:
            return None
        from deepsynth_render.page.augmentation import Augmenter  # Pillow takes a while to import

        size_px = self.style.font_size_px
        return Augmenter(self._augmentation, self.style.seed, self._compression, font_size_px=size_px)

    def render(self, text: str, key: str) -> list[Page]:
        """key: of the document, for what is random."""
        laid = self._lay_out(self._build_document(text, self._geometry))
        starts = laid.layout.page_starts.tolist()
        if len(starts) > self._page.max_pages:
            raise RefusedDocument(
                Reason.TOO_MANY_PAGES,
                f"the text needs {len(starts)} pages, spec.page.maxPages is {self._page.max_pages}",
            )
        ends = [*starts[1:], len(text)]
        placed = place_bitmaps(laid.layout, laid.rows, laid.words, laid.layout.geometry)
        boxes = self._find_boxes(text, laid, placed)
        width = self._geometry.width
        return [
            Page(
                file.image,
                width,
                file.height,
                text[start:end],
                start,
                end,
                self.style,
                augmented=file.angle is not None,
                boxes=rotate_boxes(found, file.angle or 0, width, file.height),
            )
            for file, found, start, end in zip(self._draw_pages(laid, placed, key), boxes, starts, ends, strict=True)
        ]

    def _find_boxes(self, text: str, laid: LaidOut, placed: Sequence[Ints]) -> Sequence[Sequence[Box]]:
        if self._page.boxes == "none":
            return [()] * len(placed)
        return find_boxes(self._page.boxes, text, laid.pieces, laid.layout, placed)

    def _build_document(self, text: str, geometry: Geometry) -> Document:
        page, justify = self._page, self._page.align == "justify"
        if page.format == "markdown":
            return MarkdownDocument(text, self._faces, geometry, justify=justify, max_pages=page.max_pages)
        fine = self._fine
        if fine and fine.hyphenate is None and not fine.hangs and "\t" not in text:
            fine = None
        return PlainDocument(text, self._words, geometry, justify=justify, fine=fine)

    def _lay_out(self, document: Document) -> LaidOut:
        laid = document.lay_out()
        if self._fit.mode != "balance":
            return laid
        lines = self._geometry.lines_per_column
        fewer = find_balanced_lines(lines, laid.pages, lambda lines: document.lay_out(lines).pages)
        return document.lay_out(fewer) if fewer < lines else laid

    def _try(self, text: str, size_px: int) -> LaidOut:
        geometry = build_geometry(self._page, self._font, size_px).scale(self.style.font_size_px, size_px)
        return self._build_document(text, geometry).lay_out()

    def _count_image_tokens(self, laid: LaidOut, size_px: int) -> int:
        """Of the pages in another size than that of the layout."""
        page = self._geometry
        bottoms = (laid.find_last_baselines() - page.text_top) * size_px // self.style.font_size_px + page.text_top
        descent = round(-self._font.descender * size_px)
        return sum(estimate_image_tokens(page.width, self._crop(bottom + descent)) for bottom in bottoms.tolist())

    def _crop(self, ink_bottom: int) -> int:
        multiple, height = self._fit.crop_to_multiple_px, self._geometry.height
        return height if multiple is None else crop(height, ink_bottom, self._page.margin_px, multiple)

    @cached_property
    def _paper(self) -> Rows:
        """Used for all pages, because memory that the system has just given to the process is slow."""
        return build_paper(self._geometry.width, self._geometry.height, self._page.bit_depth)

    def _draw_pages(self, laid: LaidOut, placed: Sequence[Ints], key: str) -> Iterator["_File"]:
        bars = laid.build_bars() if laid.build_bars else None
        atlas = laid.words.atlas.read_ink()
        for number, glyphs in enumerate(placed):
            bitmaps = np.concatenate([bars[number], glyphs]) if bars else glyphs
            draw_page(self._paper, atlas, bitmaps, self._page.bit_depth)
            height = self._geometry.height
            if self._fit.crop_to_multiple_px is not None:
                height = self._crop(int((bitmaps[:, TOP] + bitmaps[:, HEIGHT]).max()))
            yield self._encode(self._paper[:height], f"{key} {number}")

    def _encode(self, paper: Rows, key: str) -> "_File":
        width, height, depth = self._geometry.width, len(paper), self._page.bit_depth
        if self._augmenter and (page := self._augmenter.augment(read_levels(paper, width, depth), key)):
            return _File(page.image, height, page.angle)
        return _File(encode_png(paper, width, depth, self._compression), height, None)


class _File(NamedTuple):
    """height: in pixels. angle: by which a page is rotated that was changed to look like a scan."""

    image: bytes
    height: int
    angle: float | None
