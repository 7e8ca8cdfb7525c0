"""The measures of a page, in pixels.

A page of two columns:

+--------------------------------------+   - margin_px on all sides
|   .____________.      .____________. |   - first_baseline: y of the first line's baseline
|   |text text ..|      |xt text text| |   - line_pitch: from one baseline to the next
|   |text text ..|gutter|xt text text| |   - column_lefts: x of each column, of width column_width
|                                      |
+--------------------------------------+
"""

from dataclasses import dataclass, replace

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import PageSettings
from deepsynth_render.page.fonts import Font
from deepsynth_render.reporting.dropped import RefusedDocument

A4_MILLIMETRES = (210, 297)
MIN_COLUMN_EMS = 8  # most words would not fit into a narrower column
GUTTER_EMS = 2


@dataclass(frozen=True)
class Geometry:
    """Where text is drawn. Left edges and the baseline are measured from the page's top left corner.

    text_height: of a column, which begins at text_top. column_lefts: in reading order.
    """

    width: int
    height: int
    text_height: int
    column_width: int
    column_lefts: tuple[int, ...]
    first_baseline: int
    line_pitch: int
    lines_per_column: int
    text_top: int = 0

    def widen(self, line_pitch: int) -> "Geometry":
        """The same with at least this line pitch, and fewer lines, for letters taller than spec.page expects."""
        extra = line_pitch - self.line_pitch
        if extra <= 0:
            return self
        lines = self.text_height // line_pitch
        if not lines:
            raise RefusedDocument(Reason.OVERFLOW, f"a line of {line_pitch} px is taller than the page")
        return replace(
            self, first_baseline=self.first_baseline + extra // 2, line_pitch=line_pitch, lines_per_column=lines
        )

    def mirror(self) -> "Geometry":
        """The same with the columns from right to left."""
        return replace(self, column_lefts=self.column_lefts[::-1])

    def measure_in_pixels(self) -> "Geometry":
        """The same for a layout whose rows are pixels below the top of the page."""
        return replace(self, first_baseline=0, line_pitch=1)

    def limit(self, lines: int) -> "Geometry":
        """The same with lower columns, of this number of lines at most."""
        lines = min(lines, self.lines_per_column)
        return replace(self, text_height=lines * self.line_pitch, lines_per_column=lines)

    def scale(self, own_size: int, size: int) -> "Geometry":
        """A larger page, on which text of own_size fills lines and columns as text of `size` does on this one."""
        return replace(
            self,
            text_height=self.text_height * own_size // size,
            column_width=self.column_width * own_size // size,
            line_pitch=self.line_pitch * own_size // size,
        )

    @property
    def lines_per_page(self) -> int:
        return self.lines_per_column * len(self.column_lefts)


def build_geometry(page: PageSettings, font: Font, size_px: int) -> Geometry:
    """The measures of spec.page for one of its fonts and sizes. Raises ConfigurationError when no text fits."""
    width, height = parse_size(page.size)
    gutter = GUTTER_EMS * size_px
    column_width = (width - 2 * page.margin_px - (page.columns - 1) * gutter) // page.columns
    pitch = int(float(page.line_height) * size_px + 0.5)
    text_height = height - 2 * page.margin_px
    lines = text_height // max(pitch, 1)
    if pitch < size_px or lines < 1 or column_width < MIN_COLUMN_EMS * size_px:
        raise ConfigurationError(
            f"spec.page: no text fits {width}x{height} px with columns {page.columns}, marginPx {page.margin_px}, "
            f"fontSizesPx {size_px} and lineHeight {page.line_height}; a column needs {MIN_COLUMN_EMS} ems and a line, "
            "and lineHeight is at least 1"
        )
    # The leading (what the pitch adds to the font's own height) is split: half above the letters, half below.
    leading = pitch - (font.ascender - font.descender) * size_px
    baseline = page.margin_px + round(leading / 2 + font.ascender * size_px)
    lefts = tuple(page.margin_px + column * (column_width + gutter) for column in range(page.columns))
    return Geometry(width, height, text_height, column_width, lefts, baseline, pitch, lines, page.margin_px)


def parse_size(size: str) -> tuple[int, int]:
    """Width and height in pixels of spec.page.size.

    >>> parse_size("1024"), parse_size("640x480"), parse_size("a4@72")
    ((1024, 1024), (640, 480), (595, 842))
    """
    if size.startswith("a4@"):
        dots_per_inch = int(size.removeprefix("a4@"))
        return round(A4_MILLIMETRES[0] * dots_per_inch / 25.4), round(A4_MILLIMETRES[1] * dots_per_inch / 25.4)
    width, _, height = size.partition("x")
    return int(width), int(height or width)
