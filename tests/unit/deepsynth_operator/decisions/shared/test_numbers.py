"""Numbers and durations as users read them."""

from datetime import timedelta

import pytest

from deepsynth_operator.decisions.shared.numbers import format_duration, format_number


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (59, "59s"),
        (60, "1m"),
        (5999, "99m"),
        (6000, "1h40m"),
        (7200, "2h"),
        (7500, "2h5m"),
        (200000, "2d7h"),
    ],
)
def test_durations_are_written_as_kubectl_prints_ages(seconds: int, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("number", "text"), [(None, ""), (1.8342345, "1.83"), (0.00021, "0.00021"), (1260.4, "1260"), (99.94, "99.9")]
)
def test_numbers_have_three_significant_digits(number: float | None, text: str) -> None:
    assert format_number(number) == text
