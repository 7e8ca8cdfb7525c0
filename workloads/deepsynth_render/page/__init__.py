"""Text to page images: shaping (HarfBuzz), lines, layout, raster (FreeType) and PNG, in that order."""

from deepsynth_render.page.renderer import Page, PageRenderer
from deepsynth_render.refusal import RefusedDocument

__all__ = ["Page", "PageRenderer", "RefusedDocument"]
