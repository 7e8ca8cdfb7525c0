import pytest

from deepsynth_api.counted import counted


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 pages"), (1, "1 page"), (2, "2 pages"), (1234567, "1,234,567 pages")]
)
def test_one_thing_is_named_in_the_singular(number: int, text: str) -> None:
    assert counted(number, "page") == text
