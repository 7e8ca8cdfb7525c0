"""Text to pages: the one way from a document to its PNG files."""

from dataclasses import dataclass
from typing import Literal

from deepsynth_api.v1alpha1 import PageSettings
from deepsynth_render.characters import normalise
from deepsynth_render.refusal import RefusedDocument

__all__ = ["Page", "PageRenderer", "RefusedDocument", "normalise"]


@dataclass(frozen=True)
class Page:
    """One page. text is normalised_text[char_start:char_end]; a document's texts joined give all of it."""

    png: bytes
    text: str
    char_start: int
    char_end: int


class PageRenderer:
    """Draws documents as spec.page says. Build one per process and keep it: it remembers the words it has shaped.

    Raises ConfigurationError when no text fits the page.
    """

    def __init__(self, page: PageSettings, compression: Literal["small", "fast"]) -> None:
        self._page = page
        self._compression = compression

    def render(self, text: str, seed_key: str) -> list[Page]:
        """The pages of one document, at least one, none blank.

        text: as the source has it; it is normalised here.
        seed_key: what the choice among several fonts and sizes hangs on, such as the document's id.
        Raises RefusedDocument when a character cannot be drawn or the text does not fit.
        """
        raise NotImplementedError
