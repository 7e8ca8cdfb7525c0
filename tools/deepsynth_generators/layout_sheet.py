"""docs/tasks/layout.png: what the settings of layout.md do, drawn by the renderer. For eyes, as script_sheet.py."""

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from deepsynth_api.v1alpha1 import PageSettings
from deepsynth_generators.script_sheet import reduce_levels
from deepsynth_render.page import PageRenderer

TOUR = Path("tests/fixtures/markdown/tour.md")
SHEET = Path("docs/tasks/layout.png")
FRAME = 190
"""Gray level of the line around each page."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Draw the sheet of layouts.")
    parser.add_argument("--write", action="store_true", required=True, help="write the file")
    parser.parse_args(arguments)
    draw_sheet().save(SHEET, bits=4, optimize=True)
    return 0


LINES = (
    "item\tvalue\tunit\n"
    "font size\t15\tpixels per em\n"
    "tab stop\t8\tems\n\n"
    "- The lines of a list item hang below its text, so that its bullet can be seen at once.\n"
    "  2. Nested ones do, too, where the text has blanks before them, even if they run over several lines.\n\n"
    "Justified text has wide gaps between words where long ones are not hyphenated: incomprehensibility and "
    "internationalization, responsibilities, characteristically, extraordinarily, misunderstandings."
)


def draw_sheet() -> Image.Image:
    """In 16 gray levels, in pairs: the tour as it is written and as Markdown; plain lines and fine ones."""
    text = TOUR.read_text(encoding="utf-8")
    tour = PageSettings(size="600x940", font_sizes_px=[15])
    tours = [_draw(text, tour), _draw(text, tour.model_copy(update={"format": "markdown"}))]
    plain = PageSettings(size="600x330", font_sizes_px=[15], align="justify")
    fine = plain.model_copy(update={"tab_stop_ems": 8, "hanging_indent": True, "hyphenation": "en"})
    rows = [_join(tours), _join([_draw(LINES, plain), _draw(LINES, fine)])]
    sheet = Image.new("L", (rows[0].width, sum(row.height for row in rows) - 1), FRAME)
    for top, row in zip((0, rows[0].height - 1), rows, strict=True):
        sheet.paste(row, (0, top))
    return reduce_levels(sheet)


def _draw(text: str, page: PageSettings) -> Image.Image:
    """The only page of a text."""
    (drawn,) = PageRenderer(page, "fast").render(text, "sheet")
    return Image.open(io.BytesIO(drawn.png))


def _join(pages: Sequence[Image.Image]) -> Image.Image:
    """Pages next to each other, with a frame around each."""
    sheet = Image.new("L", (sum(page.width for page in pages) + len(pages) + 1, pages[0].height + 2), FRAME)
    x = 1
    for page in pages:
        sheet.paste(page, (x, 1))
        x += page.width + 1
    return sheet


if __name__ == "__main__":
    raise SystemExit(main())
