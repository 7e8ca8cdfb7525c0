"""Reading text and summary pairs from a folder, a file, a Hub repository or Python's docstrings.

`open_source` is the way in; a TextSource then gives rows, independent of the format. Which rows are used is decided
by the plan step, and how bytes arrive by `deepsynth_store`.
"""

from deepsynth_render.sources.formats.columns import NO_SUMMARY
from deepsynth_render.sources.formats.row import Row
from deepsynth_render.sources.interface import RowGroup, TextSource
from deepsynth_render.sources.opening import open_source

__all__ = ["NO_SUMMARY", "Row", "RowGroup", "TextSource", "open_source"]
