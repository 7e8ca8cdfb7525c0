"""Documents of several styles, drawn style by style but kept in their order.

What pages of one style are drawn from, about 100 KB of words and letters, stays in the processor's cache this way.
Documents that take turns would evict each other's from it.
"""

from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from typing import Final, TypeVar

from deepsynth_render.documents.batches import cut_batches

MAX_DOCUMENTS: Final = 128
MAX_CHARACTERS: Final = 200_000
"""Of the documents whose pages are kept until they are in turn: about 70 pages, or 5 MB of PNG."""

Document = TypeVar("Document")
Drawn = TypeVar("Drawn")


def draw_in_style_order(
    documents: Iterable[Document],
    draw: Callable[[Document], Drawn],
    *,
    find_style: Callable[[Document], int] | None,
    measure: Callable[[Document], int],
) -> Iterator[tuple[Document, Drawn]]:
    """Each document with what draw makes of it, in the order of the documents.

    find_style: None if there is only one. measure: the number of characters of a document.
    """
    if find_style is None:
        yield from ((document, draw(document)) for document in documents)
        return
    for batch in cut_batches(documents, measure, max_items=MAX_DOCUMENTS, max_size=MAX_CHARACTERS):
        styles = list(map(find_style, batch))
        in_style_order = sorted(range(len(batch)), key=styles.__getitem__)
        drawn = sorted(((number, draw(batch[number])) for number in in_style_order), key=itemgetter(0))
        yield from ((batch[number], result) for number, result in drawn)
