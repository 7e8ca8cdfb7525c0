"""docs/layout.png: what the settings of docs/layout.md do, drawn by the renderer. For eyes, as script_sheet.py."""

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from deepsynth_api.v1alpha1 import PageSettings
from deepsynth_generators.script_sheet import reduce_levels
from deepsynth_render.page import PageRenderer

TOUR = Path("tests/fixtures/markdown/tour.md")
SHEET = Path("docs/layout.png")
FRAME = 190
"""Gray level of the line around each page."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Draw the sheet of layouts.")
    parser.add_argument("--write", action="store_true", required=True, help="write the file")
    parser.parse_args(arguments)
    draw_sheet().save(SHEET, bits=4, optimize=True)
    return 0


def draw_sheet() -> Image.Image:
    """The tour as it is written and as Markdown, side by side, in 16 gray levels."""
    text = TOUR.read_text(encoding="utf-8")
    pages = [
        _draw(text, PageSettings(size="600x940", font_sizes_px=[15], format=name)) for name in ("plain", "markdown")
    ]
    return reduce_levels(_join(pages))


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
