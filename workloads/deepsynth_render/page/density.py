"""How much text a page holds, compared with what a vision-language model makes of it: two estimates.

They need no model and no tokenizer, so that all datasets are measured with the same unit. docs/tasks/pages.md
says how far real tokenizers and models are from them.
"""

import numpy as np

from deepsynth_api.v1alpha1.dataset_generation_status import BYTES_PER_TEXT_TOKEN, PIXELS_PER_IMAGE_TOKEN
from deepsynth_render.page.compiled.loading import IS_BUILT, core


def measure_text(text: str) -> tuple[int, int]:
    r"""Words between blanks and line feeds, and bytes of UTF-8.

    >>> measure_text("two  words\n"), measure_text("")
    ((2, 11), (0, 0))
    """
    if IS_BUILT:
        try:
            return core.measure_text(text)
        except UnicodeEncodeError:  # a lone surrogate
            pass
    return measure_in_python(text)


def measure_in_python(text: str) -> tuple[int, int]:
    """The same as measure_text."""
    blank = np.frombuffer(b" " + text.encode(errors="surrogatepass"), np.uint8) <= ord(" ")
    return int(np.count_nonzero(blank[:-1] & ~blank[1:])), len(blank) - 1


def estimate_text_tokens(text: str) -> int:
    """Tokens of a text, rounded up."""
    return estimate_tokens(measure_text(text)[1])


def estimate_tokens(size: int) -> int:
    """Tokens of a text of `size` bytes of UTF-8, rounded up."""
    return -(-size // BYTES_PER_TEXT_TOKEN)


def estimate_image_tokens(width: int, height: int) -> int:
    """Tokens of a page; a part of a square at an edge counts as one.

    >>> estimate_image_tokens(1024, 1024), estimate_image_tokens(595, 842)
    (256, 140)
    """
    return -(-width // PIXELS_PER_IMAGE_TOKEN) * -(-height // PIXELS_PER_IMAGE_TOKEN)
