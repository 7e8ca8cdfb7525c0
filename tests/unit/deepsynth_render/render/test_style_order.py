from collections.abc import Callable

from deepsynth_render.render.style_order import MAX_CHARACTERS, MAX_DOCUMENTS, draw_in_style_order


def draw_all(texts: list[str], find_style: Callable[[str], int] | None) -> tuple[list[tuple[str, str]], list[str]]:
    """The documents with what was made of them, and the order in which that was made."""
    order: list[str] = []

    def draw(text: str) -> str:
        order.append(text)
        return text.upper()

    return list(draw_in_style_order(texts, draw, find_style=find_style, measure=len)), order


def test_documents_are_drawn_style_by_style_and_given_in_their_order() -> None:
    texts = ["b1", "a1", "c1", "a2", "b2", "a3"]
    found, order = draw_all(texts, lambda text: ord(text[0]))
    assert found == [(text, text.upper()) for text in texts]
    assert order == ["a1", "a2", "a3", "b1", "b2", "c1"]


def test_documents_of_one_style_are_given_one_by_one() -> None:
    drawn = draw_in_style_order(iter(["x", "y"]), str.upper, find_style=None, measure=len)
    assert next(drawn) == ("x", "X")


def test_few_documents_are_kept_at_the_same_time() -> None:
    drawn: list[int] = []
    numbers = range(3 * MAX_DOCUMENTS)
    pairs = draw_in_style_order(numbers, drawn.append, find_style=lambda number: number % 9, measure=lambda _: 1)
    assert next(pairs)[0] == 0
    assert len(drawn) == MAX_DOCUMENTS
    assert [number for number, _ in pairs] == list(numbers)[1:]


def test_a_long_document_ends_what_is_kept() -> None:
    drawn: list[int] = []
    pairs = draw_in_style_order(
        range(9), drawn.append, find_style=lambda number: -number, measure=lambda _: MAX_CHARACTERS // 2
    )
    next(pairs)
    assert drawn == [1, 0]
