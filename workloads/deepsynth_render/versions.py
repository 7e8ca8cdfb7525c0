"""What the bytes of a page depend on, besides text and settings."""

from importlib.metadata import version
from typing import Final

_PACKAGES: Final = ("deepsynth-operator", "freetype-py", "isal", "pyarrow", "uharfbuzz", "zlib-ng")


def gather_versions() -> dict[str, str]:
    """Version of each package that lays out, draws, compresses or stores pages."""
    return {package: version(package) for package in _PACKAGES}
