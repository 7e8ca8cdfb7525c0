"""docs/tasks/pages.png: one text, clean and as scans of several strengths, with boxes, drawn by the renderer."""

import argparse
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from PIL import Image, ImageDraw

from deepsynth_api.v1alpha1 import PageSettings
from deepsynth_render.page import PageRenderer

SHEET: Final = Path("docs/tasks/pages.png")
COLUMNS: Final = 2
TEXT: Final = (
    "All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience and "
    "should act towards one another in a spirit of brotherhood.\n"
    "\u0412\u0441\u0435 \u043b\u044e\u0434\u0438 \u0440\u043e\u0436\u0434\u0430\u044e\u0442\u0441\u044f "
    "\u0441\u0432\u043e\u0431\u043e\u0434\u043d\u044b\u043c\u0438. \u4eba\u4eba\u751f\u800c\u81ea\u7531\u3002"
)
PAGE: Final = {"size": "440x160", "fontSizesPx": [15], "marginPx": 18}
LOOKS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"boxes": "words"},
    {"augmentation": {}},
    {"fontFamilies": ["Noto Serif"], "augmentation": {"skewDegrees": "2", "noise": 20, "paper": 40}},
    {"fontFamilies": ["Noto Serif"], "boxes": "lines", "augmentation": {"skewDegrees": "3", "percent": 100}},
    {
        "fontFamilies": ["Noto Sans Mono"],
        "augmentation": {
            "skewDegrees": "3",
            "blurPx": "1.5",
            "paper": 64,
            "contrastPercent": 60,
            "noise": 32,
            "jpegQuality": 30,
        },
    },
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Draw the sheet of looks.")
    parser.add_argument("--write", action="store_true", required=True, help="write the file")
    parser.parse_args(arguments)
    draw_sheet().save(SHEET, optimize=True)
    return 0


def draw_sheet() -> Image.Image:
    """A page for each look, row after row."""
    pages = [_draw(look) for look in LOOKS]
    width, height = pages[0].size
    sheet = Image.new("L", (width * COLUMNS, height * -(-len(pages) // COLUMNS)), 255)
    for index, page in enumerate(pages):
        sheet.paste(page, (index % COLUMNS * width, index // COLUMNS * height))
    return sheet


def _draw(look: dict[str, Any]) -> Image.Image:
    renderer = PageRenderer(PageSettings.model_validate({**PAGE, **look}), "small")
    page = renderer.render(TEXT, "sheet")[0]
    image = Image.open(io.BytesIO(page.png)).convert("L")
    pen = ImageDraw.Draw(image)
    for box in page.boxes:
        pen.rectangle((box.left - 1, box.top - 1, box.right, box.bottom), outline=128)
    return image


if __name__ == "__main__":
    raise SystemExit(main())
