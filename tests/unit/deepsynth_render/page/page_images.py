"""What the tests of pages share: small pages, and their pixels as Pillow reads them."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deepsynth_api.v1alpha1 import PageSettings
from deepsynth_render.page import Page, PageRenderer


def build_renderer(**settings: object) -> PageRenderer:
    """A renderer of pages of 160x120 pixels, text of 8 px, margins of 8 px, unless settings say otherwise."""
    small = {"size": "160x120", "fontSizesPx": [8], "marginPx": 8, **settings}
    return PageRenderer(PageSettings.model_validate(small), "fast")


def decode(png: bytes) -> NDArray[np.uint8]:
    """(height, width) grey levels, 0 black to 255 white."""
    with Image.open(io.BytesIO(png)) as image:
        assert image.mode == "L"
        return np.asarray(image)


def measure_ink(page: Page) -> float:
    """Blackness of a page, in black pixels."""
    return float((255 - decode(page.png).astype(np.int64)).sum() / 255)


def find_inked_columns(page: Page) -> NDArray[np.int64]:
    """The x of the columns of pixels that are not all white."""
    return np.flatnonzero((decode(page.png) < 255).any(axis=0))
