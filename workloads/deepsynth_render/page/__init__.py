"""Text to page images: shaping (HarfBuzz), lines, layout, raster (FreeType) and PNG, in that order."""

from deepsynth_render.page.refusal import RefusedDocument
from deepsynth_render.page.renderer import Page, PageRenderer

__all__ = ["Page", "PageRenderer", "RefusedDocument"]
