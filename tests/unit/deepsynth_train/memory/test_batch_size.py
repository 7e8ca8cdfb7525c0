"""The micro-batch size is the largest power of two that fits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepsynth_train.data.selection.index import SampleIndex
from deepsynth_train.memory.batch_size import choose_size


@given(base=st.integers(0, 1000), slope=st.integers(1, 100), limit=st.integers(0, 10_000), highest=st.integers(1, 1000))
def test_no_larger_power_of_two_fits(base: int, slope: int, limit: int, highest: int) -> None:
    found = choose_size(lambda size: base + slope * size, limit, highest)
    assert found.bytes == base + slope * found.size
    assert found.size.bit_count() == 1
    assert found.size <= highest
    assert found.bytes <= limit or found.size == 1
    assert 2 * found.size > highest or base + slope * 2 * found.size > limit


@given(
    sizes=st.lists(st.integers(0, 100), min_size=8, max_size=8),
    limit=st.integers(0, 800),
    highest=st.integers(1, 200),
)
def test_what_is_chosen_was_measured_and_fits_also_if_memory_is_not_linear(
    sizes: list[int], limit: int, highest: int
) -> None:
    measured = dict(zip([1, 2, 4, 8, 16, 32, 64, 128], np.cumsum(sizes).tolist(), strict=True))
    found = choose_size(measured.__getitem__, limit, highest)
    assert found.bytes == measured[found.size]
    assert found.bytes <= limit or found.size == 1
    assert found.size <= highest


def test_three_estimates_are_enough() -> None:
    measured = {1: 27, 2: 34, 8: 76}
    assert choose_size(measured.__getitem__, 100, 64) == (8, 76)


@pytest.mark.parametrize(
    ("pages", "tokens", "expected"),
    [
        ([1, 3, 3, 1], [10, 50, 60, 90], [2, 3]),
        ([1, 1], [5, 6], [1]),
        ([4, 1], [9, 2], [0]),
    ],
)
def test_the_largest_samples_are_the_longest_and_the_one_with_most_pages(
    pages: list[int], tokens: list[int], expected: list[int]
) -> None:
    from deepsynth_train.attempt.micro_batch import find_largest

    first = np.zeros(len(pages), dtype=np.int64)
    assert find_largest(SampleIndex(first, np.array(pages), np.array(tokens), np.array([len(pages)]))) == expected
