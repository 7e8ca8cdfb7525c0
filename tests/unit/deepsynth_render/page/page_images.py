"""Shared by the tests of pages: small pages, and their pixels as Pillow reads them."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deepsynth_api.v1alpha1 import PageSettings
from deepsynth_render.page import Page, PageRenderer
from deepsynth_render.page.characters import normalise

PROSE = "The quick brown fox \u2014 na\u00efve, 25 \u20ac \u2014 jumps over the lazy dog. " * 30


def build_page(**settings: object) -> PageSettings:
    """Pages of 160x120 pixels with text of 8 px and margins of 8 px, unless settings say otherwise."""
    return PageSettings.model_validate({"size": "160x120", "fontSizesPx": [8], "marginPx": 8, **settings})


def build_renderer(**settings: object) -> PageRenderer:
    """A renderer for the pages of build_page."""
    return PageRenderer(build_page(**settings), "fast")


def decode(png: bytes) -> NDArray[np.uint8]:
    """(height, width) grey levels, 0 black to 255 white."""
    with Image.open(io.BytesIO(png)) as image:
        assert image.mode == "L"
        return np.asarray(image)


def measure_ink(page: Page) -> float:
    """How much ink a page has, in black pixels."""
    return float((255 - decode(page.png).astype(np.int64)).sum() / 255)


def find_inked_columns(page: Page) -> NDArray[np.int64]:
    """x of each column of pixels that is not all white."""
    return np.flatnonzero((decode(page.png) < 255).any(axis=0))


def check_pages(text: str, pages: list[Page], *, keep_tabs: bool = False) -> None:
    """The pages hold all of the normalised text, in order, and none of them is blank."""
    normalised = normalise(text, keep_tabs=keep_tabs)
    assert "".join(page.text for page in pages) == normalised
    assert [page.char_start for page in pages] == [0, *(page.char_end for page in pages[:-1])]
    assert all(page.text == normalised[page.char_start : page.char_end] for page in pages)
    assert all(decode(page.png).min() < 255 for page in pages), "a blank page"


def build_bitmaps(count: int, width: int, height: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """An atlas, and (count, 5) random overlapping bitmaps inside a page; some of them are empty."""
    random = np.random.default_rng(7)
    sizes = random.integers(0, 12, (count, 2))
    ends = (sizes[:, 0] * sizes[:, 1]).cumsum()
    corners = random.integers(0, np.array([width, height]) - sizes, (count, 2))
    bitmaps = np.column_stack([ends - sizes[:, 0] * sizes[:, 1], sizes, corners]).astype(np.int64)
    return random.integers(0, 16, int(ends[-1]), np.uint8), bitmaps
