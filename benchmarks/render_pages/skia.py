"""The same documents with Skia's paragraphs, as browsers draw: PNG and parquet as cheap as ours.

It needs skia-python, which is large, and is skipped where that is missing.
"""

from collections.abc import Iterator
from importlib.metadata import distribution
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepsynth_render.page.fonts import FILES
from deepsynth_render.page.geometry import Geometry
from deepsynth_render.page.png import build_paper


def is_installed() -> bool:
    return find_spec("skia") is not None


class Skia:
    def __init__(self, family: str, size_px: int, geometry: Geometry) -> None:
        import skia

        self._geometry = geometry
        file = FILES[family]
        typeface = skia.Typeface.MakeFromFile(str(distribution(file.distribution).locate_file(file.path)))
        fonts = skia.textlayout.TypefaceFontProvider()
        fonts.registerTypeface(typeface, family)
        collection = skia.textlayout.FontCollection()
        collection.setDefaultFontManager(fonts)
        strut = skia.textlayout.StrutStyle()  # every line as high as ours
        strut.setStrutEnabled(True)
        strut.setForceStrutHeight(True)
        strut.setHeightOverride(True)
        strut.setFontFamilies([family])
        strut.setFontSize(size_px)
        strut.setHeight(geometry.line_pitch / size_px)
        text = skia.textlayout.TextStyle()
        text.setFontFamilies([family])
        text.setFontSize(size_px)
        text.setColor(skia.ColorWHITE)  # ink is counted from 0
        style = skia.textlayout.ParagraphStyle()
        style.setStrutStyle(strut)
        style.setTextStyle(text)
        self._build: Any = lambda: skia.textlayout.ParagraphBuilder.make(style, collection, skia.Unicodes.ICU.Make())
        self._ink = np.zeros((geometry.height, geometry.width), np.uint8)
        self._surface = skia.Surface(self._ink, colorType=skia.kGray_8_ColorType)
        self._rectangle: Any = skia.Rect

    def draw(self, text: str) -> Iterator[NDArray[np.uint8]]:
        """Pages as encode_png takes them; the next page overwrites the one before."""
        geometry = self._geometry
        builder = self._build()
        builder.addText(text)
        paragraph = builder.Build()
        paragraph.layout(geometry.column_width)
        lines = round(paragraph.Height / geometry.line_pitch)
        paper = build_paper(geometry.width, geometry.height, 4)
        height = geometry.lines_per_page * geometry.line_pitch
        top = geometry.first_baseline - paragraph.AlphabeticBaseline
        for first in range(0, lines, geometry.lines_per_page):
            self._ink[:] = 0
            with self._surface as canvas:
                canvas.clipRect(self._rectangle(0, top, geometry.width, top + height))
                paragraph.paint(canvas, geometry.column_lefts[0], top - first * geometry.line_pitch)
            levels = 15 - (self._ink >> 4)
            paper[:, 1:] = levels[:, ::2] << 4 | levels[:, 1::2]
            yield paper
