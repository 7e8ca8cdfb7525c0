"""completedIndexes of an Indexed Job."""

import pytest

from deepsynth_operator.decisions.shared.indexes import count_indexes


@pytest.mark.parametrize(
    ("text", "count"),
    [("", 0), ("0", 1), ("1,3-5,7", 5), ("0-99999", 100_000), ("nonsense", 0), ("3-x", 0), ("5-3", 0)],
)
def test_indexes_of_a_job_are_counted_by_interval(text: str, count: int) -> None:
    assert count_indexes(text) == count
