"""Pages for a first try without data: short sentences, drawn with the font of Pillow. The same each time."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from PIL import Image

FIRST_MODEL: Final = "config://vit-gpt2-tiny"
"""The model of a first try: it starts in a second, downloads nothing, and is too small to read."""
_SUBJECTS: Final = ("The cat", "A bird", "The rain", "My friend", "The old clock", "A quiet town")
_PREDICATES: Final = ("sleeps.", "sings at noon.", "stops early.", "waits for you.")
_VALIDATION: Final = 4
_SIZE: Final = (256, 64)
_MARGIN: Final = 12
_FONT_PX: Final = 20

Pages = list[tuple["Image.Image", str]]


def draw_first_pages() -> dict[str, Pages]:
    """Pairs of a page and its text, by split: 20 pages to train on, 4 to evaluate on."""
    sentences = [f"{subject} {predicate}" for predicate in _PREDICATES for subject in _SUBJECTS]
    pages = [(_draw(sentence), sentence) for sentence in sentences]
    return {"train": pages[_VALIDATION:], "validation": pages[:_VALIDATION]}


def _draw(sentence: str) -> "Image.Image":
    from PIL import Image, ImageDraw, ImageFont

    page = Image.new("L", _SIZE, 255)
    ImageDraw.Draw(page).text((_MARGIN, _MARGIN), sentence, fill=0, font=ImageFont.load_default(_FONT_PX))
    return page
