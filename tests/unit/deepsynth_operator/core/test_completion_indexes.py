import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepsynth_operator.core.completion_indexes import (
    MAX_INDEX,
    count_indexes,
    format_indexes,
    parse_indexes,
    shift_indexes,
)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("0", 1),
        ("1,3-5,7", 5),
        ("0-99999", 100_000),
        ("nonsense", 0),
        ("3-x", 0),
        ("5-3", 0),
        ("1" * 5000, 0),
    ],
)
def test_indexes_are_counted_by_interval_and_malformed_text_counts_as_none(text: str, count: int) -> None:
    assert count_indexes(text) == count


def test_an_interval_without_a_sensible_end_is_cut_off() -> None:
    assert count_indexes("0-9999999999") == MAX_INDEX + 1
    assert parse_indexes("9999999999") == set()


@given(st.sets(st.integers(0, 60)))
def test_formatted_indexes_are_parsed_back(indexes: set[int]) -> None:
    assert parse_indexes(format_indexes(indexes)) == indexes


def test_indexes_of_a_job_that_begins_later_are_those_of_its_shards() -> None:
    assert shift_indexes("1,3-5", 4) == "5,7-9"
    assert (shift_indexes("1,3-5", 0), shift_indexes("", 4)) == ("1,3-5", "")


def test_indexes_are_formatted_as_the_job_controller_does() -> None:
    assert format_indexes([7, 1, 3, 4, 5, 9, 10]) == "1,3-5,7,9,10"
