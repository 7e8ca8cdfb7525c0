"""Where text and summary pairs come from, whatever holds them."""

from deepsynth_render.sources.interface import Row, RowGroup, TextSource
from deepsynth_render.sources.opening import open_source

__all__ = ["Row", "RowGroup", "TextSource", "open_source"]
