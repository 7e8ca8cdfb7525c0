from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepsynth_train.data.files.page_order import find_page_order


def order(documents: list[Any], pages: list[Any]) -> list[int]:
    found = find_page_order(pa.table({"document_id": documents, "page": pages}))
    return list(range(len(documents))) if found is None else found.tolist()


@pytest.mark.parametrize(
    ("documents", "pages", "expected"),
    [
        (["a", "a", "a", "b"], [2, 0, 1, 0], [1, 2, 0, 3]),
        ([None, None, None], [2, 1, 0], [0, 1, 2]),
        (["a", "b", "a"], [1, 0, 0], [2, 0, 1]),
        (["a", "b", "a", "b"], [1, 2, 2, 1], [0, 2, 3, 1]),
        (["a", "a", "b", "a", "a"], [1, 0, 0, 1, 0], [1, 0, 2, 4, 3]),
        (["a", "b", "a"], [0, 0, 2], [0, 1, 2]),
        (["a", "a", "a", "b", "a"], [None, None, 0, 0, 1], [2, 0, 1, 3, 4]),
        (["a", "a", "a"], ["10", "9", "11"], [1, 0, 2]),
        (["a", "a"], ["ii", "i"], [0, 1]),
        (["a", "a"], [float("inf"), float("-inf")], [1, 0]),
        (["a", "a", "a", "a"], [1, 0, 1, 0], [0, 1, 2, 3]),
        (["a", "a", "b", "b"], [1, 1, 1, 0], [0, 1, 3, 2]),
        (["a", "a", "a"], [None, 1, 0], [2, 1, 0]),
        ([7, 7, 8], [10, 9, 0], [1, 0, 2]),
        ([], [], []),
    ],
)
def test_pages_are_in_the_order_of_their_numbers(documents: list[Any], pages: list[Any], expected: list[int]) -> None:
    assert order(documents, pages) == expected


@pytest.mark.parametrize(
    "columns", [{"page": [1, 0]}, {"document_id": ["a", "a"]}, {"document_id": ["a"], "page": ["1"]}]
)
def test_without_numbers_of_pages_rows_stay_in_their_places(columns: dict[str, list[Any]]) -> None:
    assert find_page_order(pa.table(columns)) is None


@settings(max_examples=50, deadline=None)
@given(st.lists(st.permutations(range(4)), max_size=8), st.data())
def test_any_order_of_pages_gives_the_same_documents(shuffles: list[list[int]], data: Any) -> None:
    documents = [f"d{number}" for number, shuffle in enumerate(shuffles) for _ in shuffle]
    pages = [page for shuffle in shuffles for page in shuffle]
    found = order(documents, pages)
    assert [(documents[row], pages[row]) for row in found] == [
        (f"d{number}", page) for number in range(len(shuffles)) for page in range(4)
    ]
