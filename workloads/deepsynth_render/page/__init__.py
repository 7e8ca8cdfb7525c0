"""Text to page images. Knows nothing of datasets, files or steps: a string and spec.page in, PNG files out.

    text -> words -> pieces -> lines -> places on pages -> bitmaps -> PNG
            words.py           lines.py layout.py          raster.py  png.py
            scripts/           reordering.py
            shaping.py (HarfBuzz), glyphs.py (FreeType)

With spec.page.format: markdown, blocks are set one by one, in several fonts and sizes, and then placed on pages:

    text -> blocks -> strips -> places on pages -> as above
            markdown/           paging.py
                      block_setting.py (paragraphs.py, tables.py)

To add a font that a spec may name, see FAMILIES in fonts.py; to draw another script, noto/.
"""

from deepsynth_render.page.renderer import Page, PageRenderer, PageStyle

__all__ = ["Page", "PageRenderer", "PageStyle"]
