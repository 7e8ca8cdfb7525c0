"""What keeps an image from being built, with the remedy."""

from deepsynth_host.errors import ToolError


class ImageError(ToolError):
    """The message says what to do."""
