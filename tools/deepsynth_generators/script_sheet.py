"""docs/reference/scripts.png: a paragraph in each of many scripts, drawn by the renderer. For eyes."""

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from deepsynth_api.v1alpha1 import PageSettings
from deepsynth_render.page import PageRenderer

TEXTS = Path("tests/fixtures/scripts/article_1.tsv")
SHEET = Path("docs/reference/scripts.png")
COLUMNS = 3
PAGE = PageSettings(size="440x140", font_families=["DejaVu Sans"], font_sizes_px=[15], margin_px=14, align="left")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Draw the sheet of scripts.")
    parser.add_argument("--write", action="store_true", required=True, help="write the file")
    parser.parse_args(arguments)
    lines = TEXTS.read_text(encoding="utf-8").splitlines()
    draw_sheet([line.split("\t")[2] for line in lines]).save(SHEET, bits=4, optimize=True)
    return 0


def draw_sheet(texts: Sequence[str]) -> Image.Image:
    """The first page of each text, column after column, in 16 grey levels."""
    renderer = PageRenderer(PAGE, "fast")
    pages = [Image.open(io.BytesIO(renderer.render(text, "sheet")[0].png)) for text in texts]
    width, height = pages[0].size
    rows = -(-len(pages) // COLUMNS)
    sheet = Image.new("L", (width * COLUMNS, height * rows), 255)
    for index, page in enumerate(pages):
        sheet.paste(page, (index // rows * width, index % rows * height))
    return reduce_levels(sheet)


def reduce_levels(sheet: Image.Image) -> Image.Image:
    """The same with a palette of 16 gray levels, which makes a small file."""
    palette = sheet.point(lambda level: level // 17).convert("P")
    palette.putpalette([level * 17 for level in range(16) for _ in range(3)])
    return palette


if __name__ == "__main__":
    raise SystemExit(main())
