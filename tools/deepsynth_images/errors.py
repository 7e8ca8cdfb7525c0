"""What keeps an image from being built, with the remedy."""


class ImageError(Exception):
    """The message says what to do."""
