"""How much text a page holds, compared with what a vision-language model makes of it: two estimates.

They need no model and no tokenizer, so that all datasets are measured with the same unit. docs/tasks/pages.md
says how far real tokenizers and models are from them.
"""

import numpy as np

from deepsynth_api.v1alpha1.dataset_generation_status import BYTES_PER_TEXT_TOKEN, PIXELS_PER_IMAGE_TOKEN


def count_words(text: str) -> int:
    r"""Words between blanks and line feeds, in a quarter of the time of text.split.

    >>> count_words("two  words\n"), count_words("")
    (2, 0)
    """
    blank = np.frombuffer(b" " + text.encode(errors="surrogatepass"), np.uint8) <= ord(" ")
    return int(np.count_nonzero(blank[:-1] & ~blank[1:]))


def estimate_text_tokens(text: str) -> int:
    """Tokens of a text, rounded up."""
    return -(-len(text.encode(errors="surrogatepass")) // BYTES_PER_TEXT_TOKEN)


def estimate_image_tokens(width: int, height: int) -> int:
    """Tokens of a page; a part of a square at an edge counts as one.

    >>> estimate_image_tokens(1024, 1024), estimate_image_tokens(595, 842)
    (256, 140)
    """
    return -(-width // PIXELS_PER_IMAGE_TOKEN) * -(-height // PIXELS_PER_IMAGE_TOKEN)
