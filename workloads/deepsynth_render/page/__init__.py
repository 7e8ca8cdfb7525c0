"""Text to page images. Knows nothing of datasets, files or steps: a string and spec.page in, PNG files out.

    text -> words -> pieces -> lines -> places on pages -> bitmaps -> PNG
            words.py           lines.py layout.py          raster.py  png.py
            shaping.py (HarfBuzz), glyphs.py (FreeType)

To add a font, see FAMILIES in fonts.py; to allow another script, SCRIPTS in characters.py.
"""

from deepsynth_render.page.renderer import Page, PageRenderer

__all__ = ["Page", "PageRenderer"]
